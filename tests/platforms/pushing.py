"""What a test does as a user of the platform: speak to the API, and push an app."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from .heroku import App, HerokuPlatform

DOUBLES = Path(__file__).parent / "doubles"
ACCEPT = "application/vnd.heroku+json; version=3"
NO_TYPE = ("Content-Type",)
"""The `skip_auto_headers` for `put_url`, which takes no Content-Type."""


class Api:
    """The Platform API, as a user with the right token sees it."""

    def __init__(self, platform: HerokuPlatform, session: aiohttp.ClientSession) -> None:
        self.platform, self.session = platform, session
        self.headers = {"Accept": ACCEPT, "Authorization": f"Bearer {platform.token}"}

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        async with self.session.request(
            method, self.platform.api_url + path, json=body, headers=self.headers | headers
        ) as response:
            return response.status, await response.json()

    async def create(self, name: str) -> App:
        assert (await self.ask("POST", "/apps", {"name": name}))[0] == 201
        return self.platform.apps[name]

    async def start_build(self, app: App, files: Mapping[str, str]) -> Any:
        """Upload what is pushed and have it built; returns the build as it is then."""
        _, source = await self.ask("POST", "/sources")
        blob = source["source_blob"]
        async with self.session.put(blob["put_url"], data=tar_gz(files), skip_auto_headers=NO_TYPE) as response:
            assert response.status == 200
        return (await self.ask("POST", f"/apps/{app.name}/builds", {"source_blob": {"url": blob["get_url"]}}))[1]

    async def output(self, build: Any) -> str:
        """All that a build says, once it has ended."""
        async with self.session.get(build["output_stream_url"]) as stream:
            return await stream.text()

    async def push(self, app: App, files: Mapping[str, str]) -> tuple[str, str]:
        """Build what is pushed; returns the status and the output."""
        build = await self.start_build(app, files)
        output = await self.output(build)
        _, ended = await self.ask("GET", f"/apps/{app.name}/builds/{build['id']}")
        return ended["status"], output

    async def run(self, app: App, double: str = "echo", arguments: str = "") -> None:
        """Push a double; it runs, or is about to."""
        assert (await self.push(app, app_files(double, arguments)))[0] == "succeeded"

    async def who(self, app: App, **options: Any) -> dict[str, Any]:
        """What the echo says of itself, through the front door."""
        async with self.session.get(app.web_url, **options) as response:
            assert response.status == 200, await response.text()
            said: dict[str, Any] = await response.json()
            return said


def app_files(double: str = "echo", arguments: str = "") -> dict[str, str]:
    """What a user pushes to have a double run."""
    source = (DOUBLES / f"{double}.py").read_text()
    return {"Procfile": f"web: python app.py {arguments}\n", "requirements.txt": "aiohttp >= 3\n", "app.py": source}


def tar_gz(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


class Checkout:
    """A user's own repository."""

    def __init__(self, platform: HerokuPlatform, directory: Path) -> None:
        self.platform, self.directory = platform, directory
        directory.mkdir()
        who = {f"GIT_{role}_{key}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(directory)}
        trust = {"GIT_SSL_CAINFO": str(platform.git.certificate)}
        self.environment = {"PATH": os.environ["PATH"]} | who | quiet | trust

    async def commit(self, files: Mapping[str, str]) -> None:
        """Commit these files on main."""
        for name, text in files.items():
            (self.directory / name).write_text(text)
        for arguments in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "A step")):
            assert await self._git(*arguments) == (0, "")

    async def push(self, app: App, what: str = "main", token: str | None = None) -> tuple[int, str]:
        """The exit status and what git says."""
        secret = token or self.platform.token
        return await self._git("push", app.git_url.replace("https://", f"https://:{secret}@"), what)

    async def _git(self, *arguments: str) -> tuple[int, str]:
        git = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=self.directory, env=self.environment, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        said, _ = await git.communicate()
        return git.returncode or 0, said.decode()
