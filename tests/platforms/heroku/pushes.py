"""The other end of the hook: starts the build of what was pushed and sends its output back, line by line."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from asyncio import StreamReader, StreamWriter
from contextlib import aclosing, suppress
from pathlib import Path

from .app import App
from .builds import Builds


class Pushes:
    """One listener for all hooks; a hook says for which push it speaks."""

    def __init__(self, builds: Builds) -> None:
        self.builds = builds
        self.address = ""
        self._apps: dict[str, App] = {}
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def expect(self, app: App) -> str:
        """What the hook of a push to this app will say."""
        push = secrets.token_hex(16)
        self._apps[push] = app
        return push

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for talk in self._talks:
                talk.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)
            await self._server.wait_closed()

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            with suppress(OSError):
                await self._build(json.loads(await reader.readline()), writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _build(self, asked: dict[str, str], writer: StreamWriter) -> None:
        async def fetch(path: Path) -> None:
            await asyncio.to_thread(shutil.copy, asked["archive"], path)

        build = self.builds.start(self._apps.pop(asked["push"]), "git", asked["commit"], fetch)
        async with aclosing(build.output.follow()) as lines:
            async for line in lines:
                await _say(writer, line=line)
        await _say(writer, status=build.status)


async def _say(writer: StreamWriter, **what: str) -> None:
    writer.write(json.dumps(what).encode() + b"\n")
    await writer.drain()
