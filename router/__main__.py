"""`python -m falsework.router`: one router on its own. Says `{"ready": {"port": N}}` on stdout, and logs on stderr."""

from __future__ import annotations

import logging
import sys

from .door.lease_memory import LeaseMemory
from .door.settings import Settings
from .process.command_line import read_command_line
from .process.listening import open_listeners


def main() -> None:
    """Parse the command line and serve until a signal or the end of the lease.

    Exits 0, 1 if it cannot start (one line on stderr says why), or 2 for wrong usage.
    """
    settings = read_command_line(__doc__)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    raise SystemExit(_serve(settings))


def _serve(settings: Settings) -> int:
    try:
        listeners = open_listeners(settings.host, settings.port or 0)
    except OSError as error:
        print(f"cannot listen on {settings.host} port {settings.port or 0}: {error.strerror}", file=sys.stderr)
        return 1

    def run() -> int:
        from .process.serving import serve  # here, as the process above a router has no use for what it loads

        return serve(settings, listeners, memory)

    memory = LeaseMemory()
    if not settings.restart:
        return run()
    from .process.supervisor import supervise

    return supervise(run, patience=settings.lease)


if __name__ == "__main__":
    main()
