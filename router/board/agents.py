"""Who is known to the router, who may speak for whom, and who fell silent. No I/O, no clock.

Only the launcher makes an agent known. A page speaks for an agent if it came with the session cookie under which the agent
was given out. A framed browser may withhold the cookie; then the agent's id, which cannot be guessed, is all that there is,
but once an agent's cookie was seen, it is asked for from then on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from ..wire.agreed import AGREED
from ..wire.errors import Refused
from ..wire.protocol import DISCONNECT, NONE, WORKING, Limits


class Peer(Protocol):
    """A socket as the switchboard sees it."""

    session: str | None
    """The session cookie that it came with."""
    batches: bool
    """Whether the other end said `protocol: 1`, so that a frame may hold several packets."""

    def send(self, packet: bytes) -> None:
        """Queue an encoded packet; it leaves at the end of this turn of the loop."""

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close."""


class Agent:
    """One worker's session on one unit, as far as the router knows it."""

    __slots__ = (
        "agent_id",
        "backlog",
        "had_socket",
        "heard",
        "peers",
        "session",
        "session_proven",
        "status",
        "submission_id",
    )

    def __init__(self, agent_id: str, backlog_limit: int) -> None:
        self.agent_id = agent_id
        self.status = NONE
        self.peers: list[Peer] = []
        self.backlog: deque[bytes] = deque(maxlen=backlog_limit)
        self.had_socket = False
        self.heard = 0.0
        self.session: str | None = None
        self.session_proven = False
        self.submission_id: str | None = None
        """What was taken from this agent, so that a retry of the same submission gets the same answer."""

    def is_working(self) -> bool:
        """Whether silence of its page would matter."""
        return self.had_socket and self.status in WORKING and self.submission_id is None


class Agents:
    """All agents that the launcher gave out or spoke of."""

    def __init__(self, limits: Limits, submitted: dict[str, str] | None = None) -> None:
        """`submitted`: what agents handed in to a router before this one; taken out as they are made known."""
        self._limits = limits
        self._submitted = submitted if submitted is not None else {}
        self._agents: dict[str, Agent] = {}
        self._at_work: set[Agent] = set()
        """Whose silence may matter; who has stopped working since is taken out at the next look."""
        self._by_peer: dict[Peer, set[str]] = {}

    def __iter__(self) -> Iterator[Agent]:
        return iter(self._agents.values())

    def __len__(self) -> int:
        return len(self._agents)

    def get(self, agent_id: str | None) -> Agent | None:
        """The agent, or None. Asking creates nothing."""
        return self._agents.get(agent_id) if agent_id is not None else None

    def make_known(self, agent_id: str) -> Agent:
        """The agent, new if need be. Only on the launcher's word."""
        agent = self._agents.get(agent_id)
        if agent is None:
            agent = self._agents[agent_id] = Agent(agent_id, self._limits.page_queue)
            agent.submission_id = self._submitted.pop(agent_id, None)
        return agent

    def set_status(self, agent: Agent, status: str) -> None:
        """The launcher's word on an agent."""
        agent.status = status
        self._at_work.add(agent)

    def give_to(self, agent_id: str, session: str) -> Agent:
        """Give an agent out to the browser that asked for it; it is the owner from now on."""
        agent = self.make_known(agent_id)
        agent.session, agent.session_proven = session, False
        return agent

    def has_session(self, session: str) -> bool:
        """Whether an agent was given out under this session cookie."""
        return any(agent.session == session for agent in self)

    def authorise(self, agent_id: str | None, session: str | None) -> Agent:
        """The agent that a page names, if it may speak for it. Raises Refused: 404 unknown, 403 somebody else's."""
        agent = self.get(agent_id)
        if agent is None:
            raise Refused(AGREED.refusals.not_signed_in)
        is_owner = not agent.session_proven if session is None else agent.session in (None, session)
        if not is_owner:
            raise Refused(AGREED.refusals.not_your_agent)
        if session is not None:
            agent.session, agent.session_proven = session, True
        return agent

    def attach(self, agent: Agent, peer: Peer) -> Peer | None:
        """Let a socket speak for an agent; returns the oldest one where it had too many."""
        agent.peers.append(peer)
        agent.had_socket = True
        self._at_work.add(agent)
        self._by_peer.setdefault(peer, set()).add(agent.agent_id)
        return agent.peers.pop(0) if len(agent.peers) > self._limits.sockets_per_agent else None

    def detach(self, peer: Peer) -> None:
        """A socket is gone."""
        for agent_id in self._by_peer.pop(peer, ()):
            agent = self._agents.get(agent_id)
            if agent is not None and peer in agent.peers:
                agent.peers.remove(peer)

    def forget(self, agent: Agent) -> None:
        """Drop what is known of an agent."""
        self._agents.pop(agent.agent_id, None)
        self._at_work.discard(agent)

    def restore(self, agent: Agent) -> None:
        """Take back a `forget`: it is known as before, but for sockets that have gone since."""
        agent.peers = [peer for peer in agent.peers if peer in self._by_peer]
        self._agents.setdefault(agent.agent_id, agent)
        self._at_work.add(agent)

    def fall_silent(self, now: float) -> list[Agent]:
        """Mark the working agents whose pages were not heard for too long as disconnected; returns them."""
        self._at_work = {agent for agent in self._at_work if agent.is_working()}
        silent = [agent for agent in self._at_work if now - agent.heard > self._limits.silence]
        for agent in silent:
            agent.status = DISCONNECT
        return silent

    def excuse(self, pause: float) -> None:
        """The router itself stood still (a suspended machine): that silence was nobody's."""
        for agent in self._at_work:
            agent.heard += pause

    def statuses(self) -> dict[str, str]:
        """What `return_statuses` says."""
        return {agent.agent_id: agent.status for agent in self}
