"""The fixture as users have it: there without asking, costing nothing until it is asked for, and as docs/mock.md shows it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from falsework.architects.mock.stage import MockStage, current_stage

from .tasks import write_task

PAGE = Path(__file__).parents[3] / "docs" / "mock.md"
SETTINGS = "[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"


def blocks() -> str:
    """The Python of the page, one file."""
    return "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))


@pytest.mark.slow
@pytest.mark.decisive
def test_the_tests_on_the_page_pass_as_they_are(tmp_path: Path) -> None:
    write_task(tmp_path, [{"picture": "boat.png"}], assignments_per_unit=2)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "test_page.py").write_text(blocks())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'tests'}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout


@pytest.mark.slow
def test_the_plugin_imports_nothing_before_it_is_asked_for() -> None:
    heavy = "{'tornado', 'aiohttp', 'msgspec', 'falsework.engine', 'falsework.architects.mock.stage'}"
    script = f"import falsework.architects.mock.pytest_plugin, sys; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_pytest_and_the_engine_find_it_by_themselves() -> None:
    assert "falsework.architects.mock.pytest_plugin" in {entry.value for entry in entry_points(group="pytest11")}
    assert "mock" in entry_points(group="falsework.architects").names


def test_the_fixture_is_the_stage_on_which_architects_play(falsework_mock: MockStage) -> None:
    assert current_stage() is falsework_mock


def test_an_inner_stage_hides_the_outer_one_until_it_is_closed(falsework_mock: MockStage) -> None:
    with MockStage() as inner:
        assert current_stage() is inner
    assert current_stage() is falsework_mock


def test_the_page_names_whatever_a_test_can_do() -> None:
    from falsework.architects.mock.launch import MockLaunch
    from falsework.architects.mock.server import MockServer

    of_the_engine = {"play", "note", "put_up", "close", "untold", "say", "begun", "state", "published", "progress"}
    of_the_server = {"start", "stop", "cut", "hear_frame", "lose"}
    public = {name for kind in (MockStage, MockServer, MockLaunch) for name in dir(kind) if not name.startswith("_")}
    page = PAGE.read_text()
    assert {name for name in public - of_the_engine - of_the_server if name not in page} == set()
