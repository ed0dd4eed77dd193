"""The bundle: the directory that `prepare` makes and `deploy` ships, and the manifest that says exactly what is in it.

    bundle/  manifest.json   format, run id, router, start command, environment names, sha256 and size of every file
             router/         the router's own code
             static/         what the worker's browser gets

Only files are handled here. What is done with them, and when, is the business of Run and of the architects.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Self

from ..errors import BundleError
from .copying import copy_file, copy_tree
from .manifest import (
    FORMAT,
    MANIFEST,
    Manifest,
    files_in,
    is_as_sealed,
    read_manifest,
    seal_of,
    write_manifest,
)

NAME = "bundle"
TASK_CONFIG = "task_config.json"

MEPHISTO_TASK_VERSION = "2.0.4"
"""The version of the client package whose pages are served; the client compares it with its own."""

TASK_CONFIG_DEFAULTS: Mapping[str, Any] = {"block_mobile": False, "frame_height": 0}
"""What the client reads from the task's configuration if the task does not set it."""

_HALF_MADE = ".bundle-"


class BundleChanged(BundleError):
    """The files are not those that were sealed. Each list holds paths inside the bundle, such as `static/index.html`."""

    def __init__(self, run_id: str, changed: Sequence[str], missing: Sequence[str], unlisted: Sequence[str]) -> None:
        self.run_id = run_id
        self.changed, self.missing, self.unlisted = tuple(changed), tuple(missing), tuple(unlisted)
        kinds = (("changed", self.changed), ("missing", self.missing), ("unlisted", self.unlisted))
        found = "; ".join(f"{kind}: {', '.join(paths)}" for kind, paths in kinds if paths)
        super().__init__(f"the bundle of run {run_id} is not what was sealed ({found}); prepare it again")


class Bundle:
    """What one run ships. Make it, add to it, seal it; from then on it must stay exactly as it is.

    One is had from `make`, or from `load` in another process.
    """

    def __init__(
        self, directory: Path, run_id: str, router: str, start: Sequence[str], environment: Sequence[str]
    ) -> None:
        self.directory, self.run_id, self.router = directory, run_id, router
        self.start, self.environment = tuple(start), tuple(environment)

    @property
    def static(self) -> Path:
        """The directory with what the worker's browser gets."""
        return self.directory / "static"

    @property
    def sealed(self) -> bool:
        """Whether nothing may be added any more."""
        return (self.directory / MANIFEST).exists()

    @classmethod
    def make(
        cls,
        run_directory: Path,
        run_id: str,
        *,
        static: Path,
        start: Sequence[str],
        router_source: Path | None = None,
        router: str = "python",
        environment: Sequence[str] = (),
        task_config: Mapping[str, Any] | None = None,
        router_leaves_out: Collection[str] = (),
    ) -> Self:
        """Make `<run_directory>/bundle` from the router's code and the task's static directory. May be repeated.

        `router_source` is the directory with that code; where it is None, that is falsework's own router in Python, which
        `python -m router` starts in the bundle. A bundle that was there before is replaced. Hidden files (`.git`, `.env`),
        `__pycache__` and what `router_leaves_out` names at the top of the router's code stay behind. Links are followed
        inside the directory that is copied. Raises BundleError for a link out of it, for what is no file or cannot be read,
        and for a static directory without index.html. `environment` holds the names, never the values, of the variables
        that the start command needs.

        static/task_config.json is: the client's defaults, what the task's own file says, `task_config`, then the run id.
        """
        with _told_as_bundle_error(f"the bundle of run {run_id} cannot be made"), _building(run_directory) as building:
            copy_tree(router_source or _own_router(), building / "router", leave_out=router_leaves_out)
            copy_tree(static, building / "static")
            if not (building / "static" / "index.html").is_file():
                raise BundleError(f"{static} has no index.html, the page that a worker's browser opens first")
            _write_task_config(building / "static" / TASK_CONFIG, run_id, task_config or {})
        return cls(run_directory / NAME, run_id, router, start, environment)

    @classmethod
    def load(cls, run_directory: Path) -> Self:
        """Take up the sealed bundle of a run directory, in another process. Raises BundleError if there is none."""
        directory = run_directory / NAME
        manifest = read_manifest(directory)
        return cls(directory, manifest.run_id, manifest.router, manifest.start, manifest.environment)

    def add(self, relative: str, content: bytes | Path) -> None:
        """Put a file under static/, as bytes or copied from a path; `relative` is its place there, with slashes.

        A file of that name is replaced, but for task_config.json. Legal until the bundle is sealed. Raises BundleError,
        also for a name that leads out of static/.
        """
        if self.sealed:
            raise BundleError(f"the bundle of run {self.run_id} is sealed; {relative} came too late")
        place = self.static / _inside(relative)
        with _told_as_bundle_error(f"{relative} cannot be added to the bundle of run {self.run_id}"):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if isinstance(content, Path):
                copy_file(content, place)
            else:
                place.write_bytes(content)
                place.chmod(0o600)

    def seal(self) -> None:
        """Write the manifest, durably and at once; nothing may be added afterwards. A sealed bundle is verified instead."""
        if self.sealed:
            self.verify()
            return
        with _told_as_bundle_error(f"the bundle of run {self.run_id} cannot be sealed"):
            files = {name: seal_of(path) for name, path in files_in(self.directory)}
            manifest = Manifest(FORMAT, self.run_id, self.router, self.start, self.environment, files)
            write_manifest(self.directory, manifest)

    def verify(self) -> None:
        """Compare every file with the manifest. Raises BundleChanged, which names all that differs; BundleError unsealed."""
        with _told_as_bundle_error(f"the bundle of run {self.run_id} cannot be verified"):
            sealed = read_manifest(self.directory).files
            present = dict(files_in(self.directory))
            changed = [name for name in present if name in sealed and not is_as_sealed(present[name], sealed[name])]
        missing, unlisted = sorted(sealed.keys() - present.keys()), sorted(present.keys() - sealed.keys())
        if changed or missing or unlisted:
            raise BundleChanged(self.run_id, changed, missing, unlisted)

    def files(self) -> dict[str, Path]:
        """What an architect ships: every file of the bundle by its name in there, the manifest among them."""
        return {**dict(files_in(self.directory)), **({MANIFEST: self.directory / MANIFEST} if self.sealed else {})}


def _own_router() -> Path:
    return Path(str(files("falsework.router")))


@contextmanager
def _told_as_bundle_error(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BundleError(f"{what}: {error}") from error


@contextmanager
def _building(run_directory: Path) -> Iterator[Path]:
    """A directory that takes the bundle's place when it is complete, and is gone when it is not."""
    run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _discard_half_made(run_directory)
    building = Path(tempfile.mkdtemp(prefix=_HALF_MADE, dir=run_directory))
    try:
        yield building
        directory = run_directory / NAME
        if directory.exists():
            directory.rename(Path(tempfile.mkdtemp(prefix=_HALF_MADE, dir=run_directory)))
        building.rename(directory)
    finally:
        _discard_half_made(run_directory)


def _discard_half_made(run_directory: Path) -> None:
    for stale in run_directory.glob(f"{_HALF_MADE}*"):
        shutil.rmtree(stale)


def _inside(relative: str) -> PurePosixPath:
    place = PurePosixPath(relative)
    if place.is_absolute() or not place.name or ".." in place.parts or "\\" in relative or "\0" in relative:
        raise BundleError(f"{relative!r} is no place under static/")
    if place == PurePosixPath(TASK_CONFIG):
        raise BundleError(f"{TASK_CONFIG} is the bundle's own; what belongs there goes into the task's config")
    return place


def _write_task_config(path: Path, run_id: str, task_config: Mapping[str, Any]) -> None:
    written = _read_task_config(path) if path.exists() else {}
    own = {"run_id": run_id, "mephisto_task_version": MEPHISTO_TASK_VERSION}
    path.write_text(json.dumps({**TASK_CONFIG_DEFAULTS, **written, **task_config, **own}, indent=1))
    path.chmod(0o600)


def _read_task_config(path: Path) -> dict[str, Any]:
    try:
        written = json.loads(path.read_bytes())
    except ValueError as error:
        raise BundleError(f"the task's own static/{TASK_CONFIG} is not JSON: {error}") from error
    if not isinstance(written, dict):
        raise BundleError(f"the task's own static/{TASK_CONFIG} holds no JSON object")
    return written
