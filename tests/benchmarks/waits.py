"""What a person waits for with everything warm: the help, and the way to a connected router in Node on this machine.

python tests/benchmarks/waits.py

Fails if a figure is over its limit. Of the launch it limits CPU time, the launcher's and the server's together, which are those
of the clock where nobody else uses it: nothing in it waits for anything else. The first launch ever installs packages by npm.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from falsework.architects.local.architect import PROCESS, LocalArchitect
from falsework.architects.local.args import LocalArgs
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Site
from falsework.engine.settings.sections import TaskArgs

MOST_SECONDS_FOR_HELP = 0.3
MOST_SECONDS_TO_PREPARE = 0.15
MOST_SECONDS_TO_CONNECT = 0.8
"""From nothing to connected."""
TIMES = 3


@dataclass(frozen=True)
class Launched:
    """Seconds of one launch: of CPU for what is prepared, of CPU until it was connected, of the clock until then."""

    prepared: float
    connected: float
    by_the_clock: float


def help_seconds() -> float:
    command = [str(Path(sys.executable).with_name("falsework")), "--help"]
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - began


async def launched(directory: Path, number: int) -> Launched:
    architect, site = LocalArchitect(), _site(directory, f"wait-{os.getpid()}-{number}")
    began, began_by_the_clock = time.process_time(), time.perf_counter()
    await LocalArchitect.assert_task_args(site.args, site.task)
    checked = time.process_time()
    bundle = await architect.prepare(site)
    prepared = time.process_time() - checked
    site.url = await architect.deploy(site, bundle)
    try:
        (channel,) = architect.get_channels(site, Ears())
        await channel.open(20.0, 20.0)
        await channel.close()
        connected = time.process_time() - began + _cpu_seconds_of_server(site)
        return Launched(prepared, connected, time.perf_counter() - began_by_the_clock)
    finally:
        await architect.shutdown(site)


def _site(directory: Path, run_id: str) -> Site:
    static = directory / "static"
    static.mkdir(exist_ok=True)
    (static / "index.html").write_text("<!doctype html><title>A task</title>")
    task = TaskArgs(name="waits", static=static, units=directory / "units.jsonl")
    args = LocalArgs(type="local", router="node", ready_timeout=20.0)
    return Site(run_id, args, task, directory / "runs" / run_id, "a-token", logging.getLogger("waits"))


def _cpu_seconds_of_server(site: Site) -> float:
    supervisor = psutil.Process(site.standing(PROCESS)[0].facts["pid"])
    times = [one.cpu_times() for one in (supervisor, *supervisor.children())]
    return sum(spent.user + spent.system for spent in times)


async def launches(directory: Path) -> list[Launched]:
    """The first of them is to warm up."""
    return [await launched(directory, number) for number in range(TIMES + 1)][1:]


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        seen = asyncio.run(launches(Path(directory)))
    figures = {
        "falsework --help": (min(help_seconds() for _ in range(5)), MOST_SECONDS_FOR_HELP),
        "prepared, router in Node, warm, CPU": (min(one.prepared for one in seen), MOST_SECONDS_TO_PREPARE),
        "connected, router in Node, warm, CPU": (min(one.connected for one in seen), MOST_SECONDS_TO_CONNECT),
    }
    for name, (took, most) in figures.items():
        print(f"| {name} | {most} s | {took:.2f} s |")
    print(f"| connected, router in Node, warm, by the clock | | {min(one.by_the_clock for one in seen):.2f} s |")
    if over := [name for name, (took, most) in figures.items() if took > most]:
        sys.exit(f"over the limit: {', '.join(over)}")


if __name__ == "__main__":
    main()
