"""The load: lean WebSocket pages and a launcher that echoes, in one process, on picows.

What is measured is the router, so both are as cheap as they can be and still check what they get: each worker sees its own
updates, each once, in order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from router_process import TOKEN

STATUSES_IN_A_FRAME = 200
DATA_BYTES = 200


class Update(msgspec.Struct):
    """The data of a live update."""

    update_id: str
    number: int
    sent_at: float
    filling: str


class Received(msgspec.Struct):
    """A packet as the load reads it."""

    packet_type: str
    subject_id: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    number: int | None = None


class Echo(msgspec.Struct):
    """A packet as the load says it."""

    packet_type: str
    subject_id: str
    data: object
    client_timestamp: float | None = None


_frame = msgspec.json.Decoder(Received | list[Received])
_update = msgspec.json.Decoder(Update)
_encode = msgspec.json.Encoder().encode


class Page(WSListener):
    """One worker's page. It is ready when the router has told it its status."""

    def __init__(self, agent_id: str, protocol: int) -> None:
        self.agent_id, self.protocol = agent_id, protocol
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_updates: Callable[[Page, list[Update]], None] = lambda page, updates: None
        self.heartbeats = 0
        self.frames = 0
        self._sent = self._seen = 0
        self._filling = "x" * (DATA_BYTES - 80)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self.say(_encode(Echo("alive", self.agent_id, {"protocol": self.protocol}, time.time())))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        packets = _packets(transport, frame)
        self.frames += 1
        updates = [_update.decode(p.data) for p in packets if p.packet_type == "client_bound_live_update"]
        if updates:
            self._check(updates)
            self.on_updates(self, updates)
        for packet in packets:
            self._note(packet)

    def say(self, frame: bytes) -> None:
        self._transport.send(WSMsgType.TEXT, frame)

    def send_updates(self, count: int, *, in_one_frame: bool = False) -> None:
        """In a frame each, as a page does that sends what its worker does when the worker does it, or all in one."""
        packets = [self._next_update() for _ in range(count)]
        for frame in [_array(packets)] if in_one_frame else packets:
            self.say(frame)

    def close(self) -> None:
        self._transport.disconnect(graceful=False)

    def _next_update(self) -> bytes:
        self._sent += 1
        update = Update(f"{self.agent_id}-{self._sent}", self._sent, time.perf_counter(), self._filling)
        return _encode(Echo("mephisto_bound_live_update", self.agent_id, update, 1700000000.25))

    def _check(self, updates: list[Update]) -> None:
        for update in updates:
            self._seen += 1
            if update.number != self._seen or not update.update_id.startswith(self.agent_id):
                raise RuntimeError(f"{self.agent_id} expected its update {self._seen} and got {update.update_id}")

    def _note(self, packet: Received) -> None:
        if packet.packet_type == "update_status" and not self.ready.done():
            self.ready.set_result(None)
        elif packet.packet_type == "heartbeat":
            self.heartbeats += 1
        elif packet.packet_type == "error":
            raise RuntimeError(f"{self.agent_id} was refused: {bytes(packet.data).decode()}")


class Launcher(WSListener):
    """Echoes live updates, all of one frame in one frame, and acknowledges what is durable."""

    def __init__(self) -> None:
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.submitted: list[str] = []
        """The agents whose submissions came, in the order of their numbers."""
        self.frames = 0
        self._router_epoch = ""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self.say(_encode(Echo("alive", "mephisto", {"token": TOKEN, "protocol": 1, "epoch": 1})))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.frames += 1
        echoes: list[bytes] = []
        acknowledged = None
        for packet in _packets(transport, frame):
            if packet.packet_type == "mephisto_bound_live_update":
                echoes.append(_encode(Echo("client_bound_live_update", packet.subject_id, packet.data)))
            elif packet.number is not None:
                self._take(packet, packet.number)
                acknowledged = packet.number
            elif packet.packet_type == "welcome":
                self._router_epoch = msgspec.json.decode(packet.data)["router_epoch"]
                self.welcomed.set_result(None)
        if echoes:
            self.say(_array(echoes))
        if acknowledged is not None:
            self.say(_encode(Echo("ack", "launcher", {"router_epoch": self._router_epoch, "number": acknowledged})))

    def say(self, frame: bytes) -> None:
        self._transport.send(WSMsgType.TEXT, frame)

    def make_known(self, agent_ids: Iterable[str]) -> None:
        """Tell the router of agents that are in task."""
        packets = [_encode(Echo("update_status", agent_id, {"status": "in task"})) for agent_id in agent_ids]
        for start in range(0, len(packets), STATUSES_IN_A_FRAME):
            self.say(_array(packets[start : start + STATUSES_IN_A_FRAME]))

    def close(self) -> None:
        self._transport.disconnect(graceful=False)

    def _take(self, packet: Received, number: int) -> None:
        self.submitted.append(packet.subject_id)
        if number != len(self.submitted):
            raise RuntimeError(f"expected the durable packet {len(self.submitted)} and got {number}")


async def connect_launcher(port: int) -> Launcher:
    launcher = Launcher()
    await ws_connect(lambda: launcher, f"ws://127.0.0.1:{port}/")
    await launcher.welcomed
    return launcher


async def connect_pages(port: int, agent_ids: list[str], protocol: int, at_once: int = 50) -> list[Page]:
    """The pages, connected and told their status."""
    pages: list[Page] = []
    for start in range(0, len(agent_ids), at_once):
        some = agent_ids[start : start + at_once]
        pages += await asyncio.gather(*(_connect(port, Page(agent_id, protocol)) for agent_id in some))
    return pages


async def _connect(port: int, page: Page) -> Page:
    await ws_connect(lambda: page, f"ws://127.0.0.1:{port}/", read_buffer_init_size=1024)
    await page.ready
    return page


def _packets(transport: WSTransport, frame: WSFrame) -> list[Received]:
    if frame.msg_type is WSMsgType.CLOSE:
        transport.send_close(frame.get_close_code())
    if frame.msg_type is not WSMsgType.TEXT:
        return []
    packets = _frame.decode(frame.get_payload_as_bytes())
    return packets if isinstance(packets, list) else [packets]


def _array(packets: list[bytes]) -> bytes:
    return packets[0] if len(packets) == 1 else b"[" + b",".join(packets) + b"]"
