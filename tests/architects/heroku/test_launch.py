"""Whole tasks on Heroku: launched, worked on by bots, and down again, whatever the platform does meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from falsework.architects.shipping.node_binary import Node
from falsework.engine.launch.launcher import BotSettings
from falsework.engine.lifecycle.states import State

from ...engine.launching import (
    Launch,
    assert_done_as_asked,
    launched,
    write_task,
)
from ...engine.serving import soon
from ...platforms.heroku import HerokuPlatform
from ..shipping.node_installed import node_home  # noqa: F401
from .trials import installed, platform  # noqa: F401

# ruff: noqa: F811  (pytest's fixtures)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("installed")]

ARCHITECT = {"type": "heroku", "request_timeout": "5s", "ready_timeout": "30s"}


def task_on_heroku(directory: Path, units: int, **sections: Any) -> Path:
    architect = {**ARCHITECT, **sections.pop("architect", {})}
    file = write_task(directory / "task", [{"n": n} for n in range(units)], **sections)
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "architect": architect}))
    return file


async def assert_down(launch: Launch, platform: HerokuPlatform) -> None:
    """The run is over, its app is gone, and its dyno is about to be."""
    assert not [app for app in platform.apps.values() if app.config_vars]
    await soon(lambda: not launch.processes())
    launch.assert_down()


@pytest.mark.parametrize("push", ["build", "git"])
async def test_a_task_is_done_by_bots(home: Path, tmp_path: Path, platform: HerokuPlatform, push: str) -> None:
    task = task_on_heroku(tmp_path, 10, architect={"push": push}, task={"assignments_per_unit": 2})
    async with launched(home, task, bots=BotSettings(4)) as launch:
        outcome = await launch.end()
        assert outcome.state is State.SHUT_DOWN
        assert_done_as_asked(launch.stored(), 10, 2)
        await assert_down(launch, platform)


async def test_a_task_is_done_on_the_node_router(
    home: Path, tmp_path: Path, node_home: Node, platform: HerokuPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_on_heroku(tmp_path, 5, architect={"router": "node"})
    async with launched(home, task, bots=BotSettings(2)) as launch:
        await launch.end()
        assert_done_as_asked(launch.stored(), 5, 1)
        await assert_down(launch, platform)


@pytest.mark.decisive
async def test_a_teams_app_is_made_used_and_deleted(home: Path, tmp_path: Path, platform: HerokuPlatform) -> None:
    await platform.put_app("theirs", owner="lab@herokumanager.com", team=platform.team)
    task = task_on_heroku(tmp_path, 2, architect={"heroku_team": platform.team, "heroku_app_name": "ours-now"})
    async with launched(home, task, bots=BotSettings(2)) as launch:
        await launch.url()
        assert platform.apps["ours-now"].team == platform.team
        await launch.end()
        await assert_down(launch, platform)
    assert list(platform.apps) == ["theirs"]


async def test_a_restart_of_the_dyno_costs_no_submission(home: Path, tmp_path: Path, platform: HerokuPlatform) -> None:
    """Heroku restarts dynos when it likes, each time on an empty disk."""
    task = task_on_heroku(
        tmp_path,
        40,
        architect={"limits": {"silence": "1s"}},
        task={"assignments_per_unit": 2},
        lifecycle={"reconnect_timeout": "30s"},
    )
    platform.settings.stop_grace = 2.0
    async with launched(home, task, bots=BotSettings(6, think=0.05)) as launch:
        await launch.url()
        (app,) = platform.apps.values()
        for _ in range(2):
            done = len(launch.stored())
            await soon(lambda done=done: len(launch.stored()) >= done + 10)  # type: ignore[misc]
            app.restart()
        await launch.end()
        counted = [one for one in launch.stored() if one.kind == "unit" and one.counted]
        assert len(counted) == 80
        assert len({one.router_epoch for one in counted}) == 3
        await assert_down(launch, platform)


async def test_what_was_shipped_is_cleaned_up_after_the_deploy(
    home: Path, tmp_path: Path, platform: HerokuPlatform
) -> None:
    async with launched(home, task_on_heroku(tmp_path, 1)) as launch:
        await launch.url()
        await soon(lambda: not list(launch.watcher.directory.glob("heroku-*")))
        assert os.listdir(launch.watcher.directory)


async def test_the_log_of_a_server_that_goes_is_kept(home: Path, tmp_path: Path, platform: HerokuPlatform) -> None:
    async with launched(home, task_on_heroku(tmp_path, 1), bots=BotSettings(1)) as launch:
        await launch.end()
        kept = await asyncio.to_thread((launch.watcher.directory / "server.log").read_text)
        assert "launcher attached" in kept
