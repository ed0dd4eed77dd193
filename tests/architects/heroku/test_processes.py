"""Launchers that die: what they had begun is swept or resumed by another process, from the ledger, or without one."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from falsework.engine.config import load_task_file

from ...engine.launching import write_task
from ...engine.serving import Worker, soon
from ...platforms.heroku import HerokuPlatform
from .trials import installed, platform  # noqa: F401

# ruff: noqa: F811  (pytest's fixtures)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("installed", "home")]

MOMENTS = [
    "POST /apps",
    "PATCH /apps/{app}/config-vars",
    "POST /sources",
    "PUT /sources/{source}",
    "POST /apps/{app}/builds",
    "PATCH /apps/{app}/formation",
    "* web_url",
]
PATIENCE = 60.0


@pytest.fixture
def task(tmp_path: Path) -> Path:
    file = write_task(tmp_path / "task", [{"n": 1}, {"n": 2}], lifecycle={"reconnect_timeout": "20s"})
    document = json.loads(file.read_text())
    architect = {"type": "heroku", "request_timeout": "3s", "ready_timeout": "30s"}
    file.write_text(json.dumps({**document, "architect": architect}))
    assert load_task_file(file).architect.type == "heroku"
    return file


@asynccontextmanager
async def falsework(*arguments: str) -> AsyncIterator[Process]:
    """The command, in a process of its own, which is killed if it does not end before this is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "falsework.engine", *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(*arguments: str) -> str:
    """What the command prints, and all it says if it fails."""
    async with falsework(*arguments) as process, asyncio.timeout(PATIENCE):
        out, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return out.decode()


async def the_only_run() -> dict[str, Any]:
    (found,) = json.loads(await run("ps", "--all", "--json"))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("endpoint", MOMENTS)
async def test_a_launcher_that_is_killed_in_the_midst_of_a_deploy_is_swept_up_after(
    platform: HerokuPlatform, task: Path, endpoint: str
) -> None:
    fault = platform.faults.inject(endpoint, hold=PATIENCE) if endpoint != "* web_url" else None
    if fault is None:
        fault = platform.faults.inject(endpoint, delay=PATIENCE)
    async with falsework("launch", str(task)) as launcher:
        await soon(lambda: fault.times == 0 or launcher.returncode is not None)
        launcher.kill()
        _, said = await launcher.communicate()
    assert fault.times == 0, said.decode()
    await run("sweep", "--yes")
    assert not platform.apps
    assert (await the_only_run())["state"] == "shut_down"


async def test_an_app_that_comes_after_its_launcher_died_is_waited_for_and_taken_down(
    platform: HerokuPlatform, task: Path
) -> None:
    fault = platform.faults.inject("POST /apps", delay=3.0)
    async with falsework("launch", str(task)) as launcher:
        await soon(lambda: fault.times == 0)
        launcher.kill()
        await launcher.communicate()
    assert not platform.apps
    await run("sweep", "--yes")
    assert [call.status for call in platform.calls if call.endpoint == "POST /apps"]
    assert not platform.apps


async def test_a_run_goes_on_under_its_url_after_its_launcher_was_killed(platform: HerokuPlatform, task: Path) -> None:
    async with falsework("launch", str(task)) as launcher:
        url = await is_open(launcher)
        worker = Worker(url, "ann")
        await worker.join()
        launcher.kill()
        await launcher.communicate()
    submitting = asyncio.create_task(worker.submit({"colour": "green"}))
    try:
        run_id = (await the_only_run())["run_id"]
        async with falsework("resume", run_id) as launcher:
            assert await is_open(launcher) == url
            assert (await submitting)[0] == 200
            await worker.join()
            assert (await worker.submit({"colour": "blue"}))[0] == 200
            _, said = await launcher.communicate()
        assert launcher.returncode == 0, said.decode()
    finally:
        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)
        await worker.close()
    assert not platform.apps
    assert len((await run("export", run_id, "--format", "jsonl")).splitlines()) == 2


async def test_what_stands_is_found_and_taken_down_without_a_ledger(
    platform: HerokuPlatform, task: Path, home: Path
) -> None:
    other = await platform.put_app("users-own", owner=platform.user)
    async with falsework("launch", str(task)) as launcher:
        await is_open(launcher)
        launcher.send_signal(signal.SIGKILL)
        await launcher.communicate()
    for file in home.glob("ledger.db*"):
        file.unlink()
    await run("sweep", "--yes", "--provider")
    assert list(platform.apps.values()) == [other]


async def is_open(launcher: Process) -> str:
    """Wait until workers may come; returns where."""
    assert launcher.stderr is not None
    said = []
    async with asyncio.timeout(PATIENCE):
        while line := (await launcher.stderr.readline()).decode():
            said.append(line)
            if "open for work at " in line:
                return line.split()[-1]
    pytest.fail("".join(said))
