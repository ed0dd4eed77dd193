"""Where a mock architect plays: what was called, what is to go wrong, and which servers stand. A test holds it.

An architect is made by the engine, so a test cannot reach it: it opens a stage instead (`with MockStage() as mock`, or the
pytest fixture `falsework_mock`), and every mock architect made meanwhile plays there. The stage is to the mock architect
what a provider is to another one: what stands there is true, whatever a ledger says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from falsework.engine.errors import TransientError
from falsework.router.wire.protocol import Envelope

from .faults import LIES, Failure, Faults, Hang, Lie
from .waits import News

if TYPE_CHECKING:
    from .launch import MockLaunch
    from .server import MockServer

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One call of the architect: the action, the run that it was for, and what else it was given."""

    action: str
    run_id: str | None
    arguments: Mapping[str, Any]


class MockStage:
    """A context manager; nested ones hide the outer ones. `timeout` is in seconds, for waits that name none."""

    def __init__(self, timeout: float = 10.0) -> None:
        self.timeout = timeout
        self.calls: list[Call] = []
        """Every call of an architect, in order, those that failed too."""
        self.servers: list[MockServer] = []
        """Every server that was started, in order, those that are down too."""
        self.standing: dict[str, MockServer | None] = {}
        """What stands now, by run id; None is a server of `should_run_server: false`."""
        self.sent: list[Envelope] = []
        """What was sent over the channels to those."""
        self._faults = Faults()
        self._news = News(lambda: ", ".join(self.actions))

    def __enter__(self) -> Self:
        _open.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Everybody who hangs goes on, and every server that still stands is cut off."""
        _open.remove(self)
        self.heal()
        for server in self.standing.values():
            if server is not None:
                server.cut()
        self.standing.clear()

    def launch(self, task_file: Path | str, *overrides: str) -> AbstractAsyncContextManager[MockLaunch]:
        """Launch a task file, whatever its architect, on this stage; `overrides` are as on the command line.

        While the context is open the launch goes on in the background; in the end it is over and down.
        """
        from .launch import launching  # whoever only looks at an architect need not import the whole launcher

        return launching(self, task_file, overrides)

    # What goes wrong. `times` None is for ever; the next fault of an action begins where the last one ends.

    def fail(
        self,
        action: str,
        error: Exception | Callable[[], Exception],
        *,
        times: int | None = None,
        after_effect: bool = False,
    ) -> None:
        """The action raises `error`, or what it returns; `after_effect` only when it did what it promises."""
        self._faults.add(action, Failure(error, times, after_effect))

    def fail_transiently(self, action: str, *, times: int = 1, after_effect: bool = False) -> None:
        """The action raises TransientError as often as told, then it works."""
        self.fail(action, lambda: TransientError(f"{action} fails this time"), times=times, after_effect=after_effect)

    def hang(self, action: str, *, times: int | None = 1, after_effect: bool = False) -> Hang:
        """The action waits until it is cancelled, or until what this returns is told to `release`."""
        hang = Hang(action, times, after_effect)
        self._faults.add(action, hang)
        return hang

    def lie(self, action: str, answer: Any = None, *, times: int | None = None) -> None:
        """The action answers so, or as if all were well, and does nothing."""
        self._faults.add(action, Lie(LIES.get(action) if answer is None else answer, times))

    def heal(self) -> None:
        """Nothing goes wrong any more, and everybody who hangs goes on."""
        self._faults.clear()

    # What was seen

    @property
    def actions(self) -> list[str]:
        """The names of the calls, in order."""
        return [call.action for call in self.calls]

    @property
    def prepared(self) -> bool:
        """Whether `prepare` was called."""
        return "prepare" in self.actions

    @property
    def deployed(self) -> bool:
        """Whether `deploy` was called."""
        return "deploy" in self.actions

    @property
    def cleaned(self) -> bool:
        """Whether `cleanup` was called."""
        return "cleanup" in self.actions

    @property
    def did_shutdown(self) -> bool:
        """Whether `shutdown` was called."""
        return "shutdown" in self.actions

    async def called(self, action: str, *, count: int = 1, timeout: float | None = None) -> Call:
        """The call of this action, however long ago; with a `count`, that many of them, the last. Raises NotSeen."""

        def look() -> Call | None:
            found = [call for call in self.calls if call.action == action]
            return found[count - 1] if len(found) >= count else None

        return await self._until(look, f"call {count} of {action}", timeout)

    async def server(self, timeout: float | None = None) -> MockServer:
        """The newest server, once one was started. Raises NotSeen."""
        return await self._until(lambda: self.servers[-1] if self.servers else None, "a server", timeout)

    # For architects

    async def play(self, action: str, run_id: str | None, effect: Callable[[], Awaitable[T]], **arguments: Any) -> T:
        """Note the call, and do it, with whatever is to go wrong."""
        self.note(action, run_id, **arguments)
        return await self._faults.play(action, effect)

    def note(self, action: str, run_id: str | None, **arguments: Any) -> None:
        """Note a call that always succeeds."""
        self.calls.append(Call(action, run_id, arguments))
        self._news.wake()

    def put_up(self, run_id: str, server: MockServer | None) -> None:
        """From now on this stands."""
        self.standing[run_id] = server
        if server is not None:
            self.servers.append(server)
        self._news.wake()

    async def _until(self, look: Callable[[], T | None], what: str, timeout: float | None) -> T:
        return await self._news.until(look, what, self.timeout if timeout is None else timeout)


_open: list[MockStage] = [MockStage()]
"""The innermost last; the first is that of a process in which nobody opened one."""


def current_stage() -> MockStage:
    """Where a mock architect that is made now plays."""
    return _open[-1]
