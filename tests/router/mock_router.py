"""The mock architect's server as the third router that the vectors are played against, in the test's own process."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from falsework.architects.mock.server import MockServer
from falsework.router.wire.protocol import Limits

from .router_process import RUN_ID, TOKEN
from .vector import DISK, FLAGS, FORMS, OPEN, PROCESS

LACKING = {
    PROCESS: "it ends with its process",
    DISK: "keeps what is handed in in memory",
    FORMS: "takes JSON, and no forms with files",
    FLAGS: "has no flags",
    OPEN: "asks every launcher for its token",
    "pages": "serves no files of the task",
    "redirects": "sends nobody to another server",
    "parcels": "refuses data that no frame can carry",
    "patience with slow readers": "drops no slow reader",
    "pings": "sends no pings",
    "a window": "says all that it holds at once",
}
"""What a mock server does not do, though vectors ask it of other routers; docs/mock.md says each of these."""


class MockRouter:
    """One mock server. What a process would have said on its standard error is what was logged as an error."""

    def __init__(self, flags: Sequence[str]) -> None:
        """`flags` are limits: `--limit NAME=VALUE`, any number of times."""
        limits = Limits().override(dict(flag.split("=", 1) for flag in flags[1::2]))
        self.server = MockServer(RUN_ID, TOKEN, limits=limits)
        self.port = 0
        self._errors = Errors()

    def start(self) -> None:
        """Listen. Legal in a running loop."""
        logging.getLogger().addHandler(self._errors)
        self.port = self.server.start()

    async def end(self) -> None:
        """Go down."""
        await self.server.stop()
        logging.getLogger().removeHandler(self._errors)

    def said(self) -> str:
        """What went wrong in it."""
        return "\n".join(self._errors.said)


class Errors(logging.Handler):
    """Keeps what is logged as an error, with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))
