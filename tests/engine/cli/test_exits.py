"""Errors become messages and exit codes in one place, and what is said survives whoever listens."""

from __future__ import annotations

import io
import os

import pytest
import typer
from falsework.engine.cli.exits import Exit, Interrupted, StillStanding, exit_of, reported, told
from falsework.engine.cli.progress import PlainProgress
from falsework.engine.cli.streams import Unbreakable
from falsework.engine.counts import Counts
from falsework.engine.errors import ConfigError, DeployFailed, LedgerError, Problem, ShutdownFailed


@pytest.mark.parametrize(
    "error, code",
    [
        (ConfigError("wrong"), Exit.USAGE),
        (DeployFailed("no luck"), Exit.FAILED),
        (LedgerError("full"), Exit.FAILED),
        (ShutdownFailed("stands", [DeployFailed("why")]), Exit.STANDING),
        (StillStanding("stands"), Exit.STANDING),
        (Interrupted("down"), Exit.INTERRUPTED),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
    ],
)
def test_each_error_has_its_code(error: BaseException, code: Exit, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(error) is code
    with pytest.raises(typer.Exit) as left, reported():
        raise error
    assert left.value.exit_code == code
    assert capsys.readouterr().err


def test_problems_stand_as_they_are_one_a_line() -> None:
    problems = (Problem("is wrong", "task.yaml", 3, "task.name"), Problem("is missing", "task.yaml"))
    assert list(told(ConfigError(*problems))) == ["task.yaml:3: task.name: is wrong", "task.yaml: is missing"]


def test_what_is_inside_a_group_is_told_and_then_the_notes() -> None:
    inner = ShutdownFailed("the second try", [OSError(5, "no answer")])
    error = ShutdownFailed("run x is not down", [DeployFailed("it hangs"), inner])
    error.add_note("finish the job: falsework shutdown x")
    assert list(told(error)) == [
        "falsework: run x is not down",
        "  it hangs",
        "  the second try",
        "    OSError: [Errno 5] no answer",
        "finish the job: falsework shutdown x",
    ]


def test_a_full_disk_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, reported():
        raise OSError(28, "No space left on device", "answers.csv")
    assert left.value.exit_code == Exit.FAILED
    assert capsys.readouterr().err == "falsework: [Errno 28] No space left on device: 'answers.csv'\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), reported():
        raise ZeroDivisionError


def test_writing_where_nobody_reads_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = Unbreakable(io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True))
    assert stream.write("progress") == 8
    stream.flush()
    stream.close()
    assert stream.write("after the end") == 13


def test_what_anybody_says_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    PlainProgress().say("a page says \x1b[2J\x07 größe")
    assert capsys.readouterr().err == "a page says \ufffd[2J\ufffd größe\n"


def test_units_that_are_done_are_told_once_a_second_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    progress = PlainProgress(lambda: now[0])
    for done, at in ((0, 100.0), (1, 100.0), (2, 100.5), (3, 101.1), (3, 109.0), (4, 109.1), (5, 109.2)):
        now[0] = at
        progress.progress(Counts(5, done, 0, 0, 5 - done, done, 0))
    assert [line.split(" of ")[0] for line in capsys.readouterr().err.splitlines()] == ["1", "3", "4", "5"]
