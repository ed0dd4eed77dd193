"""Whatever is thrown at a router: it does not crash, answers no 5xx but 503 and 507, and grows by nothing.

`FALSEWORK_FUZZ=100000 pytest tests/router/test_fuzz.py -s` throws more than the 2,000 inputs of every day.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from . import fuzzing, raw_connections
from .player import metrics_of
from .router_process import TOKEN, RouterCommand, RouterProcess

BUDGET = int(os.environ.get("FALSEWORK_FUZZ", "2000"))
AT_ONCE = 5
"""Inputs in one example, each over a connection of its own or all over one."""
GROWTH = 48 << 20
"""Bytes of memory that a router may take more after all of it; its caches and its arenas settle within half of that."""
SPARE_DESCRIPTORS = 5
"""Connections that are kept alive for a while, or were about to be closed when the router was looked at first."""
FLAGS = ["--limit", "frame=65536", "--limit", "submission=20000", "--limit", "upload=20000", "--limit", "page_queue=20"]
FLAGS += ["--limit", "request_deadline=5", "--lease", "1h"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]
Thrown = Counter[str]


class Target:
    """A router with a launcher that answers, and how large it was before anything was thrown."""

    def __init__(self, router: RouterProcess) -> None:
        self.router, self.thrown = router, Thrown()
        self._runner = asyncio.Runner()
        self.run: Callable[[Coroutine[Any, Any, None]], None] = self._runner.run
        self.epoch = 0
        self.run(self._attach())
        self.process = psutil.Process(router.pid)
        self.before: tuple[int, int] | None = None
        self._warm_after = 0

    def stand(self, share: float) -> settings:
        """Examples enough for a share of the budget."""
        inputs = max(AT_ONCE, int(BUDGET * share))
        self._warm_after = min(1000, inputs // 2)
        return settings(
            max_examples=inputs // AT_ONCE,
            deadline=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )

    def note_size(self) -> None:
        """What it is like once it is warm."""
        if self.before is None and self.thrown.total() >= self._warm_after:
            self.before = (self.process.memory_info().rss, self.process.num_fds())

    def check(self) -> None:
        """Nothing is left of what was thrown."""
        assert self.router.is_running(), self.router.said()[-4000:]
        crashed = self.router.command.crash.search(self.router.said())
        assert crashed is None, self.router.said()[-4000:]
        self.run(self._settled())
        assert self.before is not None
        memory, descriptors = self.before
        grown = self.process.memory_info().rss - memory
        assert grown < GROWTH
        assert self.process.num_fds() <= descriptors + SPARE_DESCRIPTORS
        print(f"\n{self.thrown.total()} inputs, {dict(self.thrown)}; {grown / (1 << 20):.1f} MiB more")

    def close(self) -> None:
        self.run(self._session.close())
        self._runner.close()

    # The launcher

    async def attach_again(self) -> None:
        """After others were in its place."""
        await self._session.close()
        await self._attach()

    async def _attach(self) -> None:
        self.epoch += 1
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(f"http://127.0.0.1:{self.router.port}", max_msg_size=0)
        await self._say("alive", "mephisto", {"token": TOKEN, "protocol": 1, "epoch": self.epoch})
        for agent in fuzzing.AGENTS:
            await self._say("update_status", agent, {"status": "in task"})
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            for packet in said if isinstance(said, list) else [said]:
                await self._answer(packet)

    async def _answer(self, packet: dict[str, Any]) -> None:
        if packet["packet_type"] == "welcome":
            self._router_epoch = packet["data"]["router_epoch"]
        elif packet["packet_type"] == "register_agent":
            await self._say("agent_details", "c", {"request_id": packet["subject_id"], "agent_id": "a1"})
        elif "number" in packet:
            await self._say("ack", "mephisto", {"router_epoch": self._router_epoch, "number": packet["number"]})
            if packet["packet_type"] == "submit_onboarding":
                details = {"request_id": packet["data"]["request_id"], "agent_id": packet["subject_id"]}
                await self._say("agent_details", "c", details)

    async def _say(self, packet_type: str, subject_id: str, data: Any) -> None:
        await self._socket.send_json({"packet_type": packet_type, "subject_id": subject_id, "data": data})

    async def _settled(self) -> None:
        quiet = {"sockets": 1.0, "requests_waiting": 0.0, "outbox_held": 0.0, "launcher_attached": 1.0}
        async with asyncio.timeout(20):
            while {name: (await self._metrics()).get(name) for name in quiet} != quiet or self.router.stored_files():
                pass
        assert (await self._metrics())["agents"] <= self.most_agents

    most_agents = len(fuzzing.AGENTS)

    async def _metrics(self) -> dict[str, float]:
        async with self._session.get(f"http://127.0.0.1:{self.router.port}/metrics") as answer:
            return metrics_of(await answer.text())


@pytest.fixture
def target(router_command: RouterCommand, tmp_path: Path) -> Iterator[Target]:
    router = RouterProcess(router_command, tmp_path, FLAGS, {}, is_open=False)
    router.start()
    target = Target(router)
    try:
        yield target
    finally:
        target.close()
        router.end()


def several(inputs: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    return st.lists(inputs, min_size=AT_ONCE, max_size=AT_ONCE)


def test_pages_may_say_anything(target: Target) -> None:
    @target.stand(0.45)
    @given(several(fuzzing.frames(fuzzing.FROM_PAGES)))
    def throw(frames: list[bytes]) -> None:
        target.run(raw_connections.throw(target.router.port, *frames))
        target.thrown["frames"] += len(frames)
        target.note_size()

    throw()
    target.check()


def test_anybody_may_ask_anything(target: Target) -> None:
    @target.stand(0.45)
    @given(several(fuzzing.requests))
    def ask(requests: list[bytes]) -> None:
        async def ask_all() -> None:
            for status in await asyncio.gather(
                *(raw_connections.ask(target.router.port, request) for request in requests)
            ):
                target.thrown[str(status)] += 1
                assert status is None or status < 500 or status in (503, 507), status

        target.run(ask_all())
        target.note_size()

    ask()
    target.check()


def test_even_a_launcher_may_say_anything(target: Target) -> None:
    """One that has the token. What it says about agents is believed, so those may be more."""
    target.most_agents = BUDGET + len(fuzzing.AGENTS)

    @target.stand(0.1)
    @given(several(fuzzing.frames(fuzzing.FROM_LAUNCHERS)))
    def throw(frames: list[bytes]) -> None:
        target.epoch += 1
        hello = {"token": TOKEN, "protocol": 1, "epoch": target.epoch}
        alive = raw_connections.as_json({"packet_type": "alive", "subject_id": "mephisto", "data": hello})
        target.run(raw_connections.throw(target.router.port, raw_connections.frame(0x81, alive), *frames))
        target.thrown["frames"] += len(frames)
        target.note_size()

    throw()
    target.run(target.attach_again())
    target.check()
