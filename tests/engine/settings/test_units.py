from __future__ import annotations

import json
from pathlib import Path

import pytest
from falsework.engine.errors import ConfigError, Problem
from falsework.engine.settings.units import load_units
from hypothesis import given
from hypothesis import strategies as st

NESTED = b"[" * 100_000


@pytest.fixture
def units_file(tmp_path: Path) -> Path:
    return tmp_path / "units.jsonl"


def refusal(path: Path, content: bytes) -> tuple[Problem, ...]:
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        load_units(path)
    assert all(problem.file == str(path) for problem in refused.value.problems)
    return refused.value.problems


def test_each_line_is_a_unit_and_blank_lines_are_passed_over(units_file: Path) -> None:
    units_file.write_bytes(b'{"image": "a.png"}\n\n  \t\n[1, 2]\r\n"text"\nnull\n7')
    assert load_units(units_file) == [{"image": "a.png"}, [1, 2], "text", None, 7]


def test_a_byte_order_mark_is_tolerated(units_file: Path) -> None:
    units_file.write_bytes(b"\xef\xbb\xbf1\n2\n")
    assert load_units(units_file) == [1, 2]


@given(
    st.lists(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists), min_size=1)
)
def test_whatever_json_writes_is_read(tmp_path_factory: pytest.TempPathFactory, units: list[object]) -> None:
    path = tmp_path_factory.getbasetemp() / "written-by-json.jsonl"
    path.write_text("\n".join(json.dumps(unit, ensure_ascii=False) for unit in units), encoding="utf-8")
    assert load_units(path) == units


def test_every_bad_line_is_named(units_file: Path) -> None:
    problems = refusal(units_file, b'{"a": 1}\n{"a": }\n\n{"a": 2} {"a": 3}\nNaN\n')
    assert [problem.line for problem in problems] == [2, 4, 5]
    assert all(problem.message.startswith("is not JSON: ") for problem in problems)


def test_after_twenty_bad_lines_the_rest_is_counted(units_file: Path) -> None:
    problems = refusal(units_file, b"x\n" * 25)
    assert len(problems) == 21
    assert problems[-1] == Problem("and 5 more lines that cannot be read", str(units_file))


@pytest.mark.parametrize(
    "line, reason",
    [
        (b'"caf\xe9"', "is not UTF-8: "),
        (b'{"caf\xe9": 1}', "is not UTF-8: "),
        ("1".encode("utf-16"), "is not UTF-8: "),
        (b'"\\ud800"', "is not JSON: "),
        (b"1e999", "is not JSON: "),
        (NESTED, "is nested too deeply"),
    ],
    ids=["latin-1", "latin-1 key", "utf-16", "half a character", "too large", "too deep"],
)
def test_a_line_that_cannot_be_read_says_why(units_file: Path, line: bytes, reason: str) -> None:
    [problem] = refusal(units_file, b"1\n" + line + b"\n3\n")
    assert problem.line == 2
    assert problem.message.startswith(reason)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_no_units_are_an_error(units_file: Path, content: bytes) -> None:
    [problem] = refusal(units_file, content)
    assert "holds no units" in problem.message


def test_a_missing_file_is_an_error(units_file: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_units(units_file)


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_units(tmp_path)


def test_a_json_file_is_one_array(tmp_path: Path) -> None:
    path = tmp_path / "units.json"
    path.write_text('[\n  {"a": 1},\n  2\n]\n')
    assert load_units(path) == [{"a": 1}, 2]
    assert "is not an array" in refusal(path, b'{"a": 1}')[0].message
    assert "is not JSON" in refusal(path, b"1\n2\n")[0].message
    assert "holds no units" in refusal(path, b"[]")[0].message


def test_a_hundred_thousand_lines_are_read(units_file: Path) -> None:
    units_file.write_bytes(b'{"image": "https://example.org/a.png", "number": 12345}\n' * 100_000)
    assert len(load_units(units_file)) == 100_000
