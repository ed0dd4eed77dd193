"""A router that misbehaves on command, with a launcher built in: what a page may meet and the real ones never do in a test.

It speaks the pages' side of the wire contract. `misbehave` lines up troubles for a path; each request takes one off the line,
and a path without troubles is served well.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Self

from aiohttp import BodyPartReader, WSMsgType, web

CLIENT = Path(__file__).parents[2] / "router" / "client"
STRICT = (
    "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'"
)


class Trouble(Enum):
    """What may become of a request."""

    UNAVAILABLE = 503
    FULL = 507
    TAKEN = 409
    TOO_LARGE = 413
    FINISHED = 410
    UNKNOWN = 404
    CUT_OFF = "the connection is cut before anything is kept"
    ANSWER_LOST = "all is kept, but the connection is cut before the answer"
    PORTAL = "somebody else answers, with a web page and 200"


MESSAGES = {
    Trouble.UNAVAILABLE: "The task is not reachable at the moment.",
    Trouble.FULL: "The server's disk is full.",
    Trouble.TAKEN: "Your work on this was already handed in, and is safe.",
    Trouble.TOO_LARGE: "The limit for one file is 1000 bytes.",
    Trouble.FINISHED: "This task is finished. Thank you for your interest.",
    Trouble.UNKNOWN: "This page is not signed in to the task. Please reload it.",
}


@dataclass
class Handed:
    """One submission as it arrived."""

    agent_id: str
    submission_id: str
    answer: Any
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    """The names of a form's fields, in their order."""


@dataclass
class ScriptedRouter:
    """Serves a task's static directory and gives its units to workers, each agent one unit."""

    static: Path
    units: list[Any]
    live: bool = False
    extras: dict[str, Any] = field(default_factory=dict)
    """Instead of what `init_task_data.falsework` says else."""
    onboarding: bool = False
    url: str = ""
    registrations: list[dict[str, Any]] = field(default_factory=list)
    submissions: list[Handed] = field(default_factory=list)
    """Every request, the repeated ones too."""
    metadata: list[Any] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    updates: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    greetings: list[dict[str, Any]] = field(default_factory=list)
    on_update: Callable[[str, dict[str, Any]], Awaitable[None]] | None = None
    agents: dict[str, str] = field(default_factory=dict)
    """The agent of each registration."""
    past: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._troubles: dict[str, deque[Trouble]] = defaultdict(deque)
        self._sockets: dict[str, list[web.WebSocketResponse]] = defaultdict(list)
        self._said = 0
        self._news = asyncio.Condition()
        self.refuses_sockets = False
        self.is_mute = False
        """Whether heartbeats go without an echo, as over a connection that died without a word."""

    async def __aenter__(self) -> Self:
        application = web.Application(middlewares=[self._scripted])
        application.add_routes(
            [
                web.get("/", self._root),
                web.get("/is_alive", self._is_alive),
                web.post("/request_agent", self._request_agent),
                web.post("/submit_onboarding", self._submit_onboarding),
                web.post("/submit_task", self._submit_task),
                web.post("/submit_metadata", self._submit_metadata),
                web.post("/log_error", self._log_error),
                web.get("/{name:.+}", self._file),
            ]
        )
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut_sockets()
        await self._runner.cleanup()

    # What a test commands

    def misbehave(self, path: str, *troubles: Trouble) -> None:
        """Line up troubles for the next requests of a path."""
        self._troubles[path].extend(troubles)

    def left(self, path: str) -> int:
        """How many troubles of a path are still to come."""
        return len(self._troubles[path])

    async def say(self, agent_id: str, packet_type: str, data: dict[str, Any]) -> None:
        """Send a packet to the pages of an agent, as a frame of its own."""
        for socket in self._sockets[agent_id]:
            await socket.send_json(_packet(packet_type, agent_id, data))

    async def update(self, agent_id: str, update: dict[str, Any]) -> None:
        """Send a live update. A page that reloads or reconnects gets it again, under the same update_id."""
        self._said += 1
        data = {**update, "update_id": f"update-{self._said}"}
        self.past[agent_id].append(data)
        await self.say(agent_id, "client_bound_live_update", data)

    async def cut_sockets(self) -> None:
        """Cut every WebSocket without a word."""
        for sockets in list(self._sockets.values()):
            for socket in sockets:
                transport = socket._req.transport if socket._req else None
                if transport is not None:
                    transport.abort()

    async def until(self, happened: Callable[[], Any]) -> None:
        """Wait until something is so; looked at after each request and packet."""
        async with asyncio.timeout(15), self._news:
            await self._news.wait_for(lambda: bool(happened()))

    # What a page asks

    @web.middleware
    async def _scripted(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        troubles = self._troubles[request.path]
        trouble = troubles.popleft() if troubles else None
        try:
            response = await self._troubled(trouble, request, handler)
        finally:
            await self._tell()
        if not response.prepared:
            response.headers["Content-Security-Policy"] = STRICT
            response.force_close()  # Chromium repeats by itself what failed on a connection that was used before
        return response

    async def _troubled(
        self,
        trouble: Trouble | None,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        if trouble is Trouble.PORTAL:
            return web.Response(text="<h1>Welcome to our network</h1>", content_type="text/html")
        if trouble in MESSAGES:
            await handler(request) if request.path == "/submit_task" else None
            body = {"error": trouble.name.lower(), "message": MESSAGES[trouble]}
            return web.json_response(body, status=int(trouble.value))
        if trouble is None:
            return await handler(request)
        if trouble is Trouble.ANSWER_LOST:
            await handler(request)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    async def _root(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        return web.FileResponse(self.static / "index.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        for root in (self.static, CLIENT):
            path = root / request.match_info["name"]
            if path.is_file():
                return web.FileResponse(path)
        return web.Response(status=404)

    async def _is_alive(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "Alive!", "run_id": "scripted-1"})

    async def _request_agent(self, request: web.Request) -> web.Response:
        body = await request.json()
        worker = body["provider_data"]
        self.registrations.append(worker)
        key = worker["agent_registration_id"]
        if key not in self.agents:
            if len(self.agents) >= len(self.units):
                return self._details(None)
            prefix = "onboarding-" if self.onboarding else "agent-"
            self.agents[key] = f"{prefix}{len(self.agents) + 1}"
        return self._details(self.agents[key])

    def _details(self, agent_id: str | None) -> web.Response:
        if agent_id is None:
            return web.json_response(
                _packet("agent_details", "x", {"agent_id": None, "failure_reason": "nothing_left"})
            )
        unit = self.units[int(agent_id.rpartition("-")[2]) - 1]
        own = {"data": unit, "index": 0, "live": self.live, "expires_in": 1800, **self.extras}
        start = {**unit, "past_live_updates": self.past[agent_id], "falsework": own}
        details = {"request_id": "r", "worker_id": "w", "agent_id": agent_id, "init_task_data": start}
        return web.json_response(_packet("agent_details", "x", details))

    async def _submit_onboarding(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.metadata.append(body["provider_data"])
        self.onboarding = False
        return self._details("agent-1")

    async def _submit_task(self, request: web.Request) -> web.Response:
        handed = await (_read_form(request) if request.content_type.startswith("multipart/") else _read_json(request))
        self.submissions.append(handed)
        return web.json_response({"status": "Submitted!"})

    async def _submit_metadata(self, request: web.Request) -> web.Response:
        self.metadata.append(await request.json())
        return web.json_response({"status": "Submitted metadata"})

    async def _log_error(self, request: web.Request) -> web.Response:
        self.errors.append(await request.json())
        return web.json_response({"status": "Error log sent!"})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuses_sockets:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        agent_id = ""
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    agent_id = await self._hear(socket, json.loads(message.data))
                    await self._tell()
        finally:
            if socket in self._sockets[agent_id]:
                self._sockets[agent_id].remove(socket)
            await self._tell()
        return socket

    async def _hear(self, socket: web.WebSocketResponse, packet: dict[str, Any]) -> str:
        agent_id: str = packet["subject_id"]
        match packet["packet_type"]:
            case "alive":
                self.greetings.append(packet)
                self._sockets[agent_id].append(socket)
                status = "waiting" if self.live else "in task"
                repeats = [_packet("client_bound_live_update", agent_id, update) for update in self.past[agent_id]]
                await socket.send_json([_packet("update_status", agent_id, {"status": status}), *repeats])
            case "heartbeat" if not self.is_mute:
                await socket.send_json(_packet("heartbeat", agent_id, {"last_mephisto_ping": 0}))
            case "mephisto_bound_live_update":
                self.updates.append((agent_id, packet["data"]))
                if self.on_update is not None:
                    await self.on_update(agent_id, packet["data"])
        return agent_id

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


def _packet(packet_type: str, subject_id: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"packet_type": packet_type, "subject_id": subject_id, "data": data}


async def _read_json(request: web.Request) -> Handed:
    body = await request.json()
    return Handed(body["USED_AGENT_ID"], body["submission_id"], body["final_data"])


async def _read_form(request: web.Request) -> Handed:
    handed = Handed("", "", None)
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        name, content = part.name or "", bytes(await part.read())
        handed.fields.append(name)
        if part.filename:
            handed.files[name] = (part.filename, content)
        elif name == "USED_AGENT_ID":
            handed.agent_id = content.decode()
        elif name == "submission_id":
            handed.submission_id = content.decode()
        elif name == "final_string_data":
            handed.answer = json.loads(content)
    return handed
