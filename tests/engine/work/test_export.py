"""Rows of results, from a run's directory that a real store wrote."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from falsework.engine.errors import ConfigError
from falsework.engine.work.export import export_rows, write_csv, write_jsonl
from falsework.engine.work.submissions import (
    Kind,
    StoredFile,
    Submission,
    Submissions,
)
from hypothesis import given
from hypothesis import strategies as st


async def run_with(directory: Path, units: Sequence[Any], *answers: Any, kind: Kind = "unit", **facts: Any) -> Path:
    """A run's directory where worker n answered unit n."""
    (directory / "units.jsonl").write_text("".join(json.dumps(unit) + "\n" for unit in units))
    store = Submissions(directory)
    store.open()
    for number, answer in enumerate(answers, 1 + store.acked.get("e", 0)):
        data = msgspec.Raw(answer if isinstance(answer, bytes) else msgspec.json.encode(answer))
        described: dict[str, Any] = {
            "unit": number - 1,
            "worker_id": f"w{number}",
            "received_at": 0.25,
            "counted": True,
        }
        record = Submission(
            kind=kind, agent_id=f"a{number}", data=data, router_epoch="e", number=number, **{**described, **facts}
        )
        await store.store(record)
    await store.close()
    return directory


def as_csv(rows: Any) -> list[list[str]]:
    stream = io.StringIO(newline="")
    write_csv(rows, stream)
    stream.seek(0)
    return list(csv.reader(stream))


async def test_a_row_says_who_did_what_when(tmp_path: Path) -> None:
    await run_with(tmp_path, [{"image": "a.png"}], {"text": "a cat"})
    assert list(export_rows(tmp_path)) == [
        {
            "unit_index": 0,
            "kind": "unit",
            "worker_id": "w1",
            "agent_id": "a1",
            "counted": True,
            "received_at": "1970-01-01T00:00:00.250+00:00",
            "files": [],
            "unit.image": "a.png",
            "answer.text": "a cat",
        }
    ]


async def test_files_are_named_by_their_path_in_the_run(tmp_path: Path) -> None:
    directory = Submissions(tmp_path)
    directory.open()
    path = directory.files_directory("a1") / "f.bin"
    await directory.close()
    path.write_bytes(b"1")
    file = StoredFile(field="photo", name="me.png", path="files/a1/f.bin", mimetype="image/png", size=1, sha256="")
    await run_with(tmp_path, [1], {}, files=[file])
    assert [row["files"] for row in export_rows(tmp_path)] == [["files/a1/f.bin"]]


async def test_units_and_answers_that_are_no_objects_have_one_column(tmp_path: Path) -> None:
    await run_with(tmp_path, ["cat.png", [1, 2]], 5, None)
    rows = list(export_rows(tmp_path))
    assert [(row["unit"], row["answer"]) for row in rows] == [("cat.png", 5), ([1, 2], None)]


async def test_a_submission_of_no_known_unit_has_a_row_all_the_same(tmp_path: Path) -> None:
    await run_with(tmp_path, ["only"], 1, 2)
    await run_with(tmp_path, ["only"], 3, unit=None)
    assert [("unit" in row, row["answer"]) for row in export_rows(tmp_path)] == [(True, 1), (False, 2), (False, 3)]


async def test_extras_are_there_and_marked(tmp_path: Path) -> None:
    await run_with(tmp_path, [1], "x", counted=False)
    assert [row["counted"] for row in export_rows(tmp_path)] == [False]


async def test_the_kinds_are_chosen(tmp_path: Path) -> None:
    await run_with(tmp_path, [1], "answer")
    await run_with(tmp_path, [1], "browser", kind="metadata")
    assert [row["answer"] for row in export_rows(tmp_path)] == ["answer"]
    assert [row["answer"] for row in export_rows(tmp_path, kinds=("metadata",))] == ["browser"]
    both = export_rows(tmp_path, kinds=("unit", "metadata"))
    assert [row["kind"] for row in both] == ["unit", "metadata"]


async def test_units_may_be_handed_in(tmp_path: Path) -> None:
    await run_with(tmp_path, ["in the file"], 1)
    assert [row["unit"] for row in export_rows(tmp_path, ["handed in"])] == ["handed in"]


@pytest.mark.parametrize("answer", [b"1e999", b"1" * 5000, b"[" * 5000 + b"]" * 5000])
async def test_an_answer_that_no_program_takes_is_its_text(tmp_path: Path, answer: bytes) -> None:
    await run_with(tmp_path, [1], answer)
    assert [row["answer"] for row in export_rows(tmp_path)] == [answer.decode()]


def test_missing_units_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"units\.jsonl: cannot be read"):
        export_rows(tmp_path)


def test_json_lines_keep_what_is_nested() -> None:
    stream = io.StringIO()
    write_jsonl([{"answer.box": [1, {"x": 2.5}], "worker_id": "ä"}, {"answer": None}], stream)
    assert stream.getvalue() == '{"answer.box":[1,{"x":2.5}],"worker_id":"ä"}\n{"answer":null}\n'


def test_columns_come_in_the_order_in_which_they_are_first_seen() -> None:
    rows = [{"unit": 1, "answer.a": 1}, {"unit": 2, "answer.b": 2, "answer.a": 3}]
    assert as_csv(iter(rows)) == [["unit", "answer.a", "answer.b"], ["1", "1", ""], ["2", "3", "2"]]


def test_no_rows_are_an_empty_file() -> None:
    assert as_csv([]) == []


@pytest.mark.parametrize(
    "value, cell",
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-1+2", "'-1+2"),
        ("-", "'-"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("-12.5", "-12.5"),
        ("+3e5", "+3e5"),
        (-4, "-4"),
        (-0.5, "-0.5"),
        ("a=b", "a=b"),
        (True, "true"),
        (None, ""),
        ([], "[]"),
        ([1, {"x": "ä"}], '[1,{"x":"ä"}]'),
    ],
)
def test_a_cell_is_what_was_said_and_never_a_formula(value: Any, cell: str) -> None:
    assert as_csv([{"=column": value, "last": "x"}]) == [["'=column", "last"], [cell, "x"]]


texts = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.slow
@given(st.lists(st.dictionaries(texts, texts, min_size=1), max_size=5))
@pytest.mark.decisive
def test_every_text_comes_back_from_the_csv(rows: list[dict[str, str]]) -> None:
    header, *lines = as_csv(rows) or [[]]
    read_back = [dict(zip(header, line, strict=True)) for line in lines]
    assert len(read_back) == len(rows)
    for row, cells in zip(rows, read_back, strict=True):
        bare = {column.removeprefix("'"): cell.removeprefix("'") for column, cell in cells.items() if cell}
        assert bare == {column.removeprefix("'"): text.removeprefix("'") for column, text in row.items() if text}
