"""What workers handed in and the launcher does not have yet.

A packet in the outbox has a number, counted up without gaps within one router epoch, and stays until the launcher's
cumulative acknowledgement. `put` returns when the worker may be told that it is safe: with a DiskOutbox once it is on the
disk, with a MemoryOutbox (for machines whose disk does not last) once the launcher has acknowledged it.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from ..wire.journal import Journal
from ..wire.outbox_file import Held, acked_record, files_of, header_record, packet_record, read_outbox
from ..wire.protocol import Envelope, encode

COMPACT_ABOVE = 8 << 20
"""A file larger than this starts afresh when nothing is held."""


class Outbox(ABC):
    """`on_held()` is called when something new may be sent, `on_released(files)` when uploads are no longer needed here."""

    router_epoch: str

    def __init__(self, on_held: Callable[[], None], on_released: Callable[[tuple[str, ...]], None]) -> None:
        self._on_held, self._on_released = on_held, on_released
        self._next = 1
        self._held: deque[Held] = deque()
        self.submitted: dict[str, str] = {}
        """By agent the id of its submission, as far as a router before this one put it here."""

    @property
    def held(self) -> int:
        """How many packets the launcher has not acknowledged."""
        return len(self._held)

    @abstractmethod
    async def put(self, envelope: Envelope) -> None:
        """Number the packet and keep it. Raises OSError if it could not be kept; then the worker must not be told that it was."""

    def after(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Held packets beyond `number`, oldest first, read as they are taken. Do not put or acknowledge meanwhile."""
        start = max(0, number + 1 - self._held[0].number) if self._held else 0
        for held in islice(self._held, start, None):
            yield held.number, self._read(held)

    def acknowledge(self, router_epoch: str, number: int) -> None:
        """The launcher has everything of this epoch up to `number`. A word about another epoch is none for us."""
        if router_epoch != self.router_epoch:
            return
        released = False
        while self._held and self._held[0].number <= number:
            self._release(self._held.popleft())
            released = True
        if released:
            self._acknowledged(number)

    async def close(self) -> None:
        """Keep what there is to keep. May be repeated."""

    def _release(self, held: Held) -> None:
        if held.files:
            self._on_released(held.files)

    @abstractmethod
    def _read(self, held: Held) -> bytes: ...

    def _acknowledged(self, number: int) -> None:
        """After a release."""

    def _take_number(self, envelope: Envelope) -> int:
        envelope.number = number = self._next
        self._next += 1
        return number


class DiskOutbox(Outbox):
    """Kept in one file that survives the router. Its epoch is the file's, so a restarted router goes on counting."""

    def __init__(self, path: Path, on_held: Callable[[], None], on_released: Callable[[tuple[str, ...]], None]) -> None:
        super().__init__(on_held, on_released)
        self._journal = Journal(path, self._take_numbers_back)
        self._arriving = 0
        """Packets that have a number and are not held yet; some may be on the disk by now."""
        try:
            self._restore(self._journal.open())
        except BaseException:
            self._journal.abandon()
            raise

    async def put(self, envelope: Envelope) -> None:
        """Once it is on the disk it is held, even if whoever asked has gone away in the meantime."""
        number = self._take_number(envelope)
        record = packet_record(envelope)
        written = self._journal.enqueue(record)  # in the same turn, so that numbers and queue never disagree
        self._arriving += 1
        await asyncio.shield(asyncio.ensure_future(self._keep(number, written, len(record), files_of(envelope))))

    async def _keep(self, number: int, written: asyncio.Future[int], length: int, files: tuple[str, ...]) -> None:
        try:
            offset = await written
        finally:
            self._arriving -= 1
        self._held.append(Held(number, offset, length, files))
        self._on_held()

    def _take_numbers_back(self, failed: int) -> None:
        """The journal fails whatever is queued behind a failed append, so these numbers never were on the disk."""
        self._next -= failed

    def _read(self, held: Held) -> bytes:
        return self._journal.read(held.offset, held.length)

    def _acknowledged(self, number: int) -> None:
        if not self._held and not self._arriving and self._journal.idle and self._journal.size > COMPACT_ABOVE:
            with suppress(OSError):  # a full disk; then the file goes on as it is
                return self._journal.replace(header_record(self.router_epoch, self._next))
        return self._journal.note(acked_record(number))

    async def close(self) -> None:
        await self._journal.close()

    def _restore(self, records: list[tuple[int, bytes]]) -> None:
        if not records:
            self.router_epoch = secrets.token_hex(8)
            return self._journal.replace(header_record(self.router_epoch, 1))
        contents = read_outbox(self._journal.path, records)
        self.router_epoch, self._next = contents.router_epoch, contents.next
        self._held, self.submitted = contents.held, contents.submitted
        return None


class MemoryOutbox(Outbox):
    """Kept in memory until the launcher has it; `put` waits for that, so the caller's deadline is the worker's."""

    def __init__(self, on_held: Callable[[], None], on_released: Callable[[tuple[str, ...]], None]) -> None:
        super().__init__(on_held, on_released)
        self.router_epoch = secrets.token_hex(8)
        self._packets: dict[int, bytes] = {}
        self._put: dict[int, asyncio.Future[None]] = {}

    async def put(self, envelope: Envelope) -> None:
        number = self._take_number(envelope)
        packet = self._packets[number] = encode(envelope)
        acknowledged = self._put[number] = asyncio.get_running_loop().create_future()
        self._held.append(Held(number, 0, len(packet), files_of(envelope)))
        self._on_held()
        await asyncio.shield(acknowledged)

    def _read(self, held: Held) -> bytes:
        return self._packets[held.number]

    def _release(self, held: Held) -> None:
        super()._release(held)
        del self._packets[held.number]
        acknowledged = self._put.pop(held.number)
        if not acknowledged.done():
            acknowledged.set_result(None)
