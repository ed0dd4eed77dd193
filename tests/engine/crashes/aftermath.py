"""What is left of a run whose launcher was killed, before anybody saw to it and after: seen from outside, and checked."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from falsework.architects.machine import process
from falsework.architects.machine.address import run_id_at, url_of
from falsework.engine.contract.architect import Resource
from falsework.engine.launch.sweeper import REASON
from falsework.engine.ledger.ledger import Ledger
from falsework.engine.lifecycle.states import (
    FINAL,
    INITIAL,
    WORK,
    State,
    Trigger,
)
from falsework.engine.work.submissions import read

from .crowd import NAMES, PICTURE, WITH_A_FILE, Crowd, text_of
from .foundry import Ended

OF_THE_LAUNCH = {"task.yaml", "units.jsonl"}
OF_THE_USER = {"submissions.jsonl", "submissions.lock", "agents.jsonl", "files"}
OF_THE_SERVER = {"bundle", "data", "router.log"}
"""What may be in the directory of a run that is down."""
LONGEST_LOOK = 1.0


@dataclass(frozen=True)
class Dead:
    """A run as its launcher left it. `state` is None for one that the ledger does not know; its `token` goes nowhere else."""

    home: Path
    run_id: str
    state: State | None
    token: bytes
    port: int | None

    @property
    def directory(self) -> Path:
        return self.home / "runs" / self.run_id


async def look(home: Path) -> list[Dead]:
    """At every run of this home."""
    names = {directory.name for directory in (home / "runs").glob("*")}
    async with _ledger_of(home) as ledger:
        entered = {record.run_id: record.state for record in ledger.runs(ended=True)}
        assert set(entered) <= names, "a run in the ledger has a directory"
        return [_look_at(home, run_id, entered.get(run_id), ledger.resources(run_id, gone=True)) for run_id in names]


async def assert_seen_to(left: Sequence[Dead], ended: Ended, *crowds: Crowd, reason: str = REASON) -> None:
    """A command has seen to what was left: nothing stands, the stories say why (`reason`), and no answer is lost."""
    assert ended.code == 0, ended.stderr
    at_ports = {int(crowd.url.rpartition(":")[2]): crowd for crowd in crowds if crowd.url}
    assert set(at_ports) <= {dead.port for dead in left}
    for dead in left:
        await _assert_nothing_stands(dead)
        if dead.state is None:
            _assert_nothing_was_begun(dead)
            continue
        assert dead.state is FINAL or dead.run_id in ended.stdout
        _assert_only_results_are_left(dead)
        await _assert_the_story_says_why(dead, reason)
        _assert_no_answer_is_lost(dead, at_ports.get(dead.port or 0, Crowd()))


async def bury(home: Path) -> None:
    """End whatever a test that failed has left of the runs of this home."""
    for directory in (home / "runs").glob("*"):
        for identity in process.find(directory.name):
            await process.terminate(identity, directory.name)


def _look_at(home: Path, run_id: str, state: State | None, known: Sequence[Resource]) -> Dead:
    token = home / "runs" / run_id / "token"
    ports = [resource.facts["port"] for resource in known if "port" in resource.facts]
    return Dead(home, run_id, state, token.read_bytes() if token.exists() else b"", ports[0] if ports else None)


async def _assert_nothing_stands(dead: Dead) -> None:
    """No process, nobody at its port, no resource in the ledger."""
    assert process.find(dead.run_id) == []
    if dead.port is not None:
        assert await run_id_at(url_of("127.0.0.1", dead.port), LONGEST_LOOK) != dead.run_id
    async with _ledger_of(dead.home) as ledger:
        assert ledger.resources(dead.run_id) == []


def _assert_nothing_was_begun(dead: Dead) -> None:
    """Its launcher died before it entered the run: no more than the directory was made."""
    assert _mode(dead.directory) == 0o700
    assert list(dead.directory.iterdir()) == []


def _assert_only_results_are_left(dead: Dead) -> None:
    """For the user's eyes only, all of it whole; and the server's token is nowhere."""
    assert _mode(dead.directory) == 0o700
    assert {path.name for path in dead.directory.iterdir()} <= OF_THE_LAUNCH | OF_THE_USER | OF_THE_SERVER
    assert list(dead.directory.rglob("*.part")) == []
    if dead.token:
        telling = [path for path in dead.home.rglob("*") if path.is_file() and dead.token in path.read_bytes()]
        assert telling == []


async def _assert_the_story_says_why(dead: Dead, reason: str) -> None:
    """It is shut down, and the story leads there from where its launcher died."""
    async with _ledger_of(dead.home) as ledger:
        assert ledger.run(dead.run_id).state is FINAL
        story = ledger.story(dead.run_id)
    assert [step.dest for step in story[:-1]] == [step.source for step in story[1:]]
    assert (story[0].source, story[-1].dest) == (INITIAL, FINAL)
    if dead.state in WORK:
        cut_off = [step.error or "" for step in story if (step.trigger, step.source) == (Trigger.FAILED, dead.state)]
        assert any("ended in the middle of it" in error for error in cut_off), cut_off
    ways_down = [step.reason for step in story if step.trigger is Trigger.SHUTDOWN]
    assert dead.state is FINAL or ways_down[-1] == reason, ways_down
    assert all(ways_down)


def _assert_no_answer_is_lost(dead: Dead, crowd: Crowd) -> None:
    """What was acknowledged is stored once, whole; whatever else was handed in, once at the most."""
    stored = [(msgspec.json.decode(one.data)["text"], one) for one in read(dead.directory)]
    times = Counter(text for text, _ in stored)
    assert set(map(text_of, crowd.acknowledged)) <= set(times) <= set(map(text_of, NAMES))
    assert set(times.values()) <= {1}, times
    assert len({one.unit for _, one in stored}) == len(stored)
    for text, one in stored:
        assert one.counted
        files = [(dead.directory / file.path).read_bytes() for file in one.files]
        assert files == ([PICTURE] if text == text_of(WITH_A_FILE) else [])


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@asynccontextmanager
async def _ledger_of(home: Path) -> AsyncIterator[Ledger]:
    home.mkdir(mode=0o700, exist_ok=True)
    ledger = Ledger.at(home / "ledger.db")
    try:
        yield ledger
    finally:
        await ledger.close()
