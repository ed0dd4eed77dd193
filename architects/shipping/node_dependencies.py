"""What a server on Node depends on: installed once for each lock file, kept under $FALSEWORK_HOME, linked into bundles.

    node-dependencies/<hash of package.json and package-lock.json>/node_modules

An installation appears there whole or not at all, and is never changed again. Only the first `prepare` needs a network.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from falsework.engine.contract.cancellation import uncancelled
from falsework.engine.directories import home, home_location
from falsework.engine.errors import PrepareFailed

from ..machine.mark import RUN_ID
from .node_binary import Node

PLACE = "node-dependencies"
MANIFESTS = ("package.json", "package-lock.json")
MODULES = "node_modules"
NPM_CI = ("ci", "--omit=dev", "--ignore-scripts", "--no-bin-links", "--no-audit", "--no-fund", "--no-update-notifier")
"""Exactly what the lock file says, checked by its hashes; no package's script runs here."""
GLANCE = 0.1
"""Seconds between two tries to get the lock that another process holds while it installs."""
LINES_TOLD = 15
"""Lines of npm's own words that an error carries."""

NEVER_LOADED = (".ts", ".mts", ".cts", ".map", ".md", ".markdown")
NEVER_NEEDED = {"test", "tests", "docs", "example", "examples", "benchmark", "benchmarks"}

Keeps = Callable[[Path], bool]
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


def everything(path: Path) -> bool:
    """Keep a file or directory of a package, whatever it is."""
    return True


def what_runs(path: Path) -> bool:
    """Keep what the router's packages load, and their licences: seven files in ten are tests, documents and types."""
    return path.suffix not in NEVER_LOADED and path.name not in NEVER_NEEDED


def are_installed(source: Path, keeps: Keeps = everything) -> bool:
    """Whether what `source` locks is here already, so that no network is needed. Raises OSError if it locks nothing."""
    return _place(source, keeps).is_dir()


async def install(source: Path, node: Node, *, run_id: str, log: Log, keeps: Keeps = everything) -> Path:
    """The node_modules of what `source` locks, installed first if they are not here; never to be written to.

    One process installs, others wait for it. Cancelling ends npm, and a launcher that is killed leaves it with the run's
    mark. Raises PrepareFailed, which carries npm's last lines.
    """
    place = _place(source, keeps)
    if not place.is_dir():
        home()
        try:
            place.parent.mkdir(mode=0o700, exist_ok=True)
            async with _alone(place, log):
                if not place.is_dir():
                    await _install_into(place, source, node, run_id, log, keeps)
        except OSError as error:
            raise PrepareFailed(f"the server's Node packages cannot be kept in {place.parent}: {error}") from error
    return place / MODULES


def link_tree(source: Path, target: Path) -> None:
    """The same files at `target`, which must not be there yet: as hard links, or copied where there can be none.

    Links and hidden files stay behind: a bundle takes neither.
    """
    target.mkdir(mode=0o700)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_symlink() or entry.name.startswith("."):
                continue
            if entry.is_dir():
                link_tree(Path(entry.path), target / entry.name)
            else:
                _link(entry.path, f"{target}/{entry.name}")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or more links than this one takes
        shutil.copy(source, target)


def _place(source: Path, keeps: Keeps) -> Path:
    contents = b"\0".join((source / name).read_bytes() for name in MANIFESTS)
    digest = hashlib.sha256(keeps.__name__.encode() + b"\0" + contents).hexdigest()
    return home_location() / PLACE / digest[:16]


@asynccontextmanager
async def _alone(place: Path, log: Log) -> AsyncIterator[None]:
    """Hold the lock of an installation, which the system lets go of when its holder dies."""
    descriptor = os.open(place.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _is_locked_by_us(descriptor):
            log.info("another process is installing the server's packages; waiting for it")
            while not _is_locked_by_us(descriptor):  # noqa: ASYNC110  (there is no event)
                await asyncio.sleep(GLANCE)
        yield
    finally:
        os.close(descriptor)


def _is_locked_by_us(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _install_into(place: Path, source: Path, node: Node, run_id: str, log: Log, keeps: Keeps) -> None:
    began = time.monotonic()
    log.info("installing the server's Node packages, once for this version of them (npm ci)")
    for stale in place.parent.glob(f".{place.name}-*"):  # of a process that died: the lock is ours
        await asyncio.to_thread(shutil.rmtree, stale, ignore_errors=True)
    half_made = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        for name in (*MANIFESTS, ".npmrc"):
            if (source / name).is_file():
                shutil.copyfile(source / name, half_made / name)
        await _run_npm(node, half_made, run_id)
        await uncancelled(asyncio.to_thread(_settle, half_made, place, keeps))
    finally:
        shutil.rmtree(half_made, ignore_errors=True)
    log.info("installed the server's Node packages in %.1f s", time.monotonic() - began)


async def _run_npm(node: Node, directory: Path, run_id: str) -> None:
    if not node.npm:
        raise PrepareFailed(f"{node.program} has no npm, which the server's packages are installed with")
    path = f"{node.program.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    npm = await asyncio.create_subprocess_exec(
        *node.npm,
        *NPM_CI,
        cwd=directory,
        env={**os.environ, "PATH": path, RUN_ID: run_id},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = await npm.communicate()
    finally:
        if npm.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(npm.pid, signal.SIGKILL)
            await npm.wait()
    if npm.returncode != 0:
        lines = "".join(f"\n  {line}" for line in said.decode(errors="replace").splitlines()[-LINES_TOLD:])
        raise PrepareFailed(
            f"the server's Node packages could not be installed (npm ended with exit status {npm.returncode}); they are "
            f"needed once, and npm must reach its registry for that. Its last lines:{lines}"
        )


def _settle(half_made: Path, place: Path, keeps: Keeps) -> None:
    """Give an installation its real name, once it is on the disk; a later crash of the machine must not tear it."""
    modules = half_made / MODULES
    modules.mkdir(exist_ok=True)  # where nothing is locked, npm makes none
    for directory, directories, files in os.walk(modules):
        for name in [name for name in directories if not keeps(Path(directory, name))]:
            directories.remove(name)
            shutil.rmtree(Path(directory, name))
        for name in files:
            path = Path(directory, name)
            path.chmod(0o400) if keeps(path) else path.unlink()
    os.sync()
    half_made.rename(place)
