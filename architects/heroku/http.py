"""Talking to the Platform API: one request, its answer or one of two errors, and the patience to ask again.

What there is to be asked is in api.py. The token goes to the API alone: the other addresses that Heroku hands out
(where a source is put, where a build's output and a log are read) are asked without it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from .credentials import find_token
from .errors import Refused, Unanswered

T = TypeVar("T")
ACCEPT = "application/vnd.heroku+json; version=3"
ATTEMPTS = 4
"""How often the same is asked before it is given up."""
LONGEST_WAIT = 15.0
"""Seconds to wait between two of them; who is told to wait longer (429) leaves that to the engine."""
SILENCE = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
"""For what may take long in all, but not between two words."""


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until it is answered, a few times at the most. Only for what may be done twice. Raises the last Unanswered."""
    policy = AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, Unanswered) and _pause_of(error) <= LONGEST_WAIT),
        wait=_wait,
        stop=stop_after_attempt(ATTEMPTS),
        reraise=True,
    )

    async def asked() -> T:
        return await ask()

    return await policy(asked)


def _pause_of(error: BaseException | None) -> float:
    return error.retry_after or 0.0 if isinstance(error, Unanswered) else 0.0


_backoff = wait_exponential(multiplier=0.1, max=2) + wait_random(0, 0.1)


def _wait(state: RetryCallState) -> float:
    return max(_backoff(state), _pause_of(state.outcome.exception() if state.outcome else None))


@asynccontextmanager
async def connected(address: str, timeout: float) -> AsyncIterator[Connection]:
    """A connection to the API at `address`, as whoever is logged in. `timeout` is in seconds, for one answer.

    Raises NoCredentials.
    """
    token = await find_token(address)
    session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout))
    try:
        yield Connection(session, address, token)
    finally:
        await session.close()
        await asyncio.sleep(0)  # aiohttp closes its transports in the next turn


class Connection:
    """Asks in the name of whoever `token` belongs to."""

    def __init__(self, session: aiohttp.ClientSession, address: str, token: str) -> None:
        self.address, self.token = address, token
        self._session = session
        self._ahead = 0.0

    def now(self) -> float:
        """Heroku's time in seconds since the epoch, as of its last answer; this machine's clock may be wrong."""
        return time.time() + self._ahead

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Any, Mapping[str, str]]:
        """One request; the JSON of the answer, and its headers. Raises Refused or Unanswered."""
        own = {"Accept": ACCEPT, "Authorization": f"Bearer {self.token}", **(headers or {})}
        doing = f"{method} {path}"
        try:
            async with self._session.request(
                method, self.address + path, json=body, headers=own, allow_redirects=False
            ) as answer:
                text = await answer.text(errors="replace")
        except aiohttp.ClientConnectorError as error:
            raise Unanswered(doing, str(error), may_be_done=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered(doing, _said(error), may_be_done=True) from error
        self._set_clock(answer.headers.get("Date"))
        return _json_of(doing, answer, text), answer.headers

    async def put_file(self, url: str, path: Path) -> None:
        """Send a file to where the API said it may be put. Raises Refused or Unanswered."""
        doing = "the upload of the source"
        try:
            with path.open("rb") as file:
                # A signed URL holds for a request without a type.
                request = self._session.put(url, data=file, skip_auto_headers=["Content-Type"], timeout=SILENCE)
                async with request as answer:
                    text = await answer.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unanswered(doing, _said(error), may_be_done=True) from error
        if answer.status >= 500 or answer.status == 429:
            raise Unanswered(doing, f"status {answer.status}", may_be_done=False)
        if answer.status >= 300:
            raise Refused(doing, answer.status, "", text[:200])

    async def lines(self, url: str) -> AsyncGenerator[str, None]:
        """A text as it grows, line by line, until its end. Raises Unanswered where it breaks off."""
        doing = "for a stream of text"
        try:
            async with self._session.get(url, timeout=SILENCE) as answer:
                if answer.status != 200:
                    raise Unanswered(doing, f"status {answer.status}", may_be_done=False)
                async for line in answer.content:
                    yield line.decode(errors="replace").replace("\0", "").rstrip("\r\n")
        except (aiohttp.ClientError, OSError, ValueError) as error:  # the last is a line without an end
            raise Unanswered(doing, _said(error), may_be_done=False) from error

    def _set_clock(self, date: str | None) -> None:
        try:
            self._ahead = parsedate_to_datetime(date).timestamp() - time.time() if date else self._ahead
        except ValueError:
            pass


def _json_of(doing: str, answer: aiohttp.ClientResponse, text: str) -> Any:
    try:
        said = json.loads(text) if text else None
    except ValueError:
        said = None
    if answer.status in (429, 500, 502, 503, 504) or answer.status < 200 or 300 <= answer.status < 400:
        may_be_done = answer.status != 429
        reason = f"status {answer.status}{_message_of(said)}"
        raise Unanswered(doing, reason, may_be_done=may_be_done, retry_after=_seconds(answer.headers))
    if answer.status >= 400:
        kind = said.get("id", "") if isinstance(said, dict) else ""
        message = said.get("message", "") if isinstance(said, dict) else text[:200]
        raise Refused(doing, answer.status, str(kind), str(message))
    if not isinstance(said, dict | list):
        raise Unanswered(doing, f"status {answer.status} without JSON", may_be_done=True)
    return said


def _message_of(said: Any) -> str:
    return f": {said['message']}" if isinstance(said, dict) and said.get("message") else ""


def _seconds(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers.get("Retry-After", "")))
    except ValueError:
        return None


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
