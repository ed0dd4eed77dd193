"""Scripted workers at a scripted site: what they do when things do not work. What they do when all is well, launches show."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from falsework.engine.work import bots as bots_module
from falsework.engine.work.bots import Bots, BotsGaveUp
from falsework.engine.work.hook import Hook, HookFailed

UNIT = {"falsework": {"data": {"n": 1}, "live": False}}


class Site:
    """Answers like a router. `answers` are what the next requests of a path get; then it works, for one unit."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.submitted: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.refusal = "finished"
        self.statuses = ["waiting", "in task"]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.page),
            web.get("/task_config.json", self.page),
            web.post("/request_agent", self.request_agent),
            web.post("/submit_onboarding", self.request_agent),
            web.post("/submit_task", self.submit_task),
        ]

    async def page(self, request: web.Request) -> web.StreamResponse:
        if answer := self._next(request):
            return answer
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(text="a page")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for status in self.statuses:
            await socket.send_json({"packet_type": "update_status", "subject_id": "a", "data": {"status": status}})
        async for message in socket:
            self.said.append(json.loads(message.data))
        return socket

    async def request_agent(self, request: web.Request) -> web.Response:
        if answer := self._next(request):
            return answer
        if self.submitted:
            return web.json_response(details(None, failure_code=self.refusal)[1])
        return web.json_response(details("a", init_task_data=UNIT)[1])

    async def submit_task(self, request: web.Request) -> web.Response:
        answer = self._next(request)
        if answer is None:
            self.submitted.append(await request.json())
        return answer or web.json_response({"status": "Submitted!"})

    def _next(self, request: web.Request) -> web.Response | None:
        path = "socket" if request.headers.get("Upgrade") else request.path
        self.asked.append(path)
        answers = self.answers.get(path, [])
        if not answers:
            return None
        status, content = answers.pop(0)
        return web.json_response(content, status=status)


def details(agent_id: str | None, **more: Any) -> tuple[int, Any]:
    return 200, {"data": {"agent_id": agent_id, **more}}


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(bots_module, "COME_BACK_AFTER", 0)
    site = Site()
    app = web.Application()
    app.add_routes(site.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


def _bots(site: Site, count: int = 1, **settings: Any) -> Bots:
    return Bots(site.url, Hook.load(None, lambda line: None), count, **settings)


async def test_a_bot_does_what_a_worker_does(site: Site) -> None:
    await _bots(site).work()
    assert site.asked == ["/", "/task_config.json", "/request_agent", "socket", "/submit_task", "/request_agent"]
    (submitted,) = site.submitted
    assert submitted["USED_AGENT_ID"] == "a"
    assert set(submitted["final_data"]) == {"text"}
    assert submitted["submission_id"]
    assert site.said[0]["packet_type"] == "alive"


async def test_the_same_seed_says_the_same(site: Site) -> None:
    answers = []
    for _ in range(2):
        await _bots(site, seed=7).work()
        answers.append(site.submitted.pop()["final_data"])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("status", [503, 507])
async def test_an_answer_that_could_not_be_saved_is_handed_in_again(site: Site, status: int) -> None:
    site.answers["/submit_task"] = [(status, {}), (status, {})]
    await _bots(site).work()
    assert site.asked.count("/submit_task") == 3
    assert len(site.submitted) == 1


@pytest.mark.parametrize("path", ["/", "/request_agent", "/submit_task", "socket"])
async def test_a_site_that_is_away_for_a_moment_is_waited_for(site: Site, path: str) -> None:
    site.answers[path] = [(503, {})] * 3
    await _bots(site).work()
    assert len(site.submitted) == 1


@pytest.mark.parametrize("path", ["/", "/request_agent", "/submit_task", "socket"])
async def test_a_site_that_stays_away_is_given_up(site: Site, path: str) -> None:
    site.answers[path] = [(503, {})] * 1000
    with pytest.raises(BotsGaveUp, match="does not answer"):
        await _bots(site, count=3).work()


@pytest.mark.parametrize("status", [400, 413])
async def test_an_answer_that_will_never_be_taken_is_told(site: Site, status: int) -> None:
    site.answers["/submit_task"] = [(status, {"message": "too large"})]
    with pytest.raises(BotsGaveUp, match=rf"refused \({status}\).*too large"):
        await _bots(site).work()


async def test_an_answer_that_was_taken_before_is_done(site: Site) -> None:
    site.submitted.append({})
    site.answers["/request_agent"] = [details("a", init_task_data=UNIT)]
    site.answers["/submit_task"] = [(409, {})]
    await _bots(site).work()
    assert site.asked.count("/submit_task") == 1


@pytest.mark.parametrize("reason", ["all_in_work", "cannot_save", "start_again"])
async def test_who_is_told_to_come_back_does(site: Site, reason: str) -> None:
    site.answers["/request_agent"] = [details(None, failure_code=reason) for _ in range(5)]
    await _bots(site).work()
    assert len(site.submitted) == 1


async def test_a_run_that_is_over_is_finished(site: Site) -> None:
    site.answers["/request_agent"] = [(410, {})]
    await _bots(site).work()
    assert site.submitted == []


async def test_units_that_are_left_are_told_with_the_reasons(site: Site) -> None:
    site.refusal = "nothing_left"
    with pytest.raises(BotsGaveUp, match=r"2 bots did all they may \(nothing_left\), and units are left"):
        await _bots(site, count=2).work()


async def test_an_onboarding_is_done_first(site: Site) -> None:
    site.answers["/request_agent"] = [details("onboarding-1")]
    await _bots(site).work()
    assert site.asked[2:5] == ["/request_agent", "/submit_onboarding", "socket"]


async def test_an_onboarding_that_the_server_forgot_is_begun_again(site: Site) -> None:
    site.answers["/request_agent"] = [details("onboarding-1"), details("onboarding-2")]
    site.answers["/submit_onboarding"] = [(404, {})]
    await _bots(site).work()
    assert site.asked.count("/submit_onboarding") == 2
    assert len(site.submitted) == 1


async def test_a_partner_who_left_is_no_reason_not_to_hand_in(site: Site) -> None:
    site.statuses = ["waiting", "partner disconnect"]
    await _bots(site).work()
    assert len(site.submitted) == 1


async def test_who_is_disconnected_asks_again_instead_of_handing_in(site: Site) -> None:
    site.statuses = ["disconnect"]
    site.answers["/request_agent"] = [details("a", init_task_data=UNIT), (410, {})]
    await _bots(site).work()
    assert site.submitted == []


async def test_who_thinks_for_long_shows_that_it_is_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bots_module, "HEARTBEAT", 0.02)
    await _bots(site, think=0.2).work()
    assert [said["packet_type"] for said in site.said].count("heartbeat") >= 4


async def test_faults_happen_and_the_work_is_done_all_the_same(site: Site) -> None:
    await _bots(site, faults=0.6, seed=5).work()
    assert len(site.submitted) == 1
    assert site.asked.count("/request_agent") > 3
    assert site.asked.count("/") > 1


async def test_bots_that_only_leave_give_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bots_module, "MOST_GENERATIONS", 5)
    monkeypatch.setattr(bots_module._Bot, "_happens", _always_leaves())
    with pytest.raises(BotsGaveUp, match="leave faster than work gets done"):
        await _bots(site, faults=1.0).work()


def _always_leaves() -> Callable[[Any], bool]:
    """No reload, then a leave; for ever."""
    turns = [False, True]

    def happens(bot: Any) -> bool:
        turns.append(turns.pop(0))
        return turns[-1]

    return happens


async def test_a_hook_that_fails_ends_the_rehearsal_with_its_own_error(site: Site, tmp_path: Any) -> None:
    (tmp_path / "hook.py").write_text("def bot_answer(data, random): return data['nothing']")
    hook = Hook.load(tmp_path / "hook.py", lambda line: None)
    with pytest.raises(HookFailed, match="KeyError"):
        await Bots(site.url, hook, 3).work()
