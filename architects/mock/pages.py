"""What pages, and the launcher, ask of a mock server by HTTP: Tornado's requests in, the board's answers out."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sized
from typing import Any

import msgspec
from falsework.router.board.waiting import Waiting
from falsework.router.wire import protocol as wire
from falsework.router.wire.agreed import AGREED, filled
from falsework.router.wire.errors import Malformed, Refused
from falsework.router.wire.protocol import Envelope, encode
from tornado.web import RequestHandler

from .board import MockBoard

FRAME_ALLOWANCE = 4096
"""Bytes of a frame that the packet around the data may take."""

_NULL = msgspec.Raw(b"null")
_EMPTY = msgspec.Raw(b"{}")
Answer = dict[str, Any] | bytes
Act = Callable[["Asked"], Awaitable[Answer]]


class AgentRequest(msgspec.Struct):
    provider_data: msgspec.Raw = _EMPTY
    client_timestamp: float | None = None


class OnboardingOf(msgspec.Struct):
    USED_AGENT_ID: str
    onboarding_data: msgspec.Raw = _EMPTY


class OnboardingRequest(msgspec.Struct):
    provider_data: OnboardingOf
    client_timestamp: float | None = None


class Submission(msgspec.Struct):
    """The body of /submit_task, /submit_metadata and /log_error: each uses one of the three data fields."""

    USED_AGENT_ID: str
    final_data: msgspec.Raw = _NULL
    metadata: msgspec.Raw = _EMPTY
    error_data: msgspec.Raw = _EMPTY
    client_timestamp: float | None = None
    submission_id: str | None = None

    @property
    def id(self) -> str:
        """By which a repeat is known for one. Raises Malformed."""
        if self.submission_id and len(self.submission_id) > wire.LONGEST_ID:
            raise Malformed(AGREED.malformed.submission_id, limit=wire.LONGEST_ID)
        return self.submission_id or hashlib.sha256(bytes(self.final_data)).hexdigest()


class Asked(RequestHandler):
    """One request. What is not served is answered as JSON {error, message}, and counted."""

    def initialize(self, board: MockBoard, act: Act) -> None:
        self.board, self._act = board, act

    def set_default_headers(self) -> None:
        for name, value in AGREED.policy.everywhere.items():
            self.set_header(name, value)

    @property
    def session(self) -> str | None:
        """The session cookie of this run that the request came with."""
        return self.get_cookie(self.board.cookie)

    async def serve(self) -> None:
        """Answer it."""
        try:
            answer = await self._act(self)
        except Malformed as malformed:
            self._refuse(Refused.of(malformed))
        except Refused as refused:
            self._refuse(refused)
        else:
            self.write(answer)

    def _refuse(self, refused: Refused) -> None:
        count_refusal(self, self.board, refused)
        self.write({"error": refused.error, "message": refused.message})


class Got(Asked):
    """A request that reads."""

    async def get(self, *said: str) -> None:
        await self.serve()


class Posted(Asked):
    """A request that hands something in."""

    async def post(self, *said: str) -> None:
        await self.serve()


class Pages:
    """What is answered by one server."""

    def __init__(self, board: MockBoard, sockets: Sized) -> None:
        """`sockets` are those that are open, to be counted."""
        self._board, self._switchboard, self._sockets = board, board.switchboard, sockets

    def routes(self) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
        """What may be asked, and how."""
        acts: list[tuple[str, type[RequestHandler], Act]] = [
            (r"/request_agent", Posted, self.request_agent),
            (r"/submit_onboarding", Posted, self.submit_onboarding),
            (r"/submit_task", Posted, self.submit_task),
            (r"/submit_metadata", Posted, self.submit_metadata),
            (r"/log_error", Posted, self.log_error),
            (r"/is_alive", Got, self.is_alive),
            (r"/get_timestamp", Got, self.get_timestamp),
            (r"/metrics", Got, self.metrics),
            (r"/download_file/.*", Got, self.download_file),
        ]
        return [(path, handler, {"board": self._board, "act": act}) for path, handler, act in acts]

    async def request_agent(self, asked: Asked) -> Answer:
        """Held open until the launcher says who this worker is."""
        body = self._body(asked, _AGENT_REQUEST, AGREED.malformed.agent_request)
        waiting, answer = self._open(asked)
        data = {"provider_data": body.provider_data, "request_id": waiting.request_id}
        waiting.packet = encode(self._envelope(wire.REGISTER_AGENT, waiting.request_id, data, body.client_timestamp))
        self._switchboard.register(waiting, self._board.at())
        return await self._settled(asked, waiting, answer)

    async def submit_onboarding(self, asked: Asked) -> Answer:
        """Durable; then held open until the launcher says what comes next for this worker."""
        body = self._body(asked, _ONBOARDING, AGREED.malformed.onboarding)
        said = body.provider_data
        agent = self._switchboard.worker(said.USED_AGENT_ID, asked.session, self._board.at())
        self._switchboard.check_open()
        self._check_size(said.onboarding_data)
        waiting, answer = self._open(asked)
        self._switchboard.await_onboarding(agent, waiting)
        data = {"onboarding_data": said.onboarding_data, "request_id": waiting.request_id}
        self._board.hold(self._envelope(wire.SUBMIT_ONBOARDING, agent.agent_id, data, body.client_timestamp))
        return await self._settled(asked, waiting, answer)

    async def submit_task(self, asked: Asked) -> Answer:
        """Durable, once: the answer to a repeat of it is that it was handed in."""
        body = self._submission(asked, "final_data")
        agent = self._switchboard.check_submission(body.USED_AGENT_ID, asked.session, body.id, self._board.at())
        if agent is not None:
            self._check_size(body.final_data)
            envelope = self._envelope(wire.SUBMIT_UNIT, agent.agent_id, body.final_data, body.client_timestamp)
            envelope.submission_id = agent.submission_id = body.id
            self._board.hold(envelope)
        return {"status": AGREED.pages.submitted}

    async def submit_metadata(self, asked: Asked) -> Answer:
        """Durable; an agent may hand in any number."""
        body = self._submission(asked, "metadata")
        agent = self._switchboard.worker(body.USED_AGENT_ID, asked.session, self._board.at())
        self._switchboard.check_open()
        self._check_size(body.metadata)
        self._board.hold(self._envelope(wire.SUBMIT_METADATA, agent.agent_id, body.metadata, body.client_timestamp))
        return {"status": AGREED.pages.submitted_metadata}

    async def log_error(self, asked: Asked) -> Answer:
        """Passed on to the launcher; not durable."""
        body, at = self._submission(asked, "error_data"), self._board.at()
        self._switchboard.worker(body.USED_AGENT_ID, asked.session, at)
        self._switchboard.log_error(body.USED_AGENT_ID, body.error_data, body.client_timestamp, at)
        return {"status": AGREED.pages.logged}

    async def is_alive(self, asked: Asked) -> Answer:
        """Says whose server this is."""
        return {"status": AGREED.pages.alive, "run_id": self._board.run_id}

    async def get_timestamp(self, asked: Asked) -> Answer:
        """Milliseconds."""
        return {"timestamp": self._board.at().wall * 1000}

    async def metrics(self, asked: Asked) -> Answer:
        """Counters and gauges as Prometheus text."""
        asked.set_header("Content-Type", "text/plain; charset=utf-8")
        board = self._switchboard
        gauges = {
            "sockets": len(self._sockets),
            "agents": len(board.agents),
            "requests_waiting": len(board.waiting),
            "outbox_held": len(self._board.held),
            "launcher_attached": int(board.link.peer is not None),
        }
        counters = {**board.counters, "launcher_packets_dropped": board.link.dropped}
        lines = [f"# TYPE falsework_{name} gauge\nfalsework_{name} {value}\n" for name, value in gauges.items()]
        lines += [
            f"# TYPE falsework_{name}_total counter\nfalsework_{name}_total {count}\n"
            for name, count in counters.items()
        ]
        return "".join(lines).encode()

    async def download_file(self, asked: Asked) -> Answer:
        """What was uploaded, to who has the launcher's token."""
        if not self._switchboard.link.knows(asked.request.headers.get("Authorization", "").removeprefix("Bearer ")):
            raise Refused(AGREED.refusals.no_download)
        content = self._board.uploads.get((asked.request.path or "").removeprefix("/download_file/"))
        if content is None:
            raise Refused(AGREED.refusals.no_such_file)
        asked.set_header("Content-Type", "application/octet-stream")
        asked.set_header("Content-Disposition", "attachment")
        return content

    # Pieces

    def _body(self, asked: Asked, decoder: msgspec.json.Decoder[wire.T], expected: str, **facts: object) -> wire.T:
        body = asked.request.body
        if len(body) > self._board.limits.submission:
            raise Refused(AGREED.refusals.answer_too_large, limit=self._board.limits.submission)
        return wire.decode(body, decoder, expected, **facts)

    def _submission(self, asked: Asked, data_field: str) -> Submission:
        return self._body(asked, _SUBMISSION, AGREED.malformed.submission, field=data_field)

    def _check_size(self, data: msgspec.Raw) -> None:
        limit = self._board.limits.frame - FRAME_ALLOWANCE
        if len(data) > limit:
            raise Refused(AGREED.refusals.answer_too_large, limit=limit)

    def _envelope(self, packet_type: str, subject_id: str, data: Any, client_timestamp: float | None) -> Envelope:
        wall = self._board.at().wall
        return Envelope(packet_type, subject_id, data, client_timestamp, None, wall, wall)

    def _open(self, asked: Asked) -> tuple[Waiting, asyncio.Future[bytes | Refused]]:
        answer: asyncio.Future[bytes | Refused] = asyncio.get_running_loop().create_future()

        def settle(outcome: bytes | Refused) -> None:
            if not answer.done():
                answer.set_result(outcome)

        session = asked.session or secrets.token_hex(16)
        return Waiting(secrets.token_hex(16), session, self._board.at().now, settle, None), answer

    async def _settled(self, asked: Asked, waiting: Waiting, answer: asyncio.Future[bytes | Refused]) -> Answer:
        outcome = await answer
        if isinstance(outcome, Refused):
            raise outcome
        secure = asked.request.headers.get("X-Forwarded-Proto", asked.request.protocol) == "https"
        flags = AGREED.pages.over_https if secure else AGREED.pages.over_http
        cookie = filled(AGREED.pages.session, cookie=self._board.cookie, session=waiting.session, flags=flags)
        asked.set_header("Set-Cookie", cookie)
        asked.set_header("Content-Type", "application/json")
        return outcome


def count_refusal(handler: RequestHandler, board: MockBoard, refused: Refused) -> None:
    """Count it, and set what the answer's head says of it."""
    board.switchboard.counters[f"refused_{refused.error}"] += 1
    handler.set_status(refused.status)
    if refused.retry_after is not None:
        handler.set_header("Retry-After", str(refused.retry_after))


_AGENT_REQUEST = msgspec.json.Decoder(AgentRequest)
_ONBOARDING = msgspec.json.Decoder(OnboardingRequest)
_SUBMISSION = msgspec.json.Decoder(Submission)
