"""An append-only file of JSON lines that is durable when it says so. Shared by the outbox and the launcher's stores.

Appends that come while a write is under way leave together in the next one (group commit): one `write` and one
`fdatasync` for all of them, in a thread of its own. A torn last line, the mark of a crash in the middle of an append, is cut
off when the file is opened; nothing in it was ever acknowledged. Damage anywhere else is an error, never repaired silently.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from .agreed import AGREED, filled


class JournalDamaged(Exception):
    """A line that is not the last one cannot be read: something else wrote to the file. Names file and line."""

    def __init__(self, path: Path, line: int) -> None:
        self.path, self.line = path, line
        super().__init__(filled(AGREED.data_directory.damaged, file=path, line=line))


class Journal:
    """One file of records. `open` first; `append` is durable when it returns; `close` last."""

    def __init__(self, path: Path, on_failure: Callable[[int], None] | None = None) -> None:
        """`on_failure(appends)` is called before the appends that failed together raise."""
        self.path = path
        self._on_failure = on_failure
        self.size = 0
        """Bytes of the file that are durable; a record appended next starts here."""
        self._descriptor: int | None = None
        self._queued: list[tuple[bytes, asyncio.Future[int] | None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "journal")

    def open(self) -> list[tuple[int, bytes]]:
        """Read the records that are there, as (offset, line), and make the file ready for appending.

        Cuts off a torn last line. Raises JournalDamaged for any other line that is no JSON, OSError as it comes.
        """
        created = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            records, self.size = read_records(self.path)
            os.ftruncate(descriptor, self.size)
            os.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        if created:
            sync_directory(self.path.parent)
        return records

    async def append(self, line: bytes) -> int:
        """Append one record (JSON without a line break) and return its offset once it is on the disk.

        Raises OSError if it could not be written; then nothing of it is in the file, and the next append tries afresh.
        Whatever was queued behind a failed append fails with it, so that records never overtake each other.
        """
        return await self.enqueue(line)

    def enqueue(self, line: bytes) -> asyncio.Future[int]:
        """An append that is in its place in the queue when this returns; the future is what `append` waits for."""
        self._open_descriptor()
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queued.append((_sealed(line.replace(b"\n", b" ")), written))  # in JSON a line break is only white space
        self._start()
        return written

    def note(self, line: bytes) -> None:
        """Append a record with the next write, without waiting. For what may be lost in a crash."""
        self._queued.append((_sealed(line), None))
        self._start()

    def replace(self, line: bytes) -> None:
        """Start the file afresh with one record, atomically. Only while nothing is queued or under way."""
        if self._queued or self._writer is not None:
            raise RuntimeError("a journal is replaced while nothing is being appended")
        fresh, record = self.path.with_suffix(".fresh"), _sealed(line)
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            write_whole(descriptor, record)
            os.fsync(descriptor)
            os.rename(fresh, self.path)
        except OSError:
            os.close(descriptor)
            raise
        self._close_descriptor()
        self._descriptor, self.size = descriptor, len(record)
        sync_directory(self.path.parent)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of a record that is on the disk."""
        return os.pread(self._open_descriptor(), length, offset)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or being written."""
        return not self._queued and self._writer is None

    async def close(self) -> None:
        """Wait for what is queued and close the file. May be repeated."""
        while self._writer is not None:
            await asyncio.shield(self._writer)
        self._thread.shutdown()
        self._close_descriptor()

    def abandon(self) -> None:
        """Close the file at once. Only while nothing is queued or under way."""
        self._thread.shutdown()
        self._close_descriptor()

    def _start(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_queued())

    async def _write_queued(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queued:
                batch, self._queued = self._queued, []
                block = b"".join([record for record, _ in batch])
                try:
                    await loop.run_in_executor(self._thread, self._write, block)
                except OSError as error:
                    batch, self._queued = batch + self._queued, []
                    self._fail([written for _, written in batch if written is not None], error)
                else:
                    for record, written in batch:
                        _settle(written, self.size)
                        self.size += len(record)
        finally:
            self._writer = None

    def _fail(self, appends: list[asyncio.Future[int]], error: OSError) -> None:
        if self._on_failure is not None:
            self._on_failure(len(appends))
        for written in appends:
            _settle(written, error)

    def _write(self, block: bytes) -> None:
        """Runs in the journal's thread: all of the block on the disk, or none of it in the file."""
        descriptor = self._open_descriptor()
        if os.fstat(descriptor).st_size != self.size:
            os.ftruncate(descriptor, self.size)  # a failed append could not be taken back then
        try:
            write_whole(descriptor, block)
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, self.size)
            raise

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError(f"{self.path} is not open")
        return self._descriptor

    def _close_descriptor(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_records(path: Path) -> tuple[list[tuple[int, bytes]], int]:
    """The records of a journal as (offset, line), and where the readable part ends. Changes nothing."""
    records: list[tuple[int, bytes]] = []
    offset = 0
    content = path.read_bytes()
    while (
        end := content.find(b"\n", offset) + 1
    ):  # what follows the last line break was torn off in the middle of an append
        record = content[offset:end]
        line = _opened(record)
        if line is None:
            # A page that never reached the disk reads as zeros, and so does what follows it.
            if end == len(content) or b"\0" in record:
                break
            raise JournalDamaged(path, len(records) + 1)
        records.append((offset, line))
        offset = end
    return records, offset


def write_file(path: Path, content: bytes) -> None:
    """Make a file that is there whole, and durably, or not at all. Raises OSError."""
    partial = path.with_name(f"{path.name}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_whole(descriptor, content)
        os.fsync(descriptor)
        os.rename(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


def settle(partial: Path, target: Path) -> None:
    """Give a file that is whole and on the disk its real name, durably. Raises OSError."""
    os.rename(partial, target)
    sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Make a new or renamed file's name durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(descriptor: int, block: bytes) -> None:
    """All of it. Raises OSError, with part of it written perhaps."""
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


# What guards a record in the file is put on in `_sealed`, and is looked at and taken off in `_opened`; nothing else knows of it.


def _sealed(line: bytes) -> bytes:
    """A record as the file has it."""
    return line + b"\n"


def _opened(record: bytes) -> bytes | None:
    """The JSON of a record of the file; None for what is none."""
    line = record.removesuffix(b"\n")
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.MsgspecError:
        return None
    except RecursionError:
        return line  # how deep is too deep depends on who asks; it was whole, or it would have ended before
    return line


def _settle(written: asyncio.Future[int] | None, outcome: int | OSError) -> None:
    if written is None or written.done():
        return
    if isinstance(outcome, OSError):
        written.set_exception(outcome)
    else:
        written.set_result(outcome)
