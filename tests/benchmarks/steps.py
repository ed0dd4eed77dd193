"""How many of falsework's files a reader meets who follows a launch, or a sweep, and how deep an architect's deploy lies.

python tests/benchmarks/steps.py [launch|sweep|frames]

Every call into falsework's code in the launcher's process is traced, in all its threads. A file is *entered* when a call comes
into it from another one; the files are printed in the order in which they are entered first. *Again* are those that a reader
has to come back to: entered once more after five others were met for the first time since. Counts nothing of the server.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "question"
ROOMS = tuple(f"{ROOT / layer}{os.sep}" for layer in ("engine", "architects", "router"))
AGAIN_AFTER = 5
"""Files met for the first time since, after which a reader has lost the thread of a file."""


class Trace:
    """The files of falsework that were entered, in order."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self.again: list[str] = []
        self._met: dict[str, int] = {}
        """How many files had been met when each was entered last."""

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """As sys.setprofile wants it."""
        if event == "call" and (file := frame.f_code.co_filename).startswith(ROOMS):
            self._enter(file)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Trace this thread and those that begin meanwhile."""
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    def _enter(self, file: str) -> None:
        if file not in self._met:
            self.first.append(file)
        elif len(self.first) - self._met[file] >= AGAIN_AFTER and file not in self.again:
            self.again.append(file)
        self._met[file] = len(self.first)


def launch_to_connected_and_down() -> Trace:
    """One launch of an example, stopped as soon as workers may come."""
    from falsework.engine.config import load_task_file
    from falsework.engine.launch.launcher import TaskLauncher
    from falsework.engine.ledger.ledger import Ledger
    from falsework.engine.report import Reporter

    class StopsOnceConnected(Reporter):
        def published(self, url: str) -> None:
            working[0].cancel()

    async def launch() -> None:
        ledger = Ledger.at(Path(os.environ["FALSEWORK_HOME"]) / "ledger.db")
        launcher = TaskLauncher(load_task_file(EXAMPLE), ledger, reporter=StopsOnceConnected())
        working.append(asyncio.create_task(launcher.launch()))
        await asyncio.wait(working)
        await ledger.close()

    working: list[asyncio.Task[Any]] = []
    return _traced(launch)


def sweep_of_one_run() -> Trace:
    """One sweep of a run whose launcher was killed when workers could come."""
    from falsework.engine.launch.sweeper import Sweeper
    from falsework.engine.ledger.ledger import Ledger

    async def sweep() -> None:
        ledger = Ledger.at(Path(os.environ["FALSEWORK_HOME"]) / "ledger.db")
        swept = await Sweeper(ledger, print, time.time, serving=True).sweep()
        assert len(swept.down) == 1, swept
        await ledger.close()

    _kill_a_launch_that_serves()
    return _traced(sweep)


def frames_to_deploy() -> list[str]:
    """The functions between Run.deploy and an architect's deploy: those that wait for one another, over all tasks in between."""
    from falsework.architects.local.architect import LocalArchitect

    waiting: list[str] = []
    deploy = LocalArchitect.deploy

    async def seen(self: Any, *arguments: Any) -> str:
        chains = [list(_awaited(task.get_coro())) for task in asyncio.all_tasks()]
        of_the_run = [chain for chain in chains if any(name.startswith("run/") for name in chain)]
        waiting.extend(name for chain in sorted(of_the_run, key=_begins_later) for name in chain)
        return await deploy(self, *arguments)

    LocalArchitect.deploy = seen  # type: ignore[assignment, method-assign]
    try:
        launch_to_connected_and_down()
    finally:
        LocalArchitect.deploy = deploy  # type: ignore[method-assign]
    return waiting[waiting.index("run/run.py Run.deploy") + 1 :]


def _begins_later(chain: list[str]) -> bool:
    return "run/run.py Run.deploy" not in chain


def _awaited(coroutine: Any) -> Iterator[str]:
    """The chain of coroutines that one waits for, falsework's own, outermost first."""
    while (code := getattr(coroutine, "cr_code", None)) is not None:
        if code.co_filename.startswith(ROOMS):
            yield f"{Path(code.co_filename).relative_to(ROOT / 'engine')} {code.co_qualname}"
        coroutine = coroutine.cr_await


def _traced(work: Callable[[], Coroutine[Any, Any, None]]) -> Trace:
    trace = Trace()
    with trace.running():
        asyncio.run(work())
    return trace


def _kill_a_launch_that_serves() -> None:
    command = [sys.executable, "-m", "falsework.engine", "launch", str(EXAMPLE)]
    launcher = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert launcher.stderr is not None
    while b"open for work" not in launcher.stderr.readline():
        pass
    launcher.kill()
    launcher.wait()


def _told(trace: Trace) -> str:
    def named(files: list[str]) -> str:
        return "\n".join(f"  {Path(file).relative_to(ROOT)}" for file in files)

    return f"{len(trace.first)} files:\n{named(trace.first)}\nagain, {len(trace.again)} files:\n{named(trace.again)}"


def main(what: list[str]) -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["FALSEWORK_HOME"] = home
        if not what or "frames" in what:
            frames = frames_to_deploy()
            print(f"from Run.deploy to an architect's: {len(frames)} frames", *frames, sep="\n  ")
        if not what or "launch" in what:
            print("a launch to connected and down:", _told(launch_to_connected_and_down()))
        if not what or "sweep" in what:
            print("a sweep of one run:", _told(sweep_of_one_run()))


if __name__ == "__main__":
    main(sys.argv[1:])
