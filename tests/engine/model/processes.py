"""Simulated processes: what belongs to one is known by its context, so that a dead one never runs another step."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, ContextVar, copy_context
from typing import Any

from falsework.engine.ledger.owner import Owner
from falsework.engine.run.run import Run

from .clock import JumpingLoop


class Process:
    """One process. It lives until all its tasks have ended, or it is killed."""

    def __init__(self, loop: JumpingLoop, number: int) -> None:
        self.number, self.alive = number, True
        self.owner = Owner("model.example", number, float(number))
        self.run: Run | None = None
        """What it drives, once it does."""
        self.is_leaving = False
        """Whether it is about to end, and takes no orders any more."""
        self.callers: list[asyncio.Task[None]] = []
        """Those in it who called shutdown."""
        self.ledger_failed = False
        """Whether the ledger refused it anything."""
        self.saw_it_gone = False
        """Whether its last look found nothing, and nothing was asked for since."""
        self.acting: list[str] = []
        """The architect's actions that are under way."""
        self.going_down_since = math.inf
        """When it last recorded that the run is being shut down."""
        self.attempts = 0
        """How often it has called its architect's shutdown since."""
        self._loop = loop
        self._tasks: list[asyncio.Task[None]] = []
        self._context = copy_context()
        self._context.run(_current.set, self)
        self.main: asyncio.Task[None] | None = None

    def start(self, main: Coroutine[Any, Any, None]) -> None:
        """Begin its life."""
        self.main = self.spawn(main)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Another task of it."""
        task = self._loop.create_task(work, context=self._context.copy())
        self._tasks.append(task)
        return task

    def kill(self) -> None:
        """SIGKILL: not a step more, no `finally`."""
        self.alive = False

    def errors(self) -> Iterator[BaseException]:
        """What its tasks ended in, once it has ended."""
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                yield error

    @property
    def ended_well(self) -> bool:
        """Whether its main task did all that it was to do."""
        return self.main is not None and not self.main.cancelled() and self.main.exception() is None

    @property
    def given_up(self) -> list[str]:
        """The architect's actions that its run gave up, and that go on."""
        return self.run.hands.given_up if self.run is not None else []

    @property
    def is_over(self) -> bool:
        """It ends after its main task, when nobody in it waits for anything any more."""
        return not self.alive or all(task.done() for task in self._tasks)

    def __str__(self) -> str:
        return f"process {self.number}"


class Processes:
    """All processes of one schedule; `note` writes into its story."""

    def __init__(self, loop: JumpingLoop, note: Callable[[str, Process], None]) -> None:
        self.living: list[Process] = []
        self._loop, self._note = loop, note
        self._numbers = itertools.count(1)

    @property
    def newest(self) -> Process | None:
        """The one that began last, of those that go on."""
        return next((process for process in reversed(self.living) if not process.is_over), None)

    def start(self, command: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """One more, for this command."""
        process = Process(self._loop, next(self._numbers))
        self.living.append(process)
        self._note("starts", process)
        process.start(command())

    def ended(self) -> list[Process]:
        """Those that came to their end by themselves since this was last asked."""
        over = [process for process in self.living if process.is_over]
        if not over:
            return []
        self.living = [process for process in self.living if process not in over]
        ended = [process for process in over if process.alive]
        for process in ended:
            process.kill()
        return ended


_current: ContextVar[Process] = ContextVar("process")


def this_process() -> Process:
    """The process that asks."""
    return _current.get()


def is_alive(context: Context) -> bool:
    """Whether a context still counts: the world's always does."""
    process = context.get(_current)
    return process is None or process.alive
