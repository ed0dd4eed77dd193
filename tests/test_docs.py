"""What the docs point to is there: files, tests by their names; and what is written from the code is current."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
GUARANTEES = ROOT / "docs" / "guarantees.md"
REGENERATE = ROOT / "docs" / "regenerate.py"
MADE = ("docs/guarantees.md", "docs/router.md", "router/node/wire/router_args.js")
LINES_OF_THE_PROMISE = 12

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
LINK_OR_TEST = re.compile(r"\]\((?P<file>[^)#\s]+\.py)\)|`(?P<test>test_\w+)`")
FENCE = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)


def cited(page: str) -> Iterator[tuple[str, str]]:
    """Each test that a page names, after the file that it linked to last."""
    file = ""
    for found in LINK_OR_TEST.finditer(page):
        file = found["file"] or file
        if found["test"]:
            yield file, found["test"]


def functions_of(path: Path) -> set[str]:
    """The names of all functions in a file, methods included."""
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def missing_tests(page: str, directory: Path) -> list[str]:
    """The tests that a page names and that are not where it says."""
    return [
        f"{file or 'no file'}: {test}"
        for file, test in cited(page)
        if not (directory / file).is_file() or test not in functions_of(directory / file)
    ]


def anchors_of(page: str) -> set[str]:
    """What may come after `#` in a link to a page: its headings as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """The links of a page to files that are not there, or to headings that a page does not have."""
    broken = []
    for file, anchor in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors_of(target.read_text("utf-8"))):
            broken.append(f"{file}#{anchor}" if anchor else file)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_that_a_page_names_are_where_it_says(page: Path) -> None:
    assert missing_tests(page.read_text("utf-8"), page.parent) == []


def test_a_test_that_is_not_there_is_noticed() -> None:
    named = "[a](../tests/test_docs.py) `test_a_test_that_is_not_there_is_noticed`, `test_of_nobody`"
    nowhere = "`test_without_a_file` [b](../tests/test_of_nothing.py) `test_of_nothing`"
    assert missing_tests(named, ROOT / "docs") == ["../tests/test_docs.py: test_of_nobody"]
    assert missing_tests(nowhere, ROOT / "docs") == [
        "no file: test_without_a_file",
        "../tests/test_of_nothing.py: test_of_nothing",
    ]


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `thing`, and more\n[a](#one-thing-and-more) [b](#other) [c](gone.md) [d](https://x.example)\n"
    )
    assert broken_links(page) == ["#other", "gone.md"]


def test_each_line_of_the_promise_names_its_tests() -> None:
    promise = GUARANTEES.read_text("utf-8").partition("\n## The promise\n")[2].partition("\n## ")[0]
    lines = re.split(r"^### (\d+)\. .*$", promise, flags=re.MULTILINE)
    assert [int(number) for number in lines[1::2]] == list(range(1, LINES_OF_THE_PROMISE + 1))
    assert all(list(cited(line)) for line in lines[2::2])


def regenerate(*arguments: str, script: Path = REGENERATE) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.decisive
def test_what_is_written_from_the_code_is_current() -> None:
    result = regenerate("--check")
    assert (result.stdout, result.returncode) == ("", 0), result.stderr


@pytest.mark.slow
def test_a_stale_table_is_named_and_written_anew(tmp_path: Path) -> None:
    for name in ("docs/regenerate.py", *MADE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    script, page = tmp_path / "docs" / "regenerate.py", tmp_path / "docs" / "guarantees.md"
    current = GUARANTEES.read_text("utf-8")
    page.write_text(re.sub(r"\| yes \|", "| perhaps |", current), "utf-8")
    stale = regenerate("--check", script=script)
    assert (stale.returncode, stale.stdout) == (1, "docs/guarantees.md is stale: run python docs/regenerate.py\n")
    assert regenerate(script=script).returncode == 0
    assert page.read_text("utf-8") == current


@pytest.mark.parametrize("page", [ROOT / "docs" / "design.md", ROOT / "README.md"], ids=lambda page: page.name)
def test_each_source_that_a_page_names_is_there(page: Path) -> None:
    named = set(re.findall(r"`((?:[\w.]+/)+[\w.-]+\.(?:py|js|mjs|json|yaml))`", page.read_text("utf-8")))
    assert len(named) > 5
    assert (
        sorted(name for name in named if not (ROOT / name).is_file() and not (ROOT / "engine" / name).is_file()) == []
    )
