"""What the author of an architect supplies to the contract: the architect, its settings, and hands at its provider.

Only `architect` has to be there. What a backend cannot do is a capability that it lacks: the sentences about it are skipped,
with a reason that begins with "capability:".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pytest
import pytest_asyncio

from ..contract.architect import Architect, Site
from ..settings.fields import schema_for
from .journal import Key
from .trial import Trial

StillStands = Callable[[], Awaitable[bool]]


class Backend:
    """Fixtures to override, and hooks: each does something to the backend from outside, without its architect."""

    patience: ClassVar[float] = 60.0
    """Seconds that one action of the architect may take."""
    most_cuts: ClassVar[int] = 60
    """In how many of its waits an action is cut off, each time with a server of its own; they are spread evenly."""
    ends_when_idle: ClassVar[bool] = True
    """Whether the server itself knows that the whole run is idle; one of several does not."""
    soon: ClassVar[float] = 0.2
    """Seconds after which a server of a short life ends: longer than it takes to be up."""
    serves_workers: ClassVar[bool] = True
    """Whether at the other end runs a falsework router, or what speaks like one."""
    outlives_its_process: ClassVar[bool] = True
    """Whether what it makes stands when the process that made it is gone; false for what is only in memory."""
    wrong_settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """For preflight: settings that it must refuse, by the key that its error names, such as `architect.host`."""

    @pytest.fixture
    def architect(self) -> Architect:
        """The architect on trial, made anew. Every backend overrides this."""
        pytest.fail(f"{type(self).__name__} has no fixture `architect` that returns the architect to be tested")

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """The `architect:` section of a task file, without its `type`, for a server that is up soon. Values are JSON values."""
        return {}

    @pytest_asyncio.fixture
    async def trial(self, architect: Architect, settings: Mapping[str, Any], tmp_path: Path) -> AsyncIterator[Trial]:
        """What the contract's tests work with. In the end nothing of theirs stands."""
        args = args_of(architect, settings)

        async def look(site: Site) -> set[Key] | None:
            return await self.standing(architect, site)

        trial = Trial(architect, args, tmp_path, self.patience, look)
        try:
            yield trial
        finally:
            await trial.end()

    # Hooks

    async def standing(self, architect: Architect, site: Site) -> set[Key] | None:
        """The kinds and names of what stands of this run at the provider, without asking the architect if that can be.

        By default what `leftovers` finds; None, where it finds nothing without a ledger: then only `probe` tells.
        """
        if not architect.guarantees.found_without_ledger:
            return None
        return {(found.kind, found.name) for found in await architect.leftovers() if found.run_id == site.run_id}

    async def destroy(self, site: Site) -> None:
        """Destroy the whole server behind the architect's back, as its owner could at the provider."""
        self.lacks("a way to destroy a server behind its architect's back: override `destroy`")

    async def silence(self, site: Site) -> None:
        """Leave the server standing, and let it answer nobody any more."""
        self.lacks("a way to silence a server: override `silence`")

    def unreachable(self, site: Site) -> AbstractAsyncContextManager[None]:
        """While this is open, the provider cannot be asked about the server."""
        self.lacks("a provider that cannot be asked: override `unreachable`")

    def failing(self, site: Site) -> AbstractAsyncContextManager[None]:
        """While this is open, a deploy of this run fails, the later the better. `site.args` may be replaced."""
        self.lacks("a way to let a deploy fail: override `failing`")

    def foreign(self, site: Site) -> AbstractAsyncContextManager[StillStands]:
        """While this is open, something of somebody else's stands where the run's server is, as like it as can be.

        Gives a function that tells whether it still stands.
        """
        self.lacks("room for something of somebody else's: override `foreign`")

    async def upload(self, site: Site) -> tuple[str, bytes]:
        """Let the server have a file: the name under which it can be downloaded, and what is in it."""
        self.lacks("a way to upload: override `upload`")

    # Capabilities

    def needs(self, capability: bool, what: str) -> None:
        """Skip the test without this capability."""
        if not capability:
            self.lacks(what)

    def needs_guarantee(self, architect: Architect, name: str) -> None:
        """Skip the test of an architect that does not claim this; `name` is a field of Guarantees."""
        self.needs(getattr(architect.guarantees, name), f"no guarantee of {name.replace('_', ' ')}")

    def lacks(self, what: str) -> NoReturn:
        """Skip the test: this backend does not have that."""
        pytest.skip(f"capability: {what}")


def args_of(architect: Architect, settings: Mapping[str, Any]) -> Any:
    """The settings as the architect gets them, through the schema that a task file goes through."""
    return schema_for(architect.ArgsClass).load({"type": settings.get("type", "contract"), **settings})
