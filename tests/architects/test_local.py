"""The local architect with real servers: doubles shipped in the router's place, and the router itself."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from falsework.architects import local, process
from falsework.architects.local import PROCESS, LocalArchitect, LocalArgs, router_command, run_id_at
from falsework.architects.process import NeverReady, ProcessIdentity, ServerDied
from falsework.engine.architect import Presence, Resource, Site
from falsework.engine.bundle import Bundle, BundleChanged
from falsework.engine.config import TaskArgs
from falsework.engine.errors import ArchitectError, ConfigError, DeployFailed, TransientError
from falsework.engine.fields import schema_for
from marshmallow import ValidationError

DOUBLES = Path(__file__).parent / "doubles"
TOKEN = "a-token-that-nobody-may-see"

Architects = Callable[[str], LocalArchitect]


@pytest.fixture
def architect(tmp_path: Path) -> Architects:
    """Makes a local architect that ships a double in the router's place."""

    def make(double: str) -> LocalArchitect:
        source = tmp_path / double
        source.mkdir(exist_ok=True)
        shutil.copy(DOUBLES / f"{double}.py", source / "__main__.py")
        named = type(f"Local_{double}", (LocalArchitect,), {"router_source": source})
        return named()  # type: ignore[no-any-return]

    return make


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A run that has no process left when its test is over."""
    site = _site(tmp_path)
    yield site
    standing = process.find(site.run_id)
    for identity in standing:
        os.kill(identity.pid, signal.SIGKILL)
    assert not standing


@pytest.fixture
async def bystander(tmp_path: Path, architect: Architects) -> AsyncIterator[Site]:
    """Another run on this machine, which nobody here may touch."""
    other = _site(tmp_path)
    serving = architect("serves")
    await _up(serving, other)
    yield other
    assert await serving.probe(other) is Presence.UP
    await serving.shutdown(other)


def _site(tmp_path: Path) -> Site:
    run_id = f"test-{uuid.uuid4().hex[:12]}"
    static = tmp_path / "static"
    static.mkdir(exist_ok=True)
    (static / "index.html").write_text("<p>Hello</p>")
    task = TaskArgs(name="test", static=static, units=tmp_path / "units.jsonl", config={"colour": "green"})
    args = LocalArgs(type="local", ready_timeout=20.0)
    return Site(run_id, args, task, tmp_path / "runs" / run_id, TOKEN, logging.getLogger("test"))


async def _up(architect: LocalArchitect, site: Site) -> str:
    bundle = await architect.prepare(site)
    site.url = await architect.deploy(site, bundle)
    return site.url


def _port(site: Site) -> int:
    port = site.standing(PROCESS)[0].facts["port"]
    assert isinstance(port, int)
    return port


def _pid(site: Site) -> int:
    pid = site.standing(PROCESS)[0].facts["pid"]
    assert isinstance(pid, int)
    return pid


async def test_a_server_goes_up_answers_and_comes_down(architect: Architects, site: Site, bystander: Site) -> None:
    serving = architect("serves")
    assert await serving.probe(site) is Presence.GONE

    url = await _up(serving, site)

    assert url == f"http://127.0.0.1:{_port(site)}"
    assert await run_id_at(url, 5.0) == site.run_id
    assert await serving.probe(site) is Presence.UP

    await serving.cleanup(site)
    await serving.shutdown(site)

    assert await serving.probe(site) is Presence.GONE
    assert site.resources == []
    assert process.find(site.run_id) == []


@pytest.mark.slow
async def test_the_router_itself_goes_up_and_comes_down_and_leaves_its_bundle_as_it_was(site: Site) -> None:
    serving = LocalArchitect()
    bundle = await serving.prepare(site)
    site.url = await serving.deploy(site, bundle)
    assert await serving.probe(site) is Presence.UP
    assert len(serving.get_channels(site, print, print, print)) == 1
    await serving.shutdown(site)
    assert await serving.probe(site) is Presence.GONE
    bundle.verify()


async def test_what_is_about_to_be_made_is_on_record_before_it_is_made(architect: Architects, site: Site) -> None:
    standing_when_recorded: list[tuple[set[str], int]] = []

    async def record(resource: Resource, stands: bool) -> None:
        standing_when_recorded.append((set(resource.facts), len(process.find(site.run_id))))

    site.record = record
    serving = architect("serves")
    await _up(serving, site)
    assert standing_when_recorded == [(set(), 0), ({"pid", "started"}, 1), ({"pid", "started", "port"}, 1)]
    await serving.shutdown(site)
    assert standing_when_recorded[-1][1] == 0


async def test_the_bundle_says_what_was_shipped(architect: Architects, site: Site) -> None:
    bundle = await architect("serves").prepare(site)
    config = json.loads((bundle.static / "task_config.json").read_text())
    assert config["task_name"] == "test"
    assert config["run_id"] == site.run_id
    assert config["colour"] == "green"
    assert bundle.router == "python"
    assert bundle.environment == ("FALSEWORK_RUN_ID",)


async def test_the_pythons_router_is_shipped_without_the_other_routers(site: Site) -> None:
    shipped = {name for name in (await LocalArchitect().prepare(site)).files() if name.startswith("router/")}
    assert {"router/__init__.py", "router/__main__.py", "router/protocol.py"} <= shipped
    assert not [name for name in shipped if name.startswith("router/node/")]


async def test_the_token_is_in_a_private_file_until_shutdown_and_nowhere_else(
    architect: Architects, site: Site
) -> None:
    serving = architect("serves")
    await _up(serving, site)
    server = psutil.Process(_pid(site))
    token = site.directory / "token"
    assert token.read_text() == TOKEN
    assert token.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in " ".join(server.cmdline())
    assert TOKEN not in server.environ().values()
    await serving.shutdown(site)
    assert not token.exists()


async def test_the_log_and_what_workers_handed_in_outlive_the_server(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    await _up(serving, site)
    (site.directory / "data" / "outbox").write_text("not fetched yet")
    await serving.shutdown(site)
    assert (site.directory / "data" / "outbox").read_text() == "not fetched yet"
    assert (site.directory / "router.log").exists()
    assert (site.directory / "data").stat().st_mode & 0o777 == 0o700


async def test_a_changed_bundle_is_refused_before_anything_is_made(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    bundle = await serving.prepare(site)
    bundle.seal()
    (bundle.static / "index.html").write_text("changed")
    with pytest.raises(BundleChanged):
        await serving.deploy(site, bundle)
    assert site.resources == []


async def test_a_run_directory_that_cannot_be_written_is_a_clear_error(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    bundle = await serving.prepare(site)
    (site.directory / "data").touch()
    with pytest.raises(DeployFailed, match="cannot be written"):
        await serving.deploy(site, bundle)
    assert site.resources == []


FAILING = {
    "dies_at_once": (ServerDied, "no such flavour: plum"),
    "is_killed_at_once": (ServerDied, "SIGKILL"),
    "never_ready": (NeverReady, r"architect\.ready_timeout.*\n  thinking about it"),
    "talks_nonsense": (DeployFailed, "have fun"),
    "ready_without_a_port": (DeployFailed, "which port"),
    "says_ready_but_is_deaf": (TransientError, "does not answer"),
    "answers_as_another_run": (DeployFailed, "answers for run somebody-else"),
}


@pytest.mark.parametrize("double", FAILING)
async def test_a_deploy_that_fails_says_why_and_comes_down(architect: Architects, site: Site, double: str) -> None:
    error, words = FAILING[double]
    failing = architect(double)
    site.args = replace(site.args, ready_timeout=0.3 if double == "never_ready" else 20.0)
    with pytest.raises(error, match=words):
        await _up(failing, site)
    await failing.shutdown(site)
    assert await failing.probe(site) is Presence.GONE
    assert site.resources == []


async def test_a_port_that_was_taken_meanwhile_is_told_in_the_routers_own_words(
    architect: Architects, site: Site, bystander: Site
) -> None:
    site.args = replace(site.args, port=_port(bystander))
    serving = architect("serves")
    with pytest.raises(ServerDied, match=f"cannot listen on port {site.args.port}: Address already in use"):
        await _up(serving, site)
    await serving.shutdown(site)


async def _cut_off(architect: LocalArchitect, site: Site, when: Callable[[Resource], bool]) -> None:
    """Cancel the deploy while the ledger is writing a resource of which `when` is true."""
    reached = asyncio.Event()

    async def record(resource: Resource, stands: bool) -> None:
        if stands and when(resource):
            reached.set()
            await asyncio.Event().wait()

    site.record = record
    bundle = await architect.prepare(site)
    deploying = asyncio.create_task(architect.deploy(site, bundle))
    await reached.wait()
    deploying.cancel()
    with suppress(asyncio.CancelledError):
        await deploying
    assert deploying.cancelled()
    site.record = None


@pytest.mark.parametrize("fact, processes", [(None, 0), ("pid", 1), ("port", 1)])
async def test_shutdown_finds_what_a_deploy_that_was_cut_off_has_made(
    architect: Architects, site: Site, bystander: Site, fact: str | None, processes: int
) -> None:
    serving = architect("serves")
    await _cut_off(serving, site, lambda resource: fact is None or fact in resource.facts)
    assert len(process.find(site.run_id)) == processes

    await serving.shutdown(site)

    assert await serving.probe(site) is Presence.GONE
    assert site.resources == []


async def test_a_wait_for_readiness_that_is_cut_off_leaves_a_process_on_record(
    architect: Architects, site: Site
) -> None:
    learned = asyncio.Event()

    async def record(resource: Resource, stands: bool) -> None:
        if "pid" in resource.facts:
            learned.set()

    site.record = record
    waiting = architect("never_ready")
    deploying = asyncio.create_task(waiting.deploy(site, await waiting.prepare(site)))
    await learned.wait()
    deploying.cancel()
    with suppress(asyncio.CancelledError):
        await deploying
    assert await waiting.probe(site) is Presence.DOWN
    await waiting.shutdown(site)
    assert await waiting.probe(site) is Presence.GONE


async def test_shutting_down_twice_is_quiet(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    await _up(serving, site)
    await serving.shutdown(site)
    await serving.shutdown(site)


async def test_shutting_down_what_was_never_made_is_quiet(site: Site) -> None:
    await LocalArchitect().shutdown(site)


async def test_shutting_down_a_server_that_died_by_itself_is_quiet(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    await _up(serving, site)
    os.kill(_pid(site), signal.SIGKILL)
    await serving.shutdown(site)
    assert site.resources == []


async def test_a_server_that_ignores_sigterm_is_killed_after_the_grace(architect: Architects, site: Site) -> None:
    site.args = replace(site.args, stop_grace=0.1)
    stubborn = architect("ignores_sigterm")
    with pytest.raises(TransientError):
        await _up(stubborn, site)
    await stubborn.shutdown(site)
    assert await stubborn.probe(site) is Presence.GONE


async def test_what_a_server_has_started_goes_with_it(architect: Architects, site: Site) -> None:
    parent = architect("has_a_stubborn_child")
    with pytest.raises(TransientError):
        await _up(parent, site)
    os.kill(_pid(site), signal.SIGKILL)
    await parent.shutdown(site)
    assert process.find(site.run_id) == []


SWEEPER = """
import asyncio, json, logging, sys
from pathlib import Path
from falsework.architects.local import LocalArchitect, LocalArgs
from falsework.engine.architect import Resource, Site
run_id, directory, resources = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
site = Site(run_id, LocalArgs(type="local"), None, directory, "token", logging.getLogger(),
            resources=[Resource(**resource) for resource in resources])
asyncio.run(LocalArchitect().shutdown(site))
print(json.dumps([resource.name for resource in site.resources]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("known", ["all", "name", "nothing"])
async def test_another_process_shuts_down_from_what_is_on_record(
    architect: Architects, site: Site, bystander: Site, known: str
) -> None:
    await _up(architect("serves"), site)
    recorded = [{"kind": one.kind, "name": one.name, "facts": dict(one.facts)} for one in site.resources]
    on_record = {"all": recorded, "name": [{**one, "facts": {}} for one in recorded], "nothing": []}[known]
    sweep = [sys.executable, "-c", SWEEPER, site.run_id, str(site.directory), json.dumps(on_record)]
    swept = await asyncio.to_thread(subprocess.run, sweep, capture_output=True, text=True, check=True)
    assert json.loads(swept.stdout) == []
    assert process.find(site.run_id) == []
    assert await LocalArchitect().probe(site) is Presence.GONE


async def test_a_recorded_id_that_is_another_process_now_is_left_alone(site: Site, bystander: Site) -> None:
    facts = {**bystander.standing(PROCESS)[0].facts, "started": 1.0}
    await site.announce(Resource(PROCESS, site.run_id, facts))
    assert await LocalArchitect().probe(site) is Presence.GONE
    await LocalArchitect().shutdown(site)
    assert site.resources == []


async def test_a_server_that_does_not_answer_is_down_and_not_gone(
    architect: Architects, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = architect("serves")
    await _up(silent, site)
    monkeypatch.setattr(local, "ANSWER_LIMIT", 0.1)
    os.kill(_pid(site), signal.SIGSTOP)
    assert await silent.probe(site) is Presence.DOWN
    os.kill(_pid(site), signal.SIGCONT)
    await silent.shutdown(site)


async def test_what_may_not_be_looked_at_is_unknown_and_still_on_record_after_shutdown(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(identity: ProcessIdentity, run_id: str) -> bool:
        raise ArchitectError("belongs to another user")

    monkeypatch.setattr(process, "alive", refuse)
    await site.announce(Resource(PROCESS, site.run_id, {"pid": 1, "started": 1.0}))
    assert await LocalArchitect().probe(site) is Presence.UNKNOWN
    with pytest.raises(ExceptionGroup, match="still stands"):
        await LocalArchitect().shutdown(site)
    assert len(site.resources) == 1


async def test_leftovers_are_the_routers_and_nothing_else_that_is_marked(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    await _up(serving, site)
    marked = [sys.executable, str(DOUBLES / "polite.py")]
    with process.start(
        marked, cwd=site.directory, env=os.environ, run_id=site.run_id, log=site.directory / "x"
    ) as other:
        found = [leftover for leftover in await serving.leftovers() if leftover.run_id == site.run_id]
    assert [(leftover.kind, leftover.name) for leftover in found] == [(PROCESS, site.run_id)]
    assert str(_pid(site)) in found[0].detail
    await serving.shutdown(site)
    assert not process.alive(other.identity, site.run_id)


async def test_no_descriptor_and_no_zombie_is_left(architect: Architects, site: Site) -> None:
    serving = architect("serves")

    async def once() -> None:
        await _up(serving, site)
        await serving.probe(site)
        await serving.shutdown(site)

    await once()
    before = psutil.Process().num_fds()
    await once()
    assert psutil.Process().num_fds() == before
    assert psutil.Process().children() == []


async def test_channels_need_a_deployed_run(site: Site) -> None:
    with pytest.raises(ValueError, match="once the run is deployed"):
        LocalArchitect().get_channels(site, print, print, print)


async def test_workers_open_the_public_url_where_there_is_one(architect: Architects, site: Site) -> None:
    site.args = replace(site.args, public_url="https://tasks.example.org")
    serving = architect("serves")
    assert await _up(serving, site) == "https://tasks.example.org"
    assert await serving.probe(site) is Presence.UP
    await serving.shutdown(site)


def test_the_command_line_holds_what_the_router_needs_and_no_secret(site: Site) -> None:
    site.args = replace(
        site.args, port=3000, host="0.0.0.0", outbox="launcher", limits={"upload": "5MiB", "ping": "30s"}
    )
    command = router_command(("python", "-m", "router"), site, site.directory / "token")
    assert command == [
        "python",
        "-m",
        "router",
        f"--data={site.directory}/data",
        "--port=3000",
        "--host=0.0.0.0",
        f"--run-id={site.run_id}",
        f"--token-file={site.directory}/token",
        "--lease=15m",
        "--grace=1d",
        "--outbox=launcher",
        "--limit=upload=5242880",
        "--limit=ping=30.0",
    ]


@pytest.mark.parametrize(
    "host, url",
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("box", "http://box:1"),
    ],
)
def test_the_url_leads_to_an_address_that_can_be_reached(host: str, url: str) -> None:
    assert local._url(host, 1) == url


# What the task file may say, and what is checked before anything is made.


def test_the_section_of_the_task_file_is_read() -> None:
    args = schema_for(LocalArgs).load(
        {"type": "local", "port": 3000, "limits": {"upload": "5MiB", "waiting": 10}, "stop_grace": "2s"}
    )
    assert isinstance(args, LocalArgs)
    assert (args.port, args.stop_grace, args.limits) == (3000, 2.0, {"upload": "5MiB", "waiting": 10})


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 65536},
        {"port": -1},
        {"router": "node"},
        {"limits": {"uplaod": 1}},
        {"limits": {"upload": -1}},
        {"limits": {"upload": "much"}},
        {"limits": {"ping": [1]}},
        {"limits": {"ping": 0}},
        {"outbox": "cloud"},
    ],
)
def test_what_the_section_must_not_say_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema_for(LocalArgs).load({"type": "local", **wrong})


def _problems(checked: Awaitable[None]) -> Awaitable[dict[str | None, str]]:
    async def collect() -> dict[str | None, str]:
        try:
            await checked
        except ConfigError as error:
            return {problem.key: problem.message for problem in error.problems}
        return {}

    return collect()


async def test_a_good_section_passes_and_its_port_stays_free(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    for _ in range(2):
        await LocalArchitect.assert_task_args(replace(site.args, port=port, python=sys.executable), site.task)


async def test_every_problem_is_found_at_once(site: Site) -> None:
    args = replace(
        site.args, host="203.0.113.7", python="no-such-python", limits={"uplaod": 1}, public_url="tasks.example.org"
    )
    problems = await _problems(LocalArchitect.assert_task_args(args, site.task))
    assert set(problems) == {"architect.host", "architect.python", "architect.limits", "architect.public_url"}


async def test_a_host_that_is_no_name_is_refused(site: Site) -> None:
    problems = await _problems(LocalArchitect.assert_task_args(replace(site.args, host="no host"), site.task))
    assert set(problems) == {"architect.host"}


async def test_a_port_that_something_else_holds_is_refused(site: Site) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as holder:
        port = holder.sockets[0].getsockname()[1]
        problems = await _problems(LocalArchitect.assert_task_args(replace(site.args, port=port), site.task))
    assert problems == {"architect.port": f"port {port} is taken by something else; use another one, or 0"}


async def test_a_port_that_another_run_holds_is_refused_with_its_name(site: Site, bystander: Site) -> None:
    args = replace(site.args, port=_port(bystander))
    problems = await _problems(LocalArchitect.assert_task_args(args, site.task))
    assert bystander.run_id in problems["architect.port"]


@pytest.mark.parametrize(
    "script, words",
    [
        ("echo \"ModuleNotFoundError: No module named 'msgspec'\" >&2; exit 1", "pip install aiohttp msgspec"),
        ("exit 1", "older than Python 3.11"),
    ],
)
async def test_a_python_that_cannot_run_the_router_is_refused(
    site: Site, tmp_path: Path, script: str, words: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o700)
    args = replace(site.args, python=str(python))
    problems = await _problems(LocalArchitect.assert_task_args(args, site.task))
    assert words in problems["architect.python"]


async def test_a_bundle_can_be_deployed_by_another_process_than_made_it(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    (await serving.prepare(site)).seal()
    await serving.deploy(site, Bundle.load(site.directory))
    assert await serving.probe(site) is Presence.UP
    await serving.shutdown(site)
