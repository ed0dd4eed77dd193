"""Runs commands of the client in a HOME of its own, with the stand-in in the place of Heroku."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..heroku import HerokuPlatform
from .installation import installed_client

PATIENCE = 60.0
"""Seconds for one command; it takes about two, however little it does."""


@dataclass(frozen=True)
class ClientAnswer:
    """What one command came to."""

    status: int
    out: str
    error: str


class HerokuClient:
    """Logged in on one platform. `home` is made if it is not there; the user's own is never touched.

    `environment` is for other programs as well: with it, git finds the client's credential helper and the certificate.
    """

    def __init__(self, platform: HerokuPlatform, home: Path) -> None:
        self.script, self.home = installed_client(), home
        home.mkdir(exist_ok=True)
        self.environment = _environment(platform, home)
        self._install_on_path()

    async def run(self, *arguments: str, cwd: Path | None = None) -> ClientAnswer:
        """Run `heroku ARGUMENTS…`, without a terminal."""
        return await self.execute("heroku", *arguments, cwd=cwd)

    async def execute(self, *command: str, cwd: Path | None = None) -> ClientAnswer:
        """Run any program as whoever uses the client would, such as git."""
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
            cwd=cwd or self.home, env=self.environment, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE):
                out, error = await process.communicate()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        return ClientAnswer(process.returncode or 0, out.decode(), error.decode())

    def _install_on_path(self) -> None:
        """As `heroku`, by which name git's credential helper calls it too."""
        command = self.home / "bin" / "heroku"
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\nexec node "{self.script}" "$@"\n')
        command.chmod(0o755)


def _environment(platform: HerokuPlatform, home: Path) -> Mapping[str, str]:
    """Nothing of the user's own but PATH. A host that the client does not know would lead it to the real API."""
    return {
        "PATH": os.pathsep.join([str(home / "bin"), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "TMPDIR": str(home),
        "HEROKU_HOST": platform.api_url,
        "HEROKU_GIT_HOST": platform.git.host,
        "HEROKU_PARTICLEBOARD_URL": platform.api_url,
        "HEROKU_API_KEY": platform.token,
        "GIT_SSL_CAINFO": str(platform.git.certificate),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "DISABLE_TELEMETRY": "true",
        "HEROKU_SKIP_NEW_VERSION_CHECK": "true",
        "HEROKU_DISABLE_AUTOUPDATE": "1",
        "NO_COLOR": "1",
        "NO_PROXY": "127.0.0.1",
    }
