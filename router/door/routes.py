"""What is answered by HTTP beside what pages ask for: the task's files, metrics, downloads, and how a refusal reaches a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from ..board.switchboard import Instant, Switchboard
from ..wire.agreed import AGREED
from ..wire.errors import Malformed, Refused
from .metrics import render
from .outbox import Outbox
from .pages import Pages
from .policy import page_headers
from .refusals import plain_page, refusal
from .settings import Settings
from .sockets import Sockets
from .spreading import Spreading
from .uploads import Uploads

CLIENT = Path(__file__).parents[1] / "client"
"""falsework's client."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Parts(NamedTuple):
    """What there is of a router beside this."""

    settings: Settings
    switchboard: Switchboard
    pages: Pages
    uploads: Uploads
    sockets: Sockets
    outbox: Outbox
    clock: Callable[[], Instant]


class Routes:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._roots = (parts.settings.static, CLIENT)
        self._headers = page_headers(parts.settings.content_security_policy, parts.settings.frame_ancestors)
        self._spreading = Spreading(parts.switchboard)

    def routes(self) -> list[web.RouteDef]:
        """What anybody may ask; what pages ask comes before it."""
        return [
            web.get("/", self._root),
            web.get("/task_index", self._index),
            web.get("/welcome", self._index),
            web.get("/metrics", self._metrics),
            web.get("/download_file/{name:.*}", self._download),
            web.get("/{path:.+}", self._static),
        ]

    @web.middleware
    async def explain_refusals(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors reach a page as JSON {error, message}, with a sentence that a worker can read."""
        try:
            return await handler(request)
        except Refused as error:
            refused = error
        except Malformed as error:
            refused = Refused.of(error)
        except (ConnectionError, web.RequestPayloadError):
            refused = Refused(AGREED.refusals.cut_off)
        except web.HTTPRequestEntityTooLarge:
            refused = Refused(AGREED.refusals.answer_too_large, limit=self._parts.switchboard.limits.submission)
        self._parts.switchboard.counters[f"refused_{refused.error}"] += 1
        return refusal(refused)

    async def _root(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._parts.sockets.open(request, self._parts.pages.session(request))
        return await self._index(request)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        visitor = self._spreading.visitor(request)
        if visitor is None:
            return self._page(request)
        session = self._parts.pages.session(request)
        answer: web.StreamResponse | None = self._spreading.elsewhere(request, visitor, session)
        if answer is None:
            answer = self._page(request)
        self._spreading.remember(answer, visitor)
        return answer

    def _page(self, request: web.Request) -> web.StreamResponse:
        if self._parts.pages.session(request) is None:
            try:
                self._parts.switchboard.check_admission(self._parts.clock())
            except Refused as refused:
                self._parts.switchboard.counters[f"refused_{refused.error}"] += 1
                return plain_page(refused, self._headers)
        return self._file("index.html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return self._file(request.match_info["path"])

    def _file(self, path: str) -> web.FileResponse:
        for root in self._roots:
            found = _inside(root, path)
            if found is not None:
                return web.FileResponse(found, headers={"Cache-Control": "no-cache", **self._headers})
        raise web.HTTPNotFound

    async def _download(self, request: web.Request) -> web.StreamResponse:
        switchboard = self._parts.switchboard
        if not switchboard.link.knows(request.headers.get("Authorization", "").removeprefix("Bearer ")):
            switchboard.counters["refused_download"] += 1
            raise Refused(AGREED.refusals.no_download)
        headers = {"Content-Disposition": "attachment"}
        return web.FileResponse(self._parts.uploads.path(request.match_info["name"]), headers=headers)

    async def _metrics(self, request: web.Request) -> web.Response:
        at, board, sockets = self._parts.clock(), self._parts.switchboard, self._parts.sockets
        gauges = {
            "sockets": len(sockets),
            "agents": len(board.agents),
            "requests_waiting": len(board.waiting),
            "outbox_held": self._parts.outbox.held,
            "launcher_attached": int(board.link.peer is not None),
            "launcher_silence_seconds": at.now - board.link.heard,
        }
        left = board.lease.lifetime_left(at.now)
        if left is not None:
            gauges["lifetime_left_seconds"] = left
        totals = {"peers_dropped_slow": sockets.dropped_slow, "launcher_packets_dropped": board.link.dropped}
        return web.Response(text=render(gauges, {**board.counters, **totals}))


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on that every answer has."""
    response.headers.update(AGREED.policy.everywhere)


def _inside(root: Path, path: str) -> Path | None:
    """The file of that name under `root`, or None: nothing outside, no links out, no directories."""
    try:
        found = (root / path.lstrip("/")).resolve(strict=True)
    except (OSError, ValueError):
        return None
    return found if found.is_file() and found.is_relative_to(root.resolve()) else None
