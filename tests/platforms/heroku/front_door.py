"""The router in front of every app: finds the app, picks a dyno, lets them talk, and says what went wrong.

The app is known by the port that was asked, or on the first port by the Host header. Each connection carries one request:
what is not an upgrade is passed on with `Connection: close`.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import StreamReader, StreamWriter

from .app import App
from .apps import Apps
from .conversation import AFFINITY_COOKIE, CHUNK, Conversation, Unserved, close
from .dyno import Dyno
from .faults import HTML_PAGE, Faults
from .heads import Head, read_head
from .settings import Settings

WEB = "* web_url"
"""The name of the front door among the endpoints that faults may be injected at: any request to any app."""
ERRORS = {"H10": "App crashed", "H12": "Request timeout", "H14": "No web processes running", "H15": "Idle connection"}
ERRORS |= {"H13": "Connection closed without response", "H21": "Backend connection refused"}


class FrontDoor:
    """One server; each app has a port of its own besides, which outlives the app and then says that there is none."""

    def __init__(self, apps: Apps, faults: Faults, settings: Settings) -> None:
        self.apps, self.faults, self.settings = apps, faults, settings
        self.port = 0
        """Where apps are told apart by the Host header."""
        self._servers: list[asyncio.Server] = []
        self._owners: dict[int, App] = {}
        self._connections: dict[asyncio.Task[None], App | None] = {}
        self._turn = 0

    async def open(self) -> None:
        self.port = await self._listen()

    async def give_port(self, app: App) -> None:
        """Give the app a port of its own, which becomes its URL."""
        port = await self._listen()
        self._owners[port] = app
        app.web_url = f"http://127.0.0.1:{port}/"

    def cut(self, app: App | None = None) -> None:
        """Break every connection that is open now, to one app or to all."""
        for connection, owner in self._connections.items():
            if app in (None, owner):
                connection.cancel()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    async def _listen(self) -> int:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections[connection] = None
        connection.add_done_callback(self._connections.pop)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            async with asyncio.timeout(self.settings.idle_limit):
                head = await read_head(reader)
            if head is not None:
                await self._answer(head, reader, writer)
        except (OSError, TimeoutError):
            pass  # the browser left, or said nothing
        finally:
            await close(writer)

    async def _answer(self, head: Head, reader: StreamReader, writer: StreamWriter) -> None:
        fault = self.faults.take(WEB)
        if fault is not None:
            await self.faults.pause(fault.delay)
            if fault.drop == "before":
                return
            if fault.status is not None:
                await _write_page(writer, fault.status, HTML_PAGE, retry_after=fault.retry_after)
                return
        app = self._app_of(head, writer)
        if app is None:
            await _write_page(writer, 404, "<html><body><h1>No such app</h1></body></html>")
            return
        if connection := asyncio.current_task():
            self._connections[connection] = app
        await self._pass_on(app, head, reader, writer, lose_reply=fault is not None and fault.drop == "after")

    def _app_of(self, head: Head, writer: StreamWriter) -> App | None:
        port = writer.get_extra_info("sockname")[1]
        host = head.get("host").partition(":")[0]
        app = self._owners.get(port) or next((app for app in self.apps.values() if app.hostname == host), None)
        return None if app is None or app.deleted else app

    async def _pass_on(
        self, app: App, head: Head, reader: StreamReader, writer: StreamWriter, *, lose_reply: bool
    ) -> None:
        began = time.monotonic()
        dyno_name, status, outcome = "", 503, "at=info"
        try:
            dyno = await self._pick(app, head)
            dyno_name = dyno.name
            conversation = Conversation(app, dyno, reader, writer, self.settings)
            await conversation.hold(head, lose_reply=lose_reply)
            status = conversation.status or 499
        except Unserved as error:
            outcome = f'at=error code={error.code} desc="{ERRORS[error.code]}"'
            if not error.answered:
                await _write_page(writer, status, HTML_PAGE)
        finally:
            where = f'method={head.method} path="{head.target}" host={head.get("host")} dyno={dyno_name}'
            took = f"service={(time.monotonic() - began) * 1000:.0f}ms"
            app.write_log("heroku", "router", f"{outcome} {where} {took} status={status}")

    async def _pick(self, app: App, head: Head) -> Dyno:
        """A dyno that serves: the browser's own where it has one, else the next in turn. Waits while they start."""
        dynos = app.running("web")
        if not dynos:
            raise Unserved("H14")
        if app.sticky:
            dynos = [dyno for dyno in dynos if dyno.id == head.cookies.get(AFFINITY_COOKIE)] or dynos
        self._turn += 1
        turned = dynos[self._turn % len(dynos) :] + dynos[: self._turn % len(dynos)]
        for dyno in sorted(turned, key=lambda dyno: dyno.state != "up"):
            if await dyno.is_up():
                return dyno
        raise Unserved("H10")


async def _write_page(writer: StreamWriter, status: int, page: str, *, retry_after: float | None = None) -> None:
    body = page.encode()
    headers = [("Content-Type", "text/html"), ("Content-Length", str(len(body))), ("Connection", "close")]
    if retry_after is not None:
        headers.append(("Retry-After", f"{retry_after:g}"))
    writer.write(Head(f"HTTP/1.1 {status} Refused", tuple(headers)).encoded() + body)
    await writer.drain()
