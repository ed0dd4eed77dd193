"""What the examples are made of, looked at without a browser."""

from __future__ import annotations

import json
import random
import re

import pytest
import yaml

from .conftest import EXAMPLES, load_hook

NAMES = ["question", "caption", "chat"]
NEEDS_AN_EXCEPTION = re.compile(r"""<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+\s*=|javascript:""")
UNIT = {"topic": "Plan a day trip."}


@pytest.mark.parametrize("example", NAMES)
def test_the_pages_need_no_exception_from_a_strict_policy(example: str) -> None:
    for path in (EXAMPLES / example / "static").rglob("*.*"):
        if path.suffix in {".html", ".svg"}:
            assert not NEEDS_AN_EXCEPTION.search(path.read_text()), path
        assert path.stat().st_size < 10_000, path


@pytest.mark.parametrize("example", NAMES)
def test_the_task_file_names_files_that_are_there(example: str) -> None:
    task = yaml.safe_load((EXAMPLES / example / "task.yaml").read_text())["task"]
    assert task["name"] == example
    assert (EXAMPLES / example / task["static"] / "index.html").is_file()
    assert (EXAMPLES / example / task["units"]).is_file()
    assert "hook" not in task or (EXAMPLES / example / task["hook"]).is_file()


def test_the_six_units_of_caption_name_pictures_that_are_there() -> None:
    units = [json.loads(line) for line in (EXAMPLES / "caption" / "units.jsonl").read_text().splitlines()]
    assert len({unit["image"] for unit in units}) == 6
    assert all((EXAMPLES / "caption" / "static" / unit["image"]).is_file() for unit in units)


def test_a_bot_says_and_hands_in_what_a_chat_page_could() -> None:
    hook = load_hook()
    updates = hook.bot_updates(UNIT, random.Random(1))
    assert {update["type"] for update in updates} == {"message"}
    assert len({update["id"] for update in updates}) == len(updates)
    assert hook.bot_updates(UNIT, random.Random(1)) == updates
    assert hook.bot_answer(UNIT, random.Random(1)).keys() == {"rating", "comment", "transcript"}
