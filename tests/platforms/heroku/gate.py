"""What stands before every endpoint: who asks, in which version, what was asked, and what is said of a refusal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .errors import ApiError, no_endpoint, unauthorized
from .faults import endpoint_of

VERSION = "application/vnd.heroku+json; version=3"
OPEN = ("/sources/", "/streams/", "/logs/", "/internal/")
"""Paths that are known to nobody but whoever was given them, and so need no token."""


@dataclass(frozen=True)
class Call:
    """One request that the platform answered, or whose reply it dropped (status 0)."""

    endpoint: str
    path: str
    status: int


class Gate:
    """Checks the token and the version, turns refusals into JSON, and keeps what was asked in `calls`."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.calls: list[Call] = []

    @web.middleware
    async def record(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        cut = request.transport is None or request.transport.is_closing()
        self.calls.append(Call(endpoint_of(request), request.path, 0 if cut else response.status))
        return response

    @web.middleware
    async def check(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            if not request.path.startswith(OPEN):
                self._check(request)
            response: web.StreamResponse = await handler(request)
        except ApiError as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        except web.HTTPNotFound:
            return web.json_response(no_endpoint().body, status=404)
        except web.HTTPMethodNotAllowed:
            return web.json_response(no_endpoint().body, status=404)
        return response

    def _check(self, request: web.Request) -> None:
        if "version=3" not in request.headers.get("Accept", ""):
            raise no_endpoint()
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise unauthorized()


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent; an empty one for an empty body. Raises ApiError."""
    text = await request.text()
    try:
        body = json.loads(text or "{}")
    except ValueError as error:
        raise ApiError(400, "bad_request", f"Unable to parse the JSON request: {error}") from error
    if not isinstance(body, dict):
        raise ApiError(400, "bad_request", "The JSON request is no object.")
    return body
