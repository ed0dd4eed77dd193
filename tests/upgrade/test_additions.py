"""What a later version adds to a ledger: an older launcher goes on through it, an older command says that it cannot read it."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from falsework.engine.ledger.ledger import Ledger
from falsework.engine.ledger.tables import SCHEMA

from ..engine.crashes.crowd import text_of
from ..engine.crashes.foundry import Ended, Foundry, end_of
from ..engine.launching import processes_of
from ..engine.serving import soon
from . import later_version
from .conftest import Made
from .old_home import AT_WORK, DOWN, SERVING, OldHome, answers, assert_says_what_was_said, contents_of
from .old_version import Said

pytestmark = pytest.mark.slow

OLD_SCHEMA = 1
ADDED = {("runs", "harbour"), ("transitions", "berths"), ("pilots", "name")}
"""What later_version.py adds: a column that may be empty, one that may not, and a table."""


async def test_a_launcher_of_0_1_0_goes_on_while_a_later_version_adds_to_the_ledger(made_by: Made) -> None:
    async with made_by(AT_WORK) as home:
        listed = await later(home.directory, "ps", "--json")
        assert [row["run_id"] for row in json.loads(listed.stdout)] == [home[AT_WORK]], listed.stderr
        assert columns_of(home.directory / "ledger.db").keys() >= ADDED
        added_at = heartbeat(home)
        await soon(lambda: heartbeat(home) > added_at)
        swept = await later(home.directory, "sweep", "--yes", "--json")
        assert json.loads(swept.stdout) == {"down": [], "elsewhere": [], "failed": {}}, swept.stderr
        home.people.url = home.runs[AT_WORK].url
        names = ("ann", "bob", "eve", "joe")
        await home.people.join(*names)
        await home.people.hand_in(*names)
        assert await home.end_of(AT_WORK) == 0, home.said_by(AT_WORK)
        assert processes_of(home[AT_WORK]) == []
        shown = json.loads((await later(home.directory, "show", home[AT_WORK], "--json")).stdout)
        assert [one["state"] for one in shown["story"]][-3:] == ["connected", "shutting_down", "shut_down"]
        assert {step["berths"] for step in rows_of(home.directory / "ledger.db", "transitions")} == {1}
        assert shown["submissions"]["unit"] == 4
        assert [resource["stands"] for resource in shown["resources"]] == [False]
        assert answers(home, AT_WORK) == [text_of(name) for name in names]


async def test_older_versions_say_that_they_cannot_read_it_and_touch_nothing(made_by: Made, foundry: Foundry) -> None:
    async with made_by(SERVING, DOWN) as home:
        assert (await later(home.directory, "ps", "--json")).code == 0
        before = contents_of(home.directory / "ledger.db"), files_in(home.directory)
        said = await home.old.run(home.directory, *verbs(home))
        for one in said:
            assert_says_that_it_cannot_read(one, OLD_SCHEMA)
        for verb in verbs(home):
            assert_says_that_it_cannot_read(await foundry.run(home.directory, *verb), SCHEMA)
        assert (contents_of(home.directory / "ledger.db"), files_in(home.directory)) == before
        await home.people.hand_in("joe")  # its server goes on
        swept = await later(home.directory, "sweep", "--yes", "--json")
        assert json.loads(swept.stdout)["down"] == [home[SERVING]]
        assert answers(home, SERVING) == [text_of(name) for name in ("ann", "bob", "eve", "joe")]


async def test_what_0_1_0_entered_reads_as_it_was_after_an_addition(made_by: Made, foundry: Foundry) -> None:
    async with made_by(SERVING, DOWN) as home:
        ledger = home.directory / "ledger.db"
        commands = [("ps", "--all", "--json"), *(("show", home[name], "--json") for name in (SERVING, DOWN))]
        before = [await foundry.run(home.directory, *command) for command in commands]
        runs, steps = rows_of(ledger, "runs"), rows_of(ledger, "transitions")
        after = [await later(home.directory, *command) for command in commands]
        for now, then in zip(after, before, strict=True):
            assert_says_what_was_said(json.loads(now.stdout), json.loads(then.stdout))
        assert [{**run, "harbour": None} for run in runs] == rows_of(ledger, "runs")
        assert [{**step, "berths": 1} for step in steps] == rows_of(ledger, "transitions")


async def test_a_ledger_has_all_that_one_of_0_1_0_had(made_by: Made, tmp_path: Path) -> None:
    """No column goes or changes, and a row of 0.1.0, which knows of none that is new, can be entered."""
    async with made_by("configured") as home:
        before = columns_of(home.directory / "ledger.db")
    await Ledger.at(tmp_path / "ledger.db").close()
    now = columns_of(tmp_path / "ledger.db")
    assert before.items() <= now.items()
    added = now.keys() - before.keys()
    in_old_tables = [now[place] for place in added if place[0] in {table for table, _ in before}]
    assert all(not column["notnull"] or column["dflt_value"] is not None for column in in_old_tables)
    assert SCHEMA > OLD_SCHEMA or not added, "what adds to the tables raises SCHEMA"


# Pieces


def assert_says_that_it_cannot_read(said: Said | Ended, schema: int) -> None:
    """A version that reads this schema: in words, and with the exit code of what failed and put nothing up."""
    assert (said.code, said.stdout) == (1, ""), said
    words = f"has schema {later_version.SCHEMA}, this falsework reads {schema}: use the version that made it"
    assert words in said.stderr
    assert len(said.stderr.splitlines()) == 1, said.stderr


async def later(home: Path, *arguments: str) -> Ended:
    """A command of a later version, to its end."""
    return await end_of(home, sys.executable, later_version.__file__, *arguments)


def verbs(home: OldHome) -> list[tuple[str, ...]]:
    """Whatever could touch a home, or look at it."""
    run_id = home[SERVING]
    looking = [("ps",), ("show", run_id), ("logs", run_id), ("export", run_id)]
    changing = [("collect", run_id), ("resume", run_id), ("shutdown", run_id), ("sweep", "--yes")]
    return [*looking, *changing, ("launch", str(home.task), "--bots", "1")]


def heartbeat(home: OldHome) -> float:
    """The last one of the run at work."""
    (row,) = (row for row in rows_of(home.directory / "ledger.db", "runs") if row["run_id"] == home[AT_WORK])
    return float(row["heartbeat"])


def rows_of(ledger: Path, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(ledger)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def columns_of(ledger: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What each column of each table is declared as, by the table's name and its own."""
    asked = (
        "SELECT tables.name AS of, columns.* FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns"
    )
    with closing(sqlite3.connect(ledger)) as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(f"{asked} WHERE tables.type = 'table'")]
    return {
        (row.pop("of"), row["name"]): {key: row[key] for key in ("type", "notnull", "dflt_value", "pk")}
        for row in found
    }


def files_in(home: Path) -> dict[str, int]:
    """When each file of a home's runs was last written to, but for what their servers write."""
    files = (path for path in (home / "runs").rglob("*") if path.is_file() and path.name != "router.log")
    return {str(path): path.stat().st_mtime_ns for path in files}
