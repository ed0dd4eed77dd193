"""Answers the workers: who gets which unit, and what becomes of what they hand in.

Packets come from channels (`take`), or from the disk of a server that is gone. Who gets what is decided by the roster, what
is handed in is made safe by the intake, how a live task answers its pages is the hook's business, and answers.py says it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Container, Coroutine, Iterable
from typing import Any, NamedTuple, NoReturn

import msgspec

from ...router.wire import protocol as wire
from ...router.wire.protocol import Packet
from ..channel.channel import Channel
from ..counts import Counts
from ..report import Reporter
from ..settings.sections import TaskArgs
from .answers import Answers
from .assignments import Assignment
from .hook import Hook
from .intake import Intake, Sender, until_stored
from .live import Session, Sessions
from .registration import AgentRequest, Registration
from .roster import Roster
from .submissions import Kind, StoreFailed, Submission

TICK = 1.0
NOT_FROM_WORKERS = frozenset({wire.RETURN_STATUSES, wire.ERROR})


class Origin(NamedTuple):
    """Where a packet came from: the channel, and which router was at its other end then."""

    channel_id: str
    router_epoch: str


Action = Callable[[Origin, Packet], Coroutine[Any, Any, None]]


class Foreman:
    """Drives the work of one run.

    `done` is set when every unit has its submissions and all that came is stored; `last_heard` is when a worker last said
    anything, by `clock`, which gives seconds since the epoch.
    """

    def __init__(
        self,
        task: TaskArgs,
        units: list[Any],
        roster: Roster,
        intake: Intake,
        hook: Hook,
        reporter: Reporter,
        clock: Callable[[], float],
        *,
        admits: bool = True,
    ) -> None:
        self._task, self._units, self._roster, self._intake = task, units, roster, intake
        self._hook, self._reporter, self._clock, self._admits = hook, reporter, clock, admits
        self.done = asyncio.Event()
        self.last_heard = clock()
        self._answers = Answers(reporter)
        together = task.assignments_per_unit if task.together else 1
        self._sessions = Sessions(units, together, self._answers.send_update)
        self._restored: list[Session] = []
        self._onboarding: dict[str, Registration] = {}
        self._arriving: set[tuple[str, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._actions: dict[str, Action] = {
            wire.REGISTER_AGENT: self._register,
            wire.SUBMIT_ONBOARDING: self._take_onboarding,
            wire.SUBMIT_UNIT: self._take_unit,
            wire.SUBMIT_METADATA: self._take_metadata,
            wire.MEPHISTO_BOUND_LIVE_UPDATE: self._take_update,
            wire.RETURN_STATUSES: self._take_statuses,
            wire.LOG_ERROR: self._take_error_log,
            wire.ERROR: self._take_router_error,
        }

    def restore(self, submissions: Iterable[Submission]) -> None:
        """Know what a launcher before this one knew: what is stored is done, and who is at work has a session."""
        for one in submissions:
            if one.kind == "unit" and one.counted:
                self._roster.submit(one.agent_id, one.submission_id or f"{one.router_epoch}/{one.number}")
        if self._hook.is_live:
            for assignment in self._roster.open_agents():
                session = self._sessions.join(assignment)
                if self._sessions.starts(session, assignment):
                    self._restored.append(session)
        if self._roster.done:
            self.done.set()

    # From the run

    def attach(self, channels: list[Channel]) -> None:
        """The channels to answer over. Call it before they open, and again after reconnecting."""
        self._answers.attach(channels)

    def channel_opened(self, channel_id: str) -> None:
        """A channel opened: a router that was restarted hears again who is at work."""
        self._answers.tell_again(channel_id, [(agent, "onboarding") for agent in self._onboarding])
        self._answers.tell_again(channel_id, [(one.agent_id, one.status) for one in self._roster.open_agents()])
        restored, self._restored = self._restored, []
        for session in restored:
            self._start(self._hook.on_resume(session))

    def channel_lost(self, channel_id: str, handed_in: Container[str | None]) -> None:
        """One of several channels is lost for good: release who was at work there, but for agents who have `handed_in`."""
        for agent_id in self._answers.lose(channel_id):
            if agent_id not in handed_in:
                self._release(agent_id, wire.DISCONNECT)

    @property
    def counts(self) -> Counts:
        """Where the work stands."""
        return self._roster.counts

    @property
    def acked(self) -> dict[str, int]:
        """What is safe here, by router epoch."""
        return self._intake.all_acked()

    def arrived(self) -> int:
        """Changes with everything that is stored, and with every byte of a file that is being fetched."""
        return self._intake.arrived()

    def take(self, channel_id: str, packet: Packet) -> None:
        """A packet came. Never blocks and never raises."""
        self._take(Origin(channel_id, self._answers.router_epoch(channel_id)), packet)

    def has(self, router_epoch: str, packet: Packet) -> bool:
        """Whether a durable packet is stored."""
        return packet.number is not None and self._intake.has(router_epoch, packet.number)

    def take_from_disk(self, router_epoch: str, packet: Packet) -> None:
        """The same for what a server held when it ended; nobody is answered. What came before is passed over."""
        self._take(Origin("", router_epoch), packet)

    async def watch(self) -> NoReturn:
        """Release who took too long, for ever."""
        while True:
            await asyncio.sleep(TICK)
            for agent_id in self._roster.overdue(self._task.submission_timeout):
                self._release(agent_id, "timeout")

    def expire_all(self) -> None:
        """The run ends: whoever is still at work hears that it is over."""
        for assignment in list(self._roster.open_agents()):
            self._release(assignment.agent_id, "expired")

    async def settle(self) -> None:
        """Wait until everything that came has been dealt with."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Packets

    def _take(self, origin: Origin, packet: Packet) -> None:
        action = self._actions.get(packet.packet_type)
        if action is None:
            return
        if packet.packet_type not in NOT_FROM_WORKERS:
            self.last_heard = self._clock()
        if self._roster.agent(packet.subject_id or "") is not None:
            self._answers.heard(packet.subject_id or "", origin.channel_id)
        packet.data = msgspec.Raw(bytes(packet.data))  # it points into a frame that goes away
        if packet.number is None:
            self._start(action(origin, packet))
        elif self._intake.has(origin.router_epoch, packet.number):
            self._acknowledge(origin)
        elif (origin.router_epoch, packet.number) not in self._arriving:
            self._arriving.add((origin.router_epoch, packet.number))
            self._start(self._take_in(action, origin, packet, packet.number))

    async def _take_in(self, action: Action, origin: Origin, packet: Packet, number: int) -> None:
        """A durable packet. Copies of it that come meanwhile are passed over, and the run is not done before it is stored."""
        try:
            await action(origin, packet)
        finally:
            self._arriving.discard((origin.router_epoch, number))
        if self._roster.done and not self._arriving:
            self.done.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._reporter.say(f"a packet could not be dealt with: {error!r}")

    # Agents

    async def _register(self, origin: Origin, packet: Packet) -> None:
        request = msgspec.json.decode(packet.data, type=AgentRequest)
        registration = request.registration
        worker_id = registration.name
        if not self._admits:
            self._answers.refuse(origin.channel_id, request.request_id, worker_id, "closed")
        elif worker_id is None:
            self._answers.refuse(origin.channel_id, request.request_id, registration.worker_name, "no_name")
        elif self._task.onboarding and not self._roster.is_qualified(worker_id):
            self._give_onboarding(origin, request.request_id, worker_id, registration)
        else:
            await self._give_unit(origin, request.request_id, worker_id, registration.registration_id)

    async def _give_unit(self, origin: Origin, request_id: str, worker_id: str, registration_id: str) -> None:
        try:
            assignment = await self._roster.assign(worker_id, registration_id)
        except StoreFailed as error:
            self._reporter.say(str(error))
            self._answers.refuse(origin.channel_id, request_id, worker_id, "cannot_save")
            return
        if assignment is None:
            self._answers.refuse(origin.channel_id, request_id, worker_id, self._roster.nothing_for(worker_id))
            return
        session = self._sessions.join(assignment) if self._hook.is_live else None
        data = self._init_task_data(assignment)
        self._answers.give(origin.channel_id, request_id, worker_id, assignment.agent_id, data)
        for agent_id in (*assignment.started_with, assignment.agent_id):
            self._answers.tell_status(agent_id, assignment.status)
        self._reporter.progress(self._roster.counts)
        if session is not None and self._sessions.starts(session, assignment):
            await self._hook.on_start(session)

    def _give_onboarding(self, origin: Origin, request_id: str, worker_id: str, registration: Registration) -> None:
        known = (agent_id for agent_id, one in self._onboarding.items() if one.name == worker_id)
        agent_id = next(known, None) or f"onboarding-{secrets.token_hex(12)}"
        self._onboarding[agent_id] = registration
        self._answers.give(origin.channel_id, request_id, worker_id, agent_id, {})
        self._answers.tell_status(agent_id, "onboarding")

    def _init_task_data(self, assignment: Assignment) -> dict[str, Any]:
        """What a page gets. A unit that is an object is there as it is, for Mephisto's pages; falsework's own is beside it."""
        unit = self._units[assignment.unit]
        found = self._sessions.of(assignment.agent_id)
        expires_in = max(0.0, assignment.since + self._task.submission_timeout - self._clock())
        own = {"data": unit, "index": assignment.unit, "live": self._hook.is_live, "expires_in": expires_in}
        updates = list(found[1].updates) if found else []
        return {**(unit if isinstance(unit, dict) else {}), "past_live_updates": updates, "falsework": own}

    def _release(self, agent_id: str, status: str) -> None:
        """An agent left or was sent away; its partners hear of it, and its unit goes to somebody else. Quiet if it is over."""
        assignment = self._roster.agent(agent_id)
        if assignment is None or not assignment.is_open:
            return
        partners = self._roster.release(agent_id, status)
        self._answers.tell_status(agent_id, status)
        for partner in partners:
            self._answers.tell_status(partner, "partner disconnect")
        found = self._sessions.leave(agent_id)
        if found is not None:
            self._start(self._hook.on_leave(*found))
        left = self._roster.agent(agent_id)
        if left is not None and left.revoked:
            self._start(self._intake.revoke(left.revoked))
        self._reporter.progress(self._roster.counts)

    async def _take_statuses(self, origin: Origin, packet: Packet) -> None:
        """The router noticed pages that fell silent."""
        statuses = msgspec.json.decode(packet.data, type=dict[str, str])
        for agent_id, status in statuses.items():
            if status == wire.DISCONNECT and self._answers.is_at(agent_id, origin.channel_id):
                self._release(agent_id, status)

    async def _take_update(self, origin: Origin, packet: Packet) -> None:
        found = self._sessions.of(packet.subject_id or "")
        update = msgspec.json.decode(packet.data)
        if found is not None and isinstance(update, dict) and found[1].is_news(update):
            await self._hook.on_update(*found, update)

    # What is handed in

    async def _take_unit(self, origin: Origin, packet: Packet) -> None:
        agent_id = packet.subject_id or ""
        counts = self._roster.submit(agent_id, packet.submission_id or f"{origin.router_epoch}/{packet.number}")
        await self._keep(origin, packet, "unit", counts)
        self._sessions.leave(agent_id)
        self._answers.tell_status(agent_id, "completed")
        self._reporter.progress(self._roster.counts)

    async def _take_metadata(self, origin: Origin, packet: Packet) -> None:
        await self._keep(origin, packet, "metadata", False)

    async def _take_onboarding(self, origin: Origin, packet: Packet) -> None:
        """Judge it, keep it, then answer the page with its first unit, or with why there is none."""
        registration = self._onboarding.pop(packet.subject_id or "", None)
        handed_in = await asyncio.to_thread(
            msgspec.json.decode, packet.data, type=_Onboarding
        )  # it may be nested deeply
        packet.data = handed_in.onboarding_data
        worker_id = registration.name if registration is not None else None
        if registration is None or worker_id is None:
            await self._keep(origin, packet, "onboarding", False)
            self._answers.refuse(origin.channel_id, handed_in.request_id, None, "start_again")
            return
        answer = await asyncio.to_thread(msgspec.json.decode, packet.data)
        passed = await self._hook.passes_onboarding(worker_id, answer)
        await self._keep(origin, packet, "onboarding", passed, worker_id)
        if not passed:
            self._answers.refuse(origin.channel_id, handed_in.request_id, worker_id, "not_qualified")
            return
        await until_stored(lambda: self._roster.qualify(worker_id), self._reporter)
        await self._give_unit(origin, handed_in.request_id, worker_id, registration.registration_id)

    async def _keep(self, origin: Origin, packet: Packet, kind: Kind, counted: bool, worker_id: str = "") -> None:
        """Make a durable packet safe here, then say so to its router."""
        agent_id = packet.subject_id or ""
        assignment = self._roster.agent(agent_id)
        sender = Sender(
            assignment.worker_id if assignment else worker_id,
            assignment.unit if assignment else None,
            self._roster.registration_of(agent_id),
        )
        await self._intake.keep(origin.router_epoch, packet, kind, sender, counted)
        self._acknowledge(origin)

    def _acknowledge(self, origin: Origin) -> None:
        self._answers.acknowledge(origin.channel_id, origin.router_epoch, self._intake.acked(origin.router_epoch))

    # What is only told

    async def _take_error_log(self, origin: Origin, packet: Packet) -> None:
        self._reporter.say(f"a page of agent {packet.subject_id} reports an error: {_shown(packet)}")

    async def _take_router_error(self, origin: Origin, packet: Packet) -> None:
        self._reporter.say(f"the router did not take a packet: {_shown(packet)}")


class _Onboarding(msgspec.Struct):
    request_id: str
    onboarding_data: msgspec.Raw = msgspec.Raw(b"null")


def _shown(packet: Packet) -> str:
    return bytes(packet.data)[:500].decode(errors="replace")
