"""Where a module of 0.1.0 is now: an import of its old place fails with an ImportError that names the new one.

All three packages say so of theirs, and this is the floor on which they all stand. Their tables give names without
`falsework.`, since a router that runs alone from its bundle has none before its name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

NAMESPACE = __name__.removesuffix("router.wire.moved")

ROUTER: Mapping[str, str] = {
    "router.board": "agents launcher_link lease peers switchboard",
    "router.door": """bodies data_directory delivery frames handover lease_memory metrics outbox pages policy refusals
        server settings sockets spreading uploads""",
    "router.process": "command_line listening serving supervisor",
    "router.wire": "journal protocol",
}
"""The modules that stood directly in router/, by the folder where each is now."""


class OldPlaces:
    """A finder that finds nothing, but knows where modules have moved to. Python asks it last."""

    def __init__(self, moved: Mapping[str, str]) -> None:
        self._moved = {NAMESPACE + old: NAMESPACE + new for old, new in moved.items()}

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raise ImportError for a module that has moved; leave every other one to Python."""
        if name in self._moved:
            raise _moved_to(self._moved[name], name)


def in_folders(package: str, folders: Mapping[str, str], prefix: str = "") -> dict[str, str]:
    """New places by old ones, of modules that stood directly in `package` and lost at most a prefix of their names."""
    return {
        f"{package}.{prefix}{name}": f"{folder}.{name}" for folder, names in folders.items() for name in names.split()
    }


def tell_of_modules(moved: Mapping[str, str]) -> None:
    """Have the import of each old place in `moved` fail with its new one. Costs nothing until such an import."""
    sys.meta_path.append(OldPlaces(moved))


def tell_of_names(package: str, moved: Mapping[str, str]) -> Callable[[str], object]:
    """Make the `__getattr__` of a package that took a module's name; `moved` has the new places of the module's names."""

    def look_up(name: str) -> object:
        if name in moved:
            raise _moved_to(NAMESPACE + moved[name], f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return look_up


def _moved_to(new: str, old: str) -> ImportError:
    return ImportError(f"{old} is a place of 0.1.0; what was there is now in {new}", name=old)
