"""Shipping by `git push`: the bundle as the one commit of a repository beside it, pushed to the app's own.

Git's exit status does not tell a build that failed from a connection that broke, so the Platform API is asked what came of
the push. The token is in git's environment, never on a command line, in a URL or in a file; of the user's own git
configuration nothing is read but what environment variables say (GIT_SSL_CAINFO, https_proxy, …).
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from pathlib import Path

from falsework.engine.contract.architect import Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import DeployFailed, TransientError

from ..machine.mark import RUN_ID
from .api import HerokuApi
from .build import find_build, see_built
from .rows import HerokuApp

REPOSITORY = "heroku-push.git"
"""In the run's directory, until it is cleaned up."""
LINES_SHOWN = 15
"""Lines of git's own words that an error carries."""
AUTHOR = {
    f"GIT_{role}_{fact}": value
    for role in ("AUTHOR", "COMMITTER")
    for fact, value in (("NAME", "falsework"), ("EMAIL", "falsework@localhost"))
}
AS_IT_IS = ("-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false")
"""Nothing is done to the files on their way, and nobody else's program is run."""


class GitFailed(DeployFailed):
    """Git could not make the commit. `lines` are the last that it said."""

    def __init__(self, arguments: tuple[str, ...], lines: list[str]) -> None:
        self.arguments, self.lines = arguments, tuple(lines)
        super().__init__("\n  ".join([f"git {arguments[0]} failed; its last lines:", *lines]))


class PushLost(TransientError):
    """What was pushed did not arrive. `lines` are the last that git said."""

    def __init__(self, app: str, lines: list[str]) -> None:
        self.app, self.lines = app, tuple(lines)
        super().__init__("\n  ".join([f"what was pushed to app {app} did not arrive; git's last lines:", *lines]))


async def ship_by_push(site: Site, api: HerokuApi, app: HerokuApp, bundle: Bundle) -> None:
    """Push the sealed bundle and see it built and released. Raises BuildFailed, PushLost, GitFailed, Unanswered, Refused."""
    git = _Git(site, site.directory / REPOSITORY, bundle.directory)
    await asyncio.to_thread(shutil.rmtree, git.repository, ignore_errors=True)
    for arguments in (
        ("init", "--quiet", "--bare", "--template=", str(git.repository)),
        ("add", "--all", "--force"),
        ("commit", "--quiet", "--no-verify", f"--message=Run {site.run_id}"),
    ):
        status, lines = await git.run(arguments)
        if status:
            raise GitFailed(arguments, lines)
    arguments = ("push", app.git_url, "HEAD:refs/heads/main")
    _, lines = await git.run(arguments, _login(app.git_url, api.token))
    build = await find_build(api, app)
    if build is None:
        raise PushLost(app.name, lines)
    await see_built(site, api, app, build)


class _Git:
    """Git with a repository and a work tree that are apart, so that nothing is added to the sealed bundle."""

    def __init__(self, site: Site, repository: Path, work_tree: Path) -> None:
        self.site, self.repository, self.work_tree = site, repository, work_tree

    async def run(self, arguments: tuple[str, ...], secrets: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
        """Its exit status and its last lines, which are passed on as they come. Cancelling it ends git."""
        where = () if arguments[0] == "init" else (f"--git-dir={self.repository}", f"--work-tree={self.work_tree}")
        git = await asyncio.create_subprocess_exec(
            "git", *where, *AS_IT_IS, *arguments,
            cwd=self.work_tree, env={**self._environment(), **(secrets or {})},
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True,
        )  # fmt: skip
        lines: deque[str] = deque(maxlen=LINES_SHOWN)
        try:
            async for line in _lines_of(git.stdout):
                lines.append(line)
                self.site.log.info("git: %s", line)
            return await git.wait(), list(lines)
        finally:
            if git.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(git.pid, signal.SIGKILL)
                await git.wait()

    def _environment(self) -> dict[str, str]:
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") or name.startswith(("GIT_SSL_", "GIT_HTTP_PROXY_"))
        }
        nobodys = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
        return {**ours, **nobodys, **AUTHOR, RUN_ID: self.site.run_id}


async def _lines_of(stream: asyncio.StreamReader | None) -> AsyncGenerator[str, None]:
    """What a program says, line by line, however long a line is."""
    said = b""
    while stream is not None and (chunk := await stream.read(1 << 14)):
        *lines, said = (said + chunk).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if text := line.decode(errors="replace").rstrip():
                yield text
    if said.strip():
        yield said.decode(errors="replace").rstrip()


def _login(url: str, token: str) -> dict[str, str]:
    """Git configuration for one call: Basic, no user and the token, for this very repository."""
    header = base64.b64encode(f":{token}".encode()).decode()
    settings = {
        f"http.{url}.extraHeader": f"Authorization: Basic {header}",
        "http.followRedirects": "false",
        "credential.helper": "",
    }
    numbered = [
        (f"GIT_CONFIG_{part}_{number}", text)
        for number, setting in enumerate(settings.items())
        for part, text in zip(("KEY", "VALUE"), setting, strict=True)
    ]
    return {"GIT_CONFIG_COUNT": str(len(settings)), **dict(numbered)}
