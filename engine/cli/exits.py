"""Exit codes, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

import typer

from ..errors import ConfigError, FalseworkError, ShutdownFailed

left_behind: set[str] = set()
"""Tasks and threads that did not end when their loop was left, by name."""


class Exit(IntEnum):
    """How the command line ends."""

    DONE = 0
    """Done and down."""
    FAILED = 1
    """Failed, but down."""
    USAGE = 2
    """Nothing was done: a command or a task file is wrong."""
    STANDING = 3
    """Something still stands."""
    INTERRUPTED = 130
    """Interrupted, and down."""


class Interrupted(FalseworkError):
    """Somebody asked for an end, and there it is: everything is down."""


class StillStanding(FalseworkError):
    """Something was not, or could not be, seen down. `because_of` keeps the words and notes of what went wrong."""

    @classmethod
    def because_of(cls, error: FalseworkError) -> StillStanding:
        standing = cls(_sentence(error))
        for note in getattr(error, "__notes__", ()):
            standing.add_note(note)
        standing.__cause__ = error
        return standing


def exit_of(error: BaseException) -> Exit:
    """The exit code that says what `error` says."""
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, ShutdownFailed | StillStanding):
        return Exit.STANDING
    return Exit.USAGE if isinstance(error, ConfigError) else Exit.FAILED


def told(error: BaseException) -> Iterator[str]:
    """An error as lines: each problem of a ConfigError as it is, `file:line: key: message`; else what is inside, and notes."""
    if isinstance(error, ConfigError):
        yield from (str(problem) for problem in error.problems)
    else:
        yield f"falsework: {_sentence(error)}"
    if isinstance(error, BaseExceptionGroup):
        yield from (f"  {line}" for inner in error.exceptions for line in _inside(inner))
    yield from getattr(error, "__notes__", ())


@contextmanager
def reported() -> Iterator[None]:
    """Tell an error that a user can do something about, and leave with its code. A bug keeps its traceback."""
    try:
        yield
    except (FalseworkError, KeyboardInterrupt) as error:
        for line in told(error):
            print(line, file=sys.stderr)
        raise typer.Exit(exit_of(error)) from error
    except BrokenPipeError:
        raise  # whoever read our output has seen enough: typer ends quietly
    except OSError as error:
        print(f"falsework: {error}", file=sys.stderr)
        raise typer.Exit(Exit.FAILED) from error


def end_without_what_is_left(ended: BaseException) -> None:
    """End the process with the code of `ended`, if a task or thread is left that would keep it; else do nothing."""
    if not left_behind:
        return
    if isinstance(ended, SystemExit):
        code = ended.code if isinstance(ended.code, int) else Exit.FAILED if ended.code else Exit.DONE
    else:
        code = Exit.FAILED
        sys.excepthook(type(ended), ended, ended.__traceback__)
    print(f"falsework: left behind, since it does not end: {', '.join(sorted(left_behind))}", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _inside(error: BaseException) -> Iterator[str]:
    yield _sentence(error)
    if isinstance(error, BaseExceptionGroup):
        yield from (f"  {line}" for inner in error.exceptions for line in _inside(inner))


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, BaseExceptionGroup):
        return error.message
    return str(error) if isinstance(error, FalseworkError) else f"{type(error).__name__}: {error}"
