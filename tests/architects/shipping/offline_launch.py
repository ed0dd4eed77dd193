"""Run in a network namespace of its own: brings its `lo` up, then prepares and deploys with the Node router, and takes it down.

Arguments: a directory with an index.html, and an empty one for the run. Whoever can reach anything but `lo` fails at once.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import struct
import sys
from pathlib import Path

from falsework.architects.local.architect import LocalArchitect
from falsework.architects.local.args import LocalArgs
from falsework.engine.contract.architect import Presence, Site
from falsework.engine.settings.sections import TaskArgs

SET_FLAGS, IS_UP = 0x8914, 1
"""SIOCSIFFLAGS and IFF_UP of Linux."""


async def launch(static: Path, directory: Path) -> None:
    args = LocalArgs(type="local", router="node")
    task = TaskArgs(name="offline", static=static, units=static / "units.jsonl")
    site = Site("offline-1", args, task, directory, "token", logging.getLogger("offline"))
    architect = LocalArchitect()
    await architect.assert_task_args(args, task)
    bundle = await architect.prepare(site)
    try:
        site.url = await architect.deploy(site, bundle)
        if await architect.probe(site) is not Presence.UP:
            sys.exit("it is not up")
    finally:
        await architect.shutdown(site)


def bring_lo_up() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", IS_UP))


if __name__ == "__main__":
    bring_lo_up()
    if others := [name for _, name in socket.if_nameindex() if name != "lo"]:
        sys.exit(f"this is no place without a network: {others}")
    asyncio.run(launch(Path(sys.argv[1]), Path(sys.argv[2])))
