"""Uploads fetched from a real router, and from one that stops in the middle."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from falsework.engine.channel.channel import WebSocketChannel
from falsework.engine.channel.download import FileMissing, download
from falsework.engine.channel.listener import Ears
from falsework.engine.errors import ChannelError
from falsework.router.wire import protocol as wire
from falsework.router.wire.protocol import Envelope, Packet

from ...router.router_here import RouterHere
from ...router.router_process import TOKEN
from ..serving import Worker


@pytest.fixture
async def router(tmp_path: Path) -> AsyncIterator[RouterHere]:
    router = RouterHere(tmp_path, ())
    await router.start()
    yield router
    await router.stop()


async def _upload(url: str, content: bytes) -> str:
    """Hand in a file; returns the router's name for it."""
    submitted: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()

    def hear(channel_id: str, packet: Packet) -> None:
        if packet.packet_type == wire.SUBMIT_UNIT:
            submitted.set_result(packet)

    channel = WebSocketChannel(
        "harbour",
        url,
        token=TOKEN,
        epoch=1,
        listener=Ears(lambda channel_id: None, lambda channel_id: None, hear),
    )
    worker = Worker(url, "ann")
    worker.agent_id = "agent-ann"
    try:
        await channel.open(10, 10)
        channel.send(Envelope(wire.UPDATE_STATUS, "agent-ann", {"status": "in task"}))
        while (await worker.submit_files({}, photo=content))[0] != 200:
            pass  # the router does not know the agent yet
        return (await submitted).files[0].filename
    finally:
        await worker.close()
        await channel.close()


async def test_a_file_arrives_as_it_was_uploaded(router: RouterHere, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    name = await _upload(router.url, content)
    path = await download(router.url, name, tmp_path, TOKEN)
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert path == tmp_path / name


async def test_a_file_that_is_not_there_is_missing(router: RouterHere, tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="has no file"):
        await download(router.url, "0" * 32, tmp_path, TOKEN)


async def test_a_wrong_token_gets_nothing(router: RouterHere, tmp_path: Path) -> None:
    name = await _upload(router.url, b"secret")
    with pytest.raises(ChannelError, match="answered 401") as refused:
        await download(router.url, name, tmp_path, "wrong")
    assert not isinstance(refused.value, FileMissing)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "..", ".hidden", "a/b", "a\0b"])
async def test_a_router_cannot_say_where_a_file_goes(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="no name that a router gives"):
        await download("http://127.0.0.1:9", name, tmp_path, TOKEN)


async def test_a_router_that_is_away_may_come_back(tmp_path: Path, free_port: int) -> None:
    with pytest.raises(ChannelError, match="did not arrive whole") as failed:
        await download(f"http://127.0.0.1:{free_port}", "file", tmp_path, TOKEN)
    assert not isinstance(failed.value, FileMissing)


async def test_a_file_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 500_000)
        writer.close()

    server = await asyncio.start_server(cut_off, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ChannelError, match="did not arrive whole"):
        await download(f"http://127.0.0.1:{port}", "file", tmp_path, TOKEN)
    server.close()
    await server.wait_closed()
    assert list(tmp_path.iterdir()) == []


async def test_a_directory_that_cannot_be_written_is_the_disks_fault(router: RouterHere, tmp_path: Path) -> None:
    name = await _upload(router.url, b"something")
    with pytest.raises(FileNotFoundError):
        await download(router.url, name, tmp_path / "nowhere", TOKEN)
