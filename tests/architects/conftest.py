"""Servers of the local architect, and bare processes: the well-behaved and the misbehaving ones in doubles/."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from falsework.architects.local.architect import PROCESS, LocalArchitect
from falsework.architects.local.args import LocalArgs
from falsework.architects.machine import child, process
from falsework.architects.machine.child import StartedProcess
from falsework.engine.contract.architect import Presence, Site
from falsework.engine.settings.sections import TaskArgs

DOUBLES = Path(__file__).parent / "doubles"
TOKEN = "a-token-that-nobody-may-see"
PATIENCE = 20.0
"""Seconds for a double to say that it is ready, however busy the machine is."""

Architects = Callable[[str], LocalArchitect]
Start = Callable[[str], StartedProcess]


@pytest.fixture
def run_id() -> Iterator[str]:
    """A run that has no process left when its test is over."""
    run_id = _new_run_id()
    yield run_id
    standing = process.find(run_id)
    for identity in standing:
        os.kill(identity.pid, signal.SIGKILL)
    assert not standing


@pytest.fixture
def start(tmp_path: Path, run_id: str) -> Start:
    """Starts a double as a process of the run."""

    def start_double(name: str) -> StartedProcess:
        command = [sys.executable, str(DOUBLES / f"{name}.py")]
        return child.start(command, cwd=tmp_path, env=os.environ, run_id=run_id, log=tmp_path / "log")

    return start_double


@pytest.fixture
def site(tmp_path: Path, run_id: str) -> Site:
    """The run's side of the architect's contract, nothing made yet."""
    return _fresh_site(tmp_path, run_id)


@pytest.fixture
def architect(tmp_path: Path) -> Architects:
    """Makes a local architect that ships a double in the router's place."""

    def make(double: str) -> LocalArchitect:
        source = tmp_path / double
        source.mkdir(exist_ok=True)
        shutil.copy(DOUBLES / f"{double}.py", source / "__main__.py")
        named = type(f"Local_{double}", (LocalArchitect,), {"router_source": source})
        return named()  # type: ignore[no-any-return]

    return make


@pytest.fixture
async def bystander(tmp_path: Path, architect: Architects) -> AsyncIterator[Site]:
    """Another run on this machine, which nobody here may touch."""
    other = _fresh_site(tmp_path, _new_run_id())
    serving = architect("serves")
    await up(serving, other)
    yield other
    assert await serving.probe(other) is Presence.UP
    await serving.shutdown(other)


def _fresh_site(tmp_path: Path, run_id: str) -> Site:
    static = tmp_path / "static"
    static.mkdir(exist_ok=True)
    (static / "index.html").write_text("<p>Hello</p>")
    task = TaskArgs(name="test", static=static, units=tmp_path / "units.jsonl", config={"colour": "green"})
    args = LocalArgs(type="local", ready_timeout=20.0)
    return Site(run_id, args, task, tmp_path / "runs" / run_id, TOKEN, logging.getLogger("test"))


async def up(architect: LocalArchitect, site: Site) -> str:
    bundle = await architect.prepare(site)
    site.url = await architect.deploy(site, bundle)
    return site.url


def port_of(site: Site) -> int:
    port = site.standing(PROCESS)[0].facts["port"]
    assert isinstance(port, int)
    return port


def pid_of(site: Site) -> int:
    pid = site.standing(PROCESS)[0].facts["pid"]
    assert isinstance(pid, int)
    return pid


def _new_run_id() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"
