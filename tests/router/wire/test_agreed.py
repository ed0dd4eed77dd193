"""What both routers say alike stands in agreed.json, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from falsework.router.wire import agreed
from falsework.router.wire.agreed import filled
from falsework.router.wire.protocol import Limits

ROUTER = Path(agreed.__file__).parents[1]
SHARED = json.loads((ROUTER / "wire" / "agreed.json").read_text())
SHORTEST = 8
"""Characters: shorter words are also names of events, methods and modules."""


def strings(said: Any) -> Iterator[str]:
    """Every text that the routers share; keys are names in the code."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, dict | list):
        for part in said.values() if isinstance(said, dict) else said:
            yield from strings(part)


def sources(pattern: str, folder: Path) -> dict[Path, str]:
    """What the files say, but for the command line and the table of its flags, which are named for what they set."""
    paths = (path for path in folder.glob(pattern) if "node_modules" not in path.relative_to(folder).parts)
    return {path: path.read_text() for path in paths if path.stem not in ("command_line", "router_args")}


@pytest.mark.parametrize("language", ["python", "node"])
def test_no_text_that_the_routers_share_stands_in_one_of_them(language: str) -> None:
    python = {
        path: text for path, text in sources("**/*.py", ROUTER).items() if "node" not in path.relative_to(ROUTER).parts
    }
    files = python if language == "python" else sources("**/*.js", ROUTER / "node")
    assert len(files) > 20
    again = [
        f"{path.relative_to(ROUTER)}: {text}"
        for text in set(strings(SHARED))
        if len(text) >= SHORTEST
        for path, content in files.items()
        if any(f"{quote}{text}{quote}" in content for quote in "\"'")
    ]
    assert again == []


def test_every_limit_has_its_default_in_the_table() -> None:
    kinds = {"seconds": float, "bytes": int, "count": int}
    for name, value in vars(Limits()).items():
        assert (value, type(value)) == (SHARED["limits"][name]["default"], kinds[SHARED["limits"][name]["kind"]])
    assert set(vars(Limits())) == set(SHARED["limits"])


def test_a_fact_is_put_in_its_place_and_what_it_says_is_let_be() -> None:
    assert filled("{name} is no {thing}, {a b}", name="{thing}", thing=5) == "{thing} is no 5, {a b}"
    with pytest.raises(KeyError):
        filled("{name}")
