"""The event loop of a command, which comes to its end whatever still goes on in it.

`asyncio.run` waits for every task and thread that is left. One that ignores its cancellation would keep the process for ever:
here it gets some time, then it is left behind, and the process ends without it (exits.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from ..run.limit import SETTLE_TIMEOUT
from .exits import left_behind

T = TypeVar("T")


def run(
    main: Callable[[], Coroutine[Any, Any, T]], begun: Callable[[asyncio.Task[Any]], None] = lambda task: None
) -> T:
    """Run `main` in a loop of its own to its end; `begun` gets its task. Raises CancelledError if that was cancelled."""
    loop, threads = _new_loop(), _Threads()
    loop.set_default_executor(threads)
    asyncio.set_event_loop(loop)
    try:
        task = loop.create_task(main())
        begun(task)
        return loop.run_until_complete(task)
    finally:
        _leave(loop, threads)


def _leave(loop: asyncio.AbstractEventLoop, threads: _Threads) -> None:
    """Bring what is left to its end, within bounds. A loop in which something goes on is not closed."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        _, tasks = loop.run_until_complete(asyncio.wait(tasks, timeout=SETTLE_TIMEOUT))
    left_behind.update(task.get_name() for task in tasks)
    left_behind.update(threads.end(SETTLE_TIMEOUT))
    asyncio.set_event_loop(None)
    if not tasks:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class _Threads(ThreadPoolExecutor):
    """The threads of one loop, that can be left."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="falsework")
        self._under_way: dict[Future[Any], str] = {}

    def submit(self, work: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        future = super().submit(work, *arguments, **named)
        self._under_way[future] = getattr(work, "__qualname__", None) or _called(work, arguments)
        future.add_done_callback(lambda done: self._under_way.pop(done, None))
        return future

    def end(self, patience: float) -> set[str]:
        """Begin nothing more and wait for what is under way; returns what goes on after `patience` seconds."""
        self.shutdown(wait=False, cancel_futures=True)
        under_way = dict(self._under_way)
        return {f"a thread in {under_way[future]}" for future in wait(under_way, timeout=patience).not_done}


def _called(work: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    """What a thread does, by name: `asyncio.to_thread` hands over a partial of a context's `run`."""
    called = next(iter(getattr(work, "args", arguments)), work)
    return getattr(called, "__qualname__", None) or repr(called)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
