"""`server_source_path`: a server of the user's own in the router's place, whatever it is written in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from falsework.architects.local.architect import LocalArchitect
from falsework.architects.local.args import LocalArgs
from falsework.architects.local.server_source import NoStartCommand, start_command
from falsework.architects.machine import process
from falsework.architects.machine.child import ServerDied
from falsework.architects.shipping.node_binary import Node
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Presence, Site
from falsework.engine.errors import ConfigError, PrepareFailed, TransientError
from falsework.engine.settings.fields import schema_for

from ..conftest import (
    TOKEN,
    pid_of,
    port_of,
    up,
)
from ..shipping.node_installed import node_home  # noqa: F401

pytestmark = pytest.mark.slow

THE_ROUTER = (
    "web: python -m falsework.router --static $FALSEWORK_STATIC --data $FALSEWORK_DATA --host $HOST --port $PORT "
    "--run-id $FALSEWORK_RUN_ID --token-file $FALSEWORK_TOKEN_FILE --lease $FALSEWORK_LEASE --grace $FALSEWORK_GRACE\n"
)
TINY_NODE = """
const http = require('node:http')
const alive = JSON.stringify({ status: 'Alive!', run_id: process.env.FALSEWORK_RUN_ID })
http.createServer((_, answer) => answer.end(alive)).listen(process.env.PORT, process.env.HOST)
console.log('listening on', process.env.PORT)
"""
TINY_PYTHON = """
import json, os, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Alive(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        said = dict(os.environ) if self.path == "/environment" else {"run_id": os.environ["FALSEWORK_RUN_ID"]}
        self.wfile.write(json.dumps(said).encode())

def drain(*_):
    time.sleep(0.3)
    print("drained", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, drain)
port = 0 if "--elsewhere" in sys.argv else int(os.environ["PORT"])
server = HTTPServer((os.environ["HOST"], port), Alive)
print("hello", sys.argv[1:], flush=True)
print(json.dumps({"ready": {"port": server.server_port}}), flush=True)
server.serve_forever()
"""


@pytest.fixture
def source(tmp_path: Path, site: Site) -> Path:
    """The directory of the server of the site."""
    directory = tmp_path / "my server"
    directory.mkdir()
    (directory / "server.py").write_text(TINY_PYTHON)
    site.args = replace(site.args, server_source_path=directory)
    return directory


async def problems(args: LocalArgs, site: Site) -> dict[str | None, str]:
    try:
        await LocalArchitect.assert_task_args(args, site.task)
    except ConfigError as error:
        return {problem.key: problem.message for problem in error.problems}
    return {}


@pytest.mark.decisive
async def test_a_procfile_starts_a_whole_router_that_its_launcher_may_use(source: Path, site: Site) -> None:
    (source / "Procfile").write_text("worker: false\n" + THE_ROUTER)
    architect = LocalArchitect()
    assert await problems(site.args, site) == {}
    url = await up(architect, site)
    assert url == f"http://127.0.0.1:{port_of(site)}"
    assert await architect.probe(site) is Presence.UP
    (channel,) = architect.get_channels(site, Ears())
    await channel.open(20.0, 20.0)
    await channel.close()
    assert len([left for left in await architect.leftovers() if left.run_id == site.run_id]) == 1
    await architect.shutdown(site)
    assert await architect.probe(site) is Presence.GONE
    assert "launcher attached" in "".join(await architect.log_tail(site, 20))


async def test_a_package_of_node_starts_as_it_says(node_home: Node, source: Path, site: Site) -> None:  # noqa: F811
    (source / "server.js").write_text(TINY_NODE)
    (source / "package.json").write_text(json.dumps({"scripts": {"start": f"{node_home.program} server.js"}}))
    architect = LocalArchitect()
    await up(architect, site)
    assert await architect.probe(site) is Presence.UP
    assert f"listening on {port_of(site)}" in await architect.log_tail(site, 5)
    await architect.shutdown(site)


async def test_it_is_told_all_that_it_needs_and_the_token_only_by_its_file(source: Path, site: Site) -> None:
    (source / "manifest.json").write_text(json.dumps({"start": ["python", "server.py", "$HOME", "two words"]}))
    site.max_lifetime = 3 * 86400.0
    architect = LocalArchitect()
    async with aiohttp.ClientSession() as session, session.get(f"{await up(architect, site)}/environment") as answer:
        told = await answer.json(content_type=None)
    assert TOKEN not in told.values()
    assert Path(told["FALSEWORK_TOKEN_FILE"]).read_text() == TOKEN
    assert (Path(told["FALSEWORK_STATIC"]) / "index.html").is_file()
    assert Path(told["FALSEWORK_DATA"]).is_dir()
    assert (told["PORT"], told["HOST"]) == (str(port_of(site)), "127.0.0.1")
    assert (told["FALSEWORK_LEASE"], told["FALSEWORK_GRACE"], told["FALSEWORK_OUTBOX"]) == ("15m", "1d", "disk")
    assert told["FALSEWORK_MAX_LIFETIME"] == "3d"
    assert "FALSEWORK_IDLE_TIMEOUT" not in told
    assert "hello ['$HOME', 'two words']" in await architect.log_tail(site, 5)
    await architect.shutdown(site)


async def test_a_server_may_say_itself_where_it_listens(source: Path, site: Site) -> None:
    (source / "Procfile").write_text("web: python server.py --elsewhere")
    architect = LocalArchitect()
    await up(architect, site)
    assert await architect.probe(site) is Presence.UP
    await architect.shutdown(site)


async def test_a_server_may_take_its_time_to_end(source: Path, site: Site) -> None:
    (source / "Procfile").write_text("web: test -f server.py && python server.py")
    architect = LocalArchitect()
    await up(architect, site)
    await architect.shutdown(site)
    assert (await architect.log_tail(site, 1)) == ["drained"]


async def test_a_server_whose_shell_was_killed_is_found_and_taken_down(source: Path, site: Site) -> None:
    (source / "Procfile").write_text("web: python server.py")
    architect = LocalArchitect()
    await up(architect, site)
    os.kill(pid_of(site), signal.SIGKILL)
    process.reap(pid_of(site))
    assert await architect.probe(site) is Presence.UP
    await architect.shutdown(site)
    assert await architect.probe(site) is Presence.GONE


async def test_one_that_ends_at_once_is_told_with_its_last_words(source: Path, site: Site) -> None:
    (source / "Procfile").write_text("web: echo no database; exit 4")
    architect = LocalArchitect()
    with pytest.raises(ServerDied, match=r"exit status 4.*\n  no database"):
        await up(architect, site)
    await architect.shutdown(site)


async def test_one_that_answers_as_somebody_else_is_not_ready(source: Path, site: Site) -> None:
    (source / "Procfile").write_text("web: FALSEWORK_RUN_ID=another python server.py")
    site.args = replace(site.args, ready_timeout=1.0)
    architect = LocalArchitect()
    with pytest.raises(
        TransientError, match=r"architect\.ready_timeout(?s:.*)/is_alive did not answer with the run id"
    ):
        await up(architect, site)
    await architect.shutdown(site)
    assert await architect.probe(site) is Presence.GONE


async def test_its_locked_packages_are_in_the_bundle(node_home: Node, source: Path, site: Site) -> None:  # noqa: F811
    (source / "Procfile").write_text(f"web: {node_home.program} server.js")
    (source / "server.js").write_text(f"require('ws')\n{TINY_NODE}")
    packages: dict[str, Any] = {"dependencies": {"ws": "8.18.3"}}
    (source / "package.json").write_text(json.dumps(packages))
    assert "run npm install" in (await problems(site.args, site))["architect.server_source_path"]
    npm = await asyncio.create_subprocess_exec(
        *node_home.npm, "install", "--package-lock-only", "--no-audit", cwd=source, stdout=asyncio.subprocess.DEVNULL
    )
    assert await npm.wait() == 0
    assert await problems(site.args, site) == {}
    architect = LocalArchitect()
    await up(architect, site)
    assert (site.directory / "bundle" / "router" / "node_modules" / "ws" / "README.md").is_file()
    await architect.shutdown(site)


@pytest.mark.parametrize(
    "name, content, command",
    [
        ("Procfile", "release: x\nweb:  python a.py --port $PORT \n", "python a.py --port $PORT"),
        ("Procfile", "web:npm start", "npm start"),
        ("manifest.json", '{"start": "run it"}', "run it"),
        ("manifest.json", '{"start": ["run", "it"]}', ("run", "it")),
        ("package.json", '{"scripts": {"start": "node ."}}', "node ."),
    ],
)
def test_a_start_command_is_read(tmp_path: Path, name: str, content: str, command: Any) -> None:
    (tmp_path / name).write_text(content)
    assert start_command(tmp_path) == command


@pytest.mark.parametrize(
    "name, content, complaint",
    [
        ("README", "", "does not say how.*Procfile.*manifest.json.*package.json"),
        ("Procfile", "worker: x\n", "does not say how"),
        ("manifest.json", "{}", "does not say how"),
        ("manifest.json", "nonsense", "manifest.json cannot be read"),
        ("manifest.json", "[]", "holds no JSON object"),
        ("manifest.json", '{"start": 5}', "start is neither a line nor a list"),
        ("package.json", '{"scripts": {"start": {}}}', "scripts.start is neither"),
        ("package.json", '{"scripts": []}', "does not say how"),
    ],
)
async def test_a_directory_without_a_start_command_is_refused(
    source: Path, site: Site, name: str, content: str, complaint: str
) -> None:
    (source / name).write_text(content)
    with pytest.raises(NoStartCommand, match=complaint):
        start_command(source)
    assert "architect.server_source_path" in await problems(site.args, site)
    with pytest.raises(PrepareFailed, match=complaint):
        await LocalArchitect().prepare(site)


async def test_a_directory_that_is_not_there_is_refused(source: Path, site: Site) -> None:
    args = replace(site.args, server_source_path=source / "nowhere")
    assert "found no directory" in (await problems(args, site))["architect.server_source_path"]


async def test_what_only_the_router_understands_is_refused_beside_it(source: Path, site: Site) -> None:
    (source / "Procfile").write_text(THE_ROUTER)
    args = replace(site.args, limits={"upload": "5MiB"}, frame_ancestors=["https://a.example"], python=sys.executable)
    assert set(await problems(args, site)) == {"architect.limits", "architect.frame_ancestors", "architect.python"}


def test_the_directory_is_meant_from_the_task_file(tmp_path: Path) -> None:
    args = schema_for(LocalArgs, tmp_path).load({"type": "local", "server_source_path": "server"})
    assert args.server_source_path == tmp_path / "server"
