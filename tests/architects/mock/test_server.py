"""A scripted server, and a real channel at its other end: the launcher's side of the wire, and everything that can be said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from falsework.architects.machine.address import run_id_at
from falsework.architects.mock.server import MockServer
from falsework.architects.mock.waits import NotSeen
from falsework.engine.channel.channel import WebSocketChannel
from falsework.engine.channel.download import FileMissing, download
from falsework.engine.channel.listener import Ears
from falsework.engine.errors import ChannelError, ConnectFailed
from falsework.router.wire import protocol as wire
from falsework.router.wire.protocol import Envelope, Packet

from .tasks import RUN_ID, TOKEN


@pytest.fixture
async def server() -> AsyncIterator[MockServer]:
    """A server that is up, and down in the end."""
    server = MockServer(RUN_ID, TOKEN)
    server.start()
    yield server
    await server.stop()


class Launcher:
    """A real channel, and what came over it. `close` at the end."""

    def __init__(self, server: MockServer, token: str = TOKEN, epoch: int = 1) -> None:
        self.packets: list[Packet] = []
        self.lost = asyncio.Event()
        self._came = asyncio.Event()
        self.channel = WebSocketChannel(
            RUN_ID,
            url_of(server),
            token=token,
            epoch=epoch,
            listener=Ears(lambda channel_id: None, lambda channel_id: self.lost.set(), self._take),
        )

    async def came(self, packet_type: str, count: int = 1) -> list[Packet]:
        """Until that many packets of this type came."""
        async with asyncio.timeout(10):
            while len(found := [one for one in self.packets if one.packet_type == packet_type]) < count:
                self._came.clear()
                await self._came.wait()
            return found

    def _take(self, channel_id: str, packet: Packet) -> None:
        packet.data = msgspec.Raw(bytes(packet.data))  # it points into a frame that goes away
        self.packets.append(packet)
        self._came.set()


@pytest.fixture
async def launcher(server: MockServer) -> AsyncIterator[Launcher]:
    """A launcher that is connected."""
    launcher = Launcher(server)
    await launcher.channel.open(5, 5)
    yield launcher
    await launcher.channel.close()


def data_of(packet: Packet) -> Any:
    return json.loads(bytes(packet.data))


def url_of(server: MockServer) -> str:
    return f"http://127.0.0.1:{server.port}"


# Handshake


async def test_a_launcher_is_welcome_and_hears_which_router_this_is(server: MockServer, launcher: Launcher) -> None:
    await server.connected()
    assert launcher.channel.router_epoch == server.router_epoch
    assert server.last_alive_packet is not None
    assert server.last_alive_packet.data["token"] == TOKEN
    await launcher.channel.close()
    await server.disconnected()


async def test_a_wrong_token_is_refused(server: MockServer) -> None:
    stranger = Launcher(server, token="a guess")
    with pytest.raises(ConnectFailed, match=r"refused this launcher \(4401\)"):
        await stranger.channel.open(5, 5)


async def test_a_newer_launcher_takes_over(server: MockServer, launcher: Launcher) -> None:
    newer = Launcher(server, epoch=2)
    await newer.channel.open(5, 5)
    async with asyncio.timeout(10):
        await launcher.lost.wait()
    older = Launcher(server, epoch=1)
    with pytest.raises(ConnectFailed, match=r"\(4409\)"):
        await older.channel.open(5, 5)
    await newer.channel.close()


async def test_refusals_are_scripted_and_come_to_an_end(server: MockServer) -> None:
    server.refuse_launcher(4409, "somebody else is here", times=2)
    for _ in range(2):
        refused = Launcher(server)
        with pytest.raises(ConnectFailed, match=r"\(4409\): somebody else is here"):
            await refused.channel.open(5, 5)
    welcome = Launcher(server)
    await welcome.channel.open(5, 5)
    await welcome.channel.close()


@pytest.mark.parametrize("data", [{"token": 7}, [1], {"token": TOKEN, "protocol": "one"}])
async def test_what_is_no_greeting_is_refused(server: MockServer, data: Any) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(url_of(server)) as socket:
        await socket.send_json({"packet_type": "alive", "subject_id": "mephisto", "data": data})
        await socket.receive()
        assert socket.close_code == wire.MALFORMED


@pytest.mark.parametrize("frame", ["{", "[]x", '{"packet_type": "heartbeat"}', b"\xff"])
async def test_who_does_not_say_that_it_is_a_launcher_is_none(server: MockServer, frame: str | bytes) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(url_of(server)) as socket:
        await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
        assert (await socket.receive()).json()["packet_type"] == "error"
    with pytest.raises(NotSeen):
        await server.connected(timeout=0.05)
    assert server.packets == []


async def test_of_a_frame_that_is_refused_nothing_more_is_heard(server: MockServer) -> None:
    server.refuse_launcher()
    hello = {"packet_type": "alive", "subject_id": "mephisto", "data": {"token": TOKEN, "protocol": 1}}
    async with aiohttp.ClientSession() as session, session.ws_connect(url_of(server)) as socket:
        await socket.send_json([hello, hello])
        await socket.receive()
        assert socket.close_code == wire.BAD_TOKEN
    assert len(server.packets) == 1


# Said and heard


async def test_what_is_said_while_nobody_is_there_is_said_to_the_next_launcher(server: MockServer) -> None:
    request = server.register_mock_agent("ann")
    assert server.submit_mock_unit("agent", {"n": 1}) == 1
    launcher = Launcher(server)
    await launcher.channel.open(5, 5)
    [asked] = await launcher.came("register_agent")
    assert data_of(asked)["provider_data"]["worker_name"] == "ann"
    assert data_of(asked)["request_id"] == request
    await launcher.came("submit_unit")
    assert await launcher.channel.catch_up(5)
    await launcher.channel.close()


async def test_a_durable_packet_is_said_until_it_is_acknowledged(server: MockServer, launcher: Launcher) -> None:
    numbers = [server.submit_mock_unit("agent", n) for n in range(3)]
    assert numbers == [1, 2, 3]
    await launcher.came("submit_unit", 3)
    launcher.channel.acknowledge(server.router_epoch, 2)
    await server.acknowledged(2)
    with pytest.raises(NotSeen, match="an ack of 3"):
        await server.acknowledged(3, timeout=0.05)
    await launcher.channel.close()
    next_one = Launcher(server)
    await next_one.channel.open(5, 5)
    [again] = await next_one.came("submit_unit")
    assert (again.number, data_of(again)) == (3, 2)
    await next_one.channel.close()


async def test_what_a_launcher_has_already_is_not_said_again(server: MockServer) -> None:
    server.submit_mock_unit("agent", 1)
    server.submit_mock_unit("agent", 2)
    launcher = Launcher(server)
    launcher.channel.acked[server.router_epoch] = 1
    await launcher.channel.open(5, 5)
    [only] = await launcher.came("submit_unit")
    assert only.number == 2
    await launcher.channel.close()


async def test_a_farewell_waits_for_what_is_held(server: MockServer, launcher: Launcher) -> None:
    number = server.submit_mock_unit("agent", 1)
    await launcher.came("submit_unit")
    assert not await launcher.channel.say_bye(0.05)
    launcher.channel.acknowledge(server.router_epoch, number)
    assert await launcher.channel.say_bye(5)


async def test_agents_have_the_status_that_they_were_given(server: MockServer, launcher: Launcher) -> None:
    details = {"request_id": "r", "agent_id": "a", "worker_id": "ann", "init_task_data": {}, "failure_reason": None}
    launcher.channel.send(Envelope(wire.AGENT_DETAILS, RUN_ID, details))
    assert (await server.answer_to("r"))["agent_id"] == "a"
    launcher.channel.send(Envelope(wire.UPDATE_STATUS, "b", {"status": "in task"}))
    await server.heard("update_status", "b")
    server.disconnect_mock_agent("c")
    launcher.channel.send(Envelope(wire.REQUEST_STATUSES, wire.LAUNCHER_SUBJECT, {}, server_timestamp=7.0))
    told = await launcher.came("return_statuses", 3)  # the first is asked for on each connection
    assert data_of(told[1]) == {"c": "disconnect"}
    assert data_of(told[2]) == {"a": "none", "b": "in task", "c": "disconnect"}
    assert told[2].client_timestamp == 7.0


async def test_everything_that_is_heard_is_kept_in_order(server: MockServer, launcher: Launcher) -> None:
    for n in range(3):
        launcher.channel.send(Envelope(wire.CLIENT_BOUND_LIVE_UPDATE, f"agent-{n % 2}", {"n": n}))
    launcher.channel.send(Envelope(wire.UPDATE_STATUS, "agent-0", {"status": "completed"}))
    launcher.channel.send(Envelope(wire.HEARTBEAT, wire.LAUNCHER_SUBJECT, {}))
    await server.heard("heartbeat")
    second = await server.heard("client_bound_live_update", "agent-0", count=2)
    assert second.data == {"n": 2}
    odd = await server.heard("client_bound_live_update", where=lambda packet: packet.data["n"] == 1)
    assert odd.subject_id == "agent-1"
    assert server.actions_observed == 3
    assert server.last_packet is not None
    assert server.last_packet.packet_type == "update_status"
    assert "heard update_status of agent-0" in server.log


async def test_any_packet_with_any_field_can_be_said(server: MockServer, launcher: Launcher) -> None:
    assert server.send_packet("weather", "sky", {"wind": 7}, client_timestamp=1.5) == 0
    [packet] = await launcher.came("weather")
    assert (packet.subject_id, data_of(packet), packet.client_timestamp) == ("sky", {"wind": 7}, 1.5)
    server.send_frame('[{"packet_type": "rain"}, {"packet_type": "rain", "subject_id": "sky"}]')
    assert len(await launcher.came("rain", 2)) == 2


async def test_a_frame_needs_a_launcher(server: MockServer) -> None:
    with pytest.raises(ValueError, match="wait for `connected` first"):
        server.send_frame("{}")


async def test_a_bad_packet_of_the_launcher_is_answered_with_what_was_wrong(server: MockServer) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(url_of(server)) as socket:
        greeting = {"token": TOKEN, "protocol": 1}
        await socket.send_json({"packet_type": "alive", "subject_id": "mephisto", "data": greeting})
        assert (await socket.receive()).json()["packet_type"] == "welcome"
        await socket.send_json({"packet_type": "ack", "data": {"number": "many"}})
        answer = (await socket.receive()).json()
        assert (answer["packet_type"], answer["data"]["error"]) == ("error", "malformed")
        await server.connected()


async def test_pages_of_ones_own_are_served_beside_the_scripted_workers(server: MockServer, launcher: Launcher) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as page:
        asking = asyncio.create_task(page.post(f"{url_of(server)}/request_agent", json={"provider_data": {}}))
        [asked] = await launcher.came("register_agent")
        details = {"request_id": data_of(asked)["request_id"], "agent_id": "a", "init_task_data": {}}
        launcher.channel.send(Envelope(wire.AGENT_DETAILS, RUN_ID, details))
        assert (await (await asking).json())["data"]["agent_id"] == "a"
        server.submit_mock_unit("another", 1)
        handed_in = await page.post(f"{url_of(server)}/submit_task", json={"USED_AGENT_ID": "a", "final_data": 2})
        assert (await handed_in.json()) == {"status": "Submitted!"}
    numbers = [(one.number, data_of(one)) for one in await launcher.came("submit_unit", 2)]
    assert numbers == [(1, 1), (2, 2)]


async def test_what_pages_say_is_not_taken_for_a_launchers_word(server: MockServer, launcher: Launcher) -> None:
    await server.connected()
    heard = len(server.packets)
    async with aiohttp.ClientSession() as session, session.ws_connect(url_of(server)) as socket:
        await socket.send_json({"packet_type": "heartbeat", "subject_id": "nobody"})
        assert (await socket.receive()).json()["data"]["error"] == "unknown_agent"
    assert all(one.packet_type != "heartbeat" or one.subject_id != "nobody" for one in server.packets[heard:])


async def test_going_down_answers_the_pages_that_wait(server: MockServer, launcher: Launcher) -> None:
    async with aiohttp.ClientSession() as page:
        asking = asyncio.create_task(page.post(f"{url_of(server)}/request_agent", json={"provider_data": {}}))
        await launcher.came("register_agent")
        await server.stop()
        answer = await asking
        assert (answer.status, (await answer.json())["error"]) == (503, "restarting")


async def test_a_connection_ends_with_the_code_that_is_scripted(server: MockServer, launcher: Launcher) -> None:
    server.drop_launcher(wire.DISPLACED, "somebody newer")
    async with asyncio.timeout(10):
        await launcher.lost.wait()
    server.drop_launcher()  # quiet where nobody is


# Files


async def test_what_was_uploaded_can_be_downloaded_with_the_token_alone(
    server: MockServer, launcher: Launcher, tmp_path: Path
) -> None:
    server.submit_mock_unit("agent", {}, files={"photo": b"png"})
    [packet] = await launcher.came("submit_unit")
    [photo] = packet.files
    assert (photo.fieldname, photo.size) == ("photo", 3)
    fetched = await download(url_of(server), photo.filename, tmp_path, TOKEN)
    assert fetched.read_bytes() == b"png"
    with pytest.raises(ChannelError, match="answered 401"):
        await download(url_of(server), photo.filename, tmp_path, "a guess")
    with pytest.raises(FileMissing):
        await download(url_of(server), "another", tmp_path, TOKEN)


# Up and down


async def test_it_answers_with_its_run_until_it_falls_silent(server: MockServer, launcher: Launcher) -> None:
    assert await run_id_at(url_of(server), 5) == RUN_ID
    await server.fall_silent()
    assert await run_id_at(url_of(server), 5) is None
    await server.disconnected()


async def test_going_down_ends_every_wait_and_may_be_repeated(server: MockServer) -> None:
    waiting = asyncio.create_task(server.connected())
    await asyncio.sleep(0)
    await server.stop()
    await server.stop()
    with pytest.raises(NotSeen, match="a launcher's connection: not seen before the server was shut down"):
        await waiting


async def test_going_down_cuts_off_who_does_not_let_go(server: MockServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("falsework.architects.mock.http.CLOSE_LIMIT", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    writer.write(f"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await server.stop()
    async with asyncio.timeout(5):
        assert (await reader.read())[:1] == b"\x88"  # a close frame, and the end
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_shutdown_that_is_cancelled_still_cuts_everybody_off(server: MockServer, launcher: Launcher) -> None:
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    await server.disconnected()
    assert await run_id_at(url_of(server), 5) is None


def test_it_can_be_cut_off_after_its_loop_is_gone() -> None:
    server = MockServer(RUN_ID, TOKEN)

    async def start() -> None:
        server.start()

    asyncio.run(start())
    server.cut()


async def test_two_runs_have_a_server_each(server: MockServer) -> None:
    other = MockServer("quay-000000", TOKEN)
    other.start()
    assert {await run_id_at(url_of(one), 5) for one in (server, other)} == {RUN_ID, "quay-000000"}
    await other.stop()
