"""The endpoints about what runs: builds and their sources, formation, dynos, logs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from .app import App
from .apps import Apps
from .build import Build, BuildFailed, Fetch
from .builds import Builds
from .errors import ApiError, invalid, not_found
from .gate import body_of
from .views import build_row, dyno_row, formation_rows, release_rows

CHUNK = 1 << 16


class RunningEndpoints:
    """Each method is one endpoint; `routes` says which. `base_url` gives the address of the API itself."""

    def __init__(self, apps: Apps, builds: Builds, base_url: Callable[[], str]) -> None:
        self.apps, self.builds, self.base_url = apps, builds, base_url
        self._log_sessions: dict[str, tuple[App, dict[str, Any]]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sources", self.new_source),
            web.post("/apps/{app}/sources", self.new_source),
            web.put("/sources/{source}", self.put_source),
            web.get("/sources/{source}", self.get_source),
            web.get("/apps/{app}/builds", self.list_builds),
            web.post("/apps/{app}/builds", self.start_build),
            web.get("/apps/{app}/builds/{build}", self.show_build),
            web.get("/streams/{build}", self.stream_build),
            web.get("/apps/{app}/releases", self.releases),
            web.get("/apps/{app}/formation", self.formation),
            web.patch("/apps/{app}/formation", self.set_formation),
            web.get("/apps/{app}/dynos", self.dynos),
            web.delete("/apps/{app}/dynos", self.restart),
            web.delete("/apps/{app}/dynos/{dyno}", self.restart),
            web.post("/apps/{app}/log-sessions", self.new_log_session),
            web.get("/logs/{session}", self.stream_log),
        ]

    async def new_source(self, request: web.Request) -> web.Response:
        url = f"{self.base_url()}/sources/{secrets.token_hex(16)}"
        blob = {"get_url": f"{url}?signature=get", "put_url": f"{url}?signature=put"}
        return web.json_response({"source_blob": blob}, status=201)

    async def put_source(self, request: web.Request) -> web.Response:
        """Takes what a signed URL of the store behind Heroku takes: no Content-Type, and no body of unknown length."""
        if request.headers.get("Content-Type"):
            return web.Response(status=403, text="<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if request.content_length is None:
            return web.Response(status=501, text="<Error><Code>NotImplemented</Code></Error>")
        self._source(request).write_bytes(await request.read())
        return web.Response()

    async def get_source(self, request: web.Request) -> web.StreamResponse:
        path = self._source(request)
        return web.FileResponse(path) if path.exists() else web.Response(status=404, text="<Error/>")

    async def list_builds(self, request: web.Request) -> web.Response:
        return web.json_response([self._row(build) for build in self.builds.of(self._app(request))])

    async def start_build(self, request: web.Request) -> web.Response:
        app, asked = self._app(request), await body_of(request)
        blob = asked.get("source_blob")
        if not isinstance(blob, dict) or not isinstance(blob.get("url"), str):
            raise invalid("`source_blob` needs a `url`.")
        build = self.builds.start(app, blob["url"], blob.get("version"), _fetching(blob["url"]))
        return web.json_response(self._row(build), status=201)

    async def show_build(self, request: web.Request) -> web.Response:
        build = self.builds.all.get(request.match_info["build"])
        if build is None or build.app is not self._app(request):
            raise not_found("build")
        return web.json_response(self._row(build))

    async def stream_build(self, request: web.Request) -> web.StreamResponse:
        build = self.builds.all.get(request.match_info["build"])
        if build is None:
            raise not_found("stream")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async with aclosing(build.output.follow()) as lines:
            async for line in lines:
                await response.write(f"{line}\n".encode())
        return response

    async def releases(self, request: web.Request) -> web.Response:
        return web.json_response(release_rows(self._app(request)))

    async def formation(self, request: web.Request) -> web.Response:
        return web.json_response(formation_rows(self._app(request)))

    async def set_formation(self, request: web.Request) -> web.Response:
        app, asked = self._app(request), await body_of(request)
        updates = asked.get("updates")
        if not isinstance(updates, list) or not all(isinstance(update, dict) for update in updates):
            raise invalid("`updates` is a list of changes.")
        for update in updates:
            kind = str(update.get("type"))
            app.scale(kind, _quantity(update.get("quantity"), app.formation.get(kind, (0, ""))[0]), update.get("size"))
        return web.json_response(formation_rows(app))

    async def dynos(self, request: web.Request) -> web.Response:
        app = self._app(request)
        return web.json_response([dyno_row(app, dyno) for dyno in app.dynos])

    async def restart(self, request: web.Request) -> web.Response:
        app = self._app(request)
        app.restart(request.match_info.get("dyno"))
        return web.json_response({}, status=202)

    async def new_log_session(self, request: web.Request) -> web.Response:
        app, asked = self._app(request), await body_of(request)
        session = secrets.token_hex(16)
        self._log_sessions[session] = (app, asked)
        url = f"{self.base_url()}/logs/{session}?srv=0"
        return web.json_response({"id": session, "logplex_url": url}, status=201)

    async def stream_log(self, request: web.Request) -> web.StreamResponse:
        """An event stream; without `tail` it ends after what there is, as a line each."""
        app, asked = self._log_session(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        so_far = len(app.log.lines)
        shown = [line for line in app.log.lines if _wanted(line, asked)][-int(asked.get("lines") or 100) :]
        for line in shown:
            await response.write(_event(line))
        if asked.get("tail"):
            await self._tail(app, so_far, asked, response)
        return response

    async def _tail(self, app: App, start: int, asked: dict[str, Any], response: web.StreamResponse) -> None:
        async with aclosing(app.log.follow(start)) as lines:
            async for line in lines:
                if _wanted(line, asked):
                    await response.write(_event(line))

    def _log_session(self, request: web.Request) -> tuple[App, dict[str, Any]]:
        if request.match_info["session"] not in self._log_sessions:
            raise ApiError(404, "not_found", "No such log session.")
        return self._log_sessions[request.match_info["session"]]

    def _source(self, request: web.Request) -> Path:
        return self.builds.sources / Path(request.match_info["source"]).name

    def _row(self, build: Build) -> dict[str, Any]:
        return build_row(build, self.base_url(), self.apps.user)

    def _app(self, request: web.Request) -> App:
        return self.apps.find(request.match_info["app"])


def _fetching(url: str) -> Fetch:
    """Gets the source of a build from wherever it is."""

    async def fetch(path: Path) -> None:
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                if response.status != 200:
                    raise BuildFailed(f"Push rejected, the source cannot be had: status {response.status}")
                with await asyncio.to_thread(path.open, "wb") as file:
                    async for chunk in response.content.iter_chunked(CHUNK):
                        file.write(chunk)
        except (aiohttp.ClientError, ValueError) as error:
            raise BuildFailed(f"Push rejected, the source cannot be had: {error}") from error

    return fetch


def _quantity(asked: Any, before: int) -> int | None:
    """As a number, as text, or as a change such as `+1`."""
    text = str(asked)
    if asked is None or text.isdigit():
        return None if asked is None else int(text)
    if text[:1] in "+-" and text[1:].isdigit():
        return before + int(text)
    raise invalid(f"Quantity {text!r} is no number.")


def _wanted(line: str, asked: dict[str, Any]) -> bool:
    """Whether a line `TIME SOURCE[PROCESS]: TEXT` is of the source and the dyno that were asked for."""
    source, _, rest = line.partition(" ")[2].partition("[")
    process = rest.partition("]")[0]
    return asked.get("source") in (None, source) and asked.get("dyno") in (None, process)


def _event(line: str) -> bytes:
    return f"data: {line}\n\n".encode()
