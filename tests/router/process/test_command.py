"""A router as a command: wrong usage, its ready line, how it ends, and what it does when the disk is full."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from .. import raw_connections
from ..player import Player
from ..router_process import RouterCommand, RouterProcess
from ..vector import Step

pytestmark = pytest.mark.slow


@pytest.fixture
def static(tmp_path: Path) -> Path:
    directory = tmp_path / "static"
    directory.mkdir()
    (directory / "index.html").touch()
    return directory


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("secret\n")
    return file


def run(command: RouterCommand, *flags: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A router that is expected to end by itself."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("FALSEWORK_TOKEN", "PORT")}
    return subprocess.run(
        [*command.argv, *map(str, flags)], env={**inherited, **environment}, capture_output=True, text=True, timeout=30
    )


@contextmanager
def running(command: RouterCommand, *flags: str | Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    argv = [*command.argv, *map(str, flags)]
    process = subprocess.Popen(
        argv, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "flags, complaint",
    [
        ([], "no token.*--open"),
        (["--open", "--host", "0.0.0.0"], r"--open .*loopback.*0\.0\.0\.0"),
        (["--open", "--host", "::"], "loopback"),
        (["--open", "--limit", "frames=1"], "'frames' is no limit.*frame"),
        (["--open", "--limit", "frame"], "frame.*no positive number"),
        (["--open", "--limit", "frame=-5"], "frame.*-5.*no positive number"),
        (["--open", "--lease", "soon"], "--lease.*'soon'"),
        (["--open", "--grace", "-1h"], "--grace"),
        (["--open", "--idle-timeout", "never"], "--idle-timeout.*'never'"),
        (["--open", "--max-lifetime", "3w"], "--max-lifetime.*'3w'"),
        (["--open", "--frame-ancestors", "https://a.example; script-src *"], "--frame-ancestors.*is no origin"),
        (["--open", "--csp", "default-src *\nX: y"], "--csp.*one line"),
        (["--open", "--port", "eighty"], "--port.*'eighty'"),
        (["--open", "--port", "65536"], "--port.*'65536'.*65535"),
        (["--open", "--outbox", "tape"], "--outbox.*'tape'"),
        (["--token-file", "/no/such/file"], "/no/such/file"),
        (["--open", "--colour"], "--colour"),
    ],
    ids=lambda value: " ".join(value) or "no token" if isinstance(value, list) else "",
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(
    router_command: RouterCommand, static: Path, tmp_path: Path, flags: list[str], complaint: str
) -> None:
    ended = run(router_command, "--static", static, "--data", tmp_path / "data", *flags)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert re.search(complaint, ended.stderr)
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_directory_without_a_page_is_wrong_usage(router_command: RouterCommand, tmp_path: Path) -> None:
    ended = run(router_command, "--static", tmp_path, "--data", tmp_path / "data", "--open")
    assert ended.returncode == 2
    assert re.search(r"index\.html", ended.stderr)


@pytest.mark.parametrize("token", ["", "  \n"])
def test_an_empty_token_is_wrong_usage(router_command: RouterCommand, static: Path, tmp_path: Path, token: str) -> None:
    ended = run(router_command, "--static", static, "--data", tmp_path / "data", FALSEWORK_TOKEN=token.strip())
    assert ended.returncode == 2
    assert "token is empty" in ended.stderr


def test_a_taken_port_exits_with_1_and_a_line_that_names_it(
    router_command: RouterCommand, static: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(router_command, "--static", static, "--data", tmp_path / "data", "--open", "--port", str(port))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert re.fullmatch(rf".*127\.0\.0\.1 port {port}.*in use.*\n", ended.stderr, re.IGNORECASE)


@pytest.mark.parametrize("damage", ["not an outbox\n", '{"a": 1}\n{"b": 2}\n', "half\nof\n"])
def test_a_damaged_outbox_exits_with_1_and_a_line_that_names_it(
    router_command: RouterCommand, static: Path, tmp_path: Path, damage: str
) -> None:
    outbox = tmp_path / "data" / "outbox.jsonl"
    outbox.parent.mkdir()
    outbox.write_text(damage + "1\n")
    ended = run(router_command, "--static", static, "--data", outbox.parent, "--open")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert re.fullmatch(r".*outbox\.jsonl:1.*\n", ended.stderr)
    assert outbox.read_text() == damage + "1\n"


def test_a_data_directory_that_is_none_exits_with_1_and_a_line(
    router_command: RouterCommand, static: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").touch()
    ended = run(router_command, "--static", static, "--data", tmp_path / "data", "--open")
    assert ended.returncode == 1
    assert re.fullmatch(r".*/data.*\n", ended.stderr)


@pytest.mark.parametrize("damaged", ["outbox.jsonl", "router.birth"])
def test_a_router_that_could_not_start_is_not_started_again(
    router_command: RouterCommand, static: Path, tmp_path: Path, damaged: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / damaged).write_text("not what it should be\nat all\n")
    flags: list[str | Path] = ["--static", static, "--data", tmp_path / "data", "--open", "--restart"]
    flags += ["--max-lifetime", "1h"]
    ended = run(router_command, *flags)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.search(rf"{damaged}.*move it away", ended.stderr)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.decisive
def test_it_says_one_line_and_ends_with_0_when_told_to(
    router_command: RouterCommand, static: Path, token: Path, tmp_path: Path, number: signal.Signals
) -> None:
    flags: list[str | Path] = ["--static", static, "--data", tmp_path / "data", "--token-file", token]
    with running(router_command, *flags, "--port", "0") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert list(ready) == ["ready"]
        with socket.create_connection(("127.0.0.1", ready["ready"]["port"])):
            process.send_signal(number)
            rest, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert rest == ""


def test_port_and_token_may_come_from_the_environment(
    router_command: RouterCommand, static: Path, tmp_path: Path, free_port: int
) -> None:
    flags: list[str | Path] = ["--static", static, "--data", tmp_path / "data"]
    with running(router_command, *flags, PORT=str(free_port), FALSEWORK_TOKEN="secret") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"ready": {"port": free_port}}


@pytest.mark.parametrize(
    "request_",
    [
        b"\xff\xfe\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\xff: x\r\n\r\n",
        b"\0" * 9000,
    ],
)
async def test_what_is_no_http_is_counted_and_fills_no_log(
    router_command: RouterCommand, tmp_path: Path, request_: bytes
) -> None:
    router = RouterProcess(router_command, tmp_path, [], {}, is_open=False)
    router.start()
    player = Player(router)
    try:
        logged = len(router.said())
        for _ in range(5):
            assert await raw_connections.ask(router.port, request_) == 400
        await player.play([{"metrics": {"refused_not_http": 5}}])
        assert len(router.said()) - logged < 500
    finally:
        await player.close()
        router.end()


async def test_a_full_disk_is_told_to_the_worker_and_costs_no_number(
    router_command: RouterCommand, tmp_path: Path
) -> None:
    await play_on_a_full_disk(router_command, tmp_path, [], _HANDING_IN_ON_A_FULL_DISK)


async def test_an_answer_that_no_frame_can_carry_is_kept_whole_or_not_at_all(
    router_command: RouterCommand, tmp_path: Path
) -> None:
    await play_on_a_full_disk(router_command, tmp_path, ["--limit", "frame=16384"], _HANDING_IN_LARGE_ANSWERS)


async def play_on_a_full_disk(
    router_command: RouterCommand, directory: Path, flags: list[str], steps: list[Step]
) -> None:
    blocks = 'ulimit -f 24; exec "$@"'  # of 1024 bytes
    command = replace(router_command, argv=("bash", "-c", blocks, "router", *router_command.argv))
    router = RouterProcess(command, directory, flags, {}, is_open=False)
    router.start()
    player = Player(router)
    try:
        await player.play(steps)
    finally:
        await player.close()
        router.end()
    assert not command.crash.search(router.said())


_LARGE = {"text": {"$repeat": ["x", 30_000]}}
_FULL = {"status": 507, "json": {"error": "storage_full", "message": "$string"}, "headers": {"retry-after": "$string"}}
_WITH_AN_AGENT: list[Step] = [
    {"connect": "launcher"},
    {
        "send": "launcher",
        "packet": {"packet_type": "alive", "subject_id": "mephisto", "data": {"token": "$token", "protocol": 1}},
    },
    {"expect": "launcher", "packet": {"packet_type": "welcome"}},
    {"send": "launcher", "packet": {"packet_type": "update_status", "subject_id": "a1", "data": {"status": "in task"}}},
    {"expect_none": "launcher"},
]
_HANDING_IN_ON_A_FULL_DISK: list[Step] = [
    *_WITH_AN_AGENT,
    {"http": "POST /submit_task", "json": {"USED_AGENT_ID": "a1", "final_data": _LARGE}, "answer": _FULL},
    {
        "http": "POST /submit_onboarding",
        "json": {"provider_data": {"USED_AGENT_ID": "a1", "onboarding_data": _LARGE}},
        "answer": _FULL,
    },
    {
        "http": "POST /submit_task",
        "form": [
            {"name": "USED_AGENT_ID", "value": "a1"},
            {"name": "f", "filename": "f.txt", "content": {"$repeat": ["x", 30_000]}},
        ],
        "answer": _FULL,
    },
    {
        "http": "POST /submit_task",
        "form": [
            {"name": "USED_AGENT_ID", "value": "a1"},
            {"name": "final_string_data", "value": {"$repeat": ["1", 30_000]}},
            {"name": "f", "filename": "f.txt", "content": "there is room for this one"},
        ],
        "answer": _FULL,
    },
    {"stored": 0},
    {"metrics": {"agents": 1, "requests_waiting": 0, "outbox_held": 0, "refused_storage_full": 4}},
    {"http": "POST /submit_task", "json": {"USED_AGENT_ID": "a1", "final_data": "short"}, "answer": {"status": 200}},
    {"expect": "launcher", "packet": {"packet_type": "submit_unit", "data": "short", "number": 1}},
    {"expect_none": "launcher"},
]

_TOO_LARGE = {"USED_AGENT_ID": "a1", "final_data": {"text": {"$repeat": ["x", 30_000]}}, "submission_id": "s1"}
_FITS = {"USED_AGENT_ID": "a1", "final_data": {"text": {"$repeat": ["x", 20_000]}}, "submission_id": "s1"}
_METADATA = {"USED_AGENT_ID": "a1", "metadata": {"text": {"$repeat": ["x", 11_000]}}}
_FILLED = {"USED_AGENT_ID": "a1", "metadata": {"text": {"$repeat": ["x", 1_850]}}}
_HANDING_IN_LARGE_ANSWERS: list[Step] = [
    *_WITH_AN_AGENT,
    # The answer itself does not fit the disk.
    {"http": "POST /submit_task", "json": _TOO_LARGE, "answer": _FULL},
    {"http": "POST /submit_metadata", "json": {"USED_AGENT_ID": "a1", "metadata": _LARGE}, "answer": _FULL},
    {"stored": 0},
    # It does, but there is no room for the line that says so: then it does not stay either.
    {"http": "POST /submit_metadata", "json": _METADATA, "answer": {"status": 200}},
    {"http": "POST /submit_metadata", "json": _METADATA, "answer": {"status": 200}},
    {"http": "POST /submit_metadata", "json": _FILLED, "answer": {"status": 200}},
    {"expect": "launcher", "packet": {"packet_type": "submit_metadata", "number": 1}},
    {"expect": "launcher", "packet": {"packet_type": "submit_metadata", "number": 2}},
    {"expect": "launcher", "packet": {"packet_type": "submit_metadata", "number": 3}},
    {"http": "POST /submit_task", "json": _FITS, "answer": _FULL},
    {
        "http": "POST /submit_task",
        "form": [
            {"name": "USED_AGENT_ID", "value": "a1"},
            {"name": "final_string_data", "value": {"$repeat": ["1", 14_000]}},
            {"name": "f", "filename": "f.txt", "content": "there is room for this one"},
        ],
        "answer": _FULL,
    },
    {"stored": 0},
    {"metrics": {"outbox_held": 3, "refused_storage_full": 4}},
    {"expect_none": "launcher"},
]
