"""Git over https: the repository of each app, served by git's own http-backend; a push to main or master is built."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import ssl
import stat
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import DEVNULL, PIPE, Process
from binascii import Error as BadBase64
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from .app import App
from .apps import Apps
from .builds import Builds
from .certificate import make_certificate
from .errors import ApiError
from .faults import Faults
from .pushes import Pushes

CHUNK = 1 << 16
LARGEST_PUSH = 1 << 30
NOBODYS_CONFIG = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


class GitServer:
    """Whoever shows the token as password, under any user name, may fetch from and push to the apps they may use."""

    def __init__(self, directory: Path, token: str, apps: Apps, builds: Builds, faults: Faults) -> None:
        self.directory, self.token, self.apps, self.faults = directory / "git", token, apps, faults
        self.host = ""
        """Name and port, as `HEROKU_GIT_HOST` wants it."""
        self.certificate = Path()
        """What a client is to trust: `GIT_SSL_CAINFO`."""
        self._pushes = Pushes(builds)
        self._making = asyncio.Lock()
        self._serving: set[asyncio.Task[Any] | None] = set()
        self._runner: web.AppRunner | None = None

    async def open(self) -> set[str]:
        """Listen; returns the endpoints where faults may be injected."""
        self.directory.mkdir()
        self.certificate, context = await make_certificate(self.directory)
        await self._pushes.open()
        application = web.Application(middlewares=[self.faults.middleware], client_max_size=LARGEST_PUSH)
        application.add_routes([web.get("/{app}.git/info/refs", self._serve)])
        application.add_routes([web.post("/{app}.git/" + service, self._serve) for service in SERVICES])
        self._runner = await self._listen(application, context)
        return {f"{route.method} {route.resource.canonical}" for route in application.router.routes() if route.resource}

    def give_repository(self, app: App) -> None:
        """Tell the app where its repository is; it is made when somebody asks for it."""
        app.git_url = f"https://{self.host}/{app.name}.git"

    async def close(self) -> None:
        await self._pushes.close()
        serving = [task for task in self._serving if task is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _listen(self, application: web.Application, context: ssl.SSLContext) -> web.AppRunner:
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.host = f"127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request.headers.get("Authorization", "")):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="Git"'})
        try:
            app = self.apps.find(request.match_info["app"])
        except ApiError as refusal:
            return web.Response(status=refusal.status, text=str(refusal))
        repository = await self._repository(app)
        serving = asyncio.current_task()
        self._serving.add(serving)
        try:
            return await _serve_by_backend(request, self._environment(request, app, repository))
        finally:
            self._serving.discard(serving)

    def _knows(self, authorization: str) -> bool:
        kind, _, encoded = authorization.partition(" ")
        try:
            password = base64.b64decode(encoded).decode().partition(":")[2]
        except (BadBase64, UnicodeDecodeError):
            return False
        return kind == "Basic" and password == self.token

    async def _repository(self, app: App) -> Path:
        repository = self.directory / f"{app.id}.git"
        async with self._making:
            if not repository.exists():
                await _make_repository(repository)
        return repository

    def _environment(self, request: web.Request, app: App, repository: Path) -> dict[str, str]:
        service = request.path.partition(".git/")[2]
        return NOBODYS_CONFIG | {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.directory),
            "GIT_PROJECT_ROOT": str(self.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{repository.name}/{service}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": self.apps.user,
            "STAND_IN_ADDRESS": self._pushes.address,
            "STAND_IN_DIRECTORY": str(self.directory),
            "STAND_IN_PUSH": self._pushes.expect(app) if service == "git-receive-pack" else "",
        }


SERVICES = ("git-receive-pack", "git-upload-pack")


async def _make_repository(repository: Path) -> None:
    making = repository.with_suffix(".part")
    command = ("git", "init", "--quiet", "--bare", "--template=", str(making))
    git = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, env=os.environ | NOBODYS_CONFIG)
    if await git.wait() != 0:
        raise web.HTTPInternalServerError(text="git made no repository")
    _write_hook(making)
    making.rename(repository)


def _write_hook(repository: Path) -> None:
    source = Path(__file__).with_name("git_hook.py")
    hook = repository / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{source}"\n')
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)


async def _serve_by_backend(request: web.Request, environment: dict[str, str]) -> web.StreamResponse:
    backend = await asyncio.create_subprocess_exec(
        "git", "http-backend", stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, start_new_session=True
    )
    try:
        return await _converse(request, backend)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(backend.pid, signal.SIGKILL)  # the hook too, if the client left in the middle
        await backend.wait()


async def _converse(request: web.Request, backend: Process) -> web.StreamResponse:
    """Pass the request's body to the backend and its answer back, both as they come."""
    assert backend.stdin is not None
    assert backend.stdout is not None
    sending = asyncio.create_task(_send_body(request, backend.stdin))
    try:
        response = await _head_of(backend.stdout)
        await response.prepare(request)
        while data := await backend.stdout.read(CHUNK):
            await response.write(data)
        return response
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send_body(request: web.Request, stdin: StreamWriter) -> None:
    with suppress(OSError):
        stdin.write(await request.read())
        await stdin.drain()
    stdin.close()


async def _head_of(stdout: StreamReader) -> web.StreamResponse:
    """The head of a CGI answer."""
    response = web.StreamResponse()
    while line := (await stdout.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        if name.lower() == "status":
            response.set_status(int(value.split()[0]))
        else:
            response.headers[name] = value.strip()
    return response
