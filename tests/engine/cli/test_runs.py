"""`ps`, `show` and `logs`: what is told of runs, and that asking changes nothing."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from falsework.engine.cli.commands import app
from falsework.engine.cli.records import open_ledger
from falsework.engine.contract.architect import Resource
from falsework.engine.ledger.ledger import RunRecord, Step
from falsework.engine.ledger.owner import Owner
from falsework.engine.lifecycle.states import TABLE, State, Trigger
from typer.testing import CliRunner, Result

from .conftest import QUESTION, Falsework, UnderWay

HOST = Owner.this_process().host
DEAD = Owner("elsewhere.example", 4711, 0.0)
GONE = Owner(HOST, 2**22 + 1, 0.0)
"""Of this host, with a process id that Linux gives to none."""


class Told:
    """Enters into the ledger what a launcher would, a second after another, and reads what `show` makes of it."""

    run_id = "caption-7f3a9c"
    noon = 1_760_000_000.0

    def __init__(self, home: Path) -> None:
        self.now = self.noon
        self.ledger = open_ledger()
        self.ledger._clock = self._tick
        self.process = Resource("process", self.run_id)
        self._record = RunRecord(self.run_id, "local", home / "runs" / self.run_id, Path("task.yaml"), DEAD)

    async def begin(self) -> None:
        await self.ledger.create(self._record)

    async def step(self, trigger: Trigger, reason: str = "", error: str | None = None) -> None:
        state = self.ledger.run(self.run_id).state
        (dest,) = (row.dest for row in TABLE if (row.trigger, row.source) == (trigger, state))
        await self.ledger.record(self.run_id, Step(self._tick(), trigger, state, dest, reason, error))

    async def steps(self, *triggers: Trigger) -> None:
        for trigger in triggers:
            await self.step(trigger)

    async def stands(self, stands: bool = True, **facts: int) -> None:
        await self.ledger.record_resource(self.run_id, self.process.with_facts(**facts), stands)

    async def owned_by(self, owner: Owner) -> None:
        await self.ledger.claim(self.ledger.run(self.run_id), owner)

    async def shown(self) -> str:
        return (await asyncio.to_thread(invoke, "show", self.run_id)).output

    async def story(self) -> list[str]:
        """What is said of it, without the times."""
        lines = (await self.shown()).partition("\nstory\n")[2].partition("\n\n")[0].splitlines()
        return [" ".join(line[22:].split()) for line in lines]

    async def closing(self) -> list[str]:
        return [line.strip() for line in (await self.shown()).partition("\nnow\n")[2].splitlines()]

    def _tick(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def recorded(home: Path) -> Callable[..., None]:
    """Enter runs into the ledger that nothing stands for."""

    async def enter(*run_ids: str) -> None:
        ledger = open_ledger()
        for run_id in run_ids:
            await ledger.create(RunRecord(run_id, "local", home / "runs" / run_id, Path("task.yaml"), DEAD))
        await ledger.close()

    return lambda *run_ids: asyncio.run(enter(*run_ids))


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_where_nothing_was_launched_nothing_is_listed_and_nothing_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FALSEWORK_HOME", str(tmp_path / "not-there"))
    assert (invoke("ps").exit_code, invoke("ps").output) == (0, "")
    assert invoke("ps", "--all", "--json").output == "[]\n"
    assert invoke("show", "x").exit_code == 2
    assert not (tmp_path / "not-there").exists()


def test_runs_are_listed_newest_first(recorded: Callable[..., None]) -> None:
    recorded("first-000001", "second-000002")
    lines = invoke("ps").output.splitlines()
    assert lines[0].split() == ["RUN_ID", "STATE", "ARCHITECT", "URL", "STARTED", "OWNER"]
    assert [line.split()[0] for line in lines[1:]] == ["second-000002", "first-000001"]
    assert "elsewhere.example:4711, heard " in lines[1]


def test_a_run_may_be_named_by_its_beginning(recorded: Callable[..., None]) -> None:
    recorded("caption-7f3a9c", "chat-000001")
    assert invoke("show", "cap").output.startswith("caption-7f3a9c  configured\n")


def test_an_id_that_begins_another_is_itself(recorded: Callable[..., None]) -> None:
    recorded("caption-7f3a9c", "caption-7f3a9c-000001")
    assert invoke("show", "caption-7f3a9c").output.startswith("caption-7f3a9c  configured\n")


def test_a_beginning_of_several_lists_them(recorded: Callable[..., None]) -> None:
    recorded("caption-7f3a9c", "caption-000001")
    refused = invoke("show", "c")
    assert refused.exit_code == 2
    assert refused.output == "RUN: 'c' may mean caption-000001, caption-7f3a9c; say more of it\n"


def test_an_unknown_run_says_what_lists_the_known(recorded: Callable[..., None]) -> None:
    recorded("caption-7f3a9c")
    for text in ("nope", ""):
        refused = invoke("show", text)
        assert refused.exit_code == 2
        assert "`falsework ps --all` lists them" in refused.output


def test_a_run_that_was_never_put_up_has_no_log(recorded: Callable[..., None]) -> None:
    recorded("caption-7f3a9c")
    refused = invoke("logs", "caption")
    assert refused.exit_code == 1
    assert "caption-7f3a9c has no log" in refused.output


@pytest.mark.parametrize(
    "url, told",
    [
        ("ledger", "allowed: a URL such as"),
        ("sqlite://", "names no file"),
        ("nowhere://x/y", "cannot be used"),
    ],
)
def test_a_ledger_that_cannot_be_meant_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    monkeypatch.setenv("FALSEWORK_LEDGER", url)
    refused = invoke("ps")
    assert refused.exit_code == 2
    assert refused.output.startswith("FALSEWORK_LEDGER: ")
    assert told in refused.output


def test_a_file_that_is_no_ledger_is_said_to_be_none(home: Path) -> None:
    (home / "ledger.db").write_text("this is a shopping list, and quite a long one at that\n" * 40)
    refused = invoke("ps")
    assert refused.exit_code == 1
    assert "is no ledger" in refused.output


def test_the_ledger_may_be_elsewhere(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FALSEWORK_LEDGER", f"sqlite:///{tmp_path / 'team.db'}")
    assert invoke("ps", "--json").output == "[]\n"
    assert not (tmp_path / "team.db").exists()


@pytest.mark.slow
@pytest.mark.decisive
def test_an_ended_run_tells_its_whole_story(falsework: Falsework) -> None:
    run_id = falsework("launch", QUESTION, "task.units_per_worker=0", "--bots", "1", "--json").json["run_id"]
    assert falsework("ps").stdout == ""
    (row,) = falsework("ps", "--all", "--json").json
    assert (row["run_id"], row["state"], row["architect"], row["owner_alive"]) == (run_id, "shut_down", "local", False)
    shown = falsework("show", run_id, "--json").json
    assert [one["state"] for one in shown["story"]] == [
        "configured",
        "preparing",
        "prepared",
        "deploying",
        "deployed",
        "connecting",
        "connected",
        "shutting_down",
        "shut_down",
    ]
    assert shown["story"][-2]["reason"] == "every unit has its submissions"
    assert shown["story"][-1]["seconds"] is None
    assert shown["submissions"] == {"unit": 4, "extras": 0, "onboarding": 0, "metadata": 0}
    assert shown["overrides"] == ["task.units_per_worker=0"]
    (resource,) = shown["resources"]
    assert (resource["kind"], resource["stands"]) == ("process", False)
    assert resource["announced"] < resource["gone"] < shown["ended"]
    plain = falsework("show", run_id).stdout
    assert f"announced: process {run_id} (pid " in plain
    assert plain.endswith("\nnow\n  nothing stands\n")
    assert "4  of units, which count" in plain


@pytest.mark.slow
def test_logs_are_printed_and_followed_until_the_run_has_ended(
    launching: Callable[..., UnderWay], falsework: Falsework
) -> None:
    under_way = launching(QUESTION, "--bots", "1", "--think", "0.4s")
    under_way.is_open()
    followed = falsework("logs", under_way.run_id, "--follow")
    assert "launcher attached" in followed.stdout
    assert "launcher gone" in followed.stdout  # written at the end, long after it was asked for
    assert under_way.end().code == 0
    last = falsework("logs", under_way.run_id, "--lines", "1").stdout
    assert last == followed.stdout.splitlines(keepends=True)[-1]
    assert falsework("logs", under_way.run_id, "-n", "0").stdout == ""


# The story


@pytest.fixture
async def told(home: Path) -> AsyncIterator[Told]:
    """A run that a launcher of another host has just entered into the ledger, at noon."""
    story = Told(home)
    await story.begin()
    yield story
    await story.ledger.close()


def clock(seconds: float) -> str:
    """An instant of a Told, as it is shown."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(Told.noon + seconds))


async def test_each_attempt_is_told_with_what_it_made_and_when_that_was_gone(told: Told) -> None:
    await told.steps(Trigger.PREPARE, Trigger.SUCCEEDED, Trigger.DEPLOY)
    await told.stands(pid=1)
    await told.stands(stands=False, pid=1)
    await told.step(Trigger.FAILED, error="TransientError: the port is taken\nby another")
    await told.steps(Trigger.DEPLOY)
    await told.stands(pid=2)
    await told.steps(Trigger.SUCCEEDED)
    assert (await told.story())[3:-1] == [
        "deploying 3.0 s putting the server up, attempt 1",
        "announced: process caption-7f3a9c (pid 1)",
        "seen to be gone: process caption-7f3a9c",
        "deploy_failed 1.0 s TransientError: the port is taken",
        "by another",
        "deploying 2.0 s putting the server up, attempt 2",
        "announced: process caption-7f3a9c (pid 2)",
    ]


async def test_each_time_that_a_resource_stood_has_its_times(told: Told) -> None:
    for stands in (True, False, True):
        await told.stands(stands)
    output = (await asyncio.to_thread(invoke, "show", told.run_id, "--json")).output
    first, second = json.loads(output)["resources"]
    began = datetime.fromtimestamp(told.noon, UTC)
    times = [datetime.fromisoformat(first[key]) - began for key in ("announced", "gone")]
    assert times == [timedelta(seconds=2), timedelta(seconds=3)]
    assert (first["stands"], second["stands"], second["gone"]) == (False, True, None)


async def test_a_story_says_who_had_the_run_and_when_the_dead_was_last_heard_of(told: Told) -> None:
    await told.steps(Trigger.PREPARE)
    await told.owned_by(Owner("elsewhere.example", 9, 0.0))
    await told.step(Trigger.FAILED, error="its launcher ended in the middle of it")
    assert (await told.story())[:-1] == [
        "configured 1.0 s launched by elsewhere.example:4711",
        "preparing 2.0 s making the bundle",
        f"taken over by elsewhere.example:9 from elsewhere.example:4711, last heard of at {clock(2)}",
    ]
    output = (await asyncio.to_thread(invoke, "show", told.run_id, "--json")).output
    assert [one["owner"] for one in json.loads(output)["owners"]] == ["elsewhere.example:4711", "elsewhere.example:9"]


async def test_states_keep_their_order_where_the_clock_was_set_back(told: Told) -> None:
    await told.steps(Trigger.PREPARE, Trigger.SUCCEEDED)
    told.now -= 3600
    await told.steps(Trigger.DEPLOY)
    await told.stands()
    await told.steps(Trigger.FAILED)
    states = [line.split()[0] for line in await told.story()]
    assert [state for state in states if state in set(State)] == [
        "configured",
        "preparing",
        "prepared",
        "deploying",
        "deploy_failed",
    ]


async def test_of_a_run_whose_launcher_is_gone_it_is_said_what_stands_and_which_command_sees_to_it(told: Told) -> None:
    await told.steps(Trigger.PREPARE, Trigger.SUCCEEDED, Trigger.DEPLOY)
    await told.stands(pid=1)
    await told.owned_by(GONE)
    closing = [
        "stands: process caption-7f3a9c (pid 1)",
        f"its launcher {GONE} is gone, last heard of at {clock(6)}",
        "finish the job: falsework shutdown caption-7f3a9c",
    ]
    assert await told.closing() == closing
    await told.steps(Trigger.SUCCEEDED)
    closing[1:2] = [closing[1].replace(clock(6), clock(7)), "take it up again: falsework resume caption-7f3a9c"]
    assert await told.closing() == closing


async def test_of_a_run_of_another_host_it_is_said_where_it_can_be_ended(told: Told) -> None:
    assert await told.closing() == [
        "nothing stands that is known of",
        f"its launcher {DEAD} was last heard of at {clock(1)}; "
        "to end it, on elsewhere.example: falsework shutdown caption-7f3a9c",
        "here, if that host is gone for good: falsework shutdown caption-7f3a9c --force",
    ]


async def test_a_run_whose_launcher_lives_is_left_to_it_in_words_too(told: Told) -> None:
    me = Owner.this_process()
    await told.owned_by(me)
    assert (await told.closing())[1:] == [
        f"its launcher {me} lives, and sees it down; to end it now: falsework shutdown caption-7f3a9c"
    ]


@pytest.mark.slow
def test_a_run_that_was_killed_resumed_killed_and_swept_tells_all_of_it(
    launching: Callable[..., UnderWay], falsework: Falsework
) -> None:
    first = launching(QUESTION)
    first.is_open()
    first.interrupt(signal.SIGKILL)
    first.end()
    second = launching(first.run_id, verb="resume")
    second.is_open()
    second.interrupt(signal.SIGKILL)
    second.end()
    assert f"take it up again: falsework resume {first.run_id}" in falsework("show", first.run_id).stdout
    assert falsework("sweep", "--yes").code == 0
    shown = falsework("show", first.run_id).stdout
    told = [
        f"launched by {HOST}:{first.process.pid}",
        f"announced: process {first.run_id} (pid ",
        f"taken over by {HOST}:{second.process.pid} from {HOST}:{first.process.pid}, last heard of at ",
        "; resumed",
        f" from {HOST}:{second.process.pid}, last heard of at ",
        "swept: its launcher is gone",
        f"seen to be gone: process {first.run_id}",
        "all was looked for, and is gone",
        "nothing stands",
    ]
    places = [shown.find(text) for text in told]
    assert -1 not in places, shown
    assert places == sorted(places), shown
