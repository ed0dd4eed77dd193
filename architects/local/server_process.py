"""The user's own server as a process: where it listens, and how it is known to be ready.

Which directory it comes from, and how it is started, is in server_source.py, what it is told in told.py.
"""

from __future__ import annotations

import asyncio
import json
import socket

from falsework.engine.errors import DeployFailed, TransientError

from ..machine.address import run_id_at, url_of
from ..machine.child import NeverReady, StartedProcess

GLANCE = 0.05
"""Seconds between two looks whether the server answers; there is no event."""
ANSWER_LIMIT = 1.0
"""Seconds for one answer while it is not ready; after that it is asked anew."""
SETTING = "architect.ready_timeout"


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
