"""Which router a test runs against: every test that asks for `router_command` runs once for each of them."""

from __future__ import annotations

import pytest

from ..tools import need
from .router_process import NODE, ROUTERS, RouterCommand, install_what_node_needs


@pytest.fixture(scope="session", autouse=True)
def what_node_needs() -> None:
    """Installed before the first test, whose own things it is none of."""
    install_what_node_needs()


@pytest.fixture(params=ROUTERS, ids=lambda command: command.name)
def router_command(request: pytest.FixtureRequest) -> RouterCommand:
    command: RouterCommand = request.param
    if command is NODE:
        need("node")
    return command
