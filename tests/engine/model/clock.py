"""An event loop in which time costs nothing: when nothing is ready, the clock jumps to the next timer.

One callback runs at a time, in the order of their calls, so that a schedule plays the same each time. There are no threads,
sockets or signals: what is given to an executor runs here, after a while that `latency` says.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

_ROUNDS_OF_BURIAL = 200
"""How often what does not end of a cancellation is cancelled again."""


class Stuck(Exception):
    """Nothing is ready and no timer runs: whoever waits, waits for ever."""


class Callback:
    """What a loop hands out for a call that it will make."""

    __slots__ = ("arguments", "callback", "context", "is_cancelled", "when_due")

    def __init__(
        self, when: float, callback: Callable[..., object], arguments: tuple[Any, ...], context: Context
    ) -> None:
        self.when_due, self.callback, self.arguments, self.context = when, callback, arguments, context
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.when_due


class JumpingLoop(asyncio.AbstractEventLoop):
    """`is_alive` says whether a callback's context still counts: what belongs to a dead process is dropped, never run."""

    def __init__(self, is_alive: Callable[[Context], bool], latency: Callable[[], float]) -> None:
        self.now = 0.0
        self.steps = 0
        self.broken: list[str] = []
        """What callbacks raised that nobody can catch."""
        self._is_alive, self._latency = is_alive, latency
        self._ready: deque[Callback] = deque()
        self._timers: list[tuple[float, int, Callback]] = []
        self._order = itertools.count()
        self._dropped: list[Callback] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._futures: list[asyncio.Future[Any]] = []
        self._closed = False

    # Playing

    def step(self) -> None:
        """Run one callback. Raises Stuck if there is none, now or later."""
        while True:
            while not self._ready:
                self._jump()
            called = self._ready.popleft()
            if not self._is_alive(called.context):
                self._dropped.append(called)
            elif not called.is_cancelled:
                break
        self.steps += 1
        self._run(called)

    def run_dry(self) -> None:
        """Run until nothing will happen any more."""
        try:
            while True:
                self.step()
        except Stuck:
            return

    def bury(self) -> None:
        """End what was left in the middle of something, so that the garbage collector finds nothing that may still act."""
        self._is_alive = lambda context: True
        for called in self._dropped:
            self._run(called)
        for _ in range(_ROUNDS_OF_BURIAL):
            pending = [one for one in (*self._tasks, *self._futures) if not one.done()]
            for one in pending:
                one.cancel()
            if not pending and not self._ready:
                break
            for _ in range(len(self._ready)):
                self.step()
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.exception()  # nobody else asks any more
        self._timers.clear()
        self._closed = True

    def _run(self, called: Callback) -> None:
        asyncio._set_running_loop(self)
        try:
            called.context.run(called.callback, *called.arguments)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as every loop does; whoever plays looks
            self.broken.append(repr(error))
        finally:
            asyncio._set_running_loop(None)

    def _jump(self) -> None:
        if not self._timers:
            raise Stuck
        self.now = max(self.now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self.now:
            self._ready.append(heapq.heappop(self._timers)[2])

    # What asyncio asks of a loop

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Callback:  # type: ignore[override]
        called = Callback(self.now, callback, args, context or copy_context())
        self._ready.append(called)
        return called

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Callback:
        called = Callback(when, callback, args, context or copy_context())
        heapq.heappush(self._timers, (when, next(self._order), called))
        return called

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Callback:
        return self.call_at(self.now + max(0.0, delay), callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.Future(loop=self)
        self._futures.append(future)
        return future

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """The work is done in one step, and its caller hears of it in a later one."""
        done = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - raised where it is awaited
                self._after_latency(_unless_done, done, done.set_exception, error)
            else:
                self._after_latency(_unless_done, done, done.set_result, result)

        self._after_latency(work)
        return done

    def _after_latency(self, callback: Callable[..., object], *args: Any) -> None:
        latency = self._latency()
        if latency:
            self.call_later(latency, callback, *args)
        else:
            self.call_soon(callback, *args)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Of what nobody awaited: whoever plays looks at the outcomes that matter."""


def _unless_done(future: asyncio.Future[Any], settle: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        settle(outcome)
