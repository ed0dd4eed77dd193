"""Finding architects by name, through the entry points of the installed packages. Nothing is imported before it is asked for."""

from __future__ import annotations

import sys
from dataclasses import is_dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, Problem
from ..wording import did_you_mean

if TYPE_CHECKING:
    from .architect import Architect

GROUP = "falsework.architects"


def architects() -> dict[str, EntryPoint]:
    """The installed architects by name. Of two with one name, the one that Python would import first is meant."""
    return dict(_installed(tuple(sys.path)))


@lru_cache(maxsize=1)
def _installed(path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """What is found on `path`. Kept, since a sweep asks for each run, and looking takes 10 ms."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return dict(sorted(found.items()))


def architect_class(name: str) -> type[Architect]:
    """The architect of this name, imported. Raises ConfigError if there is none, or if its package is broken."""
    installed = architects()
    if name not in installed:
        known = ", ".join(installed) or "none"
        raise ConfigError(
            Problem(f"no architect is called {name!r}{did_you_mean(name, installed)}; installed: {known}")
        )
    loaded = _load(installed[name])
    if not _is_architect(loaded):
        origin = _origin(installed[name])
        raise ConfigError(Problem(f"the architect {name!r} of {origin} is no subclass of Architect with an ArgsClass"))
    return loaded  # type: ignore[no-any-return]


def _load(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:  # a module of somebody else's may fail in any way while it is imported
        cause = f"{type(error).__name__}: {error}"
        raise ConfigError(
            Problem(f"the architect {entry.name!r} of {_origin(entry)} cannot be imported: {cause}")
        ) from error


def _origin(entry: EntryPoint) -> str:
    package = f"the package {entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"
    return f"{package} ({entry.value})"


def _is_architect(loaded: Any) -> bool:
    from .architect import Architect, ArchitectArgs  # only whoever asks for an architect pays for it

    if not (isinstance(loaded, type) and issubclass(loaded, Architect)):
        return False
    args = getattr(loaded, "ArgsClass", None)
    return isinstance(args, type) and is_dataclass(args) and issubclass(args, ArchitectArgs)
