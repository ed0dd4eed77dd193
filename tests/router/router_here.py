"""The Python router in this process, on a free port: up in milliseconds, and over with the loop of its test."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

from falsework.router.door.lease_memory import LeaseMemory
from falsework.router.door.server import Router
from falsework.router.process.command_line import read_command_line
from falsework.router.process.listening import close_listeners, open_listeners, port_of

from .router_process import NO_FILES, arguments, stored_files, write_static


class RouterHere:
    """What a RouterProcess is to who speaks to it over the wire. It knows no signals, and does not come back."""

    def __init__(
        self, directory: Path, flags: Sequence[str], files: Mapping[str, str] = NO_FILES, *, is_open: bool = False
    ) -> None:
        self.directory, self.data = directory, directory / "data"
        self.port = 0
        write_static(directory, files)
        with patch.object(sys, "argv", ["router", *arguments(directory, 0, is_open=is_open), *flags]):
            self._settings = read_command_line(None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        listeners = open_listeners(self._settings.host, 0)
        self.port = port_of(listeners)
        try:
            self._router = Router(self._settings, LeaseMemory())
            await self._router.start(listeners)
        except BaseException:
            close_listeners(listeners)
            raise

    async def stop(self) -> None:
        """As when it is told to end."""
        await self._router.stop()

    def is_running(self) -> bool:
        """Whether neither its lease nor a limit has ended it."""
        return not self._router.over.is_set()

    def stored_files(self) -> list[str]:
        """The names of the uploads, whole or torn, in its data directory."""
        return stored_files(self.data)
