"""Every router passes every vector: the wire contract, written down once in vectors/*.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .player import Player, StepFailed
from .router_process import RouterCommand, RouterProcess
from .vector import Vector, load


@pytest.fixture(params=load(), ids=lambda vector: vector.id)
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
