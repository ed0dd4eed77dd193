"""What the task file says of the server, on its way to the router's command line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from falsework.architects.local.architect import LocalArchitect
from falsework.architects.local.args import LocalArgs
from falsework.architects.local.told import router_command
from falsework.engine.contract.architect import Site
from falsework.engine.settings.fields import schema_for
from marshmallow import ValidationError

from ..conftest import Architects, up


def flags(site: Site) -> list[str]:
    """Those that are there only if they are asked for."""
    told = router_command((), site)
    names = ("--restart", "--idle-timeout", "--max-lifetime", "--frame-ancestors", "--csp")
    return [flag for flag in told if flag.startswith(names)]


def test_nothing_is_said_of_what_was_not_asked_for(site: Site) -> None:
    site.args = replace(site.args, restart="never")
    assert flags(site) == []


def test_the_server_keeps_the_limits_of_the_run_too(site: Site) -> None:
    site.args = replace(site.args, restart="never")
    site.idle_timeout, site.max_lifetime = 7200.0, 3 * 86400.0
    assert flags(site) == ["--idle-timeout=2h", "--max-lifetime=3d"]


def test_a_server_comes_back_by_itself_unless_told_otherwise(site: Site) -> None:
    assert flags(site) == ["--restart"]


def test_who_may_frame_the_task_and_what_its_page_may_do_is_passed_on(site: Site) -> None:
    site.args = replace(
        site.args,
        restart="never",
        frame_ancestors=["https://worker.example.org", "https://*.example.net"],
        content_security_policy="default-src 'self' 'unsafe-inline'",
    )
    assert flags(site) == [
        "--frame-ancestors=https://worker.example.org",
        "--frame-ancestors=https://*.example.net",
        "--csp=default-src 'self' 'unsafe-inline'",
    ]


def test_the_settings_are_read_from_the_task_file() -> None:
    args = schema_for(LocalArgs).load(
        {"type": "local", "restart": "on-failure", "frame_ancestors": ["*"], "content_security_policy": "default-src *"}
    )
    assert (args.restart, args.frame_ancestors, args.content_security_policy) == ("on-failure", ["*"], "default-src *")


@pytest.mark.parametrize(
    "wrong",
    [
        {"restart": "always"},
        {"restart": True},
        {"frame_ancestors": "https://worker.example.org"},
        {"frame_ancestors": ["https://worker.example.org/path"]},
        {"frame_ancestors": [5]},
        {"content_security_policy": "two\nlines"},
        {"content_security_policy": ""},
    ],
)
def test_what_no_router_would_take_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema_for(LocalArgs).load({"type": "local", **wrong})


@pytest.mark.slow
async def test_a_supervised_router_is_one_leftover_and_comes_down_as_one(site: Site, architect: Architects) -> None:
    site.args = replace(site.args, restart="on-failure")
    serving = LocalArchitect()
    await up(serving, site)
    left = [leftover for leftover in await serving.leftovers() if leftover.run_id == site.run_id]
    assert len(left) == 1
    await serving.shutdown(site)
    assert site.resources == []
