"""Spreading workers over several routers of one run: who opens a page that another one has to serve is sent there.

Only pages are: once a worker's page is loaded, it speaks to where it came from.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

from aiohttp import web

from ..board.switchboard import Switchboard
from ..wire.agreed import AGREED, filled

_HOST = re.compile(r"(\[[\da-fA-F:.]+\]|[\w.-]+)(:\d+)?", re.ASCII)


class Visitor(NamedTuple):
    """Who opens a page: the worker's name where the link tells it, else a name of ours that the browser keeps."""

    name: str
    is_new: bool


class Spreading:
    """Where visitors belong, for the routers of this run. `session` is the cookie of a visitor who was here before."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._cookie = filled(AGREED.pages.visitor_cookie, run_id=switchboard.run_id)

    def visitor(self, request: web.Request) -> Visitor | None:
        """Who asks; None where that does not matter, as this is the only router."""
        if not self._switchboard.peers:
            return None
        named = next((request.query[name] for name in AGREED.pages.worker_names if request.query.get(name)), None)
        known = named or request.cookies.get(self._cookie)
        return Visitor(known or secrets.token_hex(16), is_new=known is None)

    def elsewhere(self, request: web.Request, visitor: Visitor, session: str | None) -> web.Response | None:
        """The answer to a visitor who belongs to another router; None for one who belongs here, or has an agent here."""
        port = self._switchboard.peers.port_of(visitor.name)
        host = _HOST.fullmatch(request.headers.get("Host", ""))
        if port is None or host is None:
            return None
        if session is not None and self._switchboard.agents.has_session(session):
            return None
        self._switchboard.counters["pages_redirected"] += 1
        query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        location = f"//{host[1]}:{port}{request.path}{query}"
        return web.Response(status=307, headers={"Location": location, "Cache-Control": "no-store"})

    def remember(self, response: web.StreamResponse, visitor: Visitor) -> None:
        """Let a browser whose link tells no worker come back as the same visitor. Cookies know no ports."""
        if visitor.is_new:
            cookie = filled(AGREED.pages.visitor, cookie=self._cookie, visitor=visitor.name)
            response.headers["Set-Cookie"] = cookie
