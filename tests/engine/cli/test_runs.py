"""`ps`, `show` and `logs`: what is told of runs, and that asking changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from falsework.engine.cli.commands import app
from falsework.engine.cli.records import open_ledger
from falsework.engine.ledger import RunRecord
from falsework.engine.owner import Owner
from typer.testing import CliRunner, Result

from .conftest import QUESTION, Falsework, UnderWay

DEAD = Owner("elsewhere.example", 4711, 0.0)


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
    assert [(one["kind"], one["stands"]) for one in shown["resources"]] == [("process", False)]
    plain = falsework("show", run_id).stdout
    assert f"gone  process {run_id} (pid " in plain
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
