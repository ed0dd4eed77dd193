"""What workers hand in, on its way from a router to the disk. Nothing is acknowledged before it is here, files included.

What may pass (a full disk, a connection that is away) is tried again for as long as the run lasts: the router keeps what
is not acknowledged, so waiting loses nothing and giving up would.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from ...router.wire.protocol import Packet, UploadedFile
from ..channel.download import FileMissing
from ..errors import ChannelError
from ..report import Reporter
from .submissions import Kind, StoredFile, StoreFailed, Submission, Submissions

MOST_AT_ONCE = 64
"""Submissions that are fetched and stored at once."""
MOST_WAIT = 5.0
"""Seconds between two attempts, at the most. Less than a run waits at its end, so that a disk that was mended is noticed."""

UNKNOWN = "unknown"
"""Whose it is, where a packet does not say."""

Fetch = Callable[[str, Path], Awaitable[Path]]


class Sender(NamedTuple):
    """Who handed something in, as far as it is known."""

    worker_id: str
    unit: int | None
    registration_id: str | None


class Intake:
    """The way into one run's store. `fetch(filename, directory)` brings an uploaded file from the server."""

    def __init__(self, submissions: Submissions, fetch: Fetch, reporter: Reporter, clock: Callable[[], float]) -> None:
        self._submissions, self._fetch, self._reporter, self._clock = submissions, fetch, reporter, clock
        self._room = asyncio.Semaphore(MOST_AT_ONCE)
        self._stored = 0
        self._fetching: Counter[Path] = Counter()

    def has(self, router_epoch: str, number: int) -> bool:
        """Whether this packet is stored."""
        return self._submissions.has(router_epoch, number)

    def acked(self, router_epoch: str) -> int:
        """The number up to which everything of this router epoch is safe."""
        return self._submissions.acked.get(router_epoch, 0)

    def all_acked(self) -> dict[str, int]:
        """The same for every router epoch that was heard of."""
        return dict(self._submissions.acked)

    def arrived(self) -> int:
        """Changes with everything that is stored, and with every byte of a file that is being fetched."""
        return self._stored + sum(_size(path) for directory in +self._fetching for path in directory.iterdir())

    async def keep(self, router_epoch: str, packet: Packet, kind: Kind, sender: Sender, counted: bool) -> None:
        """Store a durable packet with its files; on the disk when it returns. A repeat is stored once."""

        async def attempt() -> None:
            record = await self._record_of(router_epoch, packet, kind, sender, counted)
            await self._submissions.store(record)

        async with self._room:
            if self._is_repeat(packet):
                self._submissions.pass_over(router_epoch, packet.number or 0)
            else:
                await _patiently(attempt, self._reporter)
        self._stored += 1

    def _is_repeat(self, packet: Packet) -> bool:
        """Whether a page handed this in once before, to a router that lost what it was told, and it is stored."""
        agent_id, submission_id = packet.subject_id or UNKNOWN, packet.submission_id
        return submission_id is not None and self._submissions.has_from(agent_id, submission_id)

    async def revoke(self, agent_ids: Iterable[str]) -> None:
        """What these agents handed in counts no more."""
        revoked = list(agent_ids)
        await until_stored(lambda: self._submissions.revoke(revoked), self._reporter)

    async def _record_of(
        self, router_epoch: str, packet: Packet, kind: Kind, sender: Sender, counted: bool
    ) -> Submission:
        """What is to be stored, with the files that it speaks of fetched from the server into the run's directory."""
        agent_id = packet.subject_id or UNKNOWN
        data, files = packet.data, list[StoredFile]()
        if packet.files or packet.data_file is not None:
            data, files = await self._fetch_parts(packet, self._submissions.files_directory(agent_id))
        return Submission(
            kind=kind,
            worker_id=sender.worker_id,
            agent_id=agent_id,
            data=data,
            router_epoch=router_epoch,
            number=packet.number or 0,
            received_at=packet.router_incoming_timestamp or self._clock(),
            counted=counted,
            unit=sender.unit,
            files=files,
            submitted_at=packet.client_timestamp,
            registration_id=sender.registration_id,
            submission_id=packet.submission_id,
        )

    async def _fetch_parts(self, packet: Packet, directory: Path) -> tuple[msgspec.Raw, list[StoredFile]]:
        self._fetching[directory] += 1
        try:
            data = packet.data if packet.data_file is None else await self._fetch_data(packet.data_file, directory)
            files = [await self._fetch_file(file, directory) for file in packet.files]
        finally:
            self._fetching[directory] -= 1
        if packet.files:
            data = await asyncio.to_thread(_without_files, data)  # it may be nested too deeply for the stack here
        return data, [file for file in files if file is not None]

    async def _fetch_data(self, filename: str, directory: Path) -> msgspec.Raw:
        """An answer that was too large for a frame."""
        try:
            path = await self._fetch(filename, directory)
        except FileMissing as error:
            self._reporter.say(f"an answer is lost, and stored as null: {error}")
            return msgspec.Raw(b"null")
        data = msgspec.Raw(await asyncio.to_thread(path.read_bytes))
        path.unlink()
        return data

    async def _fetch_file(self, file: UploadedFile, directory: Path) -> StoredFile | None:
        path = directory / file.filename
        try:
            if not path.exists():  # an attempt before this one may have got so far
                path = await self._fetch(file.filename, directory)
        except FileMissing as error:
            self._reporter.say(f"the upload {file.originalname!r} is lost: {error}")
            return None
        return await asyncio.to_thread(
            self._submissions.describe, path, field=file.fieldname, name=file.originalname, mimetype=file.mimetype
        )


async def until_stored(store: Callable[[], Awaitable[Any]], reporter: Reporter) -> None:
    """Call `store` until the disk takes it, telling of each refusal."""

    async def attempt() -> None:  # tenacity awaits coroutine functions only
        await store()

    await _patiently(attempt, reporter)


async def _patiently(attempt: Callable[[], Awaitable[None]], reporter: Reporter) -> None:
    """Again and again for as long as what goes wrong may pass: the disk, the connection."""

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        reporter.say(f"trying again in {state.upcoming_sleep:.1f} s: {error}")

    retry = retry_if_exception_type((StoreFailed, ChannelError, OSError))
    wait = wait_random_exponential(multiplier=0.5, max=MOST_WAIT)
    await AsyncRetrying(retry=retry, wait=wait, before_sleep=say, reraise=True)(attempt)


def _without_files(data: msgspec.Raw) -> msgspec.Raw:
    """The worker's answer without the router's word on the files, which is stored beside it."""
    try:
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return data  # an answer that was lost
    answer = {name: value for name, value in fields.items() if name not in ("files", "filesByFields")}
    return msgspec.Raw(msgspec.json.encode(answer))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
