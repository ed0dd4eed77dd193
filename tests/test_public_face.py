"""Four places are public: each says what it has, and the pages for those who write a backend name no other."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "docs" / "architects.md", ROOT / "README.md")
PUBLIC = (
    "falsework.engine",
    "falsework.engine.contract",
    "falsework.engine.testing",
    "falsework.architects.machine",
)
NO_IMPORTS = ("falsework.architects", "falsework.router", "falsework.js")
"""Named on the pages for something else: the group of the entry points, the program that is the router, a page's script."""
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOTTED = re.compile(r"\bfalsework(?:\.\w+)+")
HEAVY = ("aiohttp", "marshmallow", "msgspec", "tenacity", "sqlalchemy")


def is_public(path: str) -> bool:
    """Whether a dotted path is one of the four places, or a name that one of them lists."""
    place, _, name = path.rpartition(".")
    return path in PUBLIC or (place in PUBLIC and name in importlib.import_module(place).__all__)


def imported(page: str) -> Iterator[str]:
    """What the Python on a page imports from falsework, each with its whole path."""
    for code in PYTHON.findall(page):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("falsework"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name.startswith("falsework"))


def named_in_vain(page: str) -> list[str]:
    """The paths that a page imports or names, and that are not public."""
    named = [path for path in DOTTED.findall(page) if path not in NO_IMPORTS]
    return sorted({path for path in (*imported(page), *named) if not is_public(path)})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_public_places_only(page: Path) -> None:
    assert named_in_vain(page.read_text("utf-8")) == []


def test_the_page_for_architects_imports_something_and_names_every_place() -> None:
    page = PAGES[0].read_text("utf-8")
    assert list(imported(page))
    assert all(f"`{place}`" in page for place in PUBLIC)


@pytest.mark.parametrize(
    "page",
    [
        "```python\nfrom falsework.engine.contract.bundle import Bundle\n```\n",
        "```python\nfrom falsework.architects import local\n```\n",
        "```python\nimport falsework.router\n```\n",
        "`falsework.engine.run.run`",
    ],
)
def test_a_path_of_the_inside_is_noticed(page: str) -> None:
    assert named_in_vain(page)


@pytest.mark.parametrize("place", PUBLIC)
def test_a_public_place_has_what_it_lists_and_says_what_it_is(place: str) -> None:
    module = importlib.import_module(place)
    assert module.__doc__
    assert sorted(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        exec(f"from {place} import {name}")


def test_the_type_checker_sees_of_the_contract_what_python_does() -> None:
    contract = importlib.import_module("falsework.engine.contract")
    (block,) = (node for node in ast.parse(Path(str(contract.__file__)).read_text("utf-8")).body if _is_for_types(node))
    seen = {alias.name for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(contract.__all__)
    assert not hasattr(contract, "nothing")


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize("place", [place for place in PUBLIC if place != "falsework.engine.testing"])
def test_importing_a_public_place_loads_no_big_library(place: str) -> None:
    script = f"import sys, {place}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded).isdisjoint(HEAVY)
