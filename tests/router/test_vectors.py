"""Every router passes every vector: the wire contract, written down once in vectors/*.yaml.

The short tier plays them to the Python router in this process, and to a real one what needs a process. Everything is played
to real processes of both routers besides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .mock_router import LACKING, MockRouter
from .player import Player, StepFailed
from .router_here import RouterHere
from .router_process import PYTHON, ROUTERS, RouterCommand, RouterProcess
from .vector import Vector, load

VECTORS = list(load())
SHOW_A_ROUTER = (
    "agents: a request for an agent is held open until the launcher answers",
    "submissions: a JSON submission reaches the launcher as it was handed in",
    "uploads: files come with the submission, several to a field, and the launcher fetches them",
    "outbox: a router that was killed keeps its epoch, its numbers and what was not fetched",
    "restarts: a router that is killed comes back on the same port with what it held",
    "lease: a launcher that says bye gets what is left, an answer, and the router ends",
)
"""What the short tier, too, plays to a real process of each router: one of each kind of thing that a router does."""


def is_decisive(command: RouterCommand, vector: Vector) -> bool:
    """Whether nothing quicker shows it."""
    return vector.id in SHOW_A_ROUTER or (command is PYTHON and vector.needs_a_process)


PLAYED = [
    pytest.param(
        command,
        vector,
        id=f"{command.name}-{vector.id}",
        marks=[pytest.mark.decisive] if is_decisive(command, vector) else [],
    )
    for command in ROUTERS
    for vector in VECTORS
]


PAGE = Path(__file__).parents[2] / "docs" / "mock.md"


@pytest.fixture(params=VECTORS, ids=lambda vector: vector.id)
def vector(request: pytest.FixtureRequest) -> Vector:
    told: Vector = request.param
    return told


@pytest.fixture
async def router(router_command: RouterCommand, vector: Vector, tmp_path: Path) -> AsyncIterator[RouterProcess]:
    router = RouterProcess(router_command, tmp_path, vector.flags, vector.files, is_open=vector.is_open)
    try:
        await asyncio.to_thread(router.start)
        yield router
    finally:
        router.end()


@pytest.fixture
async def player(router: RouterProcess) -> AsyncIterator[Player]:
    player = Player(router)
    yield player
    await player.close()


@pytest.fixture
async def player_here(vector: Vector, tmp_path: Path) -> AsyncIterator[Player]:
    router = RouterHere(tmp_path, vector.flags, vector.files, is_open=vector.is_open)
    await router.start()
    player = Player(router)
    try:
        yield player
    finally:
        await player.close()
        await router.stop()


@pytest.mark.slow
@pytest.mark.parametrize("router_command, vector", PLAYED, indirect=["router_command"])
async def test_a_router_keeps_to_the_vector(player: Player, router: RouterProcess, vector: Vector) -> None:
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
    assert {need for vector in VECTORS for need in vector.needs} == LACKING.keys()


def test_the_page_of_the_mock_says_what_it_does_not_do() -> None:
    page = " ".join(PAGE.read_text("utf-8").split())
    assert [sentence for sentence in LACKING.values() if sentence not in page] == []


@pytest.mark.parametrize(
    "vector", [pytest.param(vector, id=vector.id) for vector in VECTORS if not vector.needs_a_process]
)
async def test_the_router_in_this_process_keeps_to_the_vector(
    player_here: Player, vector: Vector, caplog: pytest.LogCaptureFixture
) -> None:
    await player_here.play(vector.steps)
    assert player_here.router.is_running(), f"the router has ended:\n{caplog.text[-2000:]}"
    assert not PYTHON.crash.search(caplog.text), caplog.text[-4000:]


def test_what_shows_a_router_are_vectors() -> None:
    assert set(SHOW_A_ROUTER) <= {vector.id for vector in VECTORS}
