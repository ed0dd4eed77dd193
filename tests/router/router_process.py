"""A router as a process: any program that takes the flags of design §6 and says where it listens."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

TOKEN = "the-token-of-this-run"
RUN_ID = "vector-1"
PATIENCE = 20.0
"""Seconds that a router may take to end once it was told to."""

NO_FILES: Mapping[str, str] = {}
FILES = {
    "index.html": "<!doctype html><title>the task</title>",
    "task_config.json": '{"task_name": "vector"}',
    "wrap_crowd_source.js": "function getWorkerName() { return 'ann' }",
}


@dataclass(frozen=True)
class RouterCommand:
    """How one router is started, and what its standard error holds when it came upon an error that it did not expect."""

    name: str
    argv: tuple[str, ...]
    crash: re.Pattern[str]


PYTHON = RouterCommand(
    "python", (sys.executable, "-m", "falsework.router"), re.compile("Traceback|Unhandled|exception")
)
NODE_ROUTER = Path(__file__).parents[2] / "router" / "node"
NODE = RouterCommand("node", ("node", str(NODE_ROUTER / "server.js")), re.compile(r"Unhandled|^    at ", re.M))
ROUTERS = (PYTHON, NODE)
"""All of them are held to the same vectors."""


def install_what_node_needs() -> None:
    """Bring router/node/node_modules up to its lock file, where there is a Node. Raises CalledProcessError."""
    lock, installed = NODE_ROUTER / "package-lock.json", NODE_ROUTER / "node_modules" / ".package-lock.json"
    is_current = installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime
    if not is_current and shutil.which("npm"):
        npm_ci = ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(npm_ci, cwd=NODE_ROUTER, check=True)


def write_static(directory: Path, files: Mapping[str, str]) -> None:
    """The page that a router serves, its token, and whatever a test adds or replaces."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "token").write_text(TOKEN)
    for name, content in {**FILES, **files}.items():
        path = directory / "static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def arguments(directory: Path, port: int, *, is_open: bool) -> list[str]:
    """What every router is told: where its things lie, where it listens, whose it is."""
    places = ["--static", str(directory / "static"), "--data", str(directory / "data"), "--port", str(port)]
    token = ["--open"] if is_open else ["--token-file", str(directory / "token")]
    return [*places, "--run-id", RUN_ID, *token]


def stored_files(data: Path) -> list[str]:
    """The names of the uploads, whole or torn, in a data directory."""
    files = (path for path in data.rglob("*") if path.is_file())
    return sorted(path.name for path in files if not path.name.startswith(("outbox", "router.")))


class RouterProcess:
    """One router's directories, and the process that runs on them now."""

    def __init__(
        self,
        command: RouterCommand,
        directory: Path,
        flags: Sequence[str],
        files: Mapping[str, str] = NO_FILES,
        *,
        is_open: bool = False,
    ) -> None:
        self.command, self.flags, self.is_open = command, list(flags), is_open
        self.directory, self.static, self.data = directory, directory / "static", directory / "data"
        self.log = directory / "stderr"
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        write_static(directory, files)

    def start(self) -> None:
        """Start it, and wait for its ready line. After the first time it comes back on the same port."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._argv(self.port), stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        ready = self._output().readline()
        if not ready:
            raise AssertionError(f"the router ended with {self._process.wait()}, not ready:\n{self.said()}")
        self.port = json.loads(ready)["ready"]["port"]

    def send_signal(self, name: str) -> None:
        """`KILL`, `TERM`, …"""
        self._running().send_signal(getattr(signal, f"SIG{name}"))

    def crash(self, name: str) -> None:
        """Send a signal to the router below the process that was started with `--restart`, once there is one."""
        deadline = time.monotonic() + PATIENCE
        while not (children := psutil.Process(self._running().pid).children()) and time.monotonic() < deadline:
            time.sleep(0.01)
        (router,) = children
        router.send_signal(getattr(signal, f"SIG{name}"))
        router.wait(PATIENCE)

    def rival(self) -> tuple[int, str]:
        """What becomes of another router on the same data: its exit code, and what it says on stderr."""
        ended = subprocess.run(self._argv(port=0), capture_output=True, text=True, timeout=PATIENCE, check=False)
        return ended.returncode, ended.stderr

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        code = self._running().wait(PATIENCE)
        self._output().close()
        self._process = None
        return code

    def end(self) -> None:
        """Kill it, and what runs below it, if it still runs."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self.wait()

    def said(self) -> str:
        """What its standard error holds."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self._running().pid

    def stored_files(self) -> list[str]:
        """The names of the uploads, whole or torn, in its data directory."""
        return stored_files(self.data)

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def _argv(self, port: int) -> list[str]:
        return [*self.command.argv, *arguments(self.directory, port, is_open=self.is_open), *self.flags]

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise AssertionError("the router is not running")
        return self._process

    def _output(self) -> IO[str]:
        output = self._running().stdout
        if output is None:
            raise AssertionError("the router's output is not read")
        return output
