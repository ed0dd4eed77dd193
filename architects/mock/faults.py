"""What an action of the mock architect does instead of what it promises: it raises, hangs or lies.

Each fault strikes as often as told; then the next one of its action does, and after the last one the action is sound.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from falsework.engine.contract.architect import Presence
from falsework.engine.wording import did_you_mean

from .waits import NotSeen

T = TypeVar("T")
ACTIONS = (
    "assert_task_args",
    "prepare",
    "deploy",
    "connect",
    "probe",
    "download_file",
    "cleanup",
    "log_tail",
    "shutdown",
    "leftovers",
)
"""What can go wrong. `connect` is the opening of a channel."""

NO_SERVER = "http://127.0.0.1:1"
"""The URL of a server that is not there: nobody listens on this port of one's own machine, and no name has to be looked up."""
LIES: dict[str, Any] = {"deploy": NO_SERVER, "probe": Presence.GONE, "log_tail": [], "leftovers": []}
"""What an action says that lies, unless it is told what to say; the others say None."""

Effect = Callable[[], Awaitable[T]]


class Fault(ABC):
    """One way to go wrong. `times` None: for ever."""

    def __init__(self, times: int | None) -> None:
        self.left = times

    @abstractmethod
    async def play(self, effect: Effect[Any]) -> Any:
        """The action, with this fault; `effect` is what it does when it is sound."""

    def release(self) -> None:
        """Let go of whoever this holds up."""


class Failure(Fault):
    """Raises an error; `after_effect` only when the action has done what it promises."""

    def __init__(self, error: Exception | Callable[[], Exception], times: int | None, after_effect: bool) -> None:
        super().__init__(times)
        self._error, self._after_effect = error, after_effect

    async def play(self, effect: Effect[Any]) -> Any:
        if self._after_effect:
            await effect()
        raise self._error if isinstance(self._error, Exception) else self._error()


class Hang(Fault):
    """Waits until it is released, or cancelled; then the action goes on. `after_effect`: only when its effect is there."""

    def __init__(self, action: str, times: int | None, after_effect: bool) -> None:
        super().__init__(times)
        self._action, self._after_effect = action, after_effect
        self._reached, self._released = asyncio.Event(), asyncio.Event()

    async def reached(self, timeout: float = 10.0) -> None:
        """Until the action hangs, or has hung. Raises NotSeen after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._reached.wait()
        except TimeoutError as error:
            raise NotSeen(f"{self._action} hanging", f"within {timeout:g} s", "") from error

    def release(self) -> None:
        self._released.set()

    async def play(self, effect: Effect[Any]) -> Any:
        if self._after_effect:
            result = await effect()
            await self._hang()
            return result
        await self._hang()
        return await effect()

    async def _hang(self) -> None:
        self._reached.set()
        await self._released.wait()


class Lie(Fault):
    """Answers as if all were well, and does nothing."""

    def __init__(self, answer: Any, times: int | None) -> None:
        super().__init__(times)
        self._answer = answer

    async def play(self, effect: Effect[Any]) -> Any:
        return self._answer


class Faults:
    """The faults to come, by action."""

    def __init__(self) -> None:
        self._to_come: defaultdict[str, list[Fault]] = defaultdict(list)
        self._held: list[Fault] = []

    def add(self, action: str, fault: Fault) -> None:
        """Put a fault behind those that its action has already. Raises ValueError for what is no action."""
        if action not in ACTIONS:
            raise ValueError(f"{action!r} is no action{did_you_mean(action, ACTIONS)}; allowed: {', '.join(ACTIONS)}")
        self._to_come[action].append(fault)
        self._held.append(fault)

    def clear(self) -> None:
        """From now on all actions are sound, and whoever hangs goes on."""
        held, self._held = self._held, []
        self._to_come.clear()
        for fault in held:
            fault.release()

    async def play(self, action: str, effect: Effect[T]) -> T:
        """The action, with the next of its faults if there is one."""
        to_come = self._to_come[action]
        if not to_come:
            return await effect()
        fault = to_come[0]
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                to_come.pop(0)
        result: T = await fault.play(effect)
        return result
