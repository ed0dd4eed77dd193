"""Which router a test runs against: every test that asks for `router_command` runs once for each of them."""

from __future__ import annotations

import pytest

from .router_process import ROUTERS, RouterCommand


@pytest.fixture(params=ROUTERS, ids=lambda command: command.name)
def router_command(request: pytest.FixtureRequest) -> RouterCommand:
    command: RouterCommand = request.param
    return command
