"""SIGINT, SIGTERM and SIGHUP, handled once, here, for every command that has something standing.

The first: stop and shut down. Every later one while that goes on: answered with what is being waited for. The third: leave
at once, also where something keeps the loop from turning. A signal that was ignored when the command began (nohup, a shell's
background) stays ignored.
"""

from __future__ import annotations

import _thread
import asyncio
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, TypeVar

from . import loop
from .exits import Exit, Interrupted

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOST = 3
"""Signals after which nothing is waited for any more."""
LEAVING = 5.0
"""Seconds for saying what still stands. Past it the process ends without."""


class Edge(ABC):
    """What a command answers to a signal. Nothing here may raise."""

    @abstractmethod
    def is_ending(self) -> bool:
        """Whether it is on its way down already, so that there is nothing to stop."""

    @abstractmethod
    def stopping(self) -> None:
        """It is being stopped: say so."""

    @abstractmethod
    def waiting(self, left: int) -> None:
        """Say what is being waited for, until when, and that it takes `left` more signals to leave."""

    @abstractmethod
    def leave(self) -> NoReturn:
        """Say what still stands, and end the process at once."""


def run(main: Callable[[], Coroutine[Any, Any, T]], edge: Edge) -> T:
    """Run `main` in a loop of its own to its end. Raises Interrupted if it ended because of a signal."""
    heeding = _Heeding(edge)
    try:
        with heeding.signals():
            return loop.run(main, heeding.begin)
    except asyncio.CancelledError:
        raise Interrupted("interrupted") from None


def leave_with(lines: Iterable[str], code: int) -> NoReturn:
    """Say what is left, and end the process at once: nothing that hangs can keep it."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)
    os._exit(code)


class _Heeding:
    """What the signals of one command do. Python's own handlers count them, since the loop may be kept from turning."""

    def __init__(self, edge: Edge) -> None:
        self._edge, self._count = edge, 0
        self._task: asyncio.Task[Any] | None = None

    def begin(self, task: asyncio.Task[Any]) -> None:
        """This is what the first signal stops."""
        self._task = task

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Heed the signals that were not ignored before, as long as this lasts."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        for number in heeded:
            signal.signal(number, self._take)
        try:
            yield
        finally:
            for number in heeded:
                signal.signal(number, before[number])

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count >= MOST:
            _thread.start_new_thread(self._leave, ())
            _thread.start_new_thread(_end_soon, ())
        elif self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._answer, self._count)

    def _answer(self, count: int) -> None:
        if count == 1 and self._task is not None and not self._edge.is_ending():
            self._edge.stopping()
            self._task.cancel()
        else:
            self._edge.waiting(MOST - count)

    def _leave(self) -> None:
        """In a thread of its own: where the signal came, locks may be held that saying it needs."""
        try:
            self._edge.leave()
        finally:
            os._exit(Exit.STANDING)


def _end_soon() -> None:
    time.sleep(LEAVING)
    os._exit(Exit.STANDING)
