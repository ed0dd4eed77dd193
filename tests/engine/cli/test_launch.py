"""A launch from its file to its end, as a user sees it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import COMMAND, EXAMPLES, HEEDING_SIGNALS, QUESTION, Falsework, UnderWay

pytestmark = pytest.mark.slow


@pytest.mark.decisive
def test_a_task_runs_to_its_end_and_says_where_its_results_are(falsework: Falsework, home: Path) -> None:
    ended = falsework("launch", EXAMPLES / "caption", "--bots", "3")
    assert ended.code == 0, ended.stderr
    assert "6 of 6 units done, 12 submissions" in ended.stdout
    (run_id,) = (path.name for path in (home / "runs").iterdir())
    assert str(home / "runs" / run_id / "submissions.jsonl") in ended.stdout
    assert f"falsework export {run_id}" in ended.stdout


@pytest.mark.decisive
def test_json_is_one_object_and_nothing_else(falsework: Falsework, home: Path) -> None:
    ended = falsework("launch", QUESTION, "--bots", "1", "--json")
    result = ended.json
    assert result.pop("url").startswith("http://127.0.0.1:")
    run_id = result.pop("run_id")
    assert result == {
        "state": "shut_down",
        "directory": str(home / "runs" / run_id),
        "units": 4,
        "done": 4,
        "submissions": 4,
        "extras": 0,
        "error": None,
    }


def test_without_a_terminal_progress_is_plain_lines_on_stderr(falsework: Falsework) -> None:
    ended = falsework("launch", QUESTION, "--bots", "1", TERM="xterm-256color")
    lines = ended.stderr.splitlines()
    assert "\x1b" not in ended.stderr + ended.stdout
    assert lines[0].startswith("run question-")
    assert [line for line in lines if line in ("prepared", "deployed", "connected", "shut_down")] == [
        "prepared",
        "deployed",
        "connected",
        "shut_down",
    ]
    assert "4 of 4 units, 0 at work" in lines


def test_bots_that_cannot_finish_fail_the_run_which_is_down(falsework: Falsework) -> None:
    ended = falsework("launch", QUESTION, "task.units_per_worker=1", "--bots", "2", "--json")
    assert ended.code == 1
    assert "2 bots did all they may" in ended.stderr
    assert ended.json["state"] == "shut_down"
    assert "units are left" in ended.json["error"]


def test_too_few_bots_are_refused_before_anything_exists(falsework: Falsework, home: Path) -> None:
    ended = falsework("launch", EXAMPLES / "caption", "--bots", "1")
    assert ended.code == 2
    assert ended.stderr.splitlines() == ["--bots: 1 bots cannot do it: each unit needs 2 different workers"]
    assert not (home / "runs").exists()


def test_what_a_hook_prints_does_not_get_among_the_results(falsework: Falsework, tmp_path: Path) -> None:
    falsework("new", tmp_path / "talk")
    hook = tmp_path / "talk" / "hook.py"
    hook.write_text("print('hook here')\ndef bot_answer(data, random):\n    print('an answer')\n    return 1\n")
    ended = falsework("launch", tmp_path / "talk", f"task.hook={hook}", "--bots", "1", "--json")
    assert ended.json["done"] == 4
    assert "hook here" in ended.stderr
    assert "an answer" in ended.stderr


def test_a_server_that_dies_at_once_is_a_failure_that_is_down(falsework: Falsework, tmp_path: Path) -> None:
    broken = tmp_path / "broken-python"
    broken.write_text('#!/bin/sh\n[ "$1" = -c ] || { echo "no luck today" >&2; exit 7; }\n')
    broken.chmod(0o700)
    ended = falsework("launch", QUESTION, f"architect.python={broken}")
    assert ended.code == 1
    assert "exit status 7" in ended.stderr
    assert "no luck today" in ended.stderr
    assert "is down" in ended.stderr
    assert falsework("ps").stdout == ""


def test_nobody_reading_its_progress_stops_nothing(launching: Callable[..., UnderWay], falsework: Falsework) -> None:
    under_way = launching(QUESTION, "--json")
    under_way.is_open()
    assert under_way.process.stderr is not None
    under_way.process.stderr.close()
    under_way.process.stderr = None
    under_way.interrupt()
    stdout, _ = under_way.process.communicate(timeout=60)
    assert under_way.process.returncode == 130
    assert '"state": "shut_down"' in stdout
    assert falsework("ps").stdout == ""


def test_nobody_reading_its_results_changes_no_exit_code(home: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [*HEEDING_SIGNALS, COMMAND, "launch", QUESTION, "--bots", "1", "--json"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(writing)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_a_terminal_shows_the_url_to_click_and_leaves_no_picture_behind(home: Path) -> None:
    code, screen = on_a_terminal(QUESTION, "--bots", "1", "--think", "0.3s")
    assert code == 0
    assert "\x1b]8;" in screen  # a link
    assert "open for work" in screen
    assert "4 of 4 units" in screen
    assert screen.rstrip().splitlines()[-1].startswith("as a table:  falsework export question-")


def test_no_color_is_heeded_on_a_terminal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    _, screen = on_a_terminal(QUESTION, "--bots", "1", "--think", "0.3s")
    assert not [code for code in ("\x1b[32m", "\x1b[36m", "\x1b[38;") if code in screen]


def test_a_dumb_terminal_gets_plain_lines(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    _, screen = on_a_terminal(QUESTION, "--bots", "1", term="dumb")
    assert "\x1b" not in screen


def test_a_closed_terminal_takes_the_run_down(home: Path, falsework: Falsework) -> None:
    terminal = Terminal(QUESTION)
    terminal.read_until("open for work at ")
    terminal.close()
    assert terminal.wait() == 130
    (run,) = falsework("ps", "--all", "--json").json
    assert run["state"] == "shut_down"


class Terminal:
    """A launch whose controlling terminal is ours to close."""

    def __init__(self, *arguments: str, term: str = "xterm-256color") -> None:
        self.ours, theirs = os.openpty()
        self.screen = b""
        take_terminal = (
            "import fcntl, os, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
        )
        self.process = subprocess.Popen(
            [*HEEDING_SIGNALS, COMMAND.with_name("python"), "-c", take_terminal, COMMAND, "launch", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": term},
        )
        os.close(theirs)

    def read(self) -> bool:
        try:
            more = os.read(self.ours, 1 << 16)
        except OSError:  # how a terminal tells that the other end is closed
            return False
        self.screen += more
        return bool(more)

    def read_until(self, text: str) -> None:
        while text.encode() not in self.screen:
            assert self.read(), self.screen

    def close(self) -> None:
        os.close(self.ours)

    def wait(self) -> int:
        return self.process.wait(timeout=60)


def on_a_terminal(*arguments: str, term: str = "xterm-256color") -> tuple[int, str]:
    terminal = Terminal(*arguments, term=term)
    while terminal.read():
        pass
    terminal.close()
    return terminal.wait(), terminal.screen.decode()
