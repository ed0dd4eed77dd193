"""Fetching what workers uploaded: a file from a router is here whole and fsynced, or not at all."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import BinaryIO

import aiohttp

from ...router.wire.journal import settle
from ..errors import ChannelError

CHUNK = 1 << 18
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
"""A large file may take long; a silence may not."""
_NAME = re.compile(r"\w[\w.-]{0,200}", re.ASCII)


class FileMissing(ChannelError):
    """The router has no file of that name; asking again does not help."""


async def download(url: str, filename: str, save_dir: Path, token: str) -> Path:
    """Fetch an uploaded file from a router. It appears in `save_dir` whole and fsynced, or not at all.

    Raises ChannelError where it did not come whole, FileMissing where it never will, OSError where it cannot be written.
    """
    if not _NAME.fullmatch(filename):
        raise FileMissing(f"{filename!r} is no name that a router gives to a file")
    partial = save_dir / f".{filename}.part"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=TIMEOUT) as session,
            session.get(f"{url}/download_file/{filename}") as answer,
        ):
            await _assert_is_there(answer, url, filename)
            with partial.open("wb") as stream:
                await _receive(answer, stream)
            await asyncio.to_thread(settle, partial, save_dir / filename)
            return save_dir / filename
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ChannelError(f"the file {filename} did not arrive whole from {url}: {error!r}") from error
    finally:
        partial.unlink(missing_ok=True)


async def _assert_is_there(answer: aiohttp.ClientResponse, url: str, filename: str) -> None:
    if answer.status == 404:
        raise FileMissing(f"{url} has no file {filename}")
    if answer.status != 200:
        raise ChannelError(f"{url} answered {answer.status} for the file {filename}: {await answer.text()}")


async def _receive(answer: aiohttp.ClientResponse, stream: BinaryIO) -> None:
    async for chunk in answer.content.iter_chunked(CHUNK):
        await asyncio.to_thread(stream.write, chunk)
    await asyncio.to_thread(stream.flush)
    await asyncio.to_thread(os.fsync, stream.fileno())
