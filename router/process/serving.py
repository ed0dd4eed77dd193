"""One router's life as a process: its loop, the signals that end it, its ready line."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys

from ..door.data_directory import DataDirectoryError
from ..door.lease_memory import LeaseMemory
from ..door.server import Router
from ..door.settings import Settings
from ..wire.journal import JournalDamaged
from .listening import close_listeners, port_of


def serve(settings: Settings, listeners: list[socket.socket], memory: LeaseMemory) -> int:
    """Serve until a signal or the end of the lease. Returns 0, or 1 if it cannot start and has said why on stderr."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(settings, listeners, memory))
    finally:
        close_listeners(listeners)


async def _serve(settings: Settings, listeners: list[socket.socket], memory: LeaseMemory) -> int:
    try:
        router = Router(settings, memory)
    except (OSError, JournalDamaged, DataDirectoryError) as error:
        print(f"cannot use the data directory: {error}", file=sys.stderr)
        return 1
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, router.over.set)
    await router.start(listeners)
    print(json.dumps({"ready": {"port": port_of(listeners)}}), flush=True)
    await router.over.wait()
    await router.stop()
    for number in (signal.SIGTERM, signal.SIGINT):  # told twice is told once, also at the very end
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
    return 0


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's loop where it is installed: a lone packet takes about a quarter less time to the launcher and back."""
    try:
        from uvloop import Loop
    except ImportError:
        return None
    return Loop
