"""Copying what a user wrote into a bundle: files and directories only, private to their owner, nothing hidden, no link left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..errors import BundleError


def copy_tree(source: Path, target: Path, leave_out: Collection[str] = ()) -> None:
    """Copy a directory to `target`, which must not be there yet.

    Hidden files (`.git`, `.env`), `__pycache__` and what `leave_out` names at the top stay behind. Links are followed inside
    `source`. Raises BundleError for a link out of it, nowhere or round in a circle, for what is neither a file nor a
    directory, and if `source` is none; OSError as it comes.
    """
    if not source.is_dir():
        raise BundleError(f"{source} is not a directory")
    root = source.resolve()
    _copy_directory(root, target, _Origin(source, root), (), leave_out)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content to `target`, which its owner alone may read. Raises OSError as it comes."""
    shutil.copyfile(source, target)
    target.chmod(0o600)


@dataclass(frozen=True)
class _Origin:
    """A directory being copied: as the user named it, and where it really is."""

    named: Path
    root: Path


def _copy_directory(
    source: Path, target: Path, origin: _Origin, above: tuple[Path, ...], leave_out: Collection[str] = ()
) -> None:
    target.mkdir(mode=0o700)
    for entry in sorted(source.iterdir()):
        if entry.name.startswith(".") or entry.name == "__pycache__" or entry.name in leave_out:
            continue
        real = _real(entry, origin)
        if real.is_dir():
            if real in (*above, source):
                raise BundleError(f"{entry} links to a directory that it is in; copying it would never end")
            _copy_directory(real, target / entry.name, origin, (*above, source))
        elif real.is_file():
            copy_file(real, target / entry.name)
        else:
            raise BundleError(f"{entry} is neither a file nor a directory and cannot be shipped")


def _real(entry: Path, origin: _Origin) -> Path:
    """What an entry is, a link followed. Raises BundleError for one that leads nowhere or out of the origin."""
    if not entry.is_symlink():
        return entry
    try:
        real = Path(os.path.realpath(entry, strict=True))
    except OSError as error:
        raise BundleError(f"{entry} is a link that leads nowhere: {error.strerror}") from error
    if not real.is_relative_to(origin.root):
        raise BundleError(f"{entry} links to {real}, out of {origin.named}; copy what it links to into that directory")
    return real
