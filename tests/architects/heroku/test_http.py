"""One request to Heroku: its answer, a refusal, or no answer; and when it is asked again."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aiohttp import web
from falsework.architects.heroku.errors import BuildFailed, Refused, Unanswered
from falsework.architects.heroku.http import (
    ATTEMPTS,
    Connection,
    connected,
    patiently,
)

AN_HOUR_AHEAD = "Thu, 01 Jan 2099 01:00:00 GMT"


class Server:
    """Gives one answer to everything, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.body, self.status, self.headers = "{}", 200, dict[str, str]()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        await request.read()
        return web.Response(text=self.body, status=self.status, headers=self.headers)


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connection]:
    monkeypatch.setenv("HEROKU_API_KEY", "HRKU-secret")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with connected(f"http://127.0.0.1:{runner.addresses[0][1]}", 5.0) as connection:
        yield connection
    await runner.cleanup()


async def test_every_question_has_the_version_and_the_token(server: Server, connection: Connection) -> None:
    server.body = '{"email": "me@example.org"}'
    said, _ = await connection.ask("PATCH", "/apps/x", {"a": 1})
    assert said == {"email": "me@example.org"}
    assert server.asked[0].headers["Accept"] == "application/vnd.heroku+json; version=3"
    assert server.asked[0].headers["Authorization"] == "Bearer HRKU-secret"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 302])
async def test_trouble_is_no_answer(server: Server, connection: Connection, status: int) -> None:
    server.status, server.body = status, "<html>Try again later</html>"
    with pytest.raises(Unanswered) as trouble:
        await connection.ask("GET", "/apps/x")
    assert str(trouble.value) == f"Heroku did not answer GET /apps/x: status {status}"
    assert trouble.value.may_be_done == (status != 429)


@pytest.mark.parametrize("wait, seconds", [("7", 7.0), ("0.5", 0.5), ("-1", 0.0), (AN_HOUR_AHEAD, None), (None, None)])
async def test_how_long_to_wait_is_what_heroku_says(
    server: Server, connection: Connection, wait: str | None, seconds: float | None
) -> None:
    server.status, server.headers = 429, {"Retry-After": wait} if wait else {}
    with pytest.raises(Unanswered) as trouble:
        await connection.ask("GET", "/apps/x")
    assert trouble.value.retry_after == seconds


@pytest.mark.parametrize("body", ["", "<html>", "17", '"text"'])
async def test_an_answer_without_an_object_is_none(server: Server, connection: Connection, body: str) -> None:
    server.body = body
    with pytest.raises(Unanswered, match="without JSON"):
        await connection.ask("GET", "/apps/x")


async def test_a_refusal_says_what_heroku_says_and_what_to_do(server: Server, connection: Connection) -> None:
    server.status, server.body = 402, json.dumps({"id": "verification_required", "message": "Please verify."})
    with pytest.raises(Refused) as refusal:
        await connection.ask("POST", "/apps")
    assert str(refusal.value) == (
        "Heroku refused POST /apps (402 verification_required): Please verify.; verify the account at "
        "https://heroku.com/verify, then launch again"
    )


@pytest.mark.parametrize(
    "body, is_absence",
    [('{"id": "not_found", "message": "No."}', True), ('{"message": "No."}', False), ("<html>", False), ("[]", False)],
)
async def test_only_heroku_itself_says_that_something_is_gone(
    server: Server, connection: Connection, body: str, is_absence: bool
) -> None:
    server.status, server.body = 404, body
    with pytest.raises(Refused) as refusal:
        await connection.ask("GET", "/apps/x")
    assert refusal.value.is_absence is is_absence


async def test_nobody_there_has_surely_done_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEROKU_API_KEY", "HRKU-secret")
    async with connected("http://127.0.0.1:9", 5.0) as connection:
        with pytest.raises(Unanswered) as trouble:
            await connection.ask("POST", "/apps")
    assert not trouble.value.may_be_done


async def test_herokus_clock_is_the_one_that_counts(server: Server, connection: Connection) -> None:
    assert abs(connection.now() - time.time()) < 1
    server.headers = {"Date": AN_HOUR_AHEAD}
    await connection.ask("GET", "/account")
    assert abs(connection.now() - 4070912400) < 5
    server.headers = {"Date": "in the afternoon"}
    await connection.ask("GET", "/account")
    assert abs(connection.now() - 4070912400) < 5


async def test_other_addresses_do_not_get_the_token(server: Server, connection: Connection) -> None:
    server.body = "one\ntwo\0\r\n\nthree"
    async with aclosing(connection.lines(f"{connection.address}/streams/1")) as lines:
        assert [line async for line in lines] == ["one", "two", "", "three"]
    assert "Authorization" not in server.asked[0].headers


async def test_a_stream_that_is_not_there_is_no_answer(server: Server, connection: Connection) -> None:
    server.status = 404
    with pytest.raises(Unanswered):
        async with aclosing(connection.lines(f"{connection.address}/streams/1")) as lines:
            assert not [line async for line in lines]


async def test_it_is_asked_again_until_it_is_answered() -> None:
    asked = []

    async def ask() -> int:
        asked.append(1)
        if len(asked) < 3:
            raise Unanswered("GET /x", "status 503", may_be_done=True, retry_after=0.0)
        return len(asked)

    assert await patiently(ask) == 3


@pytest.mark.parametrize("error", [Refused("GET /x", 403, "forbidden", "No."), BuildFailed("x", []), KeyError("x")])
async def test_what_would_be_the_same_again_is_not_asked_again(error: Exception) -> None:
    asked = []

    async def ask() -> None:
        asked.append(1)
        raise error

    with pytest.raises(type(error)):
        await patiently(ask)
    assert len(asked) == 1


async def test_a_long_wait_is_left_to_the_engine_and_no_answer_at_all_is_told() -> None:
    asked = []

    async def ask() -> None:
        asked.append(1)
        raise Unanswered("GET /x", "status 429", may_be_done=False, retry_after=60.0 if len(asked) == ATTEMPTS else 0.0)

    with pytest.raises(Unanswered) as trouble:
        await patiently(ask)
    assert (len(asked), trouble.value.retry_after) == (ATTEMPTS, 60.0)
