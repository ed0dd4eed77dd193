"""Trouble on demand, at any endpoint: a status, a delay, a reply that is lost after the deed or before it."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

HTML_PAGE = (
    "<!DOCTYPE html><html><head><title>Application Error</title></head><body><p>Try again later.</p></body></html>"
)


@dataclass
class Fault:
    """What happens to a request. The deed is done unless there is a `status`, or the reply is dropped `before` it."""

    status: int | None = None
    body: Any = None
    """In place of the usual error; with status 200 it is a lie: said, and not done."""
    html: bool = False
    retry_after: float | None = None
    delay: float = 0.0
    """Seconds before the deed. A client that gives up meanwhile changes nothing: it is done all the same."""
    hold: float = 0.0
    """Seconds between the deed and the reply."""
    drop: Literal["before", "after"] | None = None
    """The connection breaks without a reply, before the deed or after it."""
    skip: int = 0
    """How many requests pass unharmed first."""
    times: int | None = 1
    """How many requests it meets; None: all."""

    def response(self) -> web.Response:
        """The reply of a fault that has a status."""
        status = self.status or 503
        headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        if self.html:
            return web.Response(status=status, text=HTML_PAGE, content_type="text/html", headers=headers)
        body = {"id": KINDS.get(status, "error"), "message": f"injected {status}"} if self.body is None else self.body
        return web.Response(status=status, text=json.dumps(body), content_type="application/json", headers=headers)


KINDS = {401: "unauthorized", 402: "verification_required", 403: "forbidden", 404: "not_found", 422: "invalid_params"}
KINDS |= {429: "rate_limit", 500: "internal_server_error", 503: "service_unavailable"}


class Faults:
    """The faults that wait for their requests, by endpoint. An endpoint is named as in `HerokuPlatform.endpoints`."""

    def __init__(self, endpoints: Collection[str] = ()) -> None:
        self.endpoints = set(endpoints)
        self._closed = asyncio.Event()
        self._waiting: dict[str, list[Fault]] = defaultdict(list)

    def inject(self, endpoint: str, **fault: Any) -> Fault:
        """Have the next requests to the endpoint fail as `Fault` says; faults of one endpoint take turns, oldest first."""
        if endpoint not in self.endpoints:
            raise ValueError(f"{endpoint!r} is no endpoint; there are {', '.join(sorted(self.endpoints))}")
        injected = Fault(**fault)
        self._waiting[endpoint].append(injected)
        return injected

    def clear(self) -> None:
        """Forget every fault that has not happened."""
        self._waiting.clear()

    def close(self) -> None:
        """Break off whatever is delayed or held back."""
        self._closed.set()

    async def pause(self, seconds: float) -> None:
        """Let a delay pass. Raises ConnectionAbortedError if the platform closes meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
            raise ConnectionAbortedError("the platform closes")

    def take(self, endpoint: str) -> Fault | None:
        """The fault that meets this request."""
        waiting = self._waiting[endpoint]
        if not waiting:
            return None
        fault = waiting[0]
        if fault.skip:
            fault.skip -= 1
            return None
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                waiting.pop(0)
        return fault

    @web.middleware
    async def middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Stands around every handler of an aiohttp application."""
        fault = self.take(endpoint_of(request))
        if fault is None:
            return await handler(request)  # type: ignore[no-any-return]
        return await self._meet(fault, request, handler)

    async def _meet(self, fault: Fault, request: web.Request, handler: Any) -> web.StreamResponse:
        await request.read()  # before the client can leave
        try:
            await self.pause(fault.delay)
            if fault.drop == "before":
                return _cut(request)
            response: web.StreamResponse = await handler(request) if fault.status is None else fault.response()
            await self.pause(fault.hold)
        except ConnectionAbortedError:
            return _cut(request)
        return _cut(request) if fault.drop == "after" else response


def endpoint_of(request: web.Request) -> str:
    """The method and the path with its names in braces, such as `DELETE /apps/{app}`."""
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource is not None else '(none)'}"


def _cut(request: web.Request) -> web.Response:
    """Break the connection. What is returned is never seen."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
