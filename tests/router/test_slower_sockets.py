"""A router whose aiohttp does not let go of connections keeps to every vector that opens a socket, in the slower way."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from .player import Player, StepFailed
from .router_process import PYTHON, RouterCommand, RouterProcess
from .vector import Vector, load

SLOWER = RouterCommand(
    "python, the slower way",
    (sys.executable, str(Path(__file__).with_name("without_handover.py"))),
    PYTHON.crash,
)
WITH_SOCKETS = [vector for vector in load() if any("connect" in step for step in vector.steps)]
LINE = re.compile(r"WARNING WebSockets take the slower way: aiohttp \S+ does not let go of a connection")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("vector", WITH_SOCKETS, ids=lambda vector: vector.id)
async def test_a_router_in_the_slower_way_keeps_to_the_vector(vector: Vector, tmp_path: Path) -> None:
    router = RouterProcess(SLOWER, tmp_path, vector.flags, vector.files, is_open=vector.is_open)
    try:
        await asyncio.to_thread(router.start)
        player = Player(router)
        await player.play(vector.steps)
        await player.close()
    except StepFailed as failed:
        failed.add_note(f"the router said:\n{router.said()[-2000:]}")
        raise
    finally:
        router.end()
    assert LINE.search(router.said())
    assert not SLOWER.crash.search(router.said()), router.said()[-4000:]


def test_there_are_vectors_with_sockets() -> None:
    assert len(WITH_SOCKETS) > 20
