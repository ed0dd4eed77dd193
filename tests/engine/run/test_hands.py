"""A call of an architect that does not end holds nobody up, and a look that fails or hangs is an answer too."""

from __future__ import annotations

import ast
import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from falsework.engine.contract.architect import Presence, Site
from falsework.engine.errors import ArchitectError, LimitReached
from falsework.engine.run import hands
from falsework.engine.run.hands import Calls, Hands
from falsework.engine.run.limit import Limit
from falsework.engine.testing import BrokenArchitect, InMemoryArchitect, MuleArchitect

from ..lives import SOON
from .stubborn import Stubborn, cancelled_task


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def calls(said: list[str]) -> Calls:
    return Calls(said.append, SOON)


# What does not end


async def test_a_call_returns_what_its_work_returns(calls: Calls) -> None:
    stubborn = Stubborn()
    stubborn.end.set()
    assert await calls.make("prepare", stubborn.work()) == "done"
    assert calls.given_up == []


async def test_a_call_raises_what_its_work_raises(calls: Calls) -> None:
    stubborn = Stubborn(OSError("disk"))
    stubborn.end.set()
    with pytest.raises(OSError, match="disk"):
        await calls.make("prepare", stubborn.work())


@pytest.mark.parametrize("times", [1, 4])
async def test_a_call_that_ignores_its_cancellation_is_given_up(calls: Calls, said: list[str], times: int) -> None:
    stubborn = Stubborn(OSError("nobody waits for this"))
    waiting = asyncio.create_task(calls.make("prepare", stubborn.work()))
    await stubborn.began.wait()
    await cancelled_task(waiting, times)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert stubborn.cancelled == times
    assert calls.given_up == ["prepare"]
    assert said == ["prepare goes on, 0.01 s after it was cancelled"]
    stubborn.end.set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert calls.given_up == []


async def test_what_a_call_raises_when_it_is_cancelled_is_the_cause_that_is_told(calls: Calls) -> None:
    async def let_go_badly() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("could not let go")

    waiting = asyncio.create_task(calls.make("prepare", let_go_badly()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancelled_task(waiting)
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await waiting
    assert repr(cancelled.value.__cause__) == "OSError('could not let go')"


async def test_a_cancellation_from_within_is_an_error(calls: Calls) -> None:
    async def cancel_itself() -> str:
        raise asyncio.CancelledError

    with pytest.raises(ArchitectError, match="deploy was cancelled from within"):
        await calls.make("deploy", cancel_itself())


# Limits


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site("caption-7f3a9c", None, cast(Any, SimpleNamespace()), tmp_path, "token", logging.getLogger("test"))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every limit of a look or a small action is reached soon."""
    for name in ("PROBE_LIMIT", "LOG_LIMIT", "LEFTOVERS_LIMIT", "PREFLIGHT_LIMIT", "DOWNLOAD_LIMIT", "CLEANUP_LIMIT"):
        monkeypatch.setattr(hands, name, Limit(SOON, name))


def with_mule(site: Site, said: list[str], *methods: str) -> tuple[Hands, MuleArchitect]:
    mule = MuleArchitect(*methods)
    return Hands(mule, site, said.append, SOON), mule


async def end_of(mule: MuleArchitect) -> None:
    mule.let_go.set()
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_look_that_does_not_end_is_unknown_and_is_given_up(site: Site, said: list[str], soon: None) -> None:
    looking, mule = with_mule(site, said, "probe")
    assert await looking.probe() is Presence.UNKNOWN
    assert looking.given_up == ["probe"]
    assert looking.trouble == " (not done within 0.01 s (PROBE_LIMIT))"
    assert said[0] == "probe goes on, 0.01 s after it was cancelled"
    await end_of(mule)
    assert looking.given_up == []


async def test_a_look_that_fails_is_unknown(site: Site, said: list[str]) -> None:
    looking = Hands(BrokenArchitect("probe"), site, said.append)
    assert await looking.probe() is Presence.UNKNOWN
    assert said == ["the server could not be looked at: probe is broken"]


async def test_the_reason_of_an_unknown_is_that_of_the_last_look(site: Site, said: list[str]) -> None:
    looking = Hands(BrokenArchitect("probe"), site, said.append)
    await looking.probe()
    looking._architect = InMemoryArchitect()
    assert (await looking.probe(), looking.trouble) == (Presence.GONE, "")


async def test_a_log_that_does_not_come_is_empty(site: Site, said: list[str], soon: None) -> None:
    looking, mule = with_mule(site, said, "log_tail")
    assert await looking.log_tail(10) == []
    assert said[-1].startswith("the server's log could not be had")
    await end_of(mule)


class Blind(InMemoryArchitect):
    """Fails where it is asked what is left on this machine."""

    def remains(self, site: Site) -> Path | None:
        raise OSError("no such machine")


async def test_remains_that_cannot_be_looked_for_are_none(site: Site, said: list[str]) -> None:
    assert Hands(Blind(), site, said.append).remains is None
    assert said == ["what the server leaves behind could not be looked for: no such machine"]


@pytest.mark.parametrize("action", ["cleanup", "download_file", "shutdown"])
async def test_an_action_that_does_not_end_is_given_up_at_its_limit(
    site: Site, said: list[str], soon: None, action: str
) -> None:
    acting, mule = with_mule(site, said, action)
    arguments: dict[str, tuple[Any, ...]] = {
        "download_file": ("f", site.directory),
        "shutdown": (Limit(2 * SOON, "lifecycle.shutdown.timeout"),),
    }
    with pytest.raises(LimitReached):
        await getattr(acting, action)(*arguments.get(action, ()))
    assert (acting.given_up, mule.balked) == ([action], [action])
    await end_of(mule)
    assert acting.given_up == []


async def test_a_provider_that_does_not_answer_cannot_be_asked(
    soon: None, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mule = MuleArchitect("leftovers")
    monkeypatch.setattr(hands, "architect_class", lambda name: lambda: mule)
    monkeypatch.setattr(hands.Calls.__init__, "__defaults__", (SOON,))
    with pytest.raises(LimitReached):
        await hands.leftovers("mule", said.append)
    await end_of(mule)


@pytest.mark.parametrize("whole, share", [(300, 100), (60, 30), (30, 20), (3, 2)])
def test_one_attempt_never_gets_the_whole_time(whole: float, share: float) -> None:
    limit = hands.share_of(Limit(whole, "lifecycle.shutdown.timeout"))
    assert limit.seconds == pytest.approx(share)
    assert limit.setting == "one attempt's share of lifecycle.shutdown.timeout"


# Nobody else

ENGINE = Path(hands.__file__).parents[1]


def test_only_hands_make_an_architect() -> None:
    found = set()
    for file in ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            made = isinstance(node, ast.Call) and isinstance(node.func, ast.Call)
            if made and getattr(node.func.func, "id", "") == "architect_class":
                found.add(file.relative_to(ENGINE).as_posix())
    assert found == {"run/hands.py"}


def test_only_those_who_implement_or_test_it_know_the_class_of_architects() -> None:
    found = set()
    for file in ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and any(one.name == "Architect" for one in node.names):
                found.add(file.relative_to(ENGINE).parts[0] + "/" + file.name)
    assert {one for one in found if not one.startswith("testing/")} == {
        "run/hands.py",
        "contract/registry.py",
        "contract/__init__.py",  # the public face, for those who write one
    }


TRIES = """
from falsework.engine.run.hands import Hands
from falsework.engine.run.run import Run

async def look_past_the_hands(run: Run, hands: Hands) -> None:
    await run.architect.probe(run.site)
    await run.hands.architect.probe(run.site)
    await hands.probe()
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_mypy_refuses_a_call_past_the_hands(tmp_path: Path) -> None:
    (tmp_path / "falsework").mkdir()
    for name in ("engine", "router"):
        (tmp_path / "falsework" / name).symlink_to(ENGINE.parent / name)
    (tmp_path / "tries.py").write_text(TRIES)
    options = ["--strict", "--namespace-packages", "--explicit-package-bases", "--follow-imports=silent"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--cache-dir", str(tmp_path / "cache"), "tries.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    refused = [line.split(": ", 1)[0] for line in checked.stdout.splitlines() if "[attr-defined]" in line]
    assert refused == ["tries.py:6", "tries.py:7"], checked.stdout + checked.stderr
