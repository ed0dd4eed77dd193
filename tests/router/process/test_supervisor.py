from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

MORTAL = Path(__file__).with_name("mortal.py")
PATIENCE = 20.0

pytestmark = pytest.mark.slow


@dataclass
class Lived:
    """What became of a supervised program."""

    status: int
    said: str
    log: str
    lives: int


class Mortal:
    """A supervised program under way."""

    def __init__(self, directory: Path, *lives: str, patience: float = 30.0) -> None:
        self._book = directory / "lives"
        argv = [sys.executable, str(MORTAL), str(self._book), str(patience), *lives]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def lives(self) -> list[int]:
        """The process ids of those who lived, and of who lives."""
        return [int(line) for line in self._book.read_text().splitlines()] if self._book.exists() else []

    def life(self, number: int) -> int:
        """The process id of a life, once it has begun."""
        deadline = time.monotonic() + PATIENCE
        while len(self.lives()) < number and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.lives()[number - 1]

    def end(self) -> Lived:
        said, log = self.process.communicate(timeout=PATIENCE)
        return Lived(self.process.returncode, said, log, len(self.lives()))


@contextmanager
def mortal(directory: Path, *lives: str, patience: float = 30.0) -> Iterator[Mortal]:
    one = Mortal(directory, *lives, patience=patience)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


def lived(directory: Path, *lives: str, patience: float = 30.0) -> Lived:
    with mortal(directory, *lives, patience=patience) as one:
        return one.end()


@pytest.mark.parametrize("death", ["KILL", "SEGV", "TERM", "1", "3", "137"])
@pytest.mark.decisive
def test_what_dies_of_a_signal_or_an_error_is_started_again(tmp_path: Path, death: str) -> None:
    end = lived(tmp_path, f"ready:{death}", f"ready:{death}", "ready:0")
    assert (end.status, end.lives) == (0, 3)
    assert end.log.count("starting it again") == 2


def test_who_started_it_hears_the_ready_line_once(tmp_path: Path) -> None:
    assert lived(tmp_path, "ready:KILL", "ready:1", "ready:0").said == "ready 0\n"


@pytest.mark.parametrize("status", [0, 2])
def test_what_ends_by_itself_is_not_started_again(tmp_path: Path, status: int) -> None:
    end = lived(tmp_path, f"ready:{status}")
    assert (end.status, end.lives) == (status, 1)


@pytest.mark.parametrize("death, status", [("1", 1), ("2", 2), ("KILL", 128 + signal.SIGKILL)])
def test_what_was_never_ready_is_not_started_again(tmp_path: Path, death: str, status: int) -> None:
    end = lived(tmp_path, f"mute:{death}")
    assert (end.status, end.lives, end.said) == (status, 1, "")
    assert "before it was ready" in end.log


def test_what_does_not_come_up_again_is_given_up(tmp_path: Path) -> None:
    end = lived(tmp_path, "ready:KILL", "mute:1", patience=0.3)
    assert end.status == 1
    assert end.lives > 2


def test_the_waits_get_longer(tmp_path: Path) -> None:
    waits = [line.split()[-2] for line in lived(tmp_path, *["ready:1"] * 5, "ready:0").log.splitlines()]
    assert waits == ["0.01", "0.02", "0.04", "0.08", "0.16"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_told_to_end_tells_its_child_and_ends_with_it(tmp_path: Path, number: signal.Signals) -> None:
    with mortal(tmp_path, "ready:stays") as one:
        below = one.life(1)
        one.process.send_signal(number)
        end = one.end()
    assert (end.status, end.lives) == (0, 1)
    assert not psutil.pid_exists(below)


def test_what_is_told_to_end_while_it_waits_ends_at_once(tmp_path: Path) -> None:
    with mortal(tmp_path, *["ready:KILL"] * 12) as one:
        one.life(8)  # from now on it waits for longer than a second
        one.process.terminate()
        end = one.end()
    assert (end.status, end.lives) == (0, 8)


def test_a_child_that_is_stopped_and_goes_on_is_left_alone(tmp_path: Path) -> None:
    with mortal(tmp_path, "ready:stays") as one:
        below = one.life(1)
        os.kill(below, signal.SIGSTOP)
        os.kill(below, signal.SIGCONT)
        one.process.terminate()
        assert one.end().lives == 1


def test_a_child_outlives_the_process_above_it(tmp_path: Path) -> None:
    with mortal(tmp_path, "ready:stays") as one:
        below = one.life(1)
        one.process.kill()
        one.process.wait()
        assert psutil.Process(below).status() != psutil.STATUS_ZOMBIE
        os.kill(below, signal.SIGKILL)


def test_nobody_who_hears_the_ready_line_is_no_reason_to_end(tmp_path: Path) -> None:
    with mortal(tmp_path, "ready:stays") as one:
        assert one.process.stdout is not None
        one.process.stdout.close()
        below = one.life(1)
        os.kill(below, signal.SIGKILL)
        one.life(2)
        one.process.terminate()
        assert one.process.wait(PATIENCE) == 0
