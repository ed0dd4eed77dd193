"""Taking up a run whose launcher is gone: from the ledger, and from whatever is left of its task file."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from falsework.engine.errors import ConfigError
from falsework.engine.launch.takeover import settings_of, take_over
from falsework.engine.ledger.ledger import (
    Ledger,
    RunRecord,
    RunTakenOver,
    Step,
)
from falsework.engine.ledger.owner import Owner
from falsework.engine.lifecycle.states import (
    TABLE,
    WORK,
    State,
    Trigger,
)
from falsework.engine.report import Reporter

DEAD = Owner("elsewhere.example", 4711, 0.0)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger.at(tmp_path / "ledger.db")
    yield ledger
    await ledger.close()


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    """A run of a task that was launched with a port and a lease of its own; its directory is as `launch` leaves it."""
    task = tmp_path / "task"
    (task / "static").mkdir(parents=True)
    (task / "static" / "index.html").write_text("<p>page</p>")
    (task / "units.jsonl").write_text("1\n")
    (task / "task.yaml").write_text(
        "task: {name: quiz, static: static, units: units.jsonl}\narchitect: {type: local, port: 1}\n"
    )
    directory = tmp_path / "run #1: "  # a name that YAML would misread
    shutil.copytree(task / "static", directory / "bundle" / "static")
    for name in ("task.yaml", "units.jsonl"):
        shutil.copy(task / name, directory)
    overrides = ("architect.port=4711", "lifecycle.lease=7m")
    return RunRecord("quiz-000001", "local", directory, task / "task.yaml", DEAD, overrides)


async def reach(ledger: Ledger, record: RunRecord, state: State) -> RunRecord:
    """Enter the run as if its launcher had died in `state`."""
    await ledger.create(record)
    for source, trigger, dest in way_to(state):
        await ledger.record(record.run_id, Step(0.0, trigger, source, dest))
    return ledger.run(record.run_id)


def way_to(state: State) -> list[tuple[State, Trigger, State]]:
    """The shortest way from the beginning, by the table."""
    ways: dict[State, list[tuple[State, Trigger, State]]] = {State.CONFIGURED: []}
    while state not in ways:
        for trigger, source, dest in TABLE:
            if source in ways and dest not in ways:
                ways[dest] = [*ways[source], (source, trigger, dest)]
    return ways[state]


@pytest.mark.parametrize("state", [state for state in State if state is not State.SHUT_DOWN])
async def test_a_run_can_be_taken_down_wherever_its_launcher_died(
    ledger: Ledger, record: RunRecord, state: State
) -> None:
    run = await take_over(ledger, await reach(ledger, record, state), Reporter())
    await run.shutdown("its launcher is gone")
    assert ledger.run(record.run_id).state is State.SHUT_DOWN
    taken = [step.dest for step in ledger.story(record.run_id)][len(way_to(state)) :]
    failed = [WORK[state][1]] if state in WORK else []
    assert taken == [*failed, State.SHUTTING_DOWN, State.SHUT_DOWN]


async def test_the_story_says_that_the_launcher_ended_in_the_middle(ledger: Ledger, record: RunRecord) -> None:
    run = await take_over(ledger, await reach(ledger, record, State.DEPLOYING), Reporter())
    assert run.state is State.DEPLOY_FAILED
    assert [step.dest for step in run.story] == [step.dest for step in ledger.story(record.run_id)]
    assert run.story[-1].error == f"its launcher {DEAD} ended in the middle of it"


async def test_the_run_has_a_new_owner_and_the_next_epoch(ledger: Ledger, record: RunRecord) -> None:
    run = await take_over(ledger, await reach(ledger, record, State.CONNECTED), Reporter())
    taken = ledger.run(record.run_id)
    assert taken.owner == Owner.this_process()
    assert run.site.epoch == taken.epoch == 2


async def test_of_two_who_take_it_over_one_is_told_to_leave_it(ledger: Ledger, record: RunRecord) -> None:
    seen = await reach(ledger, record, State.CONNECTED)
    await take_over(ledger, seen, Reporter())
    with pytest.raises(RunTakenOver):
        await take_over(ledger, seen, Reporter())


async def test_the_token_is_the_one_that_the_server_was_started_with(ledger: Ledger, record: RunRecord) -> None:
    (record.directory / "token").write_text("secret")
    run = await take_over(ledger, await reach(ledger, record, State.CONNECTED), Reporter())
    assert run.site.token == "secret"


def test_the_settings_are_those_of_the_task_file_with_its_overrides(record: RunRecord) -> None:
    settings = settings_of(record)
    assert (settings.architect.port, settings.lifecycle.lease) == (4711, 420.0)
    assert settings.task.static == record.task_file.parent / "static"


@pytest.mark.parametrize("fate", ["gone", "broken", "of another backend"])
def test_where_the_task_file_says_nothing_the_copy_of_the_run_does(record: RunRecord, fate: str) -> None:
    if fate == "gone":
        shutil.rmtree(record.task_file.parent)
    else:
        record.task_file.write_text(
            "task: [" if fate == "broken" else "task: {name: other}\narchitect: {type: clouds}\n"
        )
    settings = settings_of(record)
    assert (settings.architect.port, settings.lifecycle.lease) == (4711, 420.0)
    assert (
        settings.task.static == (record.directory / "bundle" if fate == "gone" else record.task_file.parent) / "static"
    )


def test_where_nothing_is_left_the_defaults_must_do(record: RunRecord) -> None:
    shutil.rmtree(record.task_file.parent)
    shutil.rmtree(record.directory)
    settings = settings_of(record)
    assert (settings.architect.type, settings.architect.port) == ("local", 0)
    assert settings.task.name == "quiz"


def test_a_backend_that_is_not_installed_is_named(record: RunRecord) -> None:
    with pytest.raises(ConfigError, match="no architect is called 'clouds'"):
        settings_of(replace(record, architect="clouds"))


async def test_what_the_last_owner_still_did_after_it_was_looked_at_is_known(ledger: Ledger, record: RunRecord) -> None:
    seen = await reach(ledger, record, State.CONFIGURED)
    await ledger.record(record.run_id, Step(0.0, Trigger.PREPARE, State.CONFIGURED, State.PREPARING))
    run = await take_over(ledger, seen, Reporter())
    assert run.state is State.PREPARE_FAILED
    await run.shutdown("its launcher is gone")
    assert ledger.run(record.run_id).state is State.SHUT_DOWN
