"""Looking before anything is made whether a server could run on this machine. What is wrong comes back, and nothing is left.

Each check names the setting of the `architect:` section that it is about.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from falsework.engine.errors import Problem

from ..machine.address import run_id_at, url_of
from ..shipping.router_args import read_limits

ASK_LIMIT = 1.0
"""Seconds for whoever holds a wanted port to say who it is."""
IMPORT_LIMIT = 30.0
"""Seconds for another Python to import the router's dependencies."""

IMPORTS = "import sys, aiohttp, msgspec; sys.exit(sys.version_info < (3, 11))"
"""What another Python must be able to do."""


def problems_of_limits(limits: Mapping[str, Any]) -> list[Problem]:
    """Whether the router knows `architect.limits` and would take their values."""
    try:
        read_limits(limits)
    except ValueError as error:
        return [Problem(str(error), key="architect.limits")]
    return []


def problems_of_public_url(url: str | None) -> list[Problem]:
    """Whether a browser could open `architect.public_url`; it is not asked for."""
    if url is None or _is_of_the_web(url):
        return []
    return [Problem(f"{url!r} is no URL such as https://tasks.example.org", key="architect.public_url")]


def problems_of_python(python: str | None) -> list[Problem]:
    """Whether the interpreter `architect.python` could run the router. It is started, so call this in a thread."""
    wrong = None if python in (None, sys.executable) else _wrong_with_python(python)
    return [Problem(f"{python!r} {wrong}", key="architect.python")] if wrong else []


async def problems_of_address(host: str, port: int) -> list[Problem]:
    """Whether a server could listen on `architect.host` and `architect.port`; a port of 0 is always free."""
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:  # a name that cannot even be asked for is the latter
        reason = getattr(error, "strerror", error)
        return [Problem(f"{host!r} is no address of this machine: {reason}", key="architect.host")]
    family, kind, protocol, _, address = addresses[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            return [await _problem_of_binding(host, port, error)]
    return []


def _is_of_the_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _wrong_with_python(python: str) -> str | None:
    if shutil.which(python) is None:
        return "is no program on this machine"
    try:
        check = subprocess.run([python, "-c", IMPORTS], capture_output=True, timeout=IMPORT_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not work: {error}"
    if check.returncode == 0:
        return None
    said = check.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it is older than Python 3.11"]
    return f"cannot run the router: {said[0]}; install what the router needs: {python} -m pip install aiohttp msgspec"


async def _problem_of_binding(host: str, port: int, error: OSError) -> Problem:
    if error.errno == errno.EADDRINUSE:
        run_id = await run_id_at(url_of(host, port), ASK_LIMIT)
        holder = f"a falsework server of run {run_id}" if run_id else "something else"
        return Problem(f"port {port} is taken by {holder}; use another one, or 0", key="architect.port")
    if error.errno == errno.EACCES:
        return Problem(f"port {port} is reserved; use one from 1024 on, or 0", key="architect.port")
    return Problem(f"cannot listen on {host!r}: {error.strerror}", key="architect.host")
