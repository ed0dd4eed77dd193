"""Carries out the steps of a vector against one router. The language is in vectors/README.md."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import yaml

from .matching import ABSENT, Captures, Mismatch, fill, match, matches
from .mock_router import MockRouter
from .router_here import RouterHere
from .router_process import RUN_ID, TOKEN, RouterProcess
from .vector import Step
from .wire_clients import BOUNDARY, PATIENCE, Browser, SocketClient, ask_and_hang_up, multipart

POLL = 0.01
Answer = tuple[int, dict[str, str], bytes]


class StepFailed(AssertionError):
    """Which step of a vector did not go as told, and why."""


class Player:
    """Carries out a vector's steps against one router. Only a process can be started, ended and signalled."""

    def __init__(self, router: RouterProcess | RouterHere | MockRouter) -> None:
        self.router = router
        self.captures: Captures = {"token": TOKEN, "run_id": RUN_ID, "port": router.port}
        self.ended = False
        """Whether the vector itself has made the router end."""
        self._browsers: dict[str, Browser] = {}
        self._sockets: dict[str, SocketClient] = {}
        self._begun: dict[str, asyncio.Task[Answer]] = {}
        self._marks = 0

    async def play(self, steps: list[Step]) -> None:
        """All the steps, in order. Raises StepFailed."""
        for number, step in enumerate(steps, 1):
            try:
                await self._verb(step)(step)
            except (AssertionError, TimeoutError, OSError, KeyError) as error:
                told: str = yaml.safe_dump(step, default_flow_style=True, width=1000, sort_keys=False).strip()
                raise StepFailed(f"step {number}, {told[:500]}\n{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Whatever is still open."""
        for task in self._begun.values():
            task.cancel()
        await asyncio.gather(*self._begun.values(), return_exceptions=True)
        for browser in self._browsers.values():
            await browser.close()

    def _verb(self, step: Step) -> Callable[[Step], Awaitable[None]]:
        verb = next(iter(step))
        found: Callable[[Step], Awaitable[None]] | None = getattr(self, f"_step_{verb}", None)
        if found is None:
            raise StepFailed(f"{verb!r} is no verb of the vectors")
        return found

    # Sockets

    async def _step_connect(self, step: Step) -> None:
        browser = self._browser(step.get("session") or step["connect"])
        self._sockets[step["connect"]] = await browser.connect(f"ws://127.0.0.1:{self.router.port}/")

    async def _step_send(self, step: Step) -> None:
        socket = self._sockets[step["send"]]
        frame = self._frame(step, socket)
        for _ in range(step.get("times", 1)):
            await socket.send_frame(frame)

    def _frame(self, step: Step, socket: SocketClient) -> str | bytes:
        if "text" in step or "binary" in step:
            said: str | bytes = fill(step.get("text", step.get("binary")), self.captures)
            return said
        packets = fill(step.get("packets", step.get("packet")), self.captures)
        for packet in packets if isinstance(packets, list) else [packets]:
            socket.subject = socket.subject or packet.get("subject_id")
        return json.dumps(packets)

    async def _step_expect(self, step: Step) -> None:
        socket = self._sockets[step["expect"]]
        if "frame" in step:
            match(step["frame"], await socket.frame(), self.captures)
        else:
            found = await socket.packet()
            while found["packet_type"] in step.get("skip", ()):
                found = await socket.packet()
            match(step["packet"], found, self.captures)
        match(step.get("size", "$any"), socket.frame_size, self.captures, "the size of the frame")

    async def _step_expect_none(self, step: Step) -> None:
        """A round trip behind which nothing else came."""
        self._marks += 1
        socket = self._sockets[step["expect_none"]]
        question: Step
        if socket.subject == "mephisto":
            question = {"packet_type": "request_statuses", "subject_id": "mephisto", "data": {}}
            await socket.send_frame(json.dumps({**question, "server_timestamp": self._marks}))
            match({"packet_type": "return_statuses", "client_timestamp": self._marks}, await socket.packet(), {})
        else:
            question = {"packet_type": "heartbeat", "subject_id": step.get("agent", socket.subject)}
            await socket.send_frame(json.dumps({**question, "client_timestamp": self._marks}))
            match({"packet_type": "heartbeat"}, await socket.packet(), {})

    async def _step_expect_close(self, step: Step) -> None:
        match(step.get("code", "$any"), await self._sockets[step["expect_close"]].close_code(), self.captures)

    async def _step_close(self, step: Step) -> None:
        await self._sockets[step["close"]].close()

    async def _step_drop(self, step: Step) -> None:
        self._sockets[step["drop"]].drop()

    # HTTP

    async def _step_http(self, step: Step) -> None:
        method, path = fill(step["http"], self.captures).split(" ", 1)
        body, headers = self._body(step)
        headers.update(fill(step.get("headers", {}), self.captures))
        if "cut_off" in step:
            return await ask_and_hang_up(self.router.port, method, path, headers, body or b"", step["cut_off"])
        browser = self._browser(step.get("by", "nobody"))
        url = f"http://127.0.0.1:{self.router.port}{path}"
        asking = browser.ask(method, url, headers, body)
        if "begin" in step:
            self._begun[step["begin"]] = asyncio.create_task(asking)
            return await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            answer = await asking
            while step.get("eventually") and not matches(step["answer"], _as_told(answer), self.captures):
                await asyncio.sleep(POLL)
                answer = await browser.ask(method, url, headers, body)
            return match(step.get("answer", {}), _as_told(answer), self.captures, "answer")

    async def _step_pending(self, step: Step) -> None:
        if self._begun[step["pending"]].done():
            raise Mismatch("", "no answer yet", self._begun[step["pending"]].result())

    async def _step_finish(self, step: Step) -> None:
        async with asyncio.timeout(PATIENCE):
            answer = await self._begun.pop(step["finish"])
        match(step.get("answer", {}), _as_told(answer), self.captures, "answer")

    async def _step_give_up(self, step: Step) -> None:
        task = self._begun.pop(step["give_up"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _body(self, step: Step) -> tuple[bytes | None, dict[str, str]]:
        if "json" in step:
            return json.dumps(fill(step["json"], self.captures)).encode(), dict(_JSON)
        if "form" in step:
            form = multipart(fill(step["form"], self.captures))
            return form, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
        if "body" in step:
            body = fill(step["body"], self.captures)
            return body if isinstance(body, bytes) else body.encode(), dict(_JSON)
        return None, {}

    # The router itself

    async def _step_metrics(self, step: Step) -> None:
        await self._until(self._metrics, step["metrics"])

    async def _step_stored(self, step: Step) -> None:
        async def stored() -> int:
            return len(self.router.stored_files())

        await self._until(stored, step["stored"])

    async def _step_restart(self, step: Step) -> None:
        self._process.send_signal(step["restart"])
        await asyncio.to_thread(self._process.wait)
        self._process.start()

    async def _step_start(self, step: Step) -> None:
        self._process.start()
        self.ended = False

    async def _step_signal(self, step: Step) -> None:
        self._process.send_signal(step["signal"])

    async def _step_crash(self, step: Step) -> None:
        """The router is the one child of the process that was started."""
        self._process.crash(step["crash"])

    async def _step_rival(self, step: Step) -> None:
        code, said = await asyncio.to_thread(self._process.rival)
        match(step["rival"], code, self.captures, "exit code")
        match(step["said"], said, self.captures, "standard error")

    async def _step_expect_exit(self, step: Step) -> None:
        self.ended = True
        match(step["expect_exit"], await asyncio.to_thread(self._process.wait), self.captures, "exit code")

    @property
    def _process(self) -> RouterProcess:
        if not isinstance(self.router, RouterProcess):
            raise TypeError("this vector needs a router that is a process")
        return self.router

    async def _until(self, look: Callable[[], Awaitable[Any]], pattern: Any) -> None:
        """What is counted or deleted may take a turn of the router's loop to show."""
        deadline = time.monotonic() + PATIENCE
        while not matches(pattern, found := await look(), self.captures) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL)
        match(pattern, found, self.captures)

    async def _metrics(self) -> dict[str, float]:
        url = f"http://127.0.0.1:{self.router.port}/metrics"
        _, _, text = await self._browser("nobody").ask("GET", url, {}, None)
        return metrics_of(text.decode())

    def _browser(self, name: str) -> Browser:
        if name not in self._browsers:
            self._browsers[name] = Browser()
        return self._browsers[name]


def metrics_of(text: str) -> Counts:
    """The samples of a router's `/metrics`, by their names without what all names have."""
    samples = dict(line.split() for line in text.splitlines() if not line.startswith("#"))
    return Counts({_plain(name): float(value) for name, value in samples.items()})


def _as_told(answer: Answer) -> dict[str, Any]:
    """An answer as patterns see it: status, headers, text, and json where it says that it is."""
    status, headers, body = answer
    told: dict[str, Any] = {"status": status, "headers": headers, "text": body.decode(errors="replace")}
    if headers.get("content-type", "").startswith("application/json") and body:
        told["json"] = json.loads(body)
    return told


class Counts(dict[str, float]):
    """What never happened is counted as 0."""

    def get(self, name: str, default: Any = ABSENT) -> Any:
        return super().get(name, 0)


_JSON = {"Content-Type": "application/json"}


def _plain(name: str) -> str:
    return name.removeprefix("falsework_").removesuffix("_total")
