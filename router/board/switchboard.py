"""Who gets what: events in, packets out. No I/O, no clock: sockets are Peers, time is handed in.

Two kinds of events come in: what sockets said (`page_said`, `launcher_said`) and what pages asked by HTTP (`register`,
`submit_onboarding`). An HTTP request that the launcher must answer waits here until `settle` is called with the answer or
with the Refused that it gets instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ..wire import protocol as wire
from ..wire.agreed import AGREED
from ..wire.errors import Malformed, Refused
from ..wire.protocol import Envelope, Limits, Packet, encode
from .agents import Agent, Agents, Peer
from .launcher_link import HandshakeRefused, LauncherLink
from .lease import Admission, Lease
from .peers import Peers
from .waiting import Waiting, WaitingRequests

STOOD_STILL = 1.0
"""Seconds between two ticks from which the router itself was held up, however short a silence is allowed."""


class Instant(NamedTuple):
    """Now, on both clocks: seconds of the monotonic one for deadlines, of the wall clock for time stamps."""

    now: float
    wall: float


class Switchboard:
    """The state of one router. `acknowledge(router_epoch, number)` tells the outbox what the launcher has."""

    def __init__(
        self,
        run_id: str,
        limits: Limits,
        token: str | None,
        lease: Lease,
        acknowledge: Callable[[str, int], None],
        submitted: dict[str, str] | None = None,
    ) -> None:
        """`submitted`: by agent, what was handed in to a router before this one."""
        self.run_id, self.limits, self.lease = run_id, limits, lease
        self.agents = Agents(limits, submitted)
        self.link = LauncherLink(token, limits, lease.started)
        self.waiting = WaitingRequests(limits, self.link)
        self.counters: Counter[str] = Counter()
        self.peers = Peers()
        self._acknowledge = acknowledge
        self._last_tick = lease.started
        self._from_page: dict[str, Callable[[Peer, Packet, Instant], None]] = {
            wire.MEPHISTO_BOUND_LIVE_UPDATE: self._page_update,
            wire.HEARTBEAT: self._page_heartbeat,
            wire.ALIVE: self._page_alive,
        }
        self._from_launcher: dict[str, Callable[[Packet, Instant], None]] = {
            wire.CLIENT_BOUND_LIVE_UPDATE: self._launcher_update,
            wire.UPDATE_STATUS: self._launcher_status,
            wire.AGENT_DETAILS: self._launcher_agent_details,
            wire.REQUEST_STATUSES: self._launcher_wants_statuses,
            wire.ACK: self._launcher_ack,
            wire.LEASE: self._launcher_lease,
            wire.DRAIN: lambda packet, at: self.lease.drain(),
            wire.BYE: self._launcher_bye,
            wire.PEERS: self._launcher_peers,
            wire.ALIVE: self._launcher_alive_again,
            wire.HEARTBEAT: lambda packet, at: None,
        }

    # What sockets say

    def page_said(self, peer: Peer, packet: Packet, at: Instant) -> None:
        """A packet from a page's socket. What cannot be served is answered with an `error` packet and counted."""
        self._serve(peer, packet, self._from_page, lambda act: act(peer, packet, at))

    def launcher_said(self, peer: Peer, packet: Packet, at: Instant) -> None:
        """A packet from the attached launcher. Any word from it renews the lease."""
        self.link.heard = at.now
        self.lease.renew(at.now)
        self._serve(peer, packet, self._from_launcher, lambda act: act(packet, at))

    def page_gone(self, peer: Peer) -> None:
        """A page's socket is closed."""
        self.agents.detach(peer)

    def launcher_gone(self, peer: Peer, at: Instant) -> None:
        """A launcher's socket is closed; one that was displaced before has nothing more to say."""
        if self.link.peer is peer:
            self.link.detach(at.now)

    def attach_launcher(
        self, peer: Peer, packet: Packet, welcome: Callable[[], dict[str, Any]], at: Instant
    ) -> wire.Hello:
        """The first packet of a launcher. Raises HandshakeRefused or Malformed, both counted; returns what it said of itself.

        `welcome()` is called once what the launcher says that it has is released.
        """
        try:
            hello = _read(packet, _HELLO, "token, protocol, epoch, acked, lease")
            self.link.check(hello)
        except (HandshakeRefused, Malformed):
            self.counters["launchers_refused"] += 1
            raise
        self.link.attach(peer, hello, at.now)
        self.lease.renew(at.now, hello.lease)
        for router_epoch, number in hello.acked.items():
            self._acknowledge(router_epoch, number)
        if hello.protocol:
            peer.send(encode(Envelope(wire.WELCOME, wire.LAUNCHER_SUBJECT, welcome(), server_timestamp=at.wall)))
        self.waiting.offer_all()
        self.link.send_backlog()
        return hello

    # What pages ask by HTTP

    def register(self, waiting: Waiting, at: Instant) -> None:
        """A page asks for an agent. Raises Refused where no worker is admitted; who is in may always ask again."""
        if waiting.packet is not None:
            self._check_size(waiting.packet)
        self.check_admission(at, waiting.session)
        self.lease.worker_heard(at.now)
        self.waiting.add(waiting)
        self.waiting.offer(waiting)

    def worker(self, agent_id: str, session: str | None, at: Instant) -> Agent:
        """The agent that a page names, if it may speak for it. Raises Refused."""
        agent = self.agents.authorise(agent_id, session)
        self.lease.worker_heard(at.now)
        return agent

    def await_onboarding(self, agent: Agent, waiting: Waiting) -> None:
        """A page handed in its onboarding, which the outbox carries; the next agent's details answer it."""
        self.waiting.add(waiting)
        self.agents.forget(agent)

    def take_back_onboarding(self, agent: Agent, waiting: Waiting) -> None:
        """It could not be kept, so that the page may hand it in again."""
        self.waiting.take(waiting.request_id)
        self.agents.restore(agent)

    def log_error(self, agent_id: str, data: msgspec.Raw, client_timestamp: float | None, at: Instant) -> None:
        """A page's error log, for the launcher. The same complaint of every page load goes through once a run."""
        if _VERSION_MISMATCH in bytes(data):
            self.counters["version_mismatches"] += 1
            if self.counters["version_mismatches"] > 1:
                return
        self._pass_on(Envelope(wire.LOG_ERROR, agent_id, data, client_timestamp, None, at.wall, at.wall))

    def check_admission(self, at: Instant, session: str | None = None) -> None:
        """Raise the Refused that a worker gets when nobody is let in. Who is in already, by the session, may come back."""
        self.check_open()
        admits = self.lease.admission(at.now) is Admission.OPEN
        if not admits and (session is None or not self.agents.has_session(session)):
            raise Refused(AGREED.refusals.closed)
        if self.launcher_is_away(at):
            raise Refused(AGREED.refusals.launcher_away)

    def check_open(self) -> None:
        """Raise Refused if the launcher left for good: nobody would ever fetch what is handed in now."""
        if self.lease.is_closed:
            raise Refused(AGREED.refusals.finished)

    def say_farewell(self) -> None:
        """Answer the launcher's `bye`: it has everything that was handed in."""
        if self.link.peer is not None:
            self.link.send(encode(Envelope(wire.BYE, wire.LAUNCHER_SUBJECT, {"held": 0})))

    def launcher_is_away(self, at: Instant) -> bool:
        """Whether the launcher has been gone for longer than a page's request waits for it."""
        return self.link.away_for(at.now) > self.limits.away_deadline

    def check_submission(self, agent_id: str, session: str | None, submission_id: str, at: Instant) -> Agent | None:
        """The agent that may submit now, or None if this very submission was taken before. Raises Refused."""
        agent = self.worker(agent_id, session, at)
        if agent.submission_id == submission_id:
            return None
        self.check_open()
        if agent.submission_id is not None or agent.status in wire.TAKEN:
            raise Refused(AGREED.refusals.already_taken)
        return agent

    # The passing of time

    def tick(self, at: Instant) -> None:
        """Call this a few times a second: deadlines of requests, pages that fell silent."""
        pause = at.now - self._last_tick
        self._last_tick = at.now
        if pause > max(self.limits.silence / 3, STOOD_STILL):
            self.agents.excuse(pause)
        self._expire_waiting(at)
        for agent in self.agents.fall_silent(at.now):
            self.counters["agents_disconnected"] += 1
            if self.link.protocol:
                self._tell_statuses({agent.agent_id: agent.status}, None, at)

    def _expire_waiting(self, at: Instant) -> None:
        if self.launcher_is_away(at):
            self.waiting.refuse_older(AGREED.refusals.launcher_away, at.now - self.limits.away_deadline)
        self.waiting.refuse_older(AGREED.refusals.no_answer, at.now - self.limits.request_deadline)

    # From pages

    def _page_update(self, peer: Peer, packet: Packet, at: Instant) -> None:
        agent = self._speaker(peer, packet, at)
        self._pass_on(
            Envelope(packet.packet_type, agent.agent_id, packet.data, packet.client_timestamp, None, at.wall, at.wall)
        )

    def _page_heartbeat(self, peer: Peer, packet: Packet, at: Instant) -> None:
        agent = self._speaker(peer, packet, at)
        said = packet.client_timestamp if packet.client_timestamp is not None else at.wall
        if abs(said) > AGREED.bounds.timestamp:
            raise Malformed(AGREED.malformed.timestamp, said=said)
        last_heard = int(said * 1000 - (at.now - self.link.heard) * 1000)
        data = {"last_mephisto_ping": last_heard, "status": agent.status}
        peer.send(encode(Envelope(wire.HEARTBEAT, agent.agent_id, data, server_timestamp=at.wall)))

    def _page_alive(self, peer: Peer, packet: Packet, at: Instant) -> None:
        if packet.subject_id is None:
            return  # a race in mephisto-task: the next heartbeat says whose page it is
        if packet.subject_id == wire.LAUNCHER_SUBJECT:
            raise Refused(AGREED.refusals.not_the_launcher)
        peer.batches = _read(packet, _HELLO, "protocol").protocol >= 1
        agent = self._speaker(peer, packet, at, tell_status=False)
        peer.send(_status_packet(agent, at))

    def _speaker(self, peer: Peer, packet: Packet, at: Instant, tell_status: bool = True) -> Agent:
        """The agent that a page's packet speaks for; its socket is attached if it was not."""
        agent = self.agents.authorise(packet.subject_id, peer.session)
        agent.heard = self.lease.worked = at.now
        if peer not in agent.peers:
            displaced = self.agents.attach(agent, peer)
            if displaced is not None:
                self.counters["sockets_displaced"] += 1
            if tell_status:
                peer.send(_status_packet(agent, at))
            while agent.backlog:
                peer.send(agent.backlog.popleft())
        return agent

    # From the launcher

    def _launcher_update(self, packet: Packet, at: Instant) -> None:
        agent = self.agents.get(packet.subject_id)
        if agent is None:
            raise Refused(AGREED.refusals.unknown_agent, agent_id=packet.subject_id)
        self._deliver(
            agent,
            encode(
                Envelope(
                    packet.packet_type,
                    agent.agent_id,
                    packet.data,
                    packet.client_timestamp,
                    packet.server_timestamp,
                    at.wall,
                    at.wall,
                )
            ),
        )

    def _launcher_status(self, packet: Packet, at: Instant) -> None:
        status = _read(packet, _STATUS, "status").status
        if status not in wire.STATUSES:
            raise Malformed(AGREED.malformed.status, status=status, statuses=", ".join(sorted(wire.STATUSES)))
        agent = self.agents.make_known(_agent_id(packet.subject_id))
        self.agents.set_status(agent, status)
        agent.heard = at.now
        for peer in agent.peers:
            peer.send(_status_packet(agent, at))

    def _launcher_agent_details(self, packet: Packet, at: Instant) -> None:
        details = _read(packet, _DETAILS, "request_id, agent_id")
        agent_id = _agent_id(details.agent_id) if details.agent_id is not None else None
        waiting = self.waiting.take(details.request_id)
        if agent_id is not None:
            agent = self.agents.make_known(agent_id)
            if waiting is not None:
                self.agents.give_to(agent_id, waiting.session)
            agent.heard = at.now
        if waiting is None:
            self.counters["late_answers"] += 1
            return
        waiting.settle(encode(Envelope(wire.AGENT_DETAILS, _subject(packet), packet.data, server_timestamp=at.wall)))

    def _launcher_wants_statuses(self, packet: Packet, at: Instant) -> None:
        self._tell_statuses(self.agents.statuses(), packet.server_timestamp, at)

    def _launcher_ack(self, packet: Packet, at: Instant) -> None:
        ack = _read(packet, _ACK, "router_epoch, number")
        self._acknowledge(ack.router_epoch, ack.number)

    def _launcher_lease(self, packet: Packet, at: Instant) -> None:
        self.lease.renew(at.now, _read(packet, _LEASE, "seconds").seconds)

    def _launcher_bye(self, packet: Packet, at: Instant) -> None:
        self.lease.end()
        self.waiting.refuse_all(AGREED.refusals.finished)

    def _launcher_peers(self, packet: Packet, at: Instant) -> None:
        news = _read(packet, _PEERS, "own, ports")
        self.peers = Peers(news.own, news.ports)

    def _launcher_alive_again(self, packet: Packet, at: Instant) -> None:
        """Mephisto's launcher says `alive` twice on the first connection of its process: it knows of no request yet."""
        if self.link.protocol == 0:
            self.waiting.offer_all(also_sent_before=True)

    # Pieces

    def _pass_on(self, envelope: Envelope) -> None:
        """To the launcher. Raises Refused for what it could not take: a frame over the limit costs it its connection."""
        packet = encode(envelope)
        self._check_size(packet)
        self.link.send(packet)

    def _check_size(self, packet: bytes) -> None:
        if len(packet) > self.limits.frame:
            raise Refused(AGREED.refusals.packet_too_large, limit=self.limits.frame)

    def _serve(self, peer: Peer, packet: Packet, actions: dict[str, Any], act: Callable[[Any], None]) -> None:
        try:
            action = actions.get(packet.packet_type)
            if action is None:
                self.counters["packets_unknown"] += 1
                raise Refused(AGREED.refusals.unknown_packet, packet_type=packet.packet_type)
            act(action)
            self.counters[packet.packet_type] += 1
        except Refused as refused:
            self.refuse(peer, packet.subject_id, refused)
        except Malformed as malformed:
            self.refuse(peer, packet.subject_id, Refused.of(malformed))

    def refuse(self, peer: Peer, subject_id: str | None, refused: Refused) -> None:
        """Tell a socket's other end what was wrong with its packet, and count it."""
        self.counters[f"refused_{refused.error}"] += 1
        data = {"error": refused.error, "message": refused.message}
        peer.send(encode(Envelope(wire.ERROR, subject_id or "", data)))

    def _deliver(self, agent: Agent, packet: bytes) -> None:
        if agent.peers:
            for peer in agent.peers:
                peer.send(packet)
            return
        if len(agent.backlog) == self.limits.page_queue:
            self.counters["page_updates_dropped"] += 1
        agent.backlog.append(packet)

    def _tell_statuses(self, statuses: dict[str, str], asked_at: float | None, at: Instant) -> None:
        """In as many packets as it takes to keep each within the limit."""
        if self.link.peer is None:
            return
        packet = encode(
            Envelope(wire.RETURN_STATUSES, wire.LAUNCHER_SUBJECT, statuses, asked_at, None, at.wall, at.wall)
        )
        if len(packet) > self.limits.frame and len(statuses) > 1:
            for half in _halves(statuses):
                self._tell_statuses(half, asked_at, at)
        else:
            self.link.send(packet)


_VERSION_MISMATCH = AGREED.pages.version_mismatch.encode()
_HELLO = msgspec.json.Decoder(wire.Hello)
_STATUS = msgspec.json.Decoder(wire.StatusUpdate)
_DETAILS = msgspec.json.Decoder(wire.AgentDetails)
_ACK = msgspec.json.Decoder(wire.Acknowledgement)
_LEASE = msgspec.json.Decoder(wire.LeaseRenewal)
_PEERS = msgspec.json.Decoder(wire.PeersNews)


def _read(packet: Packet, decoder: msgspec.json.Decoder[wire.T], expected: str) -> wire.T:
    sentence, packet_type = AGREED.malformed.packet_data, packet.packet_type
    return wire.decode(bytes(packet.data), decoder, sentence, packet_type=packet_type, fields=expected)


def _subject(packet: Packet) -> str:
    if packet.subject_id is None:
        raise Malformed(AGREED.malformed.no_subject, packet_type=packet.packet_type)
    return packet.subject_id


def _agent_id(said: str | None) -> str:
    if said is None or len(said) > wire.LONGEST_ID:
        raise Malformed(AGREED.malformed.agent_id, limit=wire.LONGEST_ID)
    return said


def _halves(statuses: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    items = list(statuses.items())
    middle = len(items) // 2
    return dict(items[:middle]), dict(items[middle:])


def _status_packet(agent: Agent, at: Instant) -> bytes:
    return encode(Envelope(wire.UPDATE_STATUS, agent.agent_id, {"status": agent.status}, server_timestamp=at.wall))
