"""What tests of servers on Node need: a Node, and the router's packages, installed once for all of them."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from falsework.architects.shipping.node_binary import Node, NodeMissing, find_node
from falsework.architects.shipping.node_dependencies import install, what_runs
from falsework.architects.shipping.routers import NODE_SOURCE

from ...tools import missing


@pytest.fixture
def node_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A Node, and for this test a home where what the router depends on is installed."""
    try:
        node = find_node()
    except NodeMissing:
        missing("node")
    home = tmp_path_factory.getbasetemp() / "home-of-node"
    home.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("FALSEWORK_HOME", str(home))
    with ThreadPoolExecutor(1) as elsewhere:  # an async test has a loop here already
        elsewhere.submit(_install, node).result()
    return node


def _install(node: Node) -> None:
    asyncio.run(install(NODE_SOURCE, node, run_id="for-tests", log=logging.getLogger("test"), keeps=what_runs))


def program(directory: Path, name: str, script: str) -> Path:
    """A small program of that name."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path
