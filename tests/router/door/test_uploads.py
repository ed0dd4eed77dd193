from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from falsework.router.door.uploads import Uploads
from falsework.router.wire import journal
from falsework.router.wire.protocol import Limits

from ..disks import disk_full_above


def broken(*arguments: Any) -> None:
    raise OSError(errno.EIO, "the disk is broken")


async def test_what_is_kept_is_there_whole_and_private(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads", Limits())
    name = await uploads.keep("answer.json", b"content")
    assert uploads.path(name).read_bytes() == b"content"
    assert name.endswith(".json")
    assert uploads.path(name).stat().st_mode & 0o777 == 0o600
    assert uploads.directory.stat().st_mode & 0o777 == 0o700


async def test_nothing_stays_of_what_the_disk_does_not_take(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits())
    with disk_full_above(100), pytest.raises(OSError):
        await uploads.keep("answer.json", b"x" * 1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "rename"])
async def test_nothing_stays_of_what_may_not_be_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    uploads = Uploads(tmp_path, Limits())
    monkeypatch.setattr(os, call, broken)
    with pytest.raises(OSError):
        await uploads.keep("answer.json", b"x")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


async def test_nothing_stays_of_a_file_whose_name_may_not_be_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = Uploads(tmp_path, Limits())
    monkeypatch.setattr(journal, "sync_directory", broken)
    with pytest.raises(OSError):
        await uploads.keep("answer.json", b"x")
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_half_is_gone_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "half.png.part").write_bytes(b"half")
    (tmp_path / ("a" * 32)).write_bytes(b"whole")
    Uploads(tmp_path, Limits())
    assert [path.name for path in tmp_path.iterdir()] == ["a" * 32]


async def test_a_request_that_is_given_up_closes_its_file_after_the_last_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the write would go into whatever is opened next, as it gets the same number."""
    uploads = Uploads(tmp_path, Limits())
    writing, go_on = threading.Event(), threading.Event()
    calls: list[str] = []
    close = os.close
    monkeypatch.setattr("falsework.router.door.uploads.write_whole", _slow(writing, go_on, calls))
    handling: list[asyncio.Task[Any]] = []

    def noted_close(descriptor: int) -> None:
        calls.append("closed")
        close(descriptor)

    async def handle(request: web.Request) -> web.Response:
        task = asyncio.current_task()
        assert task is not None
        handling.append(task)
        await uploads.receive(request)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handle)
    async with TestClient(TestServer(app)) as client:
        form = aiohttp.FormData()
        form.add_field("f", b"content", filename="f.txt")
        asking = asyncio.create_task(client.post("/", data=form))
        await asyncio.to_thread(writing.wait, 10)
        monkeypatch.setattr(os, "close", noted_close)
        handling[0].cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert calls == []
        go_on.set()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.wait(handling)
        monkeypatch.setattr(os, "close", close)
    assert calls[:2] == ["written", "closed"]
    assert list(tmp_path.iterdir()) == []


def _slow(writing: threading.Event, go_on: threading.Event, calls: list[str]) -> Callable[[int, bytes], None]:
    def write(descriptor: int, block: bytes) -> None:
        writing.set()
        go_on.wait(10)
        os.write(descriptor, block)
        calls.append("written")

    return write
