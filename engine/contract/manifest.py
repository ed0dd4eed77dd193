"""The manifest of a bundle: which files are in it, and what exactly each of them must be."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ...router.wire.journal import sync_directory
from ..errors import BundleError

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class FileSeal:
    """What a sealed file must be: its sha256 in hexadecimal digits, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What the file `manifest.json` says."""

    format: int
    run_id: str
    router: str
    start: Sequence[str]
    """The command that starts the router, to be run in the bundle."""
    environment: Sequence[str]
    """The names, never the values, of the variables that the start command needs."""
    files: Mapping[str, FileSeal]
    """By their paths in the bundle, with slashes."""


def read_manifest(directory: Path) -> Manifest:
    """The manifest in a bundle. Raises BundleError if there is none, if it is damaged or of another format; OSError."""
    path = directory / MANIFEST
    try:
        said = json.loads(path.read_bytes())
        if said["format"] != FORMAT:
            raise BundleError(f"{path} is of format {said['format']!r}; this falsework reads format {FORMAT}")
        files = {name: FileSeal(**seal) for name, seal in said.pop("files").items()}
        return Manifest(**said, files=files)
    except FileNotFoundError as error:
        raise BundleError(f"{directory} holds no sealed bundle: there is no {MANIFEST}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} is not a bundle's manifest; prepare the run again") from error


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest of a bundle, whole or not at all; it is on the disk when this returns. Raises OSError."""
    half_written = directory / f".{MANIFEST}"
    try:
        with open(half_written, "wb", opener=_private) as file:
            file.write(json.dumps(asdict(manifest), indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        half_written.replace(directory / MANIFEST)
    finally:
        half_written.unlink(missing_ok=True)
    sync_directory(directory)


def files_in(directory: Path) -> Iterator[tuple[str, Path]]:
    """All that is in a bundle, in a fixed order, but the manifest at its top. A link counts as a file that it is not."""
    for parent, directories, names in os.walk(directory):
        directories.sort()
        links = [name for name in directories if (Path(parent) / name).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(parent, name)
            if path != directory / MANIFEST:
                yield path.relative_to(directory).as_posix(), path


def seal_of(path: Path) -> FileSeal:
    """What a file is now, and must be from now on."""
    with open(path, "rb") as file:
        return FileSeal(hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size)


def is_as_sealed(path: Path, seal: FileSeal) -> bool:
    """Whether a file is what it was; a link is not, whatever it leads to."""
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_size == seal.size and seal_of(path) == seal


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
