"""Who works on what, durably: the pure assignments, and the journal of the calls that made them what they are.

`agents.jsonl` in the run's directory has one line a call, on the disk before a worker hears of its outcome. A launcher that
takes up the run replays them, and has the same assignments again. What the disk refuses is written with the next call, so
that the journal never lacks a call that others come behind.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Literal

import msgspec

from ...router.wire.journal import Journal, JournalDamaged
from ..counts import Counts
from ..errors import FalseworkError
from .assignments import AlreadySubmitted, Assignment, Assignments, NothingFor
from .submissions import StoreDamaged, StoreFailed

FILE_NAME = "agents.jsonl"


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call to the assignments. `assign`, `submit` and `release` are theirs; `qualify` is kept here."""

    call: Literal["assign", "submit", "release", "qualify"]
    at: float
    worker_id: str = ""
    agent_id: str = ""
    registration_id: str = ""
    status: str = ""
    packet: str = ""
    """Of a submission: what it is known by, else the packet that it came in."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Call).decode


class Roster:
    """The agents of one run. `open` first, `close` last. `clock` gives seconds since the epoch."""

    def __init__(self, directory: Path, assignments: Assignments, clock: Callable[[], float]) -> None:
        self._assignments, self._clock = assignments, clock
        self._journal = Journal(directory / FILE_NAME)
        self._qualified: set[str] = set()
        self._registrations: dict[str, str] = {}
        self._packets: dict[str, str] = {}
        self._started_with: dict[str, tuple[str, ...]] = {}
        self._unwritten: list[bytes] = []
        self._called = self._written = 0
        self._writer: asyncio.Task[OSError | None] | None = None

    def open(self) -> None:
        """Replay what the journal has. Raises StoreDamaged, StoreFailed."""
        try:
            for index, (_, line) in enumerate(self._journal.open()):
                self._replay(index, line)
        except JournalDamaged as error:
            raise StoreDamaged(str(error)) from error
        except OSError as error:
            raise StoreFailed(self._journal.path, error) from error

    async def close(self) -> None:
        """Write what is left to be written, if the disk takes it now."""
        if self._writer is not None:
            await self._writer
        if self._unwritten:
            await self._writing()
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

        Raises StoreFailed if it cannot be made durable; the worker gets the same one when it asks again.
        """
        agents_before, now = self.counts.agents_open, self._clock()
        assignment = self._assignments.assign(worker_id, secrets.token_hex(12), now)
        if assignment is None:
            return None
        agent_id = assignment.agent_id
        if self.counts.agents_open > agents_before:
            self._registrations.setdefault(agent_id, registration_id)
            self._started_with[agent_id] = assignment.started_with
            self._enter(Call("assign", now, worker_id, agent_id, registration_id))
        await self._until_written()
        current = self._assignments.agent(agent_id) or assignment  # a partner may have come meanwhile
        return replace(current, started_with=self._started_with.pop(agent_id, ()))

    def submit(self, agent_id: str, packet: str) -> bool:
        """An agent handed in; whether it counts. An unknown agent, and a second submission, do not.

        `packet` tells a copy of the first submission, which gets the same answer, from a second one.
        """
        try:
            counts = self._assignments.submit(agent_id)
        except KeyError:
            return False
        except AlreadySubmitted:
            first = self._assignments.agent(agent_id)
            return first is not None and first.counted and self._packets.get(agent_id) == packet
        self._packets[agent_id] = packet
        self._enter(Call("submit", self._clock(), agent_id=agent_id, packet=packet))
        return counts

    def release(self, agent_id: str, status: str) -> list[str]:
        """An agent left; returns the partners whom it concerns. Quiet for one that is unknown or over."""
        assignment = self._assignments.agent(agent_id)
        if assignment is None or not assignment.is_open:
            return []
        self._enter(Call("release", self._clock(), agent_id=agent_id, status=status))
        return self._assignments.release(agent_id, status)

    def overdue(self, timeout: float) -> list[str]:
        """The agents that have had their unit for longer than `timeout` seconds."""
        return self._assignments.overdue(self._clock() - timeout)

    def is_qualified(self, worker_id: str) -> bool:
        """Whether a worker has passed the onboarding."""
        return worker_id in self._qualified

    async def qualify(self, worker_id: str) -> None:
        """A worker passed the onboarding. Durable when it returns. Raises StoreFailed."""
        if worker_id not in self._qualified:
            self._qualified.add(worker_id)
            self._enter(Call("qualify", self._clock(), worker_id))
        await self._until_written()

    # Writing

    def _enter(self, call: Call) -> None:
        self._unwritten.append(_encode(call))
        self._called += 1
        self._writing()

    async def _until_written(self) -> None:
        """Everything that was entered so far is on the disk. Raises StoreFailed; then it is left to be written."""
        wanted = self._called
        while self._written < wanted:
            failure = await asyncio.shield(self._writing())
            if failure is not None:
                raise StoreFailed(self._journal.path, failure) from failure

    def _writing(self) -> asyncio.Task[OSError | None]:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return self._writer

    async def _write(self) -> OSError | None:
        """All that is unwritten, as one block each time: all of it is in the file, or none."""
        while self._unwritten:
            block = list(self._unwritten)
            for line in block[:-1]:
                self._journal.note(line)
            try:
                await self._journal.append(block[-1])
            except OSError as error:
                return error
            del self._unwritten[: len(block)]
            self._written += len(block)
        return None

    # Reading

    def _replay(self, index: int, line: bytes) -> None:
        try:
            self._make(_decode(line))
        except (msgspec.MsgspecError, FalseworkError, ValueError, KeyError) as error:
            path = self._journal.path
            raise StoreDamaged(f"{path}:{index + 1}: does not follow from the lines above it ({error!r})") from error

    def _make(self, call: Call) -> None:
        match call.call:
            case "assign":
                assignment = self._assignments.assign(call.worker_id, call.agent_id, call.at)
                if assignment is None or assignment.agent_id != call.agent_id:
                    raise ValueError(f"agent {call.agent_id} would not be assigned now")
                self._registrations.setdefault(call.agent_id, call.registration_id)
            case "submit":
                self._assignments.submit(call.agent_id)
                self._packets[call.agent_id] = call.packet
            case "release":
                self._assignments.release(call.agent_id, call.status)
            case "qualify":
                self._qualified.add(call.worker_id)
