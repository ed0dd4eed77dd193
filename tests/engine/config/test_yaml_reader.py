"""What of YAML is read, and what is refused, with the line."""

from __future__ import annotations

import pytest
from falsework.engine.config import load_task_file
from falsework.engine.errors import ConfigError
from hypothesis import given
from hypothesis import strategies as st

from ..task_files import MINIMAL, Write, only_problem, refusal


def test_anchors_and_merges_are_fine(write: Write) -> None:
    file = write(
        MINIMAL
        + """
lifecycle:
  deploy: &patient {attempts: 7, timeout: 1h}
  shutdown:
    <<: *patient
    attempts: 9
"""
    )
    lifecycle = load_task_file(file).lifecycle
    assert (lifecycle.shutdown.attempts, lifecycle.shutdown.timeout) == (9, 3600.0)


@pytest.mark.parametrize(
    "text, line",
    [
        ("task:\n  name: [1\n", 3),
        ("task:\n\tname: x\n", 2),
        ("a: b: c\n", 1),
        ("a: *nobody\n", 1),
        ("a: 1\n---\nb: 2\n", 2),
        ("task: {a: 1,\n b\x07: 2}\n", 2),
    ],
    ids=["unclosed", "tab", "two values", "no anchor", "two documents", "control character"],
)
def test_what_is_not_yaml_names_the_line(write: Write, text: str, line: int) -> None:
    problem = only_problem(write(text))
    assert problem.message.startswith("is not YAML: ")
    assert problem.line == line


def test_what_is_not_utf8_names_the_line(write: Write) -> None:
    file = write("")
    file.write_bytes(b"task:\n  name: caf\xe9\n")
    assert (only_problem(file).line, only_problem(file).message) == (2, "is not UTF-8 text")


def test_a_byte_order_mark_and_windows_lines_are_fine(write: Write) -> None:
    file = write("")
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load_task_file(file).task.name == "caption"


def test_keys_given_twice_are_all_named(write: Write) -> None:
    problems = refusal(write(MINIMAL + "task: {}\nlifecycle:\n  lease: 1m\n  lease: 2m\n"))
    assert [(problem.line, problem.key, problem.message) for problem in problems] == [
        (7, "task", "is given twice, first on line 2"),
        (10, "lifecycle.lease", "is given twice, first on line 9"),
    ]


@pytest.mark.parametrize(
    "value, expected",
    [
        (
            "!!python/object/apply:os.getcwd []",
            "the tag tag:yaml.org,2002:python/object/apply:os.getcwd is not allowed",
        ),
        ("!!binary aGk=", "is not allowed"),
        ("!secret x", "the tag !secret is not allowed"),
        ("!!set {a}", "is not allowed"),
        ("!!int many", "cannot be read as int"),
        ("!!bool maybe", "cannot be read as bool"),
        ("9" * 5000, "cannot be read as int"),
        ('"\\uD800"', "cannot be read as str"),
        ("1e999", "allowed: a number that is finite"),
        ("!!float .nan", "allowed: a number that is finite"),
        ("{? [a] : 1}", "has a key on line 7 that is a list or a section"),
        ("{<<: 5}", "merges (<<) what is no section"),
    ],
)
def test_only_plain_values_are_read(write: Write, value: str, expected: str) -> None:
    problem = only_problem(write(MINIMAL.replace("architect:", f"  config:\n    x: {value}\narchitect:")))
    assert (problem.line, problem.key) == (7, "task.config.x")
    assert expected in problem.message


def bomb(levels: int, form: str) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} " + form.format(", ".join([f"*a{n - 1}"] * 10)) for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb(9, "[{}]"),
        bomb(9, "{{<<: [{}]}}"),
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: &a {<<: *a}\n",
        "a: " + "[" * 600 + "]" * 600,
        pytest.param("a: [" + "1, " * 21_000 + "1]", marks=pytest.mark.slow),
        'a: &a "' + "x" * 200_000 + '"\nb: [*a, *a, *a, *a, *a, *a]\n',
        "a: " + "x" * 2_000_000,
    ],
    ids=["lists", "merges", "in itself", "in its section", "merged into itself", "deep", "long", "wide", "large"],
)
def test_a_document_that_would_explode_is_refused(write: Write, text: str) -> None:
    message = only_problem(write(text)).message
    assert any(
        words in message for words in ("expand to more than", "nested too deeply", "it has more than", "is larger than")
    )


@given(st.text(max_size=60))
def test_whatever_stands_in_a_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "whatever.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        load_task_file(file)
