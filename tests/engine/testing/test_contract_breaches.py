"""The contract notices: an architect that breaks one sentence fails the tests of that sentence, and no others.

The breaches, and what must notice each, are in contract_breaches/. Their whole suite runs once, in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import pytest
from falsework.engine.testing import ArchitectContract

HERE = Path(__file__).parent / "contract_breaches"
SETTINGS = "[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
"""Somebody else's settings: pytest-asyncio in its strict mode, which is what it is installed with."""
NOT_BROKEN = {
    "the_url_answers_with_the_run_id",
    "what_a_worker_hands_in_comes_through_a_channel",
}
"""Sentences that a tampered architect can break only together with half a dozen others."""
LISTED = "import json, suite; print(json.dumps({b.__name__: sorted(tests) for b, tests in suite.BREACHES.items()}))"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the suite where none of our own tests' settings and fixtures reach it."""
    directory = tmp_path_factory.mktemp("breaches") / "suite"
    shutil.copytree(HERE, directory, ignore=shutil.ignore_patterns("__pycache__"))
    (directory / "pytest.ini").write_text(SETTINGS)
    return directory


@pytest.fixture(scope="module")
def expected(suite: Path) -> dict[str, set[str]]:
    """What must notice each breach, by the breach's name."""
    said = run(suite, "-c", LISTED)
    assert said.returncode == 0, said.stderr
    return {breach: set(tests) for breach, tests in json.loads(said.stdout).items()}


@pytest.fixture(scope="module")
def failed(suite: Path) -> dict[str, set[str]]:
    """What failed for each breach, by the breach's name."""
    options = ("-q", "--tb=short", "--junitxml=report.xml", "--basetemp=../tests", "suite.py")
    said = run(suite, "-m", "pytest", *options)
    assert said.returncode == pytest.ExitCode.TESTS_FAILED, said.stdout + said.stderr
    return _failures(suite / "report.xml")


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python there, which knows nothing of how this test was run."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def _failures(report: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for case in ElementTree.parse(report).iter("testcase"):
        breach = case.get("classname", "").rpartition(".Test")[2]
        found[breach] |= {case.get("name", "").removeprefix("test_")} if case.find("failure") is not None else set()
    return found


def test_every_breach_was_put_to_the_test(expected: dict[str, set[str]], failed: dict[str, set[str]]) -> None:
    assert failed.keys() == expected.keys()
    assert len(expected) > 40


def test_each_breach_is_noticed_by_the_tests_of_its_sentence_and_no_others(
    expected: dict[str, set[str]], failed: dict[str, set[str]]
) -> None:
    assert failed == expected


def test_every_sentence_is_broken_by_somebody(expected: dict[str, set[str]]) -> None:
    sentences = {name.removeprefix("test_") for name in dir(ArchitectContract) if name.startswith("test_")}
    assert sentences - set().union(*expected.values()) == NOT_BROKEN
