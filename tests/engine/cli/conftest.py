"""The command line as a user has it: the installed command, in processes of its own, with a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest

COMMAND = Path(sys.executable).with_name("falsework")
EXAMPLES = Path(__file__).parents[3] / "examples"
QUESTION = str(EXAMPLES / "question")
LONGEST = 60

HEEDING_SIGNALS = ("env", "--default-signal=INT,HUP")
"""A test run in the background ignores these, and so would what it starts."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert self.stdout, self.stderr
        return json.loads(self.stdout)


class UnderWay:
    """A launch, or a run resumed, in a process of its own, heard through its stderr."""

    def __init__(self, *arguments: str, verb: str = "launch") -> None:
        self.process = subprocess.Popen(
            [*HEEDING_SIGNALS, COMMAND, verb, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.heard = ""
        self.run_id = ""

    def hear(self, text: str) -> str:
        """The next line of its stderr that holds `text`."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.heard += line
            if line.startswith("run "):
                self.run_id = line.split()[1].rstrip(",")
            if text in line:
                return line
        pytest.fail(f"it ended without saying {text!r}; it said:\n{self.heard}")

    def is_open(self) -> str:
        """Wait until workers may come; returns where."""
        return self.hear("open for work at ").split()[-1]

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(number)

    def end(self) -> Ended:
        """Wait until it has ended."""
        stdout, stderr = self.process.communicate(timeout=LONGEST)
        self.heard += stderr
        return Ended(self.process.returncode, stdout, self.heard)


def runs(process: int) -> bool:
    """Whether a process goes on. A zombie, which nobody may reap in a container, does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Falsework(Protocol):
    def __call__(self, *arguments: str | Path, **environment: str) -> Ended: ...


@pytest.fixture
def falsework(home: Path) -> Falsework:
    """Run the command to its end."""

    def run(*arguments: str | Path, **environment: str) -> Ended:
        ended = subprocess.run(
            [*HEEDING_SIGNALS, COMMAND, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
            timeout=LONGEST,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def launching(home: Path) -> Iterator[Callable[..., UnderWay]]:
    """Start a launch; whatever a failed test leaves of it is killed."""
    under_way: list[UnderWay] = []

    def launch(*arguments: str, verb: str = "launch") -> UnderWay:
        under_way.append(UnderWay(*arguments, verb=verb))
        return under_way[-1]

    yield launch
    for one in under_way:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()
            subprocess.run([COMMAND, "shutdown", one.run_id], capture_output=True, check=False, timeout=LONGEST)
        for pipe in (one.process.stdout, one.process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def server_of(falsework: Falsework) -> Callable[[str], int]:
    """The process id of a run's server."""

    def look(run_id: str) -> int:
        return int(falsework("show", run_id, "--json").json["resources"][0]["facts"]["pid"])

    return look


@pytest.fixture
def slow_python(tmp_path: Path) -> Path:
    """A Python that can run the router, but never gets round to it; it stays in `deploying`."""
    script = tmp_path / "slow-python"
    script.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} "$@"\nsleep 600\n')
    script.chmod(0o700)
    return script
