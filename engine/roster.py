"""Who works on what, durably: the pure assignments, and the journal of the calls that made them what they are.

`agents.jsonl` in the run's directory has one line a call, on the disk before a worker hears of its outcome. A launcher that
takes up the run replays them, and has the same assignments again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Literal

import msgspec

from ..router.journal import Journal
from .assignments import AlreadySubmitted, Assignment, Assignments, Counts, NothingFor
from .submissions import StoreFailed

FILE_NAME = "agents.jsonl"


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call to the assignments. `assign`, `submit` and `release` are theirs; `qualify` is kept here."""

    call: Literal["assign", "submit", "release", "qualify"]
    at: float
    worker_id: str = ""
    agent_id: str = ""
    registration_id: str = ""
    status: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Call).decode


class Roster:
    """The agents of one run. `open` first, `close` last. `clock` gives seconds since the epoch."""

    def __init__(self, directory: Path, assignments: Assignments, clock: Callable[[], float]) -> None:
        self._assignments, self._clock = assignments, clock
        self._journal = Journal(directory / FILE_NAME)
        self._qualified: set[str] = set()
        self._registrations: dict[str, str] = {}

    def open(self) -> None:
        """Replay what the journal has."""
        for _, line in self._journal.open():
            self._replay(_decode(line))

    async def close(self) -> None:
        """Finish what is being written."""
        await self._journal.close()

    @property
    def counts(self) -> Counts:
        """Where the work stands."""
        return self._assignments.counts

    @property
    def done(self) -> bool:
        """Whether every unit has all its submissions."""
        return self._assignments.done

    def agent(self, agent_id: str) -> Assignment | None:
        """What is known of an agent."""
        return self._assignments.agent(agent_id)

    def registration_of(self, agent_id: str) -> str | None:
        """The registration id under which an agent was given out first."""
        return self._registrations.get(agent_id)

    def nothing_for(self, worker_id: str) -> NothingFor:
        """Why there is nothing for a worker."""
        return self._assignments.nothing_for(worker_id)

    def open_agents(self) -> Iterator[Assignment]:
        """The assignments that somebody is at."""
        for agent_id in self._assignments.overdue(inf):
            assignment = self._assignments.agent(agent_id)
            if assignment is not None:
                yield assignment

    async def assign(self, worker_id: str, registration_id: str) -> Assignment | None:
        """The worker's assignment, old or new; None if there is nothing for it now. Durable when it returns.

        Raises StoreFailed if it cannot be made durable; then the worker has nothing.
        """
        agent_id, now = secrets.token_hex(12), self._clock()
        assignment = self._assignments.assign(worker_id, agent_id, now)
        if assignment is None or assignment.since < now:
            return assignment  # nothing, or what the worker is at already
        self._registrations.setdefault(assignment.agent_id, registration_id)
        call = Call("assign", now, worker_id, agent_id, registration_id)
        try:
            await self._journal.append(_encode(call))
        except OSError as error:
            self._assignments.release(assignment.agent_id, "returned")
            raise StoreFailed(self._journal.path, error) from error
        return assignment

    def submit(self, agent_id: str) -> bool:
        """An agent handed in; whether it counts. An unknown agent, and a second submission, do not."""
        try:
            counts = self._assignments.submit(agent_id)
        except (KeyError, AlreadySubmitted):
            return False
        self._journal.note(_encode(Call("submit", self._clock(), agent_id=agent_id)))
        return counts

    def release(self, agent_id: str, status: str) -> list[str]:
        """An agent left; returns the partners whom it concerns. Quiet for one that is unknown or over."""
        assignment = self._assignments.agent(agent_id)
        if assignment is None or not assignment.is_open:
            return []
        self._journal.note(_encode(Call("release", self._clock(), agent_id=agent_id, status=status)))
        return self._assignments.release(agent_id, status)

    def overdue(self, timeout: float) -> list[str]:
        """The agents that have had their unit for longer than `timeout` seconds."""
        return self._assignments.overdue(self._clock() - timeout)

    def is_qualified(self, worker_id: str) -> bool:
        """Whether a worker has passed the onboarding."""
        return worker_id in self._qualified

    async def qualify(self, worker_id: str) -> None:
        """A worker passed the onboarding. Durable when it returns."""
        self._qualified.add(worker_id)
        try:
            await self._journal.append(_encode(Call("qualify", self._clock(), worker_id)))
        except OSError as error:
            raise StoreFailed(self._journal.path, error) from error

    def _replay(self, call: Call) -> None:
        match call.call:
            case "assign":
                assignment = self._assignments.assign(call.worker_id, call.agent_id, call.at)
                if assignment is not None:
                    self._registrations.setdefault(assignment.agent_id, call.registration_id)
            case "submit":
                self._assignments.submit(call.agent_id)
            case "release":
                self._assignments.release(call.agent_id, call.status)
            case "qualify":
                self._qualified.add(call.worker_id)
