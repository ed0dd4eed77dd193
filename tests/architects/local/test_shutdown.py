"""The local architect taking down what it made, wherever it was cut off, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest
from falsework.architects.local.architect import PROCESS, LocalArchitect
from falsework.architects.machine import child, process
from falsework.architects.machine.process import ProcessIdentity
from falsework.engine.contract.architect import Presence, Resource, Site
from falsework.engine.errors import ArchitectError, TransientError

from ..conftest import (
    DOUBLES,
    Architects,
    pid_of,
    up,
)


async def _cut_off(architect: LocalArchitect, site: Site, when: Callable[[Resource], bool]) -> None:
    """Cancel the deploy while the ledger is writing a resource of which `when` is true."""
    reached = asyncio.Event()

    async def record(resource: Resource, stands: bool) -> None:
        if stands and when(resource):
            reached.set()
            await asyncio.Event().wait()

    site.record = record
    bundle = await architect.prepare(site)
    deploying = asyncio.create_task(architect.deploy(site, bundle))
    await reached.wait()
    deploying.cancel()
    with suppress(asyncio.CancelledError):
        await deploying
    assert deploying.cancelled()
    site.record = None


@pytest.mark.parametrize("fact, processes", [(None, 0), ("pid", 1), ("port", 1)])
async def test_shutdown_finds_what_a_deploy_that_was_cut_off_has_made(
    architect: Architects, site: Site, bystander: Site, fact: str | None, processes: int
) -> None:
    serving = architect("serves")
    await _cut_off(serving, site, lambda resource: fact is None or fact in resource.facts)
    assert len(process.find(site.run_id)) == processes

    await serving.shutdown(site)

    assert await serving.probe(site) is Presence.GONE
    assert site.resources == []


async def test_a_wait_for_readiness_that_is_cut_off_leaves_a_process_on_record(
    architect: Architects, site: Site
) -> None:
    learned = asyncio.Event()

    async def record(resource: Resource, stands: bool) -> None:
        if "pid" in resource.facts:
            learned.set()

    site.record = record
    waiting = architect("never_ready")
    deploying = asyncio.create_task(waiting.deploy(site, await waiting.prepare(site)))
    await learned.wait()
    deploying.cancel()
    with suppress(asyncio.CancelledError):
        await deploying
    assert await waiting.probe(site) is Presence.DOWN
    await waiting.shutdown(site)
    assert await waiting.probe(site) is Presence.GONE


async def test_shutting_down_twice_is_quiet(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    await up(serving, site)
    await serving.shutdown(site)
    await serving.shutdown(site)


async def test_shutting_down_what_was_never_made_is_quiet(site: Site) -> None:
    await LocalArchitect().shutdown(site)


async def test_shutting_down_a_server_that_died_by_itself_is_quiet(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    await up(serving, site)
    os.kill(pid_of(site), signal.SIGKILL)
    await serving.shutdown(site)
    assert site.resources == []


async def test_a_server_that_ignores_sigterm_is_killed_after_the_grace(architect: Architects, site: Site) -> None:
    site.args = replace(site.args, stop_grace=0.1)
    stubborn = architect("ignores_sigterm")
    with pytest.raises(TransientError):
        await up(stubborn, site)
    await stubborn.shutdown(site)
    assert await stubborn.probe(site) is Presence.GONE


async def test_what_a_server_has_started_goes_with_it(architect: Architects, site: Site) -> None:
    parent = architect("has_a_stubborn_child")
    with pytest.raises(TransientError):
        await up(parent, site)
    os.kill(pid_of(site), signal.SIGKILL)
    await parent.shutdown(site)
    assert process.find(site.run_id) == []


SWEEPER = """
import asyncio, json, logging, sys
from pathlib import Path
from falsework.architects.local.architect import LocalArchitect
from falsework.architects.local.args import LocalArgs
from falsework.engine.contract.architect import Resource, Site
run_id, directory, resources = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
site = Site(run_id, LocalArgs(type="local"), None, directory, "token", logging.getLogger(),
            resources=[Resource(**resource) for resource in resources])
asyncio.run(LocalArchitect().shutdown(site))
print(json.dumps([resource.name for resource in site.resources]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("known", ["all", "name", "nothing"])
async def test_another_process_shuts_down_from_what_is_on_record(
    architect: Architects, site: Site, bystander: Site, known: str
) -> None:
    await up(architect("serves"), site)
    recorded = [{"kind": one.kind, "name": one.name, "facts": dict(one.facts)} for one in site.resources]
    on_record = {"all": recorded, "name": [{**one, "facts": {}} for one in recorded], "nothing": []}[known]
    sweep = [sys.executable, "-c", SWEEPER, site.run_id, str(site.directory), json.dumps(on_record)]
    swept = await asyncio.to_thread(subprocess.run, sweep, capture_output=True, text=True, check=True)
    assert json.loads(swept.stdout) == []
    assert process.find(site.run_id) == []
    assert await LocalArchitect().probe(site) is Presence.GONE


async def test_a_recorded_id_that_is_another_process_now_is_left_alone(site: Site, bystander: Site) -> None:
    facts = {**bystander.standing(PROCESS)[0].facts, "started": 1.0}
    await site.announce(Resource(PROCESS, site.run_id, facts))
    assert await LocalArchitect().probe(site) is Presence.GONE
    await LocalArchitect().shutdown(site)
    assert site.resources == []


async def test_what_may_not_be_looked_at_is_unknown_and_still_on_record_after_shutdown(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(identity: ProcessIdentity, run_id: str) -> bool:
        raise ArchitectError("belongs to another user")

    monkeypatch.setattr(process, "alive", refuse)
    await site.announce(Resource(PROCESS, site.run_id, {"pid": 1, "started": 1.0}))
    assert await LocalArchitect().probe(site) is Presence.UNKNOWN
    with pytest.raises(ExceptionGroup, match="still stands"):
        await LocalArchitect().shutdown(site)
    assert len(site.resources) == 1


async def test_leftovers_are_the_routers_and_nothing_else_that_is_marked(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    await up(serving, site)
    marked = [sys.executable, str(DOUBLES / "polite.py")]
    with child.start(marked, cwd=site.directory, env=os.environ, run_id=site.run_id, log=site.directory / "x") as other:
        found = [leftover for leftover in await serving.leftovers() if leftover.run_id == site.run_id]
    assert [(leftover.kind, leftover.name) for leftover in found] == [(PROCESS, site.run_id)]
    assert str(pid_of(site)) in found[0].detail
    await serving.shutdown(site)
    assert not process.alive(other.identity, site.run_id)


async def test_no_descriptor_and_no_zombie_is_left(architect: Architects, site: Site) -> None:
    serving = architect("serves")

    async def once() -> None:
        await up(serving, site)
        await serving.probe(site)
        await serving.shutdown(site)

    await once()
    before = psutil.Process().num_fds()
    await once()
    assert psutil.Process().num_fds() == before
    assert psutil.Process().children() == []
