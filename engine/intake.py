"""What workers hand in, on its way from a router to the disk. Nothing is acknowledged before it is here, files included.

What may pass (a full disk, a connection that is away) is tried again for as long as the run lasts: the router keeps what
is not acknowledged, so waiting loses nothing and giving up would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from ..router.protocol import Packet, UploadedFile
from .channel import FileMissing
from .errors import ChannelError
from .report import Reporter
from .submissions import Kind, StoredFile, StoreFailed, Submission, Submissions

MOST_AT_ONCE = 64
"""Submissions that are fetched and stored at once."""
MOST_WAIT = 30.0
"""Seconds between two attempts, at the most."""

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

    def acked(self, router_epoch: str) -> int:
        """The number up to which everything of this router epoch is safe."""
        return self._submissions.acked.get(router_epoch, 0)

    def all_acked(self) -> dict[str, int]:
        """The same for every router epoch that was heard of."""
        return dict(self._submissions.acked)

    async def keep(self, router_epoch: str, packet: Packet, kind: Kind, sender: Sender, counted: bool) -> None:
        """Store a durable packet with its files; on the disk when it returns. A repeat is stored once."""
        async with self._room:
            agent_id = packet.subject_id or "unknown"
            data, files = await self._fetch_parts(agent_id, packet)
            record = Submission(
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
            )
            await until_stored(lambda: self._submissions.store(record), self._reporter)

    async def revoke(self, agent_ids: Iterable[str]) -> None:
        """What these agents handed in counts no more."""
        revoked = list(agent_ids)
        await until_stored(lambda: self._submissions.revoke(revoked), self._reporter)

    async def _fetch_parts(self, agent_id: str, packet: Packet) -> tuple[msgspec.Raw, list[StoredFile]]:
        """The answer and its files, fetched from the server into the run's directory."""
        data = packet.data
        if not packet.files and packet.data_file is None:
            return data, []
        directory = self._submissions.files_directory(agent_id)
        if packet.data_file is not None:
            path = await self._fetch_patiently(packet.data_file, directory)
            data = msgspec.Raw(await asyncio.to_thread(path.read_bytes))
            path.unlink()
        files = [await self._fetch_file(file, directory) for file in packet.files]
        return (_without_files(data) if files else data), [file for file in files if file is not None]

    async def _fetch_file(self, file: UploadedFile, directory: Path) -> StoredFile | None:
        try:
            path = await self._fetch_patiently(file.filename, directory)
        except FileMissing as error:
            self._reporter.say(f"the upload {file.originalname!r} is lost: {error}")
            return None
        return await asyncio.to_thread(
            self._submissions.describe, path, field=file.fieldname, name=file.originalname, mimetype=file.mimetype
        )

    async def _fetch_patiently(self, filename: str, directory: Path) -> Path:
        """Raises FileMissing only: whatever else goes wrong may pass."""

        def may_pass(error: BaseException) -> bool:
            return isinstance(error, ChannelError | OSError) and not isinstance(error, FileMissing)

        return await _patiently(may_pass, self._reporter)(self._fetch, filename, directory)


async def until_stored(store: Callable[[], Awaitable[Any]], reporter: Reporter) -> None:
    """Call `store` until the disk takes it, telling of each refusal."""
    await _patiently(lambda error: isinstance(error, StoreFailed), reporter)(store)


def _patiently(may_pass: Callable[[BaseException], bool], reporter: Reporter) -> AsyncRetrying:
    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        reporter.say(f"trying again in {state.upcoming_sleep:.1f} s: {error}")

    wait = wait_random_exponential(multiplier=0.5, max=MOST_WAIT)
    return AsyncRetrying(retry=retry_if_exception(may_pass), wait=wait, before_sleep=say, reraise=True)


def _without_files(data: msgspec.Raw) -> msgspec.Raw:
    """The worker's answer without the router's word on the files, which is stored beside it."""
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    answer = {name: value for name, value in fields.items() if name not in ("files", "filesByFields")}
    return msgspec.Raw(msgspec.json.encode(answer))
