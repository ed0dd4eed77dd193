"""What is found wrong with the `architect:` section before anything is made."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import pytest
from falsework.architects.local.architect import LocalArchitect
from falsework.engine.contract.architect import Site
from falsework.engine.errors import ConfigError

from ..conftest import port_of


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


@pytest.mark.parametrize("host", ["no host", "a" * 64, "a..b"])
async def test_a_host_that_is_no_name_is_refused(site: Site, host: str) -> None:
    problems = await _problems(LocalArchitect.assert_task_args(replace(site.args, host=host), site.task))
    assert set(problems) == {"architect.host"}


@pytest.mark.parametrize("url", ["tasks.example.org", "ftp://tasks.example.org", "http://", "http://[", ""])
async def test_a_public_url_that_no_browser_can_open_is_refused(site: Site, url: str) -> None:
    problems = await _problems(LocalArchitect.assert_task_args(replace(site.args, public_url=url), site.task))
    assert set(problems) == {"architect.public_url"}


async def test_a_port_that_something_else_holds_is_refused(site: Site) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as holder:
        port = holder.sockets[0].getsockname()[1]
        problems = await _problems(LocalArchitect.assert_task_args(replace(site.args, port=port), site.task))
    assert problems == {"architect.port": f"port {port} is taken by something else; use another one, or 0"}


async def test_a_port_that_another_run_holds_is_refused_with_its_name(site: Site, bystander: Site) -> None:
    args = replace(site.args, port=port_of(bystander))
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
