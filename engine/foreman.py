"""Answers the workers: who gets which unit, and what becomes of what they hand in.

Packets come from channels (`take`), answers go back over the channel that an agent came by. Who gets what is decided by the
roster, what is handed in is made safe by the intake, how a live task answers its pages is the hook's business.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from ..router import protocol as wire
from ..router.protocol import Envelope, Packet
from .assignments import Assignment, Counts
from .channel import Channel
from .config import TaskArgs
from .hook import Hook
from .intake import Intake, Sender, until_stored
from .live import Sessions
from .report import Reporter
from .roster import Roster
from .submissions import Kind, StoreFailed

TICK = 1.0
LONGEST_NAME = 200

REASONS = {
    "finished": "This task is finished: every part of it has been done. Thank you!",
    "nothing_left": "There is nothing left for you to do here. Thank you for your work!",
    "all_in_work": "Others are working on all that is left at the moment. Please come back in a few minutes.",
    "not_qualified": "Thank you for your time. This task does not suit everybody, and we have no work for you in it.",
    "no_name": "This page was opened without the name of a worker. Please follow the link that you were given.",
    "cannot_save": "The task cannot save anything at the moment. Please come back in a few minutes.",
}
"""What a worker reads who gets no agent, by the code that programs read."""


class Registration(msgspec.Struct):
    """Who asks for an agent, as Mephisto's pages say it."""

    worker_name: str | None = None
    worker_id: str | None = None
    assignment_id: str | None = None
    agent_registration_id: str | None = None


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
    ) -> None:
        self._task, self._units, self._roster, self._intake = task, units, roster, intake
        self._hook, self._reporter, self._clock = hook, reporter, clock
        self.done = asyncio.Event()
        self.last_heard = clock()
        self._channels: dict[str, Channel] = {}
        self._channel_of: dict[str, str] = {}
        self._sessions = Sessions(units, task.assignments_per_unit if task.together else 1, self._send_update)
        self._onboarding: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._actions: dict[str, Callable[[str, Packet], Coroutine[Any, Any, None]]] = {
            wire.REGISTER_AGENT: self._register,
            wire.SUBMIT_ONBOARDING: self._take_onboarding,
            wire.SUBMIT_UNIT: self._take_unit,
            wire.SUBMIT_METADATA: self._take_metadata,
            wire.MEPHISTO_BOUND_LIVE_UPDATE: self._take_update,
            wire.RETURN_STATUSES: self._take_statuses,
            wire.LOG_ERROR: self._take_error_log,
            wire.ERROR: self._take_router_error,
        }

    # From the run

    def attach(self, channels: list[Channel]) -> None:
        """The channels to answer over. Call it before they open, and again after reconnecting."""
        self._channels = {channel.channel_id: channel for channel in channels}

    def channel_opened(self, channel_id: str) -> None:
        """A channel opened: a router that was restarted hears again who is at work."""
        for assignment in self._roster.open_agents():
            if self._channel_of.setdefault(assignment.agent_id, channel_id) == channel_id:
                self._tell_status(assignment.agent_id, assignment.status)

    @property
    def counts(self) -> Counts:
        """Where the work stands."""
        return self._roster.counts

    @property
    def acked(self) -> dict[str, int]:
        """What is safe here, by router epoch."""
        return self._intake.all_acked()

    def take(self, channel_id: str, packet: Packet) -> None:
        """A packet came. Never blocks and never raises."""
        action = self._actions.get(packet.packet_type)
        if action is None:
            return
        if packet.packet_type != wire.RETURN_STATUSES:
            self.last_heard = self._clock()
        packet.data = msgspec.Raw(bytes(packet.data))  # it points into a frame that goes away
        self._start(action(channel_id, packet))

    async def watch(self) -> None:
        """Release who took too long, for ever."""
        while True:
            await asyncio.sleep(TICK)
            for agent_id in self._roster.overdue(self._task.submission_timeout):
                await self._release(agent_id, "timeout")

    async def expire_all(self) -> None:
        """The run ends: whoever is still at work hears that it is over."""
        for assignment in list(self._roster.open_agents()):
            await self._release(assignment.agent_id, "expired")

    async def settle(self) -> None:
        """Wait until everything that came has been dealt with."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Agents

    async def _register(self, channel_id: str, packet: Packet) -> None:
        request = msgspec.json.decode(packet.data, type=_AgentRequest)
        registration = request.provider_data
        worker_id = registration.worker_name or registration.worker_id
        if not worker_id or len(worker_id) > LONGEST_NAME:
            self._refuse_agent(channel_id, request.request_id, worker_id, "no_name")
        elif self._task.onboarding and not self._roster.is_qualified(worker_id):
            self._give_onboarding(channel_id, request.request_id, worker_id)
        else:
            registration_id = registration.agent_registration_id or registration.assignment_id or ""
            await self._give_unit(channel_id, request.request_id, worker_id, registration_id)

    async def _give_unit(self, channel_id: str, request_id: str, worker_id: str, registration_id: str) -> None:
        try:
            assignment = await self._roster.assign(worker_id, registration_id)
        except StoreFailed as error:
            self._reporter.say(str(error))
            self._refuse_agent(channel_id, request_id, worker_id, "cannot_save")
            return
        if assignment is None:
            self._refuse_agent(channel_id, request_id, worker_id, self._roster.nothing_for(worker_id))
            return
        self._channel_of[assignment.agent_id] = channel_id
        session = self._sessions.join(assignment) if self._hook.is_live else None
        self._answer(channel_id, request_id, worker_id, assignment.agent_id, self._init_task_data(assignment))
        for agent_id in (*assignment.started_with, assignment.agent_id):
            self._tell_status(agent_id, assignment.status)
        self._reporter.progress(self._roster.counts)
        if session is not None and self._sessions.starts(session, assignment):
            await self._hook.on_start(session)

    def _give_onboarding(self, channel_id: str, request_id: str, worker_id: str) -> None:
        agent_id = next((known for known, worker in self._onboarding.items() if worker == worker_id), None)
        if agent_id is None:
            agent_id = f"onboarding-{secrets.token_hex(12)}"
            self._onboarding[agent_id] = worker_id
        self._channel_of[agent_id] = channel_id
        self._answer(channel_id, request_id, worker_id, agent_id, {})
        self._tell_status(agent_id, "onboarding")

    def _refuse_agent(self, channel_id: str, request_id: str, worker_id: str | None, reason: str) -> None:
        self._answer(channel_id, request_id, worker_id, None, None, reason)

    def _answer(
        self,
        channel_id: str,
        request_id: str,
        worker_id: str | None,
        agent_id: str | None,
        init_task_data: dict[str, Any] | None,
        reason: str | None = None,
    ) -> None:
        details = {
            "request_id": request_id,
            "worker_id": worker_id,
            "agent_id": agent_id,
            "init_task_data": init_task_data,
            "failure_reason": REASONS[reason] if reason else None,
            "failure_code": reason,
        }
        self._send(channel_id, Envelope(wire.AGENT_DETAILS, channel_id, details))

    def _init_task_data(self, assignment: Assignment) -> dict[str, Any]:
        """What a page gets. A unit that is an object is there as it is, for Mephisto's pages; falsework's own is beside it."""
        unit = self._units[assignment.unit]
        found = self._sessions.of(assignment.agent_id)
        expires_in = max(0.0, assignment.since + self._task.submission_timeout - self._clock())
        own = {"data": unit, "index": assignment.unit, "live": self._hook.is_live, "expires_in": expires_in}
        updates = list(found[1].updates) if found else []
        return {**(unit if isinstance(unit, dict) else {}), "past_live_updates": updates, "falsework": own}

    async def _release(self, agent_id: str, status: str) -> None:
        """An agent left or was sent away; its partners hear of it, and its unit goes to somebody else."""
        partners = self._roster.release(agent_id, status)
        self._tell_status(agent_id, status)
        for partner in partners:
            self._tell_status(partner, "partner disconnect")
        found = self._sessions.leave(agent_id)
        if found is not None:
            await self._hook.on_leave(*found)
        assignment = self._roster.agent(agent_id)
        if assignment is not None and assignment.revoked:
            await self._intake.revoke(assignment.revoked)
        self._reporter.progress(self._roster.counts)

    async def _take_statuses(self, channel_id: str, packet: Packet) -> None:
        """The router noticed pages that fell silent."""
        statuses = msgspec.json.decode(packet.data, type=dict[str, str])
        for agent_id, status in statuses.items():
            assignment = self._roster.agent(agent_id)
            if status == wire.DISCONNECT and assignment is not None and assignment.is_open:
                await self._release(agent_id, status)

    async def _take_update(self, channel_id: str, packet: Packet) -> None:
        found = self._sessions.of(packet.subject_id or "")
        update = msgspec.json.decode(packet.data)
        if found is not None and isinstance(update, dict):
            await self._hook.on_update(*found, update)

    # What is handed in

    async def _take_unit(self, channel_id: str, packet: Packet) -> None:
        agent_id = packet.subject_id or ""
        counts = self._roster.submit(agent_id)
        await self._keep(channel_id, packet, "unit", counts)
        self._tell_status(agent_id, "completed")
        self._reporter.progress(self._roster.counts)
        if self._roster.done:
            self.done.set()

    async def _take_metadata(self, channel_id: str, packet: Packet) -> None:
        await self._keep(channel_id, packet, "metadata", False)

    async def _take_onboarding(self, channel_id: str, packet: Packet) -> None:
        """Keep it, judge it, then answer the page with its first unit, or with why there is none."""
        worker_id = self._onboarding.pop(packet.subject_id or "", "")
        onboarding = msgspec.json.decode(packet.data, type=_Onboarding)
        passed = bool(worker_id) and await self._hook.passes_onboarding(worker_id, onboarding.onboarding_data)
        await self._keep(channel_id, packet, "onboarding", passed, worker_id)
        if not passed:
            self._refuse_agent(channel_id, onboarding.request_id, worker_id, "not_qualified")
            return
        await until_stored(lambda: self._roster.qualify(worker_id), self._reporter)
        await self._give_unit(channel_id, onboarding.request_id, worker_id, "")

    async def _keep(self, channel_id: str, packet: Packet, kind: Kind, counted: bool, worker_id: str = "") -> None:
        """Make a durable packet safe here, then say so to its router."""
        agent_id = packet.subject_id or ""
        assignment = self._roster.agent(agent_id)
        sender = Sender(
            assignment.worker_id if assignment else worker_id,
            assignment.unit if assignment else None,
            self._roster.registration_of(agent_id),
        )
        channel = self._channels[channel_id]
        router_epoch = channel.router_epoch or ""
        await self._intake.keep(router_epoch, packet, kind, sender, counted)
        channel.acknowledge(router_epoch, self._intake.acked(router_epoch))

    # What is only told

    async def _take_error_log(self, channel_id: str, packet: Packet) -> None:
        self._reporter.say(f"a page of agent {packet.subject_id} reports an error: {bytes(packet.data)[:500].decode()}")

    async def _take_router_error(self, channel_id: str, packet: Packet) -> None:
        self._reporter.say(f"the router did not take a packet: {bytes(packet.data)[:500].decode()}")

    # Pieces

    def _send_update(self, agent_id: str, update: dict[str, Any]) -> None:
        self._send_to(agent_id, Envelope(wire.CLIENT_BOUND_LIVE_UPDATE, agent_id, update))

    def _tell_status(self, agent_id: str, status: str) -> None:
        self._send_to(agent_id, Envelope(wire.UPDATE_STATUS, agent_id, {"status": status}))

    def _send_to(self, agent_id: str, envelope: Envelope) -> None:
        only = next(iter(self._channels), "")
        self._send(self._channel_of.get(agent_id, only), envelope)

    def _send(self, channel_id: str, envelope: Envelope) -> None:
        channel = self._channels.get(channel_id)
        if channel is not None:
            channel.send(envelope)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._reporter.say(f"a packet could not be dealt with: {error!r}")


class _AgentRequest(msgspec.Struct):
    request_id: str
    provider_data: Registration = Registration()


class _Onboarding(msgspec.Struct):
    request_id: str
    onboarding_data: Any = None
