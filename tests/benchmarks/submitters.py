"""Workers that hand in over HTTP, each on one connection that is kept alive, the next as soon as the last was taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import msgspec

ANSWER = {"status": "Submitted!"}
_encode = msgspec.json.Encoder().encode


class Submitter(asyncio.Protocol):
    """Takes agents from `agent_ids` and submits for each, until there are none left; then `done` is set."""

    def __init__(self, agent_ids: Iterator[str], on_taken: Callable[[str], None]) -> None:
        self._agent_ids, self._on_taken = agent_ids, on_taken
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def begin(self) -> None:
        self._agent_id = next(self._agent_ids, "")
        if not self._agent_id:
            self._transport.close()
            self.done.set_result(None)
            return
        self._transport.write(_request(self._agent_id))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, _, body = self._answer.partition(b"\r\n\r\n")
        if len(body) < _content_length(head):
            return
        self._answer = b""
        if not head.startswith(b"HTTP/1.1 200 ") or msgspec.json.decode(body) != ANSWER:
            self.done.set_exception(RuntimeError(f"{self._agent_id}: {head.decode()} {body.decode()}"))
            return
        self._on_taken(self._agent_id)
        self.begin()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the connection was lost: {error}"))


async def submit_all(port: int, agent_ids: list[str], workers: int) -> set[str]:
    """Submit once for each agent; returns those whose submission was answered as taken."""
    loop = asyncio.get_running_loop()
    taken: set[str] = set()
    waiting = iter(agent_ids)
    submitters = [
        (await loop.create_connection(lambda: Submitter(waiting, taken.add), "127.0.0.1", port))[1]
        for _ in range(workers)
    ]
    for submitter in submitters:
        submitter.begin()
    await asyncio.gather(*(submitter.done for submitter in submitters))
    return taken


def _request(agent_id: str) -> bytes:
    body = _encode({"USED_AGENT_ID": agent_id, "final_data": {"caption": "x" * 180}, "client_timestamp": 1700000000.25})
    head = "POST /submit_task HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 1 << 62
