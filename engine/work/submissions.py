"""What the workers of a run handed in, durable in the run's directory.

`submissions.jsonl` has one line for each submission, which carries everything; uploads are under `files/<agent id>/`.
Who does what is decided in assignments.py, and what a row of results looks like in export.py.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

import msgspec

from ...router.wire.journal import (
    Journal,
    JournalDamaged,
    read_records,
    sync_directory,
)
from ..errors import FalseworkError
from .json_line import one_line

FILE_NAME = "submissions.jsonl"
LARGE = 1 << 20
"""Bytes of data above which a submission is encoded in a thread, so that the others need not wait."""

Kind = Literal["unit", "onboarding", "metadata"]


class StoreError(FalseworkError):
    """The submissions of a run could not be read or written."""


class StoreInUse(StoreError):
    """Another process has the store open for writing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__(f"{directory}: another process is storing this run's submissions; one run has one launcher")


class StoreFailed(StoreError):
    """The disk refused. Nothing of the submission is in the store; the router keeps what is not acknowledged."""

    def __init__(self, path: Path, reason: OSError) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path}: cannot be written ({reason.strerror or reason}); nothing that was acknowledged is lost. "
            f"Make room or mend the disk, and store it again"
        )


class StoreDamaged(StoreError):
    """A line of the store is no submission: something else wrote to the file."""


class StoredFile(msgspec.Struct, frozen=True):
    """One upload. Everything but `name`, `field` and `mimetype` comes from the router or from here."""

    field: str
    name: str
    """What the worker called it. Never the name of a file here."""
    path: str
    """Relative to the run's directory, with `/`: `files/<agent id>/<the router's name>`."""
    mimetype: str
    size: int
    sha256: str


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a worker handed in. Times are seconds since the epoch."""

    kind: Kind
    worker_id: str
    agent_id: str
    data: msgspec.Raw
    """The answer, as JSON."""
    router_epoch: str
    number: int
    """The packet's number in its router epoch, from 1 without gaps."""
    received_at: float
    counted: bool
    unit: int | None = None
    files: list[StoredFile] = []
    submitted_at: float | None = None
    """By the worker's clock."""
    assignment_id: str | None = None
    registration_id: str | None = None
    submission_id: str | None = None
    """By which the page knows it: two packets of one agent that carry the same are one submission."""


class Submissions:
    """The store of one run, open for writing in one process. `open` first, `close` last; both may be repeated."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.acked: dict[str, int] = {}
        """For each router epoch the highest number up to which everything is stored. What a launcher acknowledges."""
        self._path = directory / FILE_NAME
        self._journal: Journal | None = None
        self._lock: int | None = None
        self._ahead: dict[str, set[int]] = {}
        self._handed_in: set[tuple[str, str]] = set()
        self._under_way: dict[tuple[str, int], asyncio.Task[None]] = {}

    def open(self) -> None:
        """Read what is there, cut off a torn last line and make the store ready.

        Raises StoreInUse while another process (or another store in this one) has it open, StoreDamaged, StoreFailed.
        """
        if self._journal is not None:
            return
        try:
            self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(self.directory)
            self._journal = self._open_journal()
        except OSError as error:
            raise StoreFailed(self.directory, error) from error
        finally:
            if self._journal is None:
                self._unlock()

    async def close(self) -> None:
        """Wait for what is being stored, and let others open the store."""
        while self._under_way:
            await asyncio.wait(self._under_way.values())
        if self._journal is not None:
            await self._journal.close()
            self._journal = None
        self._unlock()

    def has(self, router_epoch: str, number: int) -> bool:
        """Whether this packet is stored."""
        return 0 < number <= self.acked.get(router_epoch, 0) or number in self._ahead.get(router_epoch, ())

    def has_from(self, agent_id: str, submission_id: str) -> bool:
        """Whether this submission of this agent is stored, whichever packet it came in."""
        return (agent_id, submission_id) in self._handed_in

    def pass_over(self, router_epoch: str, number: int) -> None:
        """Count a packet as stored whose submission another packet brought."""
        self._note(router_epoch, number)

    async def store(self, record: Submission) -> bool:
        """Store a submission; its files and then the record are on the disk when this returns. False for a repeat.

        It goes on to its end even if whoever waits is cancelled. Raises ValueError for a record that is no JSON or
        whose files are not where `files_directory` says, StoreFailed when the disk refuses; storing it again is then
        right.
        """
        if record.number < 1:
            raise ValueError(f"packets are numbered from 1, this one has {record.number}")
        key = (record.router_epoch, record.number)
        if self.has(*key):
            return False
        running = self._under_way.get(key)
        if running is not None:
            await asyncio.shield(running)
            return False
        task = asyncio.create_task(self._store(record))
        self._under_way[key] = task
        task.add_done_callback(lambda _: self._under_way.pop(key))
        await asyncio.shield(task)
        return True

    async def revoke(self, agent_ids: Iterable[str]) -> None:
        """Say that the unit submissions of these agents count no more, because a partner broke the group. May be repeated."""
        revoked = list(agent_ids)
        if revoked:
            await self._append(msgspec.json.encode(_Head(kind="revoked", agent_ids=revoked)))

    def files_directory(self, agent_id: str) -> Path:
        """Where the uploads of an agent belong; it is made if need be. ValueError for an id that is no plain name."""
        if not _PLAIN_NAME.fullmatch(agent_id):
            raise ValueError(f"{agent_id!r} is no agent id: letters, digits, '_', '-' and '.' only")
        directory = self._files / agent_id
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreFailed(directory, error) from error
        return directory

    def describe(self, path: Path, *, field: str, name: str, mimetype: str) -> StoredFile:
        """A file that was saved under `files_directory`, with its size and checksum. Reads it whole: call it in a thread."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        relative = path.relative_to(self.directory).as_posix()
        return StoredFile(field=field, name=name, path=relative, mimetype=mimetype, size=size, sha256=sha256)

    def __iter__(self) -> Iterator[Submission]:
        return read(self.directory)

    @property
    def _files(self) -> Path:
        return self.directory / "files"

    def _open_journal(self) -> Journal:
        self.acked.clear()
        self._ahead.clear()
        self._handed_in.clear()
        for head, _ in _read_lines(self._path):  # first: a damaged line would leave an open journal behind
            if head.number:
                self._note(head.router_epoch, head.number)
                self._note_from(head.agent_id, head.submission_id)
        journal = Journal(self._path)
        journal.open()
        return journal

    async def _store(self, record: Submission) -> None:
        large = memoryview(record.data).nbytes > LARGE
        line = await asyncio.to_thread(_encode, record) if large else _encode(record)
        if record.files:
            await self._sync_files(record)
        await self._append(line)
        self._note(record.router_epoch, record.number)
        self._note_from(record.agent_id, record.submission_id)

    async def _sync_files(self, record: Submission) -> None:
        directory = self.files_directory(record.agent_id)
        for file in record.files:
            if PurePosixPath(file.path) != PurePosixPath("files", record.agent_id, Path(file.path).name):
                raise ValueError(f"{file.path!r} is not in files/{record.agent_id}/")
        try:
            await asyncio.to_thread(_sync, [self.directory / file.path for file in record.files], directory)
        except OSError as error:
            raise StoreFailed(directory, error) from error

    async def _append(self, line: bytes) -> None:
        if self._journal is None:
            raise ValueError(f"the store of {self.directory} is not open")
        try:
            await self._journal.append(line)
        except OSError as error:
            raise StoreFailed(self._path, error) from error

    def _note(self, router_epoch: str, number: int) -> None:
        ahead = self._ahead.setdefault(router_epoch, set())
        ahead.add(number)
        acked = self.acked.get(router_epoch, 0)
        while acked + 1 in ahead:
            acked += 1
            ahead.remove(acked)
        if acked:
            self.acked[router_epoch] = acked

    def _note_from(self, agent_id: str, submission_id: str | None) -> None:
        if submission_id is not None:
            self._handed_in.add((agent_id, submission_id))

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def read(directory: Path) -> Iterator[Submission]:
    """The submissions of a run, oldest first, finished or under way. Changes nothing and ignores a torn last line.

    `counted` is as it was revoked later. Raises StoreDamaged, StoreFailed; a run that got no submission has none.
    """
    path = directory / FILE_NAME
    lines = _read_lines(path)
    revoked = {agent_id for head, _ in lines for agent_id in head.agent_ids}
    for index, (head, line) in enumerate(lines):
        if head.kind == "revoked":
            continue
        submission = _decode(line, Submission, path, index)
        if submission.kind == "unit" and submission.agent_id in revoked:
            submission = msgspec.structs.replace(submission, counted=False)
        yield submission


class _Head(msgspec.Struct, omit_defaults=True):
    """What a line has to say before anything else: which packet it is, or whose submissions count no more."""

    kind: str
    router_epoch: str = ""
    number: int = 0
    agent_id: str = ""
    submission_id: str | None = None
    agent_ids: list[str] = []


_Line = TypeVar("_Line", _Head, Submission)

_PLAIN_NAME = re.compile(r"(?!\.)[\w.-]{1,200}", re.ASCII)


def _lock(directory: Path) -> int:
    """Held as long as the returned descriptor is open; a process that dies lets go of it."""
    descriptor = os.open(directory / "submissions.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreInUse(directory) from error
    return descriptor


def _read_lines(path: Path) -> list[tuple[_Head, bytes]]:
    """The lines of a store with what each says first, without a torn last one; none if there is no store."""
    if not path.exists():
        return []
    try:
        records, _ = read_records(path)
    except JournalDamaged as error:
        raise StoreDamaged(str(error)) from error
    except OSError as error:
        raise StoreFailed(path, error) from error
    return [(_decode(line, _Head, path, index), line) for index, (_, line) in enumerate(records)]


def _decode(line: bytes, kind: type[_Line], path: Path, index: int) -> _Line:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.MsgspecError as error:
        raise StoreDamaged(f"{path}:{index + 1}: not a submission ({error}); move the file away") from error


def _encode(record: Submission) -> bytes:
    """Raises ValueError for data that is no JSON."""
    return msgspec.json.encode(msgspec.structs.replace(record, data=msgspec.Raw(one_line(bytes(record.data)))))


def _sync(files: list[Path], directory: Path) -> None:
    """Runs in a thread: the files and their names are on the disk."""
    for path in files:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_directory(directory)
    sync_directory(directory.parent)
