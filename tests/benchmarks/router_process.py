"""A real router in a process and on a core of its own, and what it costs: CPU time, memory, the time to start and to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

TOKEN = "a-token-for-benchmarks"
PYTHON_ROUTER = (sys.executable, "-m", "falsework.router")
ROUTER_CORE, LOAD_CORE = 0, 1


@dataclass(frozen=True)
class Memory:
    """Bytes: all that is resident, and what would be free if the process ended."""

    resident: int
    unique: int


class RouterProcess:
    """Use it as a context manager. `command` is what comes before the router's flags, so that routers can be compared."""

    def __init__(self, command: tuple[str, ...] = PYTHON_ROUTER) -> None:
        self._command = command
        self._directory = tempfile.TemporaryDirectory(prefix="falsework-benchmark-")
        self.port = 0
        self.started_in = 0.0
        """Seconds from the spawn to the ready line."""

    def __enter__(self) -> Self:
        root = Path(self._directory.name)
        (root / "static").mkdir()
        (root / "static" / "index.html").write_text("<!doctype html><title>A task</title>")
        flags = ["--static", str(root / "static"), "--data", str(root / "data"), "--port", "0"]
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [*self._command, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "FALSEWORK_TOKEN": TOKEN},
        )
        self._watched = psutil.Process(self._process.pid)
        self._watched.cpu_affinity([ROUTER_CORE])
        self.port = self._read_port()
        self.started_in = time.perf_counter() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.stop()
        self._directory.cleanup()

    def cpu(self) -> float:
        """Seconds of CPU so far, of all its threads, in the kernel too."""
        times = self._watched.cpu_times()
        return times.user + times.system

    def core_wait(self) -> float:
        """Seconds that it was ready to run so far, and its core was with somebody else."""
        return _core_wait(self._process.pid)

    def memory(self) -> Memory:
        facts = self._watched.memory_full_info()
        return Memory(facts.rss, facts.uss)

    def stop(self) -> float:
        """Seconds from SIGTERM to the end. Raises RuntimeError where the router did not end well."""
        began = time.perf_counter()
        self._process.send_signal(signal.SIGTERM)
        _, log = self._process.communicate(timeout=10)
        took = time.perf_counter() - began
        if self._process.returncode != 0 or b"Traceback" in log:
            raise RuntimeError(f"the router ended with {self._process.returncode}:\n{log.decode()[-2000:]}")
        return took

    def _read_port(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, log = self._process.communicate()
            raise RuntimeError(f"the router did not start:\n{log.decode()[-2000:]}")
        return int(json.loads(line)["ready"]["port"])


def load_cpu() -> float:
    """Seconds of CPU that this process, the load, has used so far."""
    times = psutil.Process().cpu_times()
    return times.user + times.system


def load_core_wait() -> float:
    """The same for this process."""
    return _core_wait(os.getpid())


def stay_on_load_core() -> None:
    """From now on this process leaves the router's core alone."""
    psutil.Process().cpu_affinity([LOAD_CORE])


def _core_wait(process_id: int) -> float:
    _, waited, _ = Path(f"/proc/{process_id}/schedstat").read_text().split()
    return int(waited) / 1e9
