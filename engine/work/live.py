"""Agents that talk while they work: what a task's hook sees of them, and which of them are together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec

from .assignments import IN_TASK, Assignment

MOST_REPLAYED = 1000
"""Live updates of an agent that a reloaded page gets again; the oldest go first."""
MOST_REPLAYED_BYTES = 1 << 18
"""And their JSON: they come in one packet, beside the unit."""
MOST_REMEMBERED = 100
"""Live updates of a page by whose ids a repeat is known; a page repeats only what it said last."""


class LiveAgent:
    """An agent as a hook sees it."""

    def __init__(self, agent_id: str, worker_id: str, send: Callable[[dict[str, Any]], None]) -> None:
        self.agent_id, self.worker_id = agent_id, worker_id
        self.updates: deque[dict[str, Any]] = deque()
        """What was sent to it, as far as a reloaded page gets it again."""
        self._sizes: deque[int] = deque()
        self._heard: deque[Any] = deque(maxlen=MOST_REMEMBERED)
        self._bytes = 0
        self._send = send

    async def send(self, update: dict[str, Any]) -> None:
        """Send a live update to the agent's page. It gets an `update_id`, so that no page shows it twice."""
        identified = {**update, "update_id": update.get("update_id") or uuid4().hex}
        self._send(identified)
        self._remember(identified)

    def is_news(self, update: dict[str, Any]) -> bool:
        """Whether its page says this for the first time; after a broken connection it says once more what may be lost."""
        update_id = update.get("update_id")
        if update_id in self._heard:
            return False
        if update_id is not None:
            self._heard.append(update_id)
        return True

    def _remember(self, update: dict[str, Any]) -> None:
        self.updates.append(update)
        self._sizes.append(len(msgspec.json.encode(update)))
        self._bytes += self._sizes[-1]
        while len(self.updates) > MOST_REPLAYED or self._bytes > MOST_REPLAYED_BYTES:
            self.updates.popleft()
            self._bytes -= self._sizes.popleft()


class Session:
    """The agents that are at one unit together, and the order in which things happen to them."""

    def __init__(self, unit: Any, index: int) -> None:
        self.unit, self.index = unit, index
        self.agents: list[LiveAgent] = []
        self.memory: dict[str, Any] = {}
        """For the hook's own use."""
        self.started = False
        """Whether all its agents were there."""
        self.turn = asyncio.Lock()
        """One thing happens at a time in a session."""

    def agent(self, agent_id: str) -> LiveAgent | None:
        """The agent of that id, if it is in this session."""
        return next((agent for agent in self.agents if agent.agent_id == agent_id), None)


class Sessions:
    """All sessions of a run, by agent. `together` is how many agents make a session; `send` sends an agent an update."""

    def __init__(self, units: list[Any], together: int, send: Callable[[str, dict[str, Any]], None]) -> None:
        self._units, self._together, self._send = units, together, send
        self._of: dict[str, Session] = {}

    def of(self, agent_id: str) -> tuple[Session, LiveAgent] | None:
        """The session that an agent is in, and what it is there."""
        session = self._of.get(agent_id)
        agent = session.agent(agent_id) if session is not None else None
        return (session, agent) if session is not None and agent is not None else None

    def join(self, assignment: Assignment) -> Session:
        """Put an agent where its partners are, or into a session of its own; quiet if it is there already."""
        agent_id = assignment.agent_id
        session = self._of.get(agent_id) or self._forming(assignment.unit)
        self._of[agent_id] = session
        if session.agent(agent_id) is None:
            session.agents.append(
                LiveAgent(agent_id, assignment.worker_id, lambda update: self._send(agent_id, update))
            )
        return session

    def starts(self, session: Session, assignment: Assignment) -> bool:
        """Whether the session became whole with this assignment; true once."""
        if session.started or assignment.status != IN_TASK or len(session.agents) < self._together:
            return False
        session.started = True
        return True

    def leave(self, agent_id: str) -> tuple[Session, LiveAgent] | None:
        """Take an agent out; returns where it was."""
        found = self.of(agent_id)
        if found is not None:
            session, agent = found
            session.agents.remove(agent)
            del self._of[agent_id]
        return found

    def _forming(self, unit: int) -> Session:
        if self._together > 1:
            for session in self._of.values():
                if session.index == unit and not session.started:
                    return session
        return Session(self._units[unit], unit)
