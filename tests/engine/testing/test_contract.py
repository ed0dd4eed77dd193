"""The contract itself, on doubles that keep it, and how it cuts work off and says what it lacks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import falsework.engine.testing
import pytest
from falsework.engine.contract.architect import Architect, Site
from falsework.engine.errors import ArchitectError
from falsework.engine.testing import (
    SERVER,
    ArchitectContract,
    IdleArchitect,
    InMemoryArchitect,
)
from falsework.engine.testing.cuts import (
    NotCancelled,
    cut_off,
    spread,
    waits_of,
)


class TestInMemoryArchitect(ArchitectContract):
    """All that a server can do that is a name in a set."""

    serves_workers: ClassVar = False
    outlives_its_process: ClassVar = False

    @pytest.fixture
    def architect(self, monkeypatch: pytest.MonkeyPatch) -> InMemoryArchitect:
        architect = InMemoryArchitect()
        monkeypatch.setattr(self, "_architect", architect, raising=False)
        return architect

    async def standing(self, architect: Architect, site: Site) -> set[tuple[str, str]]:
        return {(SERVER, run_id) for run_id in self._architect.standing if run_id == site.run_id}

    async def destroy(self, site: Site) -> None:
        self._architect.standing.discard(site.run_id)

    @asynccontextmanager
    async def failing(self, site: Site) -> AsyncIterator[None]:
        async def fail(action: str, site: Site) -> None:
            if action == "deploy":
                raise ArchitectError("not today")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self._architect, "in_the_middle", fail)
            yield

    _architect: InMemoryArchitect


class TestIdleArchitect(ArchitectContract):
    """What stands only in the ledger."""

    serves_workers: ClassVar = False

    @pytest.fixture
    def architect(self) -> IdleArchitect:
        return IdleArchitect()


async def _three_waits(log: list[str]) -> str:
    for number in range(3):
        await asyncio.sleep(0)
        log.append(f"after wait {number + 1}")
    return "done"


async def test_waits_are_counted() -> None:
    assert await waits_of(_three_waits([])) == ("done", 3)


@pytest.mark.parametrize("wait", [1, 2, 3])
async def test_work_is_cut_off_in_the_wait_that_is_meant(wait: int) -> None:
    log: list[str] = []
    assert await cut_off(_three_waits(log), wait, 5.0)
    assert len(log) == wait - 1


async def test_work_that_does_not_wait_so_often_is_not_cut_off() -> None:
    log: list[str] = []
    assert not await cut_off(_three_waits(log), 4, 5.0)
    assert len(log) == 3


async def test_work_that_takes_no_notice_of_its_cancellation_is_found_out() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass

    with pytest.raises(NotCancelled, match="wait 1, and ended as if"):
        await cut_off(stubborn(), 1, 5.0)


async def test_work_that_goes_on_after_its_cancellation_is_found_out() -> None:
    async def slow_to_end() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            await asyncio.Event().wait()

    with pytest.raises(NotCancelled, match="still went on"):
        await cut_off(slow_to_end(), 1, 0.01)


async def test_an_error_in_the_place_of_the_cancellation_is_told() -> None:
    async def translated() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            raise ArchitectError("cancelled, it seems") from error

    with pytest.raises(ArchitectError, match="it seems"):
        await cut_off(translated(), 1, 5.0)


@pytest.mark.parametrize(
    "waits, most, chosen",
    [(0, 5, []), (3, 5, [1, 2, 3]), (5, 5, [1, 2, 3, 4, 5]), (9, 3, [1, 5, 9]), (100, 2, [1, 100])],
)
def test_cuts_are_spread_evenly_over_all_waits(waits: int, most: int, chosen: list[int]) -> None:
    assert spread(waits, most) == chosen


WITHOUT_PYTEST = """
import sys
for missing in ("pytest", "pytest_asyncio"):
    sys.modules[missing] = None
from falsework.engine.testing import IdleChannel, InMemoryArchitect, LiarArchitect
try:
    from falsework.engine.testing import ArchitectContract
except ImportError as error:
    print(error)
"""


@pytest.mark.slow
def test_the_doubles_need_no_pytest_and_the_contract_says_that_it_does() -> None:
    said = subprocess.run([sys.executable, "-c", WITHOUT_PYTEST], capture_output=True, text=True, check=True)
    assert "needs pytest and pytest-asyncio: pip install pytest pytest-asyncio" in said.stdout


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchArchitect"):
        falsework.engine.testing.NoSuchArchitect  # noqa: B018


def test_every_sentence_of_the_contract_is_tried_asynchronously() -> None:
    sentences: list[Any] = [getattr(ArchitectContract, name) for name in dir(ArchitectContract) if name[:5] == "test_"]
    assert len(sentences) > 45
    assert all(asyncio.iscoroutinefunction(sentence) for sentence in sentences)
