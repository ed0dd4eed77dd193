"""The HTTP requests of workers' pages: reading them, waiting for the launcher, keeping what is handed in."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from ..board.agents import Agent
from ..board.switchboard import Instant, Switchboard
from ..board.waiting import Waiting
from ..wire import protocol as wire
from ..wire.agreed import AGREED, filled
from ..wire.errors import Refused
from ..wire.protocol import Envelope, UploadedFile, encode
from .bodies import (
    AGENT_REQUEST,
    ONBOARDING,
    SUBMISSION,
    Submission,
    merge_files,
    read_body,
    submission_of,
    without_files,
)
from .outbox import Outbox
from .uploads import Form, Uploads

FRAME_ALLOWANCE = 4096
"""Bytes of a frame that the packet around the data may take."""


class Taken(NamedTuple):
    """What became of a submission: the task that keeps it (None: it is kept already), and whether it is a new one."""

    kept: asyncio.Task[None] | None
    is_new: bool


class Pages:
    """The handlers. `clock` says what time it is."""

    def __init__(
        self,
        switchboard: Switchboard,
        outbox: Outbox,
        uploads: Uploads,
        clock: Callable[[], Instant],
        *,
        guard_files: bool,
    ) -> None:
        """`guard_files`: the launcher takes `files` in the data for files, so a worker's text of that name is renamed."""
        self._switchboard, self._outbox, self._uploads, self._clock = switchboard, outbox, uploads, clock
        self._guard_files = guard_files
        self._saving: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self.keeping = 0
        """How many things are on their way into the outbox."""
        self.cookie = filled(AGREED.pages.session_cookie, run_id=switchboard.run_id)

    def routes(self) -> list[web.RouteDef]:
        """What pages may ask."""
        return [
            web.post("/request_agent", self.request_agent),
            web.post("/submit_onboarding", self.submit_onboarding),
            web.post("/submit_task", self.submit_task),
            web.post("/submit_metadata", self.submit_metadata),
            web.post("/log_error", self.log_error),
            web.get("/is_alive", self.is_alive),
            web.get("/get_timestamp", self.get_timestamp),
        ]

    def session(self, request: web.Request) -> str | None:
        """The session cookie of this run that the request came with."""
        return request.cookies.get(self.cookie)

    async def request_agent(self, request: web.Request) -> web.Response:
        """Held open until the launcher says who this worker is."""
        body = await read_body(request, AGENT_REQUEST, AGREED.malformed.agent_request)
        waiting, answer = self._open_request(request)
        at = self._clock()
        data = {"provider_data": body.provider_data, "request_id": waiting.request_id}
        waiting.packet = encode(
            Envelope(wire.REGISTER_AGENT, waiting.request_id, data, body.client_timestamp, None, at.wall, at.wall)
        )
        self._switchboard.register(waiting, at)
        return await self._answer(request, waiting, answer)

    async def submit_onboarding(self, request: web.Request) -> web.Response:
        """Durable; then held open until the launcher says what comes next for this worker."""
        body = await read_body(request, ONBOARDING, AGREED.malformed.onboarding)
        agent = self._switchboard.worker(body.provider_data.USED_AGENT_ID, self.session(request), self._clock())
        self._switchboard.check_open()
        self._check_size(len(body.provider_data.onboarding_data))
        waiting, answer = self._open_request(request)
        self._switchboard.await_onboarding(agent, waiting)
        data = {"onboarding_data": body.provider_data.onboarding_data, "request_id": waiting.request_id}
        envelope = self._envelope(wire.SUBMIT_ONBOARDING, agent.agent_id, data, body.client_timestamp)
        try:
            await self._keep(self._start_keeping(self._outbox.put(envelope)))
        except Refused:
            self._switchboard.take_back_onboarding(agent, waiting)
            raise
        return await self._answer(request, waiting, answer)

    async def submit_task(self, request: web.Request) -> web.Response:
        """Answers once the work is safe. The same submission again gets the same answer."""
        body, form = await self._read_submission(request, "final_string_data", "final_data")
        with self._uploads.discarding(form.files) as discarding:
            taken = self._start_submission(request, body, form)
            discarding.unless(taken.is_new)
        if taken.kept is not None:
            await self._keep(taken.kept)
        return web.json_response({"status": AGREED.pages.submitted})

    async def submit_metadata(self, request: web.Request) -> web.Response:
        """Durable like a submission; an agent may hand in any number."""
        body, form = await self._read_submission(request, "metadata")
        with self._uploads.discarding(form.files) as discarding:
            self._switchboard.worker(body.USED_AGENT_ID, self.session(request), self._clock())
            self._switchboard.check_open()
            put = self._put(wire.SUBMIT_METADATA, body, self._guarded(body.metadata), form.files)
            kept = self._start_keeping(put, form.files)
            discarding.unless(True)
        await self._keep(kept)
        return web.json_response({"status": AGREED.pages.submitted_metadata})

    async def log_error(self, request: web.Request) -> web.Response:
        """Passed on to the launcher; not durable."""
        body = await read_body(request, SUBMISSION, AGREED.malformed.submission, field="error_data")
        at = self._clock()
        self._switchboard.worker(body.USED_AGENT_ID, self.session(request), at)
        self._switchboard.log_error(body.USED_AGENT_ID, body.error_data, body.client_timestamp, at)
        return web.json_response({"status": AGREED.pages.logged})

    async def is_alive(self, request: web.Request) -> web.Response:
        """Says whose server this is, so that a foreign one on the same port is noticed."""
        return web.json_response({"status": AGREED.pages.alive, "run_id": self._switchboard.run_id})

    async def get_timestamp(self, request: web.Request) -> web.Response:
        """Milliseconds."""
        return web.json_response({"timestamp": self._clock().wall * 1000})

    # Requests that the launcher answers

    def _open_request(self, request: web.Request) -> tuple[Waiting, asyncio.Future[bytes | Refused]]:
        answer: asyncio.Future[bytes | Refused] = asyncio.get_running_loop().create_future()

        def settle(outcome: bytes | Refused) -> None:
            if not answer.done():
                answer.set_result(outcome)

        session = self.session(request) or secrets.token_hex(16)
        return Waiting(secrets.token_hex(16), session, self._clock().now, settle, None), answer

    async def _answer(
        self, request: web.Request, waiting: Waiting, answer: asyncio.Future[bytes | Refused]
    ) -> web.Response:
        outcome = await answer
        if isinstance(outcome, Refused):
            raise outcome
        response = web.Response(body=outcome, content_type="application/json")
        secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
        flags = AGREED.pages.over_https if secure else AGREED.pages.over_http
        cookie = filled(AGREED.pages.session, cookie=self.cookie, session=waiting.session, flags=flags)
        response.headers["Set-Cookie"] = cookie
        return response

    # What is handed in

    def _start_submission(self, request: web.Request, body: Submission, form: Form) -> Taken:
        """Start keeping a submission, unless this very one is kept or being kept. Raises Refused."""
        submission_id = body.id
        session, at = self.session(request), self._clock()
        agent = self._switchboard.check_submission(body.USED_AGENT_ID, session, submission_id, at)
        if agent is None:
            return Taken(None, False)
        saving = self._saving.get(agent.agent_id)
        if saving is not None:
            if saving[0] != submission_id:
                raise Refused(AGREED.refusals.being_saved)
            return Taken(saving[1], False)
        put = self._put(wire.SUBMIT_UNIT, body, self._guarded(body.final_data), form.files, submission_id)
        kept = self._start_keeping(put, form.files)
        self._saving[agent.agent_id] = (submission_id, kept)
        kept.add_done_callback(lambda kept: self._saved(agent, submission_id, kept))
        return Taken(kept, True)

    def _saved(self, agent: Agent, submission_id: str, kept: asyncio.Task[None]) -> None:
        del self._saving[agent.agent_id]
        if not kept.cancelled() and kept.exception() is None:
            agent.submission_id = submission_id

    async def _put(
        self,
        packet_type: str,
        body: Submission,
        data: msgspec.Raw,
        files: list[UploadedFile],
        submission_id: str | None = None,
    ) -> None:
        envelope = await self._with_files(packet_type, body, data, files)
        envelope.submission_id = submission_id
        try:
            await self._outbox.put(envelope)
        except OSError:
            self._uploads.discard(filter(None, [envelope.data_file]))
            raise

    def _start_keeping(self, put: Coroutine[Any, Any, None], files: Sequence[UploadedFile] = ()) -> asyncio.Task[None]:
        """Keep something in a task of its own, which goes on when the page gives up waiting."""
        kept = asyncio.ensure_future(put)
        self.keeping += 1

        def discard_if_not_kept(kept: asyncio.Task[None]) -> None:
            self.keeping -= 1
            if kept.cancelled() or kept.exception() is not None:
                self._uploads.discard(file.filename for file in files)

        kept.add_done_callback(discard_if_not_kept)
        return kept

    async def _keep(self, kept: asyncio.Task[None]) -> None:
        """Wait until it is safe. Raises the Refused that says that it is not, or not yet."""
        try:
            async with asyncio.timeout(self._switchboard.limits.request_deadline):
                await asyncio.shield(kept)
        except TimeoutError as error:  # before OSError, of which it is one
            raise Refused(AGREED.refusals.not_saved_yet) from error
        except OSError as error:
            self._switchboard.counters["storage_errors"] += 1
            raise Refused(AGREED.refusals.storage_full) from error

    async def _with_files(
        self, packet_type: str, body: Submission, data: msgspec.Raw, files: list[UploadedFile]
    ) -> Envelope:
        content: Any = merge_files(data, files) if files else data
        envelope = self._envelope(packet_type, body.USED_AGENT_ID, content, body.client_timestamp)
        envelope.files = files
        if self._is_too_large(len(encode([content, files])) if files else len(data)):
            await self._move_data_out(envelope)
        return envelope

    def _is_too_large(self, size: int) -> bool:
        """Whether no frame can carry data of that size."""
        return size > self._switchboard.limits.frame - FRAME_ALLOWANCE

    def _check_size(self, size: int) -> None:
        if self._is_too_large(size):
            limit = self._switchboard.limits.frame - FRAME_ALLOWANCE
            raise Refused(AGREED.refusals.answer_too_large, limit=limit)

    async def _move_data_out(self, envelope: Envelope) -> None:
        """Data that no frame can carry goes beside the uploads, where the launcher fetches it."""
        if self._guard_files:
            self._check_size(self._switchboard.limits.frame)
        try:
            envelope.data_file = await self._uploads.keep(AGREED.data_directory.moved_out, encode(envelope.data))
        except OSError as error:
            raise Refused(AGREED.refusals.storage_full) from error
        envelope.data = {}

    def _envelope(self, packet_type: str, agent_id: str, data: Any, client_timestamp: float | None) -> Envelope:
        wall = self._clock().wall
        return Envelope(packet_type, agent_id, data, client_timestamp, None, wall, wall)

    def _guarded(self, data: msgspec.Raw) -> msgspec.Raw:
        return without_files(data) if self._guard_files else data

    async def _read_submission(self, request: web.Request, *json_fields: str) -> tuple[Submission, Form]:
        if request.content_type != "multipart/form-data":
            body = await read_body(request, SUBMISSION, AGREED.malformed.submission, field=json_fields[-1])
            return body, Form()
        form = await self._uploads.receive(request)
        with self._uploads.discarding(form.files) as discarding:
            submission = submission_of(form, json_fields)
            discarding.unless(True)
        return submission, form
