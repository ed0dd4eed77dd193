"""One dyno: a real process with a PORT, the app's config vars and an empty disk, started again when it crashes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import uuid
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from .address import GLANCE, free_port, listens
from .settings import Settings

Log = Callable[[str, str, str], None]
"""Takes source (app or heroku), process and text."""


class Dyno:
    """From its start to its end; a restart of the app makes another one of the same name. It runs until `end` is called.

    `state` is starting, up, crashed or down. `died` counts the crashes.
    """

    def __init__(
        self, name: str, command: str, slug: Path, variables: Mapping[str, str], settings: Settings, log: Log
    ) -> None:
        self.id, self.name, self.command = str(uuid.uuid4()), name, command
        self.slug, self.variables, self.settings = slug, dict(variables), settings
        self.state, self.died = "starting", 0
        self.port, self.disk = 0, Path()
        self._process: Process | None = None
        self.started_at = self.changed_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._log = log
        self._changed = asyncio.Event()
        self._life = asyncio.create_task(self._keep_running(), name=f"dyno {name}")

    @property
    def type(self) -> str:
        return self.name.partition(".")[0]

    def end(self) -> asyncio.Task[None]:
        """Have the process ended: SIGTERM, SIGKILL after the grace. The task is done when it is gone. Repeating it is quiet."""
        self._become("down")
        if not self._life.cancelling():
            self._life.cancel()
        return self._life

    def kill(self) -> None:
        """End the process that runs now at once, as a machine does that fails."""
        if self._process is not None and self._process.returncode is None:
            _signal_group(self._process.pid, signal.SIGKILL)

    async def is_up(self) -> bool:
        """Wait until it serves or will not."""
        while self.state == "starting":
            await self._changed.wait()
        return self.state == "up"

    async def _keep_running(self) -> None:
        wait = 0.0
        while True:
            status = await self._live()
            self.died += 1
            self._say(f"Process exited with status {status}")
            self._become("crashed")
            await asyncio.sleep(wait)
            wait = max(2 * wait, self.settings.crash_wait)
            self._become("starting")

    async def _live(self) -> int:
        """One process, from an empty disk to its end."""
        disk = self.disk = Path(mkdtemp(prefix=f"dyno-{self.name}-", dir=self.slug.parent))
        try:
            await _to_its_end(asyncio.to_thread(shutil.copytree, self.slug, disk, symlinks=True, dirs_exist_ok=True))
            process = await self._started(disk)
            watches = [asyncio.create_task(self._watch_output(process)), asyncio.create_task(self._watch_boot(process))]
            try:
                return _status_as_shells_say(await process.wait())
            finally:
                await self._finish(process)
                await _settled(watches)
        finally:
            shutil.rmtree(disk, ignore_errors=True)

    async def _started(self, disk: Path) -> Process:
        """A process that is whole: one whose start is cancelled is ended first, with all of its group."""
        starting = asyncio.create_task(self._start(disk))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])
            await self._finish(starting.result())
            raise

    async def _start(self, disk: Path) -> Process:
        self.port = free_port()
        self._say(f"Starting process with command `{self.command}`")
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", self.command,
            cwd=disk, env=self._environment(disk),
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True, limit=1 << 20,
        )  # fmt: skip
        self._process = process
        return process

    def _environment(self, disk: Path) -> dict[str, str]:
        """Nothing of this process's own, but for where the programs are."""
        (disk / "tmp").mkdir(exist_ok=True)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        own = {"PATH": path, "HOME": str(disk), "TMPDIR": str(disk / "tmp"), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        return {**own, **self.variables, "DYNO": self.name, "PORT": str(self.port)}

    async def _watch_output(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._log("app", self.name, line.decode(errors="replace").rstrip("\r\n"))

    async def _watch_boot(self, process: Process) -> None:
        if self.type != "web":
            self._become("up")
            return
        try:
            async with asyncio.timeout(self.settings.boot_limit):
                while not await listens(self.port):  # noqa: ASYNC110  (there is no event)
                    await asyncio.sleep(GLANCE)
        except TimeoutError:
            limit = f"{self.settings.boot_limit:g} seconds"
            self._say(f"Error R10 (Boot timeout) -> Web process failed to bind to $PORT within {limit} of launch")
            _signal_group(process.pid, signal.SIGKILL)
            return
        if process.returncode is None:
            self._become("up")

    async def _finish(self, process: Process) -> None:
        """SIGTERM to all that it started, SIGKILL after the grace."""
        if process.returncode is None:
            self._say("Stopping all processes with SIGTERM")
            _signal_group(process.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.stop_grace):
                    await process.wait()
            if process.returncode is None:
                self._say("Error R12 (Exit timeout) -> At least one process failed to exit in time; SIGKILL")
        _signal_group(process.pid, signal.SIGKILL)
        status = _status_as_shells_say(await process.wait())
        if self.state == "down":
            self._say(f"Process exited with status {status}")

    def _become(self, state: str) -> None:
        if state != self.state:
            self._say(f"State changed from {self.state} to {state}")
        self.state, self.changed_at = state, datetime.now(UTC).isoformat(timespec="seconds")
        self._changed.set()
        self._changed = asyncio.Event()

    def _say(self, text: str) -> None:
        self._log("heroku", self.name, text)


def _status_as_shells_say(status: int) -> int:
    return 128 - status if status < 0 else status


async def _settled(watches: list[asyncio.Task[None]]) -> None:
    """What the process had written is read; then the watches end."""
    output, boot = watches
    boot.cancel()
    try:
        await asyncio.wait([output], timeout=1)  # longer only if somebody who left its group holds the pipe
    finally:
        output.cancel()
        await asyncio.gather(output, boot, return_exceptions=True)


async def _to_its_end(work: Coroutine[Any, Any, object]) -> None:
    """Cancelling this waits for the work first: a thread cannot be stopped."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait([task])


def _signal_group(process_id: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process_id, number)
