"""`export`: what comes out, where to, and what is left out unless asked for."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

import msgspec
import pytest
from falsework.engine.cli.commands import app
from falsework.engine.cli.records import open_ledger
from falsework.engine.ledger.ledger import RunRecord
from falsework.engine.ledger.owner import Owner
from falsework.engine.work.submissions import Kind, Submission, Submissions
from typer.testing import CliRunner, Result

KINDS: list[tuple[Kind, bool]] = [("unit", True), ("unit", False), ("onboarding", True), ("metadata", False)]


@pytest.fixture(autouse=True)
def directory(home: Path) -> Path:
    """Of a run with a submission of each kind, and one of a unit that does not count; their texts are numbered."""
    directory = home / "runs" / "task-000001"
    directory.mkdir(parents=True)
    (directory / "units.jsonl").write_text('{"question": "wer?"}\n')
    asyncio.run(_fill(directory))
    return directory


async def _fill(directory: Path) -> None:
    ledger, submissions = open_ledger(), Submissions(directory)
    await ledger.create(RunRecord("task-000001", "local", directory, Path("task.yaml"), Owner("here", 1, 0.0)))
    submissions.open()
    for number, (kind, counted) in enumerate(KINDS, 1):
        answer = Submission(
            kind=kind,
            worker_id="w",
            agent_id=f"a{number}",
            data=msgspec.Raw(json.dumps({"text": f"größe {number}"}).encode()),
            router_epoch="e",
            number=number,
            received_at=0.0,
            counted=counted,
            unit=0,
        )
        await submissions.store(answer)
    await submissions.close()
    await ledger.close()


def export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["export", "task", *map(str, arguments)])


def texts(*arguments: str) -> list[str]:
    result = export(*arguments)
    assert result.exit_code == 0, result.output
    return [row["answer.text"] for row in csv.DictReader(io.StringIO(result.stdout))]


def test_only_what_counts_is_written_unless_all_is_asked_for() -> None:
    assert texts() == ["größe 1"]
    assert texts("--all") == ["größe 1", "größe 2"]


def test_each_kind_can_be_asked_for() -> None:
    assert texts("--kind", "metadata") == ["größe 4"]
    assert texts("--kind", "onboarding", "--kind", "unit") == ["größe 1", "größe 3"]


def test_json_lines_are_one_object_each() -> None:
    (row,) = map(json.loads, export("--format", "jsonl").stdout.splitlines())
    assert (row["unit.question"], row["answer.text"], row["counted"]) == ("wer?", "größe 1", True)


def test_the_name_of_the_file_chooses_the_format(tmp_path: Path) -> None:
    for name in ("answers.jsonl", "answers.csv"):
        assert export("--output", tmp_path / name).stdout == ""
    assert json.loads((tmp_path / "answers.jsonl").read_text("utf-8"))["answer.text"] == "größe 1"
    assert (tmp_path / "answers.csv").read_bytes().startswith(b"unit_index,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "answers.jsonl", "home"]


def test_a_failed_export_leaves_the_old_file_as_it_was(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("of yesterday")
    with (directory / "submissions.jsonl").open("ab") as file:
        file.write(b"{}\n")
    refused = export("--output", tmp_path / "answers.csv")
    assert refused.exit_code == 1
    assert "submissions.jsonl" in refused.output
    assert (tmp_path / "answers.csv").read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "home"]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    refused = export("--output", tmp_path / "no" / "answers.csv")
    assert refused.exit_code == 1
    assert str(tmp_path / "no") in refused.output


def test_a_device_is_written_to_and_not_replaced() -> None:
    assert export("--output", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def test_an_unknown_kind_lists_the_known() -> None:
    refused = export("--kind", "units")
    assert refused.exit_code == 2
    assert "metadata" in refused.output
