"""Files that workers upload: streamed to disk under names of the router's own, and given out to the launcher.

A file is there whole (written, fsynced, renamed) or not at all. The worker's file name is only ever data.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from ..wire.agreed import AGREED
from ..wire.errors import Malformed, Refused
from ..wire.journal import settle, write_file, write_whole
from ..wire.protocol import Limits, UploadedFile

CHUNK = 1 << 18
_NAME = re.compile(AGREED.data_directory.upload_name)
_EXTENSION = re.compile(AGREED.data_directory.upload_extension)


@dataclass
class Form:
    """What a multipart request held."""

    fields: dict[str, bytes] = field(default_factory=dict)
    files: list[UploadedFile] = field(default_factory=list)


class Discarding:
    """Whether files are about to be deleted."""

    spared = False

    def unless(self, wanted: bool) -> None:
        """Spare them if they are wanted."""
        self.spared = wanted


class Uploads:
    """One directory of uploaded files."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self.directory, self._limits = directory, limits
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for torn in directory.glob("*.part"):
            torn.unlink()

    def path(self, name: str) -> Path:
        """Where an upload lies. Raises Refused for whatever the router did not name itself, or does not have."""
        if _NAME.fullmatch(name):
            path = self.directory / name
            if path.is_file():
                return path
        raise Refused(AGREED.refusals.no_such_file)

    async def keep(self, name_hint: str, content: bytes) -> str:
        """Store bytes as an upload; returns the router's name of it."""
        name = _new_name(name_hint)
        try:
            await _to_its_end(write_file, self.directory / name, content)
        except BaseException:
            self.discard([name])
            raise
        return name

    def discard(self, names: Iterable[str]) -> None:
        """Delete uploads. Gone is fine."""
        for name in names:
            (self.directory / name).unlink(missing_ok=True)

    @contextmanager
    def discarding(self, files: list[UploadedFile]) -> Iterator[Discarding]:
        """Delete these files at the end of the block, however it ends, unless told otherwise."""
        discarding = Discarding()
        try:
            yield discarding
        finally:
            if not discarding.spared:
                self.discard(file.filename for file in files)

    async def receive(self, request: web.Request) -> Form:
        """Read a multipart request. Raises Refused or Malformed; then nothing of it stays on the disk."""
        form = Form()
        with self.discarding(form.files) as discarding:
            try:
                await self._read_parts(await request.multipart(), form)
            except (
                ValueError,
                AttributeError,
                HttpProcessingError,
            ) as error:  # aiohttp's words for what is no whole form
                raise Malformed.expected(AGREED.malformed.form, error) from error
            except ConnectionError:
                raise
            except OSError as error:
                raise Refused(AGREED.refusals.storage_full) from error
            discarding.unless(True)
        return form

    async def _read_parts(self, multipart: MultipartReader, form: Form) -> None:
        async for part in multipart:
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise Malformed(AGREED.malformed.nameless)
            if part.filename is not None:
                if len(form.files) == self._limits.upload_files:
                    raise Refused(AGREED.refusals.too_many_files, limit=self._limits.upload_files)
                form.files.append(await self._receive_file(part))
            elif len(form.fields) == AGREED.bounds.form_fields:
                raise Refused(AGREED.refusals.too_many_fields, limit=AGREED.bounds.form_fields)
            else:
                form.fields[part.name] = await self._receive_field(part)

    async def _receive_field(self, part: BodyPartReader) -> bytes:
        content = bytearray()
        while chunk := await part.read_chunk(CHUNK):
            content += chunk
            if len(content) > self._limits.submission:
                raise Refused(AGREED.refusals.answer_too_large, limit=self._limits.submission)
        return bytes(content)

    async def _receive_file(self, part: BodyPartReader) -> UploadedFile:
        name = _new_name(part.filename or "")
        partial = self.directory / f"{name}.part"
        try:
            size = await self._stream(part, partial)
            await _to_its_end(settle, partial, self.directory / name)
        except BaseException:
            self.discard([partial.name, name])
            raise
        return UploadedFile(
            fieldname=_as_text(part.name or ""),
            originalname=_as_text(part.filename or ""),
            encoding=_as_text(part.headers.get("Content-Transfer-Encoding", "7bit")),
            mimetype=_as_text(part.headers.get("Content-Type", "application/octet-stream")),
            destination=str(self.directory),
            filename=name,
            path=str(self.directory / name),
            size=size,
        )

    async def _stream(self, part: BodyPartReader, partial: Path) -> int:
        size = 0
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while chunk := await part.read_chunk(CHUNK):
                size += len(chunk)
                if size > self._limits.upload:
                    raise Refused(AGREED.refusals.file_too_large, limit=self._limits.upload)
                await _to_its_end(write_whole, descriptor, chunk)
            await _to_its_end(os.fsync, descriptor)
        finally:
            os.close(descriptor)
        return size


async def _to_its_end(call: Callable[..., None], *arguments: object) -> None:
    """Run `call` in a thread. A cancellation waits for it: what it writes to must not be closed, or deleted, meanwhile."""
    work = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise


def _as_text(said: str) -> str:
    """What a worker said of a file: bytes that are no UTF-8 replaced, and no longer than file names are."""
    return said.encode(errors="surrogateescape").decode(errors="replace")[: AGREED.bounds.file_name]


def _new_name(original: str) -> str:
    extension = os.path.splitext(original)[1].lower()
    return secrets.token_hex(16) + (extension if _EXTENSION.fullmatch(extension) else "")
