"""A real Python router for tests with a loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..router import router_process
from ..router.router_process import PYTHON

LIMITS = ("--limit", "away_deadline=5")


class RouterProcess:
    """A router process that is waited for without stopping the loop."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self._process = router_process.RouterProcess(PYTHON, directory, [*LIMITS, *flags])
        self.directory, self.data = directory, self._process.data

    @property
    def port(self) -> int:
        return self._process.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it and wait for its ready line. After the first time it comes back on the same port."""
        await asyncio.to_thread(self._process.start)

    async def restart(self) -> None:
        """Kill it, and start it again."""
        await self.kill()
        await self.start()

    async def stop(self) -> None:
        """However it is, it runs no more."""
        await self.kill()

    async def kill(self) -> None:
        """Without a chance to say anything. Quiet if it does not run."""
        await asyncio.to_thread(self._process.end)

    async def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        return await asyncio.to_thread(self._process.wait)

    def freeze(self) -> None:
        """It neither reads nor answers any more."""
        self._process.send_signal("STOP")
