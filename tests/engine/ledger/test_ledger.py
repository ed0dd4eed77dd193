"""What the ledger was told is on the disk, in order, whole, and readable by others, whatever happens to who told it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from falsework.engine.contract.architect import Resource
from falsework.engine.errors import LedgerError
from falsework.engine.ledger.ledger import Ledger, RunRecord, RunTakenOver, Step
from falsework.engine.ledger.owner import Owner
from falsework.engine.ledger.tables import SCHEMA, metadata
from falsework.engine.lifecycle.states import State, Trigger

from ..lives import held

OWNER = Owner("here", 1, 2.0)
PREPARE = Step(5.0, Trigger.PREPARE, State.CONFIGURED, State.PREPARING, "because")
FAIL = Step(6.0, Trigger.FAILED, State.PREPARING, State.PREPARE_FAILED, "", "it broke")
SCHEMAS = {
    1: {
        "about": "schema",
        "runs": "run_id state architect directory task_file overrides url epoch owner_host owner_pid owner_started heartbeat "
        "started ended",
        "transitions": "id run_id at trigger source dest reason error",
        "resources": "id run_id kind name facts announced gone",
        "owners": "id run_id host pid started since last_heard",
    }
}
"""What the tables of each schema hold."""
WRITER = """
import asyncio, sys
from pathlib import Path
from falsework.engine.contract.architect import Resource
from falsework.engine.ledger.ledger import Ledger, RunRecord
from falsework.engine.ledger.owner import Owner

async def write(file, name, count):
    ledger = Ledger.at(Path(file))
    for number in range(int(count)):
        run_id = f"{name}-{number}"
        await ledger.create(RunRecord(run_id, "idle", Path("/"), Path("/task.yaml"), Owner.this_process()))
        await ledger.record_resource(run_id, Resource("blob", "x" * 1000), True)
        print(run_id, flush=True)
    await ledger.close()

"""
"""A process that prints the id of each run after it was entered with its resource."""


def record(run_id: str = "caption-1", **facts: object) -> RunRecord:
    plain = RunRecord(run_id, "local", Path("/runs/1"), Path("/task.yaml"), OWNER, ("task.name=x",))
    return replace(plain, **facts)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(file: Path) -> AsyncIterator[Ledger]:
    """A ledger whose clock says 100, and which waits for nobody who holds it."""
    ledger = Ledger.at(file, clock=lambda: 100.0, busy_timeout=0)
    yield ledger
    await ledger.close()


def start_writer(file: Path, name: str, count: int, before: str = "") -> subprocess.Popen[str]:
    program = WRITER + before + "\nasyncio.run(write(*sys.argv[1:]))"
    command = [sys.executable, "-c", program, str(file), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# What is written is read


async def test_a_run_is_read_as_it_was_entered(ledger: Ledger) -> None:
    entered = await ledger.create(record())
    assert entered == record(started=100.0, heartbeat=100.0)
    assert ledger.run("caption-1") == entered


async def test_runs_come_newest_first_and_ended_ones_only_if_asked_for(file: Path) -> None:
    now = iter([1.0, 3.0, 2.0])
    ledger = Ledger.at(file, clock=now.__next__)
    for run_id in ("old", "new", "middle"):
        await ledger.create(record(run_id))
    await ledger.record("middle", Step(9.0, Trigger.SHUTDOWN, State.CONFIGURED, State.SHUTTING_DOWN))
    await ledger.record("middle", Step(10.0, Trigger.SUCCEEDED, State.SHUTTING_DOWN, State.SHUT_DOWN))
    assert [run.run_id for run in ledger.runs()] == ["new", "old"]
    assert [run.run_id for run in ledger.runs(ended=True)] == ["new", "middle", "old"]
    assert ledger.run("middle").ended == 10.0
    await ledger.close()


async def test_a_story_is_read_in_the_order_in_which_it_was_told_whatever_the_clock_says(ledger: Ledger) -> None:
    await ledger.create(record())
    steps = [replace(PREPARE, at=9.0), replace(FAIL, at=3.0), replace(PREPARE, source=State.PREPARE_FAILED, at=1.0)]
    for step in steps:
        await ledger.record("caption-1", step)
    assert ledger.story("caption-1") == steps
    assert ledger.run("caption-1").state is State.PREPARING
    assert ledger.run("caption-1").heartbeat == 1.0


async def test_what_is_told_at_once_is_kept_in_order(ledger: Ledger) -> None:
    await ledger.create(record())
    steps = [PREPARE, FAIL, replace(PREPARE, source=State.PREPARE_FAILED)]
    await asyncio.gather(*(ledger.record("caption-1", step) for step in steps))
    assert ledger.story("caption-1") == steps


def test_a_step_reads_as_a_line_of_a_story() -> None:
    assert str(FAIL).endswith("preparing → prepare_failed: it broke")
    assert str(PREPARE).endswith("configured → preparing: because")


async def test_any_text_comes_back(ledger: Ledger) -> None:
    text = "日本語 🦆 ' \" ; -- \n\t \x00 \u202e"
    await ledger.create(record(task_file=Path(f"/{text[:12]}")))
    await ledger.record("caption-1", replace(PREPARE, reason=text, error=text))
    await ledger.record_resource("caption-1", Resource(text, text, {text: [text, None, 1.5]}), True)
    assert ledger.story("caption-1") == [replace(PREPARE, reason=text, error=text)]
    assert ledger.resources("caption-1") == [Resource(text, text, {text: [text, None, 1.5]})]


async def test_a_url_and_signs_of_life(file: Path) -> None:
    now = iter([1.0, 2.0])
    ledger = Ledger.at(file, clock=now.__next__)
    await ledger.create(record())
    await ledger.record_url("caption-1", "http://127.0.0.1:1")
    await ledger.beat("caption-1", 1)
    assert (ledger.run("caption-1").url, ledger.run("caption-1").heartbeat) == ("http://127.0.0.1:1", 2.0)
    await ledger.close()


# Resources


async def test_resources_stand_from_their_announcement_until_they_are_gone(ledger: Ledger) -> None:
    await ledger.create(record())
    app, disk = Resource("app", "a"), Resource("disk", "d")
    await ledger.record_resource("caption-1", app, True)
    await ledger.record_resource("caption-1", disk, True)
    await ledger.record_resource("caption-1", app.with_facts(pid=7), True)
    assert ledger.resources("caption-1") == [app.with_facts(pid=7), disk]
    await ledger.record_resource("caption-1", app, False)
    assert ledger.resources("caption-1") == [disk]
    assert ledger.resources("caption-1", gone=True) == [app, disk]


async def test_what_is_announced_again_after_it_was_gone_stands_again_and_in_its_new_place(
    ledger: Ledger, file: Path
) -> None:
    await ledger.create(record())
    app, disk = Resource("app", "a"), Resource("disk", "d")
    for resource, stands in [(app, True), (disk, True), (app, False), (app, True)]:
        await ledger.record_resource("caption-1", resource, stands)
    assert ledger.resources("caption-1") == ledger.resources("caption-1", gone=True) == [disk, app]
    with sqlite3.connect(file) as reader:
        assert reader.execute("SELECT name, gone FROM resources ORDER BY id").fetchall() == [
            ("a", 100.0),
            ("d", None),
            ("a", None),
        ]
    reader.close()


async def test_saying_again_that_something_is_gone_is_quiet(ledger: Ledger) -> None:
    await ledger.create(record())
    for stands in (True, False, False):
        await ledger.record_resource("caption-1", Resource("app", "a"), stands)
    await ledger.record_resource("caption-1", Resource("never", "there"), False)
    assert ledger.resources("caption-1", gone=True) == [Resource("app", "a")]


async def test_resources_of_one_name_and_two_runs_are_two(ledger: Ledger) -> None:
    for run_id in ("one", "other"):
        await ledger.create(record(run_id))
        await ledger.record_resource(run_id, Resource("app", "a"), True)
    await ledger.record_resource("one", Resource("app", "a"), False)
    assert ledger.resources("other") == [Resource("app", "a")]


# Whose a run is


async def test_a_run_is_claimed_once(ledger: Ledger, file: Path) -> None:
    run = await ledger.create(record())
    others = [Ledger.at(file) for _ in range(4)]
    owners = [Owner("there", pid, 0.0) for pid in range(4)]
    claims = await asyncio.gather(
        *(other.claim(run, owner) for other, owner in zip(others, owners, strict=True)), return_exceptions=True
    )
    won = [claim for claim in claims if isinstance(claim, RunRecord)]
    assert len(won) == 1
    assert {type(claim) for claim in claims} == {RunRecord, RunTakenOver}
    assert (ledger.run("caption-1").owner, ledger.run("caption-1").epoch) == (won[0].owner, 2)
    for other in others:
        await other.close()


async def test_who_lost_a_run_can_neither_move_it_nor_make_anything_for_it(ledger: Ledger) -> None:
    run = await ledger.create(record())
    await ledger.claim(run, Owner("there", 7, 0.0))
    with pytest.raises(RunTakenOver, match="taken over by another process, there:7"):
        await ledger.record("caption-1", PREPARE, epoch=1)
    with pytest.raises(RunTakenOver):
        await ledger.record_resource("caption-1", Resource("app", "a"), True, epoch=1)
    await ledger.record_resource("caption-1", Resource("app", "a"), False, epoch=1)
    await ledger.record("caption-1", PREPARE, epoch=2)
    assert ledger.story("caption-1") == [PREPARE]


# What cannot be written


async def test_a_step_from_where_the_run_is_not_is_refused(ledger: Ledger) -> None:
    await ledger.create(record())
    with pytest.raises(LedgerError, match="caption-1 is configured in the ledger, not preparing"):
        await ledger.record("caption-1", FAIL)
    assert ledger.story("caption-1") == []


async def test_a_run_that_is_not_known_is_said_to_be_so(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no run 'ghost' is known; `falsework ps --all`"):
        ledger.run("ghost")
    for write in (
        ledger.record("ghost", PREPARE),
        ledger.record_url("ghost", "http://"),
        ledger.beat("ghost", 1),
        ledger.record_resource("ghost", Resource("app", "a"), True),
        ledger.claim(record("ghost"), OWNER),
    ):
        with pytest.raises(LedgerError, match="no run 'ghost' is known"):
            await write
    assert (ledger.story("ghost"), ledger.resources("ghost")) == ([], [])


@pytest.mark.parametrize(
    "bad",
    [
        Resource("directory", "\udcff"),
        Resource("process", "a", {"pid": object()}),
    ],
    ids=["a name that is no text", "a fact that is no JSON"],
)
async def test_a_write_that_fails_takes_no_other_with_it(ledger: Ledger, bad: Resource) -> None:
    await ledger.create(record())
    resources = [Resource("app", str(number)) for number in range(20)]
    writes: list[Coroutine[Any, Any, Any]] = [
        ledger.record_resource("caption-1", resource, True) for resource in [*resources[:9], bad, *resources[9:]]
    ]
    writes += [ledger.create(record()), ledger.record("caption-1", FAIL), ledger.record("caption-1", PREPARE)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    failed = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, LedgerError)]
    assert failed == [9, 21, 22]
    assert ledger.resources("caption-1") == resources
    assert ledger.story("caption-1") == [PREPARE]


async def test_a_ledger_that_others_hold_says_so_and_for_how_long_it_waited(ledger: Ledger, file: Path) -> None:
    with held(file):
        creating = (ledger.create(record(f"run-{number}")) for number in range(20))
        outcomes = await asyncio.gather(*creating, return_exceptions=True)
    told = f"the ledger {file} is held by another process, which did not let go of it within 0 s"
    assert [repr(outcome) for outcome in outcomes] == [repr(LedgerError(told))] * 20
    assert ledger.runs() == []
    await ledger.create(record())


async def test_a_ledger_waits_for_who_holds_it(file: Path) -> None:
    ledger = Ledger.at(file, busy_timeout=60)
    with held(file):
        writing = asyncio.create_task(ledger.create(record()))
        await asyncio.sleep(0)
        assert ledger.runs() == [], "reading waits for nobody"
        assert not writing.done()
    await writing
    assert len(ledger.runs()) == 1
    await ledger.close()


async def test_a_closed_ledger_says_so(file: Path) -> None:
    ledger = Ledger.at(file)
    entering = asyncio.create_task(ledger.create(record()))
    await asyncio.sleep(0)
    await ledger.close()
    await entering
    await ledger.close()
    for attempt in (ledger.runs, lambda: ledger.run("caption-1"), lambda: ledger.story("caption-1")):
        with pytest.raises(LedgerError, match="is closed"):
            attempt()
    with pytest.raises(LedgerError, match="is closed"):
        await ledger.beat("caption-1", 1)


# Cancellation


async def test_who_is_cancelled_while_writing_hears_of_it_when_it_is_written(ledger: Ledger, file: Path) -> None:
    await ledger.create(record())
    writing = [asyncio.create_task(ledger.record("caption-1", step)) for step in (PREPARE, FAIL)]
    await asyncio.sleep(0)
    for task in writing:
        task.cancel()
        task.cancel()
    await asyncio.wait(writing)
    assert all(task.cancelled() for task in writing)
    assert ledger.story("caption-1") == [PREPARE, FAIL]


async def test_who_is_cancelled_while_writing_in_vain_hears_of_that(ledger: Ledger) -> None:
    await ledger.create(record())
    writing = asyncio.create_task(ledger.record("caption-1", FAIL))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(LedgerError, match="not preparing"):
        await writing


# Other processes


@pytest.mark.slow
@pytest.mark.decisive
def test_what_was_written_is_there_after_a_kill(file: Path) -> None:
    writer = start_writer(file, "run", 100_000)
    assert writer.stdout is not None
    told = [writer.stdout.readline().strip() for _ in range(25)]
    writer.kill()
    rest, _ = writer.communicate()
    told += rest.split()
    ledger = Ledger.at(file)
    runs = {run.run_id for run in ledger.runs()}
    assert runs >= set(told)
    assert len(runs) <= len(told) + 1
    assert all(len(ledger.resources(run_id)) == 1 for run_id in told)
    asyncio.run(ledger.close())


@pytest.mark.slow
@pytest.mark.decisive
def test_processes_that_open_and_write_at_once_all_get_through(file: Path) -> None:
    writers = [start_writer(file, f"writer-{number}", 20) for number in range(4)]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert (writer.returncode, errors) == (0, "")
    ledger = Ledger.at(file)
    assert len(ledger.runs()) == 80
    asyncio.run(ledger.close())


@pytest.mark.slow
@pytest.mark.decisive
def test_a_disk_that_takes_no_more_is_an_error_and_harms_nothing_before_it(file: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    writer = start_writer(file, "run", 100_000, before=limit)
    told, errors = writer.communicate(timeout=60)
    assert writer.returncode == 1
    assert f"LedgerError: the ledger {file} could not be read or written, its disk refused" in errors
    ledger = Ledger.at(file)
    assert {run.run_id for run in ledger.runs()} >= set(told.split())
    assert len(told.split()) > 3
    asyncio.run(ledger.close())


@pytest.mark.slow
@pytest.mark.decisive
def test_who_writes_makes_nobody_wait_who_reads(file: Path) -> None:
    reader = Ledger.at(file)
    writer = start_writer(file, "run", 30)
    assert writer.stdout is not None
    for line in writer.stdout:
        assert reader.run(line.strip()).architect == "idle"
    writer.communicate()
    assert writer.returncode == 0
    asyncio.run(reader.close())


async def test_a_commit_waits_for_the_disk_so_that_it_outlives_a_power_cut(ledger: Ledger) -> None:
    with ledger._database._writer.connect() as connection:  # no test can cut the power
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


# The file


async def test_a_ledger_of_another_schema_is_left_alone(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE about (schema INTEGER NOT NULL)")
        other.execute("INSERT INTO about VALUES (7)")
    other.close()
    with pytest.raises(
        LedgerError, match=r"ledger.db has schema 7, this falsework reads 1: use the version that made it"
    ):
        Ledger.at(file)
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("about",)]
    other.close()


def test_the_number_of_the_schema_stands_for_what_the_tables_hold() -> None:
    """Who adds to the tables raises SCHEMA, and enters here what they hold now: an older falsework has nothing else to go by."""
    held = {table.name: " ".join(table.columns.keys()) for table in metadata.tables.values()}
    assert (SCHEMA, held) == (max(SCHEMAS), SCHEMAS[max(SCHEMAS)])


def test_a_file_that_is_no_ledger_is_said_to_be_so(file: Path) -> None:
    file.write_text("notes about the harbour " * 100)
    with pytest.raises(LedgerError, match="ledger.db is no ledger"):
        Ledger.at(file)
    assert file.read_text().startswith("notes")


def test_a_ledger_in_a_directory_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be opened: is its directory there"):
        Ledger.at(tmp_path / "nowhere" / "ledger.db")


async def test_any_file_name_will_do(tmp_path: Path) -> None:
    file = tmp_path / "a?b=%41#c &日.db"
    ledger = Ledger.at(file)
    await ledger.create(record())
    await ledger.close()
    assert file.exists()


async def test_it_opens_again_with_all_that_was_in_it(file: Path) -> None:
    for run_id in ("one", "other"):
        ledger = Ledger.at(file)
        await ledger.create(record(run_id))
        assert len(ledger.runs()) == 1 + (run_id == "other")
        await ledger.close()
