"""What the command line writes to when the reader may be gone: a closed terminal must not stop a shutdown."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, TextIO, cast


class Unbreakable:
    """A text stream whose writes are lost, instead of raising, once nobody reads it any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def make_stderr_unbreakable() -> None:
    """From now on, whatever writes to sys.stderr (progress, logging, tracebacks) goes on when it is closed."""
    stream = sys.stderr if sys.stderr is not None else open(os.devnull, "w")  # noqa: SIM115 - it lasts as long as we do
    sys.stderr = cast(TextIO, Unbreakable(stream))


def print_if_read(text: str) -> None:
    """Print to stdout; if nobody reads it any more, so be it, now and when the interpreter ends."""
    try:
        print(text, flush=True)
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
