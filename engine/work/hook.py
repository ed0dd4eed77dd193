"""The task's own Python file: what happens to live updates, who passes the onboarding, what bots say.

A hook file may define any of these; each may be a coroutine function or a plain one (bot_answer and bot_updates plain):

    async def on_start(session)                      the workers of a unit are all there
    async def on_update(session, agent, update)      a page sent a live update (a dict)
    async def on_leave(session, agent)               an agent left before handing in
    def on_onboarding(worker_id, data) -> bool       whether a worker passed; without it everybody does
    def bot_answer(data, random)                     what a bot hands in for a unit
    def bot_updates(data, random) -> list[dict]      what a bot sends before that

An error in a hook is told and counted; it never ends the run. One in what bots say ends their rehearsal.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ConfigError, FalseworkError, Problem
from .live import LiveAgent, Session

LIVE = ("on_start", "on_update", "on_leave", "on_resume")
KNOWN = (*LIVE, "on_onboarding", "bot_answer", "bot_updates")
ONBOARDING_TIMEOUT = 60.0
"""Seconds in which on_onboarding must have judged: the worker's page waits for it."""


class HookFailed(FalseworkError):
    """A function of the hook file raised where the work cannot go on without it."""


class Hook:
    """The functions of a hook file; what it does not define does nothing."""

    def __init__(self, module: ModuleType | None, say: Callable[[str], None]) -> None:
        self._module, self._say = module, say
        self.errors = 0

    @classmethod
    def load(cls, path: Path | None, say: Callable[[str], None]) -> Hook:
        """Run the hook file. Raises ConfigError that names file and line if it fails."""
        if path is None:
            return cls(None, say)
        spec = importlib.util.spec_from_file_location(f"falsework_hook_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise ConfigError(Problem("is no Python file", str(path), key="task.hook"))
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            problem = Problem(f"fails when it is run: {error!r}", str(path), _line_in(path, error), "task.hook")
            raise ConfigError(problem) from error
        wrong = [name for name in KNOWN if not callable(getattr(module, name, _nothing))]
        if wrong:
            raise ConfigError(*(Problem(f"{name} is no function", str(path), key="task.hook") for name in wrong))
        return cls(module, say)

    @property
    def is_live(self) -> bool:
        """Whether it follows its pages while they work."""
        return any(self._function(name) is not None for name in LIVE)

    async def on_start(self, session: Session) -> None:
        """The session's agents are all there."""
        await self._call(session, "on_start", session)

    async def on_resume(self, session: Session) -> None:
        """The session goes on under another launcher, without its memory; a hook that has no on_resume starts it anew."""
        name = "on_resume" if self._function("on_resume") is not None else "on_start"
        await self._call(session, name, session)

    async def on_update(self, session: Session, agent: LiveAgent, update: dict[str, Any]) -> None:
        """A page sent a live update."""
        await self._call(session, "on_update", session, agent, update)

    async def on_leave(self, session: Session, agent: LiveAgent) -> None:
        """An agent left before handing in."""
        await self._call(session, "on_leave", session, agent)

    async def passes_onboarding(self, worker_id: str, data: Any) -> bool:
        """Whether a worker may do units. An error in the hook lets nobody pass."""
        function = self._function("on_onboarding")
        if function is None:
            return True

        async def judge(*arguments: Any) -> Any:
            async with asyncio.timeout(ONBOARDING_TIMEOUT):
                return await _outcome(function, *arguments)

        return bool(await self._guarded("on_onboarding", judge, worker_id, data))

    def bot_answer(self, data: Any, random: Any) -> Any:
        """What a bot hands in for a unit. Raises HookFailed."""
        function = self._function("bot_answer")
        if function is None:
            return {"text": f"answer {random.randrange(1000)}"}
        with self._explained("bot_answer"):
            return function(data, random)

    def bot_updates(self, data: Any, random: Any) -> list[dict[str, Any]]:
        """What a bot sends before it hands in. Raises HookFailed."""
        function = self._function("bot_updates")
        if function is None:
            return []
        with self._explained("bot_updates"):
            return [dict(update) for update in function(data, random)]

    def _function(self, name: str) -> Callable[..., Any] | None:
        return getattr(self._module, name, None)

    async def _call(self, session: Session, name: str, *arguments: Any) -> None:
        function = self._function(name)
        if function is not None:
            async with session.turn:
                await self._guarded(name, function, *arguments)

    async def _guarded(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await _outcome(function, *arguments)
        except Exception as error:  # noqa: BLE001 - the user's code must not end the run
            self.errors += 1
            self._say(self._told(name, error))
            return None

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise HookFailed(self._told(name, error)) from error

    def _told(self, name: str, error: BaseException) -> str:
        path = Path(str(getattr(self._module, "__file__", "")))
        return f"{name} failed: {error!r} ({path}:{_line_in(path, error)})"


async def _outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    result = function(*arguments)
    return await result if inspect.isawaitable(result) else result


def _line_in(path: Path, error: BaseException) -> int | None:
    """The line of the hook file where an error came up, or came by."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((frame.lineno for frame in frames if frame.filename == str(path)), None)


def _nothing() -> None: ...
