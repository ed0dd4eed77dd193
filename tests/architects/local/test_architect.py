"""The local architect putting servers up: doubles shipped in the router's place, and the router itself."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from typing import Any

import psutil
import pytest
from falsework.architects.local import architect as local
from falsework.architects.local.architect import LocalArchitect
from falsework.architects.local.args import LocalArgs
from falsework.architects.local.told import router_command
from falsework.architects.machine import process
from falsework.architects.machine.address import run_id_at
from falsework.architects.machine.child import NeverReady, ServerDied
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Presence, Resource, Site
from falsework.engine.contract.bundle import Bundle, BundleChanged
from falsework.engine.errors import DeployFailed, TransientError
from falsework.engine.settings.fields import schema_for
from marshmallow import ValidationError

from ..conftest import (
    TOKEN,
    Architects,
    pid_of,
    port_of,
    up,
)


async def test_a_server_goes_up_answers_and_comes_down(architect: Architects, site: Site, bystander: Site) -> None:
    serving = architect("serves")
    assert await serving.probe(site) is Presence.GONE

    url = await up(serving, site)

    assert url == f"http://127.0.0.1:{port_of(site)}"
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
    assert len(serving.get_channels(site, Ears())) == 1
    await serving.shutdown(site)
    assert await serving.probe(site) is Presence.GONE
    bundle.verify()


async def test_what_is_about_to_be_made_is_on_record_before_it_is_made(architect: Architects, site: Site) -> None:
    standing_when_recorded: list[tuple[set[str], int]] = []

    async def record(resource: Resource, stands: bool) -> None:
        standing_when_recorded.append((set(resource.facts), len(process.find(site.run_id))))

    site.record = record
    serving = architect("serves")
    await up(serving, site)
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
    assert {"router/__init__.py", "router/__main__.py", "router/wire/protocol.py"} <= shipped
    assert not [name for name in shipped if name.startswith("router/node/")]


async def test_the_token_is_in_a_private_file_until_shutdown_and_nowhere_else(
    architect: Architects, site: Site
) -> None:
    serving = architect("serves")
    await up(serving, site)
    server = psutil.Process(pid_of(site))
    token = site.directory / "token"
    assert token.read_text() == TOKEN
    assert token.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in " ".join(server.cmdline())
    assert TOKEN not in server.environ().values()
    await serving.shutdown(site)
    assert not token.exists()


async def test_the_log_and_what_workers_handed_in_outlive_the_server(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    await up(serving, site)
    (site.directory / "data" / "outbox").write_text("not fetched yet")
    await serving.shutdown(site)
    assert (site.directory / "data" / "outbox").read_text() == "not fetched yet"
    assert (site.directory / "router.log").exists()
    assert (site.directory / "data").stat().st_mode & 0o777 == 0o700


async def test_the_last_lines_of_the_log_are_told_while_it_runs_and_afterwards(
    architect: Architects, site: Site
) -> None:
    serving = architect("serves")
    assert await serving.log_tail(site, 5) == []
    await up(serving, site)
    (site.directory / "router.log").write_text("one\ntwo\nthree\n")
    assert await serving.log_tail(site, 2) == ["two", "three"]
    await serving.shutdown(site)
    assert await serving.log_tail(site, 5) == ["one", "two", "three"]
    assert await serving.log_tail(site, 0) == []


async def test_a_changed_bundle_is_refused_before_anything_is_made(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    bundle = await serving.prepare(site)
    bundle.seal()
    (bundle.static / "index.html").write_text("changed")
    with pytest.raises(BundleChanged):
        await serving.deploy(site, bundle)
    assert site.resources == []


async def test_a_bundle_can_be_deployed_by_another_process_than_made_it(architect: Architects, site: Site) -> None:
    serving = architect("serves")
    (await serving.prepare(site)).seal()
    await serving.deploy(site, Bundle.load(site.directory))
    assert await serving.probe(site) is Presence.UP
    await serving.shutdown(site)


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
        await up(failing, site)
    await failing.shutdown(site)
    assert await failing.probe(site) is Presence.GONE
    assert site.resources == []


async def test_a_port_that_was_taken_meanwhile_is_told_in_the_routers_own_words(
    architect: Architects, site: Site, bystander: Site
) -> None:
    site.args = replace(site.args, port=port_of(bystander))
    serving = architect("serves")
    with pytest.raises(ServerDied, match=f"cannot listen on port {site.args.port}: Address already in use"):
        await up(serving, site)
    await serving.shutdown(site)


async def test_a_server_that_does_not_answer_is_down_and_not_gone(
    architect: Architects, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = architect("serves")
    await up(silent, site)
    monkeypatch.setattr(local, "ANSWER_LIMIT", 0.1)
    os.kill(pid_of(site), signal.SIGSTOP)
    assert await silent.probe(site) is Presence.DOWN
    os.kill(pid_of(site), signal.SIGCONT)
    await silent.shutdown(site)


async def test_channels_need_a_deployed_run(site: Site) -> None:
    with pytest.raises(ValueError, match="once the run is deployed"):
        LocalArchitect().get_channels(site, Ears())


async def test_workers_open_the_public_url_where_there_is_one(architect: Architects, site: Site) -> None:
    site.args = replace(site.args, public_url="https://tasks.example.org")
    serving = architect("serves")
    assert await up(serving, site) == "https://tasks.example.org"
    assert await serving.probe(site) is Presence.UP
    await serving.shutdown(site)


def test_the_command_line_holds_what_the_router_needs_and_no_secret(site: Site) -> None:
    site.args = replace(
        site.args,
        port=3000,
        host="0.0.0.0",
        outbox="launcher",
        restart="never",
        limits={"upload": "5MiB", "ping": "30s"},
    )
    command = router_command(("python", "-m", "router"), site)
    assert command == [
        "python",
        "-m",
        "router",
        "--static=static",
        f"--data={site.directory}/data",
        "--host=0.0.0.0",
        "--port=3000",
        f"--token-file={site.directory}/token",
        f"--run-id={site.run_id}",
        "--lease=15m",
        "--grace=1d",
        "--limit=upload=5242880",
        "--limit=ping=30.0",
        "--outbox=launcher",
    ]


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
        {"router": "perl"},
        {"server_source_path": 5},
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
