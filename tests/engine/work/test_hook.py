"""The task's own Python file: what it may say, and what becomes of its errors."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from falsework.engine.errors import ConfigError
from falsework.engine.work import hook as hooks
from falsework.engine.work.hook import Hook, HookFailed
from falsework.engine.work.live import LiveAgent, Session


class Told(list[str]):
    """What a hook's errors were told as."""


@pytest.fixture
def told() -> Told:
    return Told()


Load = Callable[[str], Hook]


@pytest.fixture
def load(tmp_path: Path, told: Told) -> Load:
    def load(source: str) -> Hook:
        path = tmp_path / "harbour.py"
        path.write_text(source)
        return Hook.load(path, told.append)

    return load


@pytest.fixture
def session() -> Session:
    return Session({"topic": "tides"}, 0)


def _agent() -> LiveAgent:
    return LiveAgent("a", "ann", lambda update: None)


async def test_without_a_file_everybody_passes_and_nobody_talks(told: Told, session: Session) -> None:
    hook = Hook.load(None, told.append)
    assert not hook.is_live
    assert await hook.passes_onboarding("ann", {})
    await hook.on_start(session)
    assert hook.bot_updates({}, random.Random(1)) == []
    assert set(hook.bot_answer({}, random.Random(1))) == {"text"}


@pytest.mark.parametrize("name", ["on_start(session)", "on_update(session, agent, update)", "on_leave(session, agent)"])
def test_a_hook_that_follows_its_pages_makes_a_live_task(load: Load, name: str) -> None:
    assert load(f"def {name}: ...").is_live


def test_a_hook_for_bots_alone_does_not(load: Load) -> None:
    assert not load("def bot_answer(data, random): return 1").is_live


async def test_plain_functions_and_coroutines_are_called_alike(load: Load, session: Session) -> None:
    hook = load(
        "def on_start(session): session.memory['said'] = ['start']\n"
        "async def on_update(session, agent, update): session.memory['said'].append(update['text'])\n"
        "async def on_leave(session, agent): session.memory['said'].append(agent.worker_id)\n"
    )
    await hook.on_start(session)
    await hook.on_update(session, _agent(), {"text": "hi"})
    await hook.on_leave(session, _agent())
    assert session.memory["said"] == ["start", "hi", "ann"]


@pytest.mark.parametrize(
    "said, passes", [("True", True), ("data['age'] > 17", True), ("False", False), ("None", False)]
)
async def test_the_hook_says_who_passes(load: Load, said: str, passes: bool) -> None:
    assert (
        await load(f"def on_onboarding(worker_id, data): return {said}").passes_onboarding("ann", {"age": 20}) is passes
    )


async def test_an_error_is_told_with_its_line_and_is_not_fatal(load: Load, told: Told, session: Session) -> None:
    hook = load("def on_update(session, agent, update):\n    import json\n    json.loads(update['text'])\n")
    await hook.on_update(session, _agent(), {"text": "{"})
    await hook.on_update(session, _agent(), {"text": "1"})
    assert hook.errors == 1
    assert len(told) == 1
    assert "on_update failed: JSONDecodeError" in told[0]
    assert told[0].endswith("harbour.py:3)")


async def test_who_is_judged_by_a_hook_that_fails_does_not_pass(load: Load, told: Told) -> None:
    assert not await load("def on_onboarding(worker_id, data): return data['age']").passes_onboarding("ann", {})
    assert "on_onboarding failed: KeyError('age')" in told[0]


async def test_a_judgement_that_never_comes_is_none(load: Load, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is handed in could be acknowledged behind it."""
    monkeypatch.setattr(hooks, "ONBOARDING_TIMEOUT", 0.01)
    hook = load("import asyncio\nasync def on_onboarding(worker_id, data): await asyncio.Event().wait()")
    assert not await hook.passes_onboarding("ann", {})
    assert "TimeoutError" in told[0]


@pytest.mark.parametrize("call", ["bot_answer", "bot_updates"])
def test_a_bot_that_does_not_know_what_to_say_is_told_with_its_line(load: Load, call: str) -> None:
    hook = load(f"def {call}(data, random):\n    return data['nothing']")
    with pytest.raises(HookFailed, match=rf"{call} failed: KeyError\('nothing'\) \(.*harbour.py:2\)"):
        getattr(hook, call)({}, random.Random(1))


def test_a_file_that_fails_is_told_with_its_line(load: Load) -> None:
    with pytest.raises(ConfigError, match="fails when it is run: ZeroDivisionError") as refused:
        load("x = 1\ny = x / 0\n")
    (problem,) = refused.value.problems
    assert (problem.line, problem.key) == (2, "task.hook")


def test_a_file_that_leaves_does_not_take_us_along(load: Load) -> None:
    with pytest.raises(ConfigError, match="SystemExit"):
        load("import sys\nsys.exit(0)")


def test_what_is_no_function_is_told_at_once(load: Load) -> None:
    with pytest.raises(ConfigError) as refused:
        load("on_update = 5\nbot_answer = 'hello'")
    assert [problem.message for problem in refused.value.problems] == [
        "on_update is no function",
        "bot_answer is no function",
    ]


async def test_one_thing_happens_at_a_time_in_a_session(load: Load, session: Session) -> None:
    hook = load(
        "import asyncio\n"
        "async def on_update(session, agent, update):\n"
        "    order = session.memory.setdefault('order', [])\n"
        "    order.append(('begins', update['n']))\n"
        "    await asyncio.sleep(0)\n"
        "    order.append(('ends', update['n']))\n"
    )
    await asyncio.gather(*(hook.on_update(session, _agent(), {"n": n}) for n in range(3)))
    assert session.memory["order"] == [(what, n) for n in range(3) for what in ("begins", "ends")]
