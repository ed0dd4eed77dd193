"""What the router costs. One row or more of the table; all of them without arguments.

python tests/benchmarks/router.py [--command "python -m falsework.router"] [ROW...]

The router has a core of its own, the load another one. Rates swing with whatever else the machine does, so the CPU time of
one round trip is the figure to go by: short windows, the best and the median of them.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
from figures import Row, Window, as_table, busy, load_micros, millis, rates, router_micros
from load import Launcher, Page, Update, connect_launcher, connect_pages
from router_process import PYTHON_ROUTER, RouterProcess, load_core_wait, load_cpu, stay_on_load_core
from submitters import submit_all

WORKERS, IN_FLIGHT = 100, 20
WARM_UP, WINDOW, WINDOWS = 0.5, 1.0, 7
RATE = 1000
IDLE_PAGES = 5000
SUBMISSIONS, ROUNDS = 4000, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(_MEASURES)}")
    parser.add_argument("--command", default=shlex.join(PYTHON_ROUTER), help="starts a router; its flags are appended")
    args = parser.parse_args()
    stay_on_load_core()
    rows: list[Row] = []
    for name in args.rows or _MEASURES:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows += runner.run(_MEASURES[name](tuple(shlex.split(args.command))))
    print(as_table(rows))


async def closed_loop(command: tuple[str, ...]) -> list[Row]:
    """Every worker keeps its packets in flight: what comes back goes out again at once, in a frame each."""
    return await _closed_loop(command, "a frame each", protocol=1, in_one_frame=False)


async def closed_loop_sharing_frames(command: tuple[str, ...]) -> list[Row]:
    """The same, but what came back in one frame goes out in one frame, so a worker's packets stay together for ever."""
    return await _closed_loop(command, "shared frames", protocol=1, in_one_frame=True)


async def closed_loop_protocol_0(command: tuple[str, ...]) -> list[Row]:
    """The same with pages that know only Mephisto's protocol: one packet a frame, both ways."""
    return await _closed_loop(command, "protocol 0", protocol=0, in_one_frame=False)


async def paced(command: tuple[str, ...]) -> list[Row]:
    """A packet each millisecond, from one worker after the other, whether or not the last came back."""
    with RouterProcess(command) as router:
        launcher, pages = await _serve_pages(router, WORKERS, protocol=1)
        waited = router.core_wait(), load_core_wait()
        windows = [await _paced_window(pages) for _ in range(WINDOWS)]
        waited = router.core_wait() - waited[0], load_core_wait() - waited[1]
        _close(launcher, pages)
    halves, most = [window[499] for window in windows], [window[989] for window in windows]
    return [
        Row(
            f"p50 / p99 of a round trip at {RATE:,} a second, ms",
            millis(min(halves), min(most)),
            millis(statistics.median(halves), statistics.median(most)),
        ),
        Row(
            "its core was with somebody else, of a second, ms, router / load",
            "",
            millis(waited[0] / WINDOWS, waited[1] / WINDOWS),
        ),
    ]


async def idle_pages(command: tuple[str, ...]) -> list[Row]:
    """Pages that are connected and did nothing but a heartbeat."""
    with RouterProcess(command) as router:
        launcher, pages = await _serve_pages(router, 1, protocol=1)
        before = router.memory()
        agent_ids = [f"idle-agent-{number}" for number in range(IDLE_PAGES)]
        launcher.make_known(agent_ids)
        pages += await connect_pages(router.port, agent_ids, protocol=1)
        for page in pages:
            page.say(f'{{"packet_type":"heartbeat","subject_id":"{page.agent_id}","client_timestamp":1.5}}'.encode())
        await _until(lambda: all(page.heartbeats for page in pages))
        after = router.memory()
        _close(launcher, pages)
    resident, unique = after.resident - before.resident, after.unique - before.unique
    kilobytes = f"{resident / IDLE_PAGES / 1024:.1f} resident, {unique / IDLE_PAGES / 1024:.1f} unique"
    return [Row(f"KB for an idle worker's connection, {IDLE_PAGES:,} connected", kilobytes)]


async def submissions(command: tuple[str, ...]) -> list[Row]:
    """Durable ones: each acknowledged to the worker, and delivered to the launcher once, in order."""
    with RouterProcess(command) as router:
        launcher = await connect_launcher(router.port)
        windows = [await _round_of_submissions(router, launcher, number) for number in range(ROUNDS)]
        launcher.close()
    return [
        rates("durable submissions a second", windows),
        router_micros("router CPU for a submission, µs", windows),
        load_micros("load CPU for a submission, µs", windows),
    ]


async def start_and_end(command: tuple[str, ...]) -> list[Row]:
    """From the spawn to the ready line, and from SIGTERM to the exit, with and without pages."""
    starts: list[float] = []
    ends: list[float] = []
    ends_with_pages: list[float] = []
    for _ in range(WINDOWS):
        with RouterProcess(command) as router:
            starts.append(router.started_in)
            ends.append(router.stop())
        with RouterProcess(command) as router:
            await _serve_pages(router, WORKERS, protocol=1)
            ends_with_pages.append(await asyncio.to_thread(router.stop))
    return [
        Row("start of the router, ms", millis(min(starts)), millis(statistics.median(starts))),
        Row("end of the router, ms", millis(min(ends)), millis(statistics.median(ends))),
        Row(
            f"end of the router with {WORKERS} pages, ms",
            millis(min(ends_with_pages)),
            millis(statistics.median(ends_with_pages)),
        ),
    ]


async def _closed_loop(command: tuple[str, ...], kind: str, *, protocol: int, in_one_frame: bool) -> list[Row]:
    with RouterProcess(command) as router:
        launcher, pages = await _serve_pages(router, WORKERS, protocol)
        done = 0

        def answer(page: Page, updates: list[Update]) -> None:
            nonlocal done
            done += len(updates)
            page.send_updates(len(updates), in_one_frame=in_one_frame)

        for page in pages:
            page.on_updates = answer
            page.send_updates(IN_FLIGHT)
        await asyncio.sleep(WARM_UP)
        windows = [await _window(router, lambda: done) for _ in range(WINDOWS)]
        shared = done / sum(page.frames for page in pages), done / launcher.frames
        _close(launcher, pages)
    return [
        rates(f"round trips a second, {kind}", windows),
        router_micros(f"router CPU for a round trip, {kind}, µs", windows),
        load_micros(f"load CPU for a round trip, {kind}, µs", windows),
        busy(f"busy while fastest, {kind}, router / load", windows),
        Row(f"packets in a frame, {kind}, to pages / to the launcher", f"{shared[0]:.1f} / {shared[1]:.1f}"),
    ]


async def _paced_window(pages: list[Page]) -> list[float]:
    """The thousandths of the times of round trips, in seconds."""
    waits: list[float] = []
    for page in pages:
        page.on_updates = lambda page, updates: waits.extend(time.perf_counter() - u.sent_at for u in updates)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for number in range(RATE):
        await asyncio.sleep(begin + number / RATE - loop.time())
        pages[number % len(pages)].send_updates(1)
    await _until(lambda: len(waits) == RATE)
    return statistics.quantiles(waits, n=1000)


async def _serve_pages(router: RouterProcess, count: int, protocol: int) -> tuple[Launcher, list[Page]]:
    launcher = await connect_launcher(router.port)
    agent_ids = [f"agent-{number}" for number in range(count)]
    launcher.make_known(agent_ids)
    return launcher, await connect_pages(router.port, agent_ids, protocol)


async def _window(router: RouterProcess, count: Callable[[], int]) -> Window:
    began, router_cpu, own_cpu, counted = time.perf_counter(), router.cpu(), load_cpu(), count()
    await asyncio.sleep(WINDOW)
    return Window(time.perf_counter() - began, count() - counted, router.cpu() - router_cpu, load_cpu() - own_cpu)


async def _round_of_submissions(router: RouterProcess, launcher: Launcher, number: int) -> Window:
    agent_ids = [f"agent-{number}-{agent}" for agent in range(SUBMISSIONS)]
    launcher.make_known(agent_ids)
    await asyncio.sleep(WARM_UP)
    before = len(launcher.submitted)
    began, router_cpu, own_cpu = time.perf_counter(), router.cpu(), load_cpu()
    taken = await submit_all(router.port, agent_ids, WORKERS)
    took = time.perf_counter() - began
    window = Window(took, SUBMISSIONS, router.cpu() - router_cpu, load_cpu() - own_cpu)
    await _until(lambda: len(launcher.submitted) == before + SUBMISSIONS)
    if taken != set(agent_ids) or set(launcher.submitted[before:]) != taken:
        raise RuntimeError("a submission was lost, or came twice")
    return window


async def _until(reached: Callable[[], bool], patience: float = 30.0) -> None:
    async with asyncio.timeout(patience):
        while not reached():  # noqa: ASYNC110 - counts that several callbacks raise
            await asyncio.sleep(0.01)


def _close(launcher: Launcher, pages: list[Page]) -> None:
    for page in pages:
        page.close()
    launcher.close()


_MEASURES: dict[str, Callable[[tuple[str, ...]], Coroutine[Any, Any, list[Row]]]] = {
    "closed": closed_loop,
    "shared": closed_loop_sharing_frames,
    "closed0": closed_loop_protocol_0,
    "paced": paced,
    "memory": idle_pages,
    "submissions": submissions,
    "start": start_and_end,
}

if __name__ == "__main__":
    main()
