"""Every build and every uploaded source, and what scripts the next builds follow."""

from __future__ import annotations

import asyncio
from pathlib import Path

from .app import App
from .build import Build, BuildScript, Fetch


class Builds:
    """Builds run in the background, also when nobody follows them."""

    def __init__(self, directory: Path) -> None:
        self.sources = directory / "sources"
        self.sources.mkdir()
        self.all: dict[str, Build] = {}
        self._scripts: list[BuildScript] = []
        self._running: set[asyncio.Task[None]] = set()

    def script(self, *lines: str, seconds: float = 0.0, fails: bool = False) -> None:
        """Have the next build that has no script yet print lines, take a while, and fail if told to."""
        self._scripts.append(BuildScript(lines, seconds, fails))

    def start(self, app: App, source: str, version: str | None, fetch: Fetch) -> Build:
        script = self._scripts.pop(0) if self._scripts else BuildScript()
        build = Build(app, source, version, script)
        self.all[build.id] = build
        running = asyncio.create_task(build.run(fetch), name=f"build of {app.name}")
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return build

    def of(self, app: App) -> list[Build]:
        return [build for build in self.all.values() if build.app is app]

    async def close(self) -> None:
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
