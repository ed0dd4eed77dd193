"""The user's own server as a process: what it is told by its environment, and how it is known to be ready.

Which directory it comes from, and how it is started, is in server_source.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from falsework.engine.contract.architect import Site
from falsework.engine.errors import DeployFailed, TransientError
from falsework.engine.settings.quantities import format_duration

from ..machine.address import run_id_at, url_of
from ..machine.child import NeverReady, StartedProcess
from ..shipping.routers import own_limits

GLANCE = 0.05
"""Seconds between two looks whether the server answers; there is no event."""
ANSWER_LIMIT = 1.0
"""Seconds for one answer while it is not ready; after that it is asked anew."""
SETTING = "architect.ready_timeout"


def server_environment(ours: Mapping[str, str], site: Site, token_file: Path, port: int) -> dict[str, str]:
    """What a server of the user's own is started with: ours, and the run's side as server_source.py tells it."""
    told = {
        "PORT": str(port),
        "HOST": site.args.host,
        "FALSEWORK_TOKEN_FILE": str(token_file.resolve()),
        "FALSEWORK_STATIC": str(site.directory.resolve() / "bundle" / "static"),
        "FALSEWORK_DATA": str(site.directory.resolve() / "data"),
        "FALSEWORK_OUTBOX": site.args.outbox,
        "FALSEWORK_LEASE": format_duration(site.lease),
        "FALSEWORK_GRACE": format_duration(site.grace),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{ours.get('PATH', os.defpath)}",
    }
    limits = {
        f"FALSEWORK_{name.upper().replace('-', '_')}": format_duration(limit)
        for name, limit in own_limits(site)
        if limit is not None
    }
    return {**ours, **told, **limits}


def chosen_port(host: str, port: int) -> int:
    """The port itself, or for 0 one that is free now; somebody may be faster, and then the server does not become ready."""
    if port:
        return port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, 0), family=family) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        raise DeployFailed(f"no port of {host} is free: {error}") from error


async def until_answering(started: StartedProcess, host: str, port: int, limit: float) -> int:
    """Wait until the server answers with its run id, on `port` or where it says; returns the port.

    Raises ServerDied at once when it ends first, TransientError after `limit` seconds.
    """
    # Nothing is said on that pipe, but the process may end, or take too long.
    ending = asyncio.create_task(started.ready_line(limit, SETTING))
    try:
        while not ending.done():
            port = _port_said(started) or port
            if await run_id_at(url_of(host, port), ANSWER_LIMIT) == started.run_id:
                return port
            await asyncio.wait({ending}, timeout=GLANCE)
        await ending
    except NeverReady as error:
        raise TransientError(
            f"{error}\n{url_of(host, port)}/is_alive did not answer with the run id of FALSEWORK_RUN_ID"
        ) from error
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
    raise DeployFailed(
        f"the server of run {started.run_id} took the launcher's pipe for its own; its start command is odd"
    )


def _port_said(started: StartedProcess) -> int | None:
    """Of a line `{"ready": {"port": N}}` among the last that it printed."""
    for line in started.last_lines():
        if line.startswith('{"ready"'):
            try:
                port = json.loads(line)["ready"]["port"]
            except (ValueError, LookupError, TypeError):
                continue
            if isinstance(port, int):
                return port
    return None
