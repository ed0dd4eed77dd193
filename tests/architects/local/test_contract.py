"""The local architect keeps the contract, with each of its routers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from falsework.architects.local import architect as local
from falsework.architects.local.architect import PROCESS, LocalArchitect
from falsework.architects.machine import process
from falsework.engine.contract.architect import Architect, Site
from falsework.engine.errors import ArchitectError
from falsework.engine.testing import ArchitectContract

from ..shipping.node_installed import node_home  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class TestLocalArchitect(ArchitectContract):
    most_cuts: ClassVar = 40
    wrong_settings: ClassVar = {
        "architect.host": {"host": "no-such-host.invalid"},
        "architect.public_url": {"public_url": "ftp://files.example.org"},
        "architect.python": {"router": "python", "python": "no-such-python"},
    }

    @pytest.fixture(params=[pytest.param("python", marks=pytest.mark.decisive), "node"])
    def settings(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        if request.param == "node":
            request.getfixturevalue("node_home")
        return {"router": request.param, "stop_grace": "300ms"}

    @pytest.fixture
    def architect(self, monkeypatch: pytest.MonkeyPatch) -> LocalArchitect:
        monkeypatch.setattr(local, "ANSWER_LIMIT", 2.0)  # a stopped server is asked, and given up sooner than for real
        return LocalArchitect()

    async def standing(self, architect: Architect, site: Site) -> set[tuple[str, str]]:
        return {(PROCESS, site.run_id)} if process.find(site.run_id) else set()

    async def destroy(self, site: Site) -> None:
        for found in process.find(site.run_id):
            await process.terminate(found, site.run_id, grace=0.0)

    async def silence(self, site: Site) -> None:
        for found in process.find(site.run_id):
            os.kill(found.pid, signal.SIGSTOP)

    @asynccontextmanager
    async def unreachable(self, site: Site) -> AsyncIterator[None]:
        """As if its processes were another user's."""

        def refuse(identity: process.ProcessIdentity, run_id: str) -> bool:
            raise ArchitectError(f"process {identity.pid} belongs to another user")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(process, "alive", refuse)
            yield

    @asynccontextmanager
    async def failing(self, site: Site) -> AsyncIterator[None]:
        """Somebody else has its port."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            site.args = replace(site.args, port=taken.getsockname()[1])
            yield

    @asynccontextmanager
    async def foreign(self, site: Site) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """A process that says the run's id on its command line, and was not started for it."""
        with _waiting(f"--run-id={site.run_id}") as other:

            async def still_stands() -> bool:
                return other.poll() is None

            yield still_stands


def _waiting(argument: str) -> subprocess.Popen[bytes]:
    """A process that ends with its standard input."""
    return subprocess.Popen(
        [sys.executable, "-c", "input()", argument], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
