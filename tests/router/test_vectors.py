"""Every router passes every vector: the wire contract, written down once in vectors/*.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .mock_router import LACKING, MockRouter
from .player import Player, StepFailed
from .router_process import RouterCommand, RouterProcess
from .vector import Vector, load

ALL = tuple(load())
PAGE = Path(__file__).parents[2] / "docs" / "mock.md"


@pytest.fixture(params=ALL, ids=lambda vector: vector.id)
def vector(request: pytest.FixtureRequest) -> Vector:
    told: Vector = request.param
    return told


@pytest.fixture
async def player(router_command: RouterCommand, vector: Vector, tmp_path: Path) -> AsyncIterator[Player]:
    router = RouterProcess(router_command, tmp_path, vector.flags, vector.files, is_open=vector.is_open)
    try:
        await asyncio.to_thread(router.start)
        player = Player(router)
        yield player
        await player.close()
    finally:
        router.end()


@pytest.mark.slow
async def test_a_router_keeps_to_the_vector(player: Player, vector: Vector) -> None:
    router = player.router
    try:
        await player.play(vector.steps)
    except StepFailed as failed:
        failed.add_note(f"the router said:\n{router.said()[-2000:]}")
        raise
    assert player.ended or router.is_running(), f"the router has ended:\n{router.said()[-2000:]}"
    assert not router.command.crash.search(router.said()), router.said()[-4000:]


@pytest.fixture
async def mock_router(vector: Vector) -> AsyncIterator[MockRouter]:
    if missing := vector.needs & LACKING.keys():
        pytest.skip(f"capability: {', '.join(sorted(missing))}")
    router = MockRouter(vector.flags)
    router.start()
    yield router
    await router.end()


@pytest.mark.slow
async def test_the_mock_keeps_to_the_vector(mock_router: MockRouter, vector: Vector) -> None:
    player = Player(mock_router)
    try:
        await player.play(vector.steps)
    finally:
        await player.close()
    assert mock_router.said() == ""


def test_what_vectors_need_is_what_routers_can_lack() -> None:
    assert {need for vector in ALL for need in vector.needs} == LACKING.keys()


def test_the_page_of_the_mock_says_what_it_does_not_do() -> None:
    page = " ".join(PAGE.read_text("utf-8").split())
    assert [sentence for sentence in LACKING.values() if sentence not in page] == []
