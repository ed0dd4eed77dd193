"""A home of 0.1.0 goes on: all of it is listed, shown, exported, collected, resumed and taken down, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from falsework.engine.launch.recovery import SERVED
from falsework.engine.launch.sweeper import REASON as SWEPT

from ..engine.cli.conftest import UnderWay
from ..engine.crashes.aftermath import assert_seen_to, look
from ..engine.crashes.crowd import PICTURE, Crowd, text_of
from ..engine.crashes.foundry import Ended, Foundry, installed
from ..engine.launching import processes_of
from .conftest import Made, Resuming
from .old_home import AT_WORK, DOWN, HALF_MADE, RUNS, SERVING, OldHome, answers, assert_says_what_was_said
from .old_version import OldVersion

pytestmark = pytest.mark.slow

OPEN = ("deployed", "connecting", "connect-failed", "disconnected")
"""Runs whose server stands, and nobody has come yet."""


async def test_it_is_0_1_0_that_makes_the_home(old: OldVersion) -> None:
    script = "import falsework.engine, falsework.architects, falsework.router; print(falsework.engine.__file__)"
    python = await asyncio.create_subprocess_exec(
        old.environment / "bin" / "python", "-c", script, stdout=asyncio.subprocess.PIPE
    )
    stdout, _ = await python.communicate()
    assert Path(stdout.decode()).is_relative_to(old.environment)


async def test_every_run_is_listed_and_shown_as_it_was(made_by: Made, foundry: Foundry) -> None:
    async with made_by(*RUNS) as home:
        names = list(RUNS)
        shows = [("show", home[name], "--json") for name in names]
        before = await home.old.run(home.directory, ("ps", "--all", "--json"), *shows)
        listed = await foundry.run(home.directory, "ps", "--all", "--json")
        assert_says_what_was_said(json.loads(listed.stdout), json.loads(before[0].stdout))
        assert {row["run_id"] for row in json.loads(listed.stdout)} == {home[name] for name in names}
        for name, show, said in zip(names, shows, before[1:], strict=True):
            shown = await foundry.run(home.directory, *show)
            assert_says_what_was_said(json.loads(shown.stdout), json.loads(said.stdout))
            told = await foundry.run(home.directory, "show", home[name])
            assert told.code == 0, told.stderr
            assert home[name] in told.stdout


async def test_what_was_handed_in_is_exported_as_it_was(made_by: Made, foundry: Foundry) -> None:
    async with made_by(SERVING, DOWN) as home:
        exports = [("export", home[name], "--format", "csv", "--all") for name in (SERVING, DOWN)]
        for export, before in zip(exports, await home.old.run(home.directory, *exports), strict=True):
            exported = await foundry.run(home.directory, *export)
            assert exported.code == 0, exported.stderr
            assert exported.stdout.splitlines() == before.stdout.splitlines()
            assert len(before.stdout.splitlines()) > 1


async def test_a_sweep_takes_all_of_it_down_but_what_a_launcher_is_at_work_on(made_by: Made) -> None:
    async with made_by(*RUNS) as home:
        left = [dead for dead in await look(home.directory) if dead.run_id != home[AT_WORK]]
        assert len(left) == len(RUNS) - 1
        swept = await installed(home.directory, "sweep", "--yes", "--json")
        due = [dead for dead in left if dead.run_id != home[DOWN]]
        forget_what_was_half_copied(home)
        await assert_seen_to(due, swept, acknowledged(home), reason=SWEPT)
        assert answers(home, SERVING) == [text_of(name) for name in ("ann", "bob", "eve")]
        listed = json.loads((await installed(home.directory, "ps", "--json")).stdout)
        assert [(row["run_id"], row["state"], row["owner_alive"]) for row in listed] == [
            (home[AT_WORK], "connected", True)
        ]


async def test_each_run_is_shut_down_by_its_id_and_resumed_only_where_a_server_stands(
    made_by: Made, foundry: Foundry
) -> None:
    names = [name for name in RUNS if name not in (DOWN, AT_WORK)]
    async with made_by(*names) as home:
        for dead in await look(home.directory):
            if dead.state not in SERVED:
                resumed = await foundry.run(home.directory, "resume", dead.run_id)
                assert resumed.code == 1
                assert f"`falsework shutdown {dead.run_id}` takes it down" in resumed.stderr
            crowd = [acknowledged(home)] if dead.run_id == home[SERVING] else []
            ended = await foundry.run(home.directory, "shutdown", dead.run_id, "--json")
            forget_what_was_half_copied(home)
            await assert_seen_to([dead], ended, *crowd, reason="falsework shutdown, after its launcher was gone")
        assert json.loads((await foundry.run(home.directory, "ps", "--json")).stdout) == []


async def test_a_launcher_that_is_at_work_is_asked_to_take_its_run_down(made_by: Made) -> None:
    async with made_by(AT_WORK) as home:
        ended = await installed(home.directory, "shutdown", home[AT_WORK], "--json")
        assert ended.code == 0, ended.stderr
        assert json.loads(ended.stdout) == {"run_id": home[AT_WORK], "state": "shut_down", "standing": []}
        assert await home.end_of(AT_WORK) == 130
        assert processes_of(home[AT_WORK]) == []


async def test_what_a_server_holds_is_collected_once_and_then_the_run_goes_on(
    made_by: Made, resuming: Resuming, foundry: Foundry
) -> None:
    async with made_by(SERVING) as home:
        assert answers(home, SERVING) == [text_of("ann")]
        for held in (2, 0):
            collected = await installed(home.directory, "collect", home[SERVING], "--json")
            assert json.loads(collected.stdout) == {
                "run_id": home[SERVING], "collected": held, "server_is_gone": False
            }, collected.stderr  # fmt: skip
        resumed = await opened(resuming(home[SERVING]), home, SERVING, foundry)
        await home.people.hand_in("joe")
        ended = await asyncio.to_thread(resumed.end)
        assert ended.code == 0, ended.stderr
        assert answers(home, SERVING) == [text_of(name) for name in ("ann", "bob", "eve", "joe")]
        assert processes_of(home[SERVING]) == []
        exported = await installed(home.directory, "export", home[SERVING], "--format", "jsonl")
        assert len(exported.stdout.splitlines()) == 4
        files = (home.directory / "runs" / home[SERVING] / "files").rglob("*")
        assert [file.read_bytes() for file in files if file.is_file()] == [PICTURE]


async def test_what_a_server_held_when_it_ended_is_collected_from_its_disk(made_by: Made) -> None:
    async with made_by(SERVING) as home:
        await home.people.leave()
        for process in processes_of(home[SERVING]):
            os.kill(process, signal.SIGKILL)
        collected = await installed(home.directory, "collect", home[SERVING], "--json")
        assert json.loads(collected.stdout) == {"run_id": home[SERVING], "collected": 2, "server_is_gone": True}
        assert answers(home, SERVING) == [text_of(name) for name in ("ann", "bob", "eve")]


async def test_every_server_that_stands_is_taken_up_where_it_is(
    made_by: Made, resuming: Resuming, foundry: Foundry
) -> None:
    async with made_by(*OPEN) as home:
        resumed = [await opened(resuming(home[name]), home, name, foundry) for name in OPEN]
        for name, under_way in zip(OPEN, resumed, strict=True):
            under_way.interrupt()
            ended = await asyncio.to_thread(under_way.end)
            assert ended.code == 130, ended.stderr
            assert processes_of(home[name]) == []


async def test_a_launch_takes_down_what_was_half_made_and_reports_what_served(made_by: Made) -> None:
    async with made_by(*HALF_MADE, SERVING) as home:
        left = [dead for dead in await look(home.directory) if dead.run_id != home[SERVING]]
        launched = await installed(home.directory, "launch", str(home.task), "--bots", "1", "--json")
        assert f"`falsework resume {home[SERVING]}` takes it up" in launched.stderr
        forget_what_was_half_copied(home)
        told = " ".join(dead.run_id for dead in left)
        await assert_seen_to(left, Ended(launched.code, told, launched.stderr), reason=SWEPT)
        listed = json.loads((await installed(home.directory, "ps", "--json")).stdout)
        assert [row["run_id"] for row in listed] == [home[SERVING]]
        await home.people.hand_in("joe")


# Pieces


def acknowledged(home: OldHome) -> Crowd:
    """Those who were told that their answer is saved."""
    crowd = Crowd()
    crowd.url, crowd.acknowledged = home.people.url, set(home.people.acknowledged)
    return crowd


def forget_what_was_half_copied(home: OldHome) -> None:
    """Of a launcher that was killed while it copied, what it had copied stays, hidden in its run's directory."""
    for half_copied in home.directory.glob("runs/preparing-*/.bundle-*"):
        shutil.rmtree(half_copied)


async def opened(under_way: UnderWay, home: OldHome, name: str, foundry: Foundry) -> UnderWay:
    """A run that is resumed, once it is open for work where it was."""
    url = await asyncio.to_thread(under_way.is_open)
    assert f"{home[name]}" in under_way.heard
    assert url == json.loads((await foundry.run(home.directory, "show", home[name], "--json")).stdout)["url"]
    return under_way
