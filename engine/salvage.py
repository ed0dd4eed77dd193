"""What a server on this machine held when it ended, read from its disk: workers were told that it is safe, and it is.

Where it is, if it outlives the server, the architect says; the outbox in it was written by the router. Nothing here changes it.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec

from ..router.journal import JournalDamaged, read_records
from ..router.protocol import Packet
from .report import Reporter
from .work.foreman import Foreman

OUTBOX, UPLOADS = "outbox.jsonl", "uploads"
"""In a router's data directory."""
PATIENCE = 10.0
"""Seconds for storing what is left. Past it the disk does not take it, and it stays where it is."""


async def salvage(remains: Path | None, foreman: Foreman, reporter: Reporter) -> None:
    """Take in what was not handed over, from the data directory that the server left, if it left one.

    Call it once the server is gone. Never raises: whatever is left is told.
    """
    if remains is None:
        return
    outbox = remains / OUTBOX
    try:
        router_epoch, held = await asyncio.to_thread(_read, outbox)
    except (OSError, JournalDamaged, msgspec.MsgspecError) as error:
        reporter.say(f"what the server still held cannot be read: {error}")
        return
    for packet in held:
        foreman.take_from_disk(router_epoch, packet)
    try:
        async with asyncio.timeout(PATIENCE):
            await foreman.settle()
    except TimeoutError:
        await foreman.stop()
    left = sum(not foreman.has(router_epoch, packet) for packet in held)
    if left:
        reporter.say(f"{left} things that were handed in could not be stored, and are still in {outbox}")


def lies_here(remains: Path, filename: str) -> bool:
    """Whether an upload is in the data directory that a server left."""
    return (remains / UPLOADS / filename).is_file()


async def copy_upload(remains: Path, filename: str, save_dir: Path) -> Path:
    """An upload from such a directory; it appears whole or not at all. Raises OSError."""
    source = remains / UPLOADS / filename
    partial = save_dir / f".{filename}.part"
    try:
        await asyncio.to_thread(shutil.copyfile, source, partial)
        return partial.rename(save_dir / filename)
    finally:
        partial.unlink(missing_ok=True)


class _Line(msgspec.Struct):
    router_epoch: str | None = None
    number: int | None = None


def _read(outbox: Path) -> tuple[str, list[Packet]]:
    """The router's epoch and every packet in its outbox; none if there is no outbox on this machine."""
    if not outbox.exists():
        return "", []
    router_epoch, packets = "", []
    for _, line in read_records(outbox)[0]:
        head = msgspec.json.decode(line, type=_Line)
        router_epoch = head.router_epoch or router_epoch
        if head.number is not None:
            packets.append(msgspec.json.decode(line, type=Packet))
    return router_epoch, packets
