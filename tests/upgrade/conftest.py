"""Falsework 0.1.0, installed once, and homes that it made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ..engine.cli.conftest import UnderWay
from ..engine.crashes.foundry import Foundry, foundry_at
from ..tools import missing
from .old_home import OldHome, old_home
from .old_version import OldVersion, install, is_at_hand

Made = Callable[..., AbstractAsyncContextManager[OldHome]]
Resuming = Callable[[str], UnderWay]


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> OldVersion:
    """0.1.0. Each process of a test run has its own: installing takes less time than waiting for another one would."""
    if not is_at_hand():
        missing("history of this repository that git can read")
    return install(tmp_path_factory.mktemp("falsework-0.1.0"))


@pytest.fixture
def made_by(old: OldVersion, home: Path) -> Made:
    """Makes a home with runs of these names, the FALSEWORK_HOME of whatever is started here."""
    return lambda *names: old_home(home, old, *names)


@pytest.fixture
def resuming(home: Path) -> Iterator[Resuming]:
    """Starts `resume` of a run; whatever a failed test leaves of it is killed."""
    under_way: list[UnderWay] = []

    def resume(run_id: str) -> UnderWay:
        under_way.append(UnderWay(run_id, verb="resume"))
        return under_way[-1]

    yield resume
    for one in under_way:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


@pytest.fixture
async def foundry(tmp_path: Path) -> AsyncIterator[Foundry]:
    """Runs commands of the version under test."""
    async with foundry_at(tmp_path / "foundry") as foundry:
        yield foundry
