"""SIGINT, SIGTERM and SIGHUP, handled once, here, for every command that has something standing.

The first: stop and shut down. Every later one while that goes on: answered with what is being waited for. The third: leave
at once. A signal that was ignored when the command began (nohup, a shell's background) stays ignored.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NoReturn, TypeVar

from .exits import Interrupted

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOST = 3
"""Signals after which nothing is waited for any more."""


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
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_guarded(main, edge))
    except asyncio.CancelledError:
        raise Interrupted("interrupted") from None


def leave_with(lines: Iterable[str], code: int) -> NoReturn:
    """Say what is left, and end the process at once: nothing that hangs can keep it."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)
    os._exit(code)


async def _guarded(main: Callable[[], Coroutine[Any, Any, T]], edge: Edge) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main())
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    count = 0

    def take() -> None:
        nonlocal count
        count += 1
        if count >= MOST:
            edge.leave()
        elif count == 1 and not edge.is_ending():
            edge.stopping()
            task.cancel()
        else:
            edge.waiting(MOST - count)

    for number in heeded:
        loop.add_signal_handler(number, take)
    try:
        return await task
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
