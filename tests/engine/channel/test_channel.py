"""The launcher's connection, to a real router that is killed, frozen and restarted, and to a scripted one that talks nonsense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from falsework.engine.channel import outgoing
from falsework.engine.channel.channel import RECONNECT_PAUSE, PacketTooLarge, WebSocketChannel
from falsework.engine.channel.listener import Ears
from falsework.engine.errors import ConnectFailed
from falsework.router.wire import protocol as wire
from falsework.router.wire.protocol import Envelope, Packet

from ...router.router_here import RouterHere
from ...router.router_process import TOKEN
from ..router_process import LIMITS, RouterProcess
from ..serving import PATIENCE, Worker, soon


class Launcher:
    """Listens to one channel; gives an agent to whoever asks, acknowledges nothing by itself."""

    def __init__(self, url: str, *, token: str = TOKEN, epoch: int = 1) -> None:
        self.events: list[str] = []
        self.packets: list[Packet] = []
        self.when_opened: Callable[[], None] = lambda: None
        self.when_told: Callable[[Packet], None] = lambda packet: None
        self.when_lost: Callable[[], None] = lambda: None
        self.channel = WebSocketChannel(
            "harbour",
            url,
            token=token,
            epoch=epoch,
            listener=Ears(self._opened, self._lost, self._told),
        )

    async def open(self, timeout: float = PATIENCE, reconnect_timeout: float = PATIENCE) -> Launcher:
        await self.channel.open(timeout, reconnect_timeout)
        return self

    @property
    def numbers(self) -> list[int]:
        """Of the durable packets that came."""
        return [packet.number for packet in self.packets if packet.number is not None]

    def acknowledge(self, number: int) -> None:
        assert self.channel.router_epoch is not None
        self.channel.acknowledge(self.channel.router_epoch, number)

    def send_update(self, agent_id: str, number: int) -> None:
        self.channel.send(
            Envelope(wire.CLIENT_BOUND_LIVE_UPDATE, agent_id, {"update_id": str(number), "number": number})
        )

    def tell_status(self, agent_id: str, status: str) -> None:
        self.channel.send(Envelope(wire.UPDATE_STATUS, agent_id, {"status": status}))

    def _opened(self, channel_id: str) -> None:
        self.events.append("open")
        self.when_opened()

    def _lost(self, channel_id: str) -> None:
        self.events.append("lost")
        self.when_lost()

    def _told(self, channel_id: str, packet: Packet) -> None:
        packet.data = msgspec.Raw(bytes(packet.data))
        if packet.packet_type == wire.RETURN_STATUSES:
            return  # the answer to what a channel asks when it opens
        self.events.append(packet.packet_type)
        self.packets.append(packet)
        if packet.packet_type == wire.REGISTER_AGENT:
            self._give_agent(msgspec.json.decode(packet.data))
        self.when_told(packet)

    def _give_agent(self, request: dict[str, Any]) -> None:
        name = request["provider_data"]["worker_name"]
        details = {"request_id": request["request_id"], "worker_id": name, "agent_id": f"agent-{name}"}
        self.channel.send(Envelope(wire.AGENT_DETAILS, "harbour", details))
        self.tell_status(f"agent-{name}", "in task")


Router = RouterHere | RouterProcess


@pytest.fixture
async def router(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Router]:
    """In this process, but for tests that kill it."""
    is_killed = request.node.get_closest_marker("kills") is not None
    router = RouterProcess(tmp_path) if is_killed else RouterHere(tmp_path, LIMITS)
    await router.start()
    yield router
    await router.stop()


@pytest.fixture
async def launcher_of(router: Router) -> AsyncIterator[Callable[..., Launcher]]:
    """Makes a launcher whose channel is closed at the end; open it yourself."""
    launchers: list[Launcher] = []

    def make(url: str | None = None, **settings: Any) -> Launcher:
        launchers.append(Launcher(url or router.url, **settings))
        return launchers[-1]

    yield make
    for launcher in launchers:
        await launcher.channel.close()


LauncherOf = Callable[..., Launcher]


@pytest.fixture
async def worker(router: Router) -> AsyncIterator[Worker]:
    worker = Worker(router.url, "ann")
    yield worker
    await worker.close()


async def _hand_in(url: str, *names: str) -> None:
    for name in names:
        worker = Worker(url, name)
        await worker.join()
        assert await worker.submit({"from": name}) == (200, {"status": "Submitted!"})
        await worker.close()


# Connecting


async def test_a_channel_opens_and_learns_which_router_it_is(launcher_of: LauncherOf) -> None:
    launcher = await launcher_of().open()
    assert launcher.events == ["open"]
    assert launcher.channel.router_epoch


@pytest.mark.parametrize("token", ["wrong", ""])
async def test_a_wrong_token_is_refused_at_once(launcher_of: LauncherOf, token: str) -> None:
    launcher = launcher_of(token=token)
    async with asyncio.timeout(5):
        with pytest.raises(ConnectFailed, match="4401.*token is wrong"):
            await launcher.open(timeout=60)
    assert launcher.events == []


async def test_an_older_launcher_is_refused_at_once(launcher_of: LauncherOf) -> None:
    newer = await launcher_of(epoch=2).open()
    async with asyncio.timeout(5):
        with pytest.raises(ConnectFailed, match="4409"):
            await launcher_of(epoch=1).open(timeout=60)
    assert newer.events == ["open"]


async def test_a_newer_launcher_takes_over_and_the_older_one_hears_it_once(launcher_of: LauncherOf) -> None:
    older = await launcher_of(epoch=1).open()
    await launcher_of(epoch=2).open()
    await soon(lambda: "lost" in older.events)
    assert older.events.count("lost") == 1


@pytest.mark.slow
@pytest.mark.kills
async def test_a_channel_that_takes_anothers_place_is_let_in(launcher_of: LauncherOf, router: RouterProcess) -> None:
    """After a failure both belong to one launcher, the first has reconnected more often, and the router believes it there."""
    first = await launcher_of().open()
    await router.restart()
    await soon(lambda: first.events.count("open") == 2)
    second = await launcher_of().open(timeout=5)
    assert second.events == ["open"]


async def test_nobody_there_is_told_with_what_was_tried(launcher_of: LauncherOf, free_port: int) -> None:
    launcher = launcher_of(f"http://127.0.0.1:{free_port}")
    with pytest.raises(ConnectFailed, match=r"no connection to .* within 0\.3 s: Cannot connect"):
        await launcher.open(timeout=0.3)
    assert launcher.events == []


async def test_opening_that_is_cancelled_leaves_nothing(launcher_of: LauncherOf, free_port: int) -> None:
    launcher = launcher_of(f"http://127.0.0.1:{free_port}")
    opening = asyncio.ensure_future(launcher.open(timeout=60))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening


# Reconnecting


@pytest.mark.slow
@pytest.mark.decisive
@pytest.mark.kills
async def test_after_a_kill_messages_go_on_without_repeats(
    launcher_of: LauncherOf, router: RouterProcess, worker: Worker
) -> None:
    launcher = await launcher_of().open()
    await _hand_in(router.url, "ann", "bob", "cem")
    await soon(lambda: launcher.numbers == [1, 2, 3])
    launcher.acknowledge(2)
    await router.restart()
    await soon(lambda: launcher.events.count("open") == 2)
    await _hand_in(router.url, "dee")
    await soon(lambda: 4 in launcher.numbers)
    assert launcher.numbers == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.kills
async def test_a_new_launcher_gets_what_was_not_acknowledged(launcher_of: LauncherOf, router: RouterProcess) -> None:
    first = await launcher_of().open()
    await _hand_in(router.url, "ann", "bob", "cem")
    await soon(lambda: first.numbers == [1, 2, 3])
    epoch = first.channel.router_epoch
    assert epoch is not None
    await first.channel.close()
    await router.restart()
    second = launcher_of(epoch=2)
    second.channel.acked[epoch] = 1
    await second.open()
    await soon(lambda: second.numbers == [2, 3])
    assert second.channel.router_epoch == epoch


async def test_a_channel_is_open_before_its_first_message(launcher_of: LauncherOf, router: RouterHere) -> None:
    """What the router holds comes in one frame with its welcome."""
    first = await launcher_of().open()
    await _hand_in(router.url, "ann", "bob")
    await first.channel.close()
    second = await launcher_of(epoch=2).open()
    await soon(lambda: len(second.numbers) == 2)
    assert second.events[:3] == ["open", "submit_unit", "submit_unit"]


@pytest.mark.slow
@pytest.mark.kills
async def test_a_router_that_does_not_come_back_is_told_once(launcher_of: LauncherOf, router: RouterProcess) -> None:
    launcher = await launcher_of().open(reconnect_timeout=0.4)
    await router.kill()
    await soon(lambda: "lost" in launcher.events)
    assert await launcher.channel.say_bye(60) is False  # at once: there is nobody to wait for
    await launcher.channel.close()
    assert launcher.events == ["open", "lost"]


@pytest.mark.slow
@pytest.mark.kills
async def test_what_is_sent_meanwhile_arrives_in_order(
    launcher_of: LauncherOf, router: RouterProcess, worker: Worker
) -> None:
    launcher = await launcher_of().open()
    await worker.join()
    await router.kill()
    launcher.tell_status(worker.agent_id, "in task")
    for number in range(500):
        launcher.send_update(worker.agent_id, number)
    await router.start()
    await soon(lambda: launcher.events.count("open") == 2)
    await worker.open_socket()
    assert [(await worker.hear_update())["number"] for _ in range(500)] == list(range(500))
    assert launcher.channel.dropped == 0


@pytest.mark.slow
@pytest.mark.kills
async def test_too_much_for_an_absence_is_dropped_oldest_first(
    launcher_of: LauncherOf, router: RouterProcess, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = await launcher_of().open()
    await worker.join()
    await router.kill()
    monkeypatch.setattr(outgoing, "MOST_QUEUED", 10)
    for number in range(20):
        launcher.send_update(worker.agent_id, number)
    launcher.tell_status(worker.agent_id, "in task")
    assert launcher.channel.dropped >= 11


@pytest.mark.slow
@pytest.mark.kills
async def test_a_router_that_froze_and_died_does_not_silence_the_channel(
    launcher_of: LauncherOf, router: RouterProcess, worker: Worker
) -> None:
    """Writing was waiting for it to read, and must not wait for ever."""
    launcher = await launcher_of().open()
    await worker.join()
    router.freeze()
    for _ in range(40):
        launcher.channel.send(Envelope(wire.CLIENT_BOUND_LIVE_UPDATE, worker.agent_id, {"ballast": "x" * 900_000}))
    await soon(lambda: launcher.channel._socket is not None and _buffered(launcher.channel._socket) > 1 << 16)
    await router.restart()
    await soon(lambda: launcher.events.count("open") == 2)
    launcher.tell_status(worker.agent_id, "in task")
    launcher.send_update(worker.agent_id, 7)
    while (await worker.submit_metadata({}))[0] != 200:
        pass  # the router has not read so far that it knows the agent
    await worker.open_socket()
    await worker.hear(lambda packet: packet["data"].get("number") == 7)


def _buffered(socket: aiohttp.ClientWebSocketResponse[bool]) -> int:
    transport = socket._writer.transport
    return transport.get_write_buffer_size() if transport is not None else 0


# Leaving


@pytest.mark.slow
@pytest.mark.kills
async def test_bye_is_answered_once_everything_was_handed_over(launcher_of: LauncherOf, router: RouterProcess) -> None:
    launcher = await launcher_of().open()
    await _hand_in(router.url, "ann", "bob", "cem")
    await soon(lambda: len(launcher.numbers) == 3)
    assert await launcher.channel.say_bye(0.2) is False
    waiting = asyncio.ensure_future(launcher.channel.say_bye(PATIENCE))
    launcher.acknowledge(3)
    assert await waiting is True
    assert await router.ended() == 0
    assert "lost" not in launcher.events


async def test_after_bye_nobody_can_hand_in(launcher_of: LauncherOf, router: RouterHere, worker: Worker) -> None:
    launcher = await launcher_of().open()
    await _hand_in(router.url, "bob")  # held, so that the router stays
    await worker.join()
    assert await launcher.channel.say_bye(0.2) is False
    status, told = await worker.submit({"late": True})
    assert (status, told["error"]) == (410, "finished")
    assert launcher.numbers == [1]


@pytest.mark.slow
@pytest.mark.kills
async def test_closing_from_within_a_callback_is_the_last_that_is_heard(
    launcher_of: LauncherOf, router: RouterProcess, worker: Worker
) -> None:
    launcher = launcher_of()
    closing: list[asyncio.Task[None]] = []
    launcher.when_told = lambda packet: closing.append(asyncio.create_task(launcher.channel.close()))
    await launcher.open()
    await worker.join()
    assert launcher.events == ["open", "register_agent"]
    await asyncio.gather(*closing)
    heard = list(launcher.events)
    await router.restart()
    assert launcher.events == heard


@pytest.mark.slow
@pytest.mark.kills
async def test_closing_when_it_is_lost_is_quiet(launcher_of: LauncherOf, router: RouterProcess) -> None:
    launcher = launcher_of()
    closing: list[asyncio.Task[None]] = []
    launcher.when_lost = lambda: closing.append(asyncio.create_task(launcher.channel.close()))
    await launcher.open(reconnect_timeout=0.1)
    await router.kill()
    await soon(lambda: bool(closing))
    await closing[0]
    assert launcher.events == ["open", "lost"]


async def test_closing_twice_is_quiet(launcher_of: LauncherOf) -> None:
    launcher = await launcher_of().open()
    await asyncio.gather(launcher.channel.close(), launcher.channel.close())
    await launcher.channel.close()


async def test_a_callback_that_fails_loses_the_channel_instead_of_silencing_it(
    launcher_of: LauncherOf, router: RouterHere, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    launcher = launcher_of()

    def fail(packet: Packet) -> None:
        raise KeyError("no such thing")

    await launcher.open()
    await worker.join()
    launcher.when_told = fail
    await worker.log_error({})
    await soon(lambda: "lost" in launcher.events)
    assert "no such thing" in caplog.text
    assert launcher.events.count("lost") == 1


# Frames


async def test_a_packet_over_the_routers_limit_is_refused_here(
    launcher_of: LauncherOf, router: RouterHere, worker: Worker
) -> None:
    launcher = await launcher_of().open()
    await worker.join()
    with pytest.raises(PacketTooLarge, match="over the router's limit of 1048576"):
        launcher.channel.send(Envelope(wire.CLIENT_BOUND_LIVE_UPDATE, worker.agent_id, {"text": "x" * (1 << 20)}))
    launcher.send_update(worker.agent_id, 1)
    await worker.open_socket()
    assert (await worker.hear_update())["number"] == 1
    assert launcher.events.count("open") == 1


async def test_an_answer_that_the_router_took_is_not_too_deep_for_the_launcher(
    launcher_of: LauncherOf, router: RouterHere
) -> None:
    """How deep is too deep depends on the stack of who asks; one that cannot be read here would block all behind it."""
    launcher = await launcher_of().open()
    taken = 0
    for depth in range(860, 1000, 10):
        worker = Worker(router.url, f"w{depth}")
        await worker.join()
        body = f'{{"USED_AGENT_ID": "{worker.agent_id}", "final_data": {"[" * depth}{"]" * depth}}}'
        async with worker.session.post(f"{router.url}/submit_task", data=body) as answer:
            taken += answer.status == 200
        await worker.close()
    await _hand_in(router.url, "zoe")
    assert taken > 0
    await soon(lambda: len(launcher.numbers) == taken + 1)
    assert launcher.events.count("open") == 1


Answer = Callable[[web.WebSocketResponse], Awaitable[None]]


class ScriptedRouter:
    """Welcomes a launcher, then says what it was told to say. `frames` are what launchers said to it."""

    WELCOME = {"run_id": "harbour", "router_epoch": "e1", "limits": {"frame": 1000}}

    def __init__(self) -> None:
        self.url = ""
        self.frames: list[str] = []
        self.welcomed = 0
        self.says: list[str | bytes] = []
        self.welcome: Any = {"packet_type": "welcome", "subject_id": "mephisto", "data": self.WELCOME}

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(json.dumps(self.welcome))
        self.welcomed += 1
        if self.says:
            said = self.says.pop(0)
            await (socket.send_str(said) if isinstance(said, str) else socket.send_bytes(said))
        async for message in socket:
            self.frames.append(message.data)
        return socket


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedRouter]:
    script = ScriptedRouter()
    app = web.Application()
    app.add_routes([web.get("/", script.serve)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    script.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield script
    await runner.cleanup()


async def test_packets_of_one_turn_leave_as_one_frame(launcher_of: LauncherOf, scripted: ScriptedRouter) -> None:
    launcher = await launcher_of(scripted.url).open()
    await soon(lambda: len(scripted.frames) == 1)  # the question for the statuses
    for number in range(5):
        launcher.send_update("a", number)
    await soon(lambda: len(scripted.frames) == 2)
    assert [packet["data"]["number"] for packet in json.loads(scripted.frames[1])] == [0, 1, 2, 3, 4]


async def test_no_frame_is_over_the_routers_limit(launcher_of: LauncherOf, scripted: ScriptedRouter) -> None:
    launcher = await launcher_of(scripted.url).open()
    for number in range(100):
        launcher.send_update("a", number)
    await soon(lambda: '"number":99' in scripted.frames[-1] if scripted.frames else False)
    assert max(map(len, scripted.frames)) <= 1000
    assert 10 < len(scripted.frames) < 60


@pytest.mark.parametrize("nonsense", ["nonsense", "[1, 2]", '{"no": "packet"}', b"\x00\x01"])
async def test_what_is_no_packet_is_a_lost_connection(
    launcher_of: LauncherOf, scripted: ScriptedRouter, nonsense: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.says.append(nonsense)
    scripted.says.append('{"packet_type": "log_error", "subject_id": "a", "data": {}}')
    launcher = await launcher_of(scripted.url).open()
    await soon(lambda: "log_error" in launcher.events)
    assert launcher.events == ["open", "open", "log_error"]
    assert "something that is no packet" in caplog.text


@pytest.mark.parametrize("welcome", ["hello", {"packet_type": "welcome", "data": {}}, []])
async def test_who_does_not_welcome_like_a_router_is_told_at_once(
    launcher_of: LauncherOf, scripted: ScriptedRouter, welcome: Any
) -> None:
    scripted.welcome = welcome
    async with asyncio.timeout(5):
        with pytest.raises(ConnectFailed, match="no falsework router"):
            await launcher_of(scripted.url).open(timeout=60)


async def test_a_router_that_drops_every_connection_is_not_asked_without_end(
    launcher_of: LauncherOf, scripted: ScriptedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep, pauses = asyncio.sleep, []

    async def noted_sleep(seconds: float) -> None:
        if seconds == RECONNECT_PAUSE:
            pauses.append(scripted.welcomed)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", noted_sleep)
    scripted.says.extend(["nonsense"] * 1000)
    await launcher_of(scripted.url).open()
    await soon(lambda: scripted.welcomed == 4)
    assert pauses[:3] == [1, 2, 3]
