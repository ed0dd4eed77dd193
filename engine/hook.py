"""The task's own Python file: what happens to live updates, who passes the onboarding, what bots say.

A hook file may define any of these; each may be a coroutine function or a plain one (bot_answer and bot_updates plain):

    async def on_start(session)                      the workers of a unit are all there
    async def on_update(session, agent, update)      a page sent a live update (a dict)
    async def on_leave(session, agent)               an agent left before handing in
    def on_onboarding(worker_id, data) -> bool       whether a worker passed; without it everybody does
    def bot_answer(data, random)                     what a bot hands in for a unit
    def bot_updates(data, random) -> list[dict]      what a bot sends before that

An error in a hook is told and counted; it never ends the run.
"""

from __future__ import annotations

import importlib.util
import inspect
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import ConfigError, Problem
from .live import LiveAgent, Session


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
        except Exception as error:
            line = next(
                (f.lineno for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == str(path)), None
            )
            raise ConfigError(Problem(f"fails when it is run: {error!r}", str(path), line, "task.hook")) from error
        return cls(module, say)

    @property
    def is_live(self) -> bool:
        """Whether pages of this task talk to it."""
        return self._function("on_update") is not None

    async def on_start(self, session: Session) -> None:
        """The session's agents are all there."""
        await self._call(session, "on_start", session)

    async def on_update(self, session: Session, agent: LiveAgent, update: dict[str, Any]) -> None:
        """A page sent a live update."""
        await self._call(session, "on_update", session, agent, update)

    async def on_leave(self, session: Session, agent: LiveAgent) -> None:
        """An agent left before handing in."""
        await self._call(session, "on_leave", session, agent)

    async def passes_onboarding(self, worker_id: str, data: Any) -> bool:
        """Whether a worker may do units. An error in the hook lets nobody pass."""
        function = self._function("on_onboarding")
        return True if function is None else bool(await self._guarded(function, worker_id, data))

    def bot_answer(self, data: Any, random: Any) -> Any:
        """What a bot hands in for a unit."""
        function = self._function("bot_answer")
        return {"text": f"answer {random.randrange(1000)}"} if function is None else function(data, random)

    def bot_updates(self, data: Any, random: Any) -> Iterable[dict[str, Any]]:
        """What a bot sends before it hands in."""
        function = self._function("bot_updates")
        return [] if function is None else function(data, random)

    def _function(self, name: str) -> Callable[..., Any] | None:
        return getattr(self._module, name, None)

    async def _call(self, session: Session, name: str, *arguments: Any) -> None:
        function = self._function(name)
        if function is not None:
            async with session.turn:
                await self._guarded(function, *arguments)

    async def _guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            result = function(*arguments)
            return await result if inspect.isawaitable(result) else result
        except Exception as error:  # noqa: BLE001 - the user's code must not end the run
            self.errors += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            self._say(f"{function.__name__} failed: {error!r} ({where.filename}:{where.lineno})")
            return None
