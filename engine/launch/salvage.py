"""What a server on this machine held when it ended, read from its disk: workers were told that it is safe, and it is.

Where it is, if it outlives the server, the architect says; the outbox in it was written by the router. Nothing here changes it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Set
from pathlib import Path
from typing import NamedTuple

from ...router.wire.journal import JournalDamaged
from ...router.wire.outbox_file import OUTBOX, UPLOADS, read_packets
from ...router.wire.protocol import Packet
from ..report import Reporter
from ..work.foreman import Foreman

PATIENCE = 10.0
"""Seconds for storing what is left. Past it the disk does not take it, and it stays where it is."""


class Outbox(NamedTuple):
    """What a router has not handed over, as its disk has it."""

    path: Path
    router_epoch: str
    packets: list[Packet]


async def salvage(remains: Path | None, foreman: Foreman, reporter: Reporter) -> None:
    """Take in what was not handed over, from what the server left, if it left something.

    `remains` is its data directory, or holds those of several servers. Call it once they are gone. Never raises: whatever is
    left is told.
    """
    if remains is None:
        return
    held = await _read_all((remains, *_several(remains)), reporter)
    for outbox in held:
        for packet in outbox.packets:
            foreman.take_from_disk(outbox.router_epoch, packet)
    try:
        async with asyncio.timeout(PATIENCE):
            await foreman.settle()
    except TimeoutError:
        await foreman.stop()
    for outbox in held:
        left = sum(not foreman.has(outbox.router_epoch, packet) for packet in outbox.packets)
        if left:
            reporter.say(f"{left} things that were handed in could not be stored, and are still in {outbox.path}")


async def held_by_lost(remains: Path | None, there: Set[str | None], reporter: Reporter) -> list[Outbox]:
    """What those of several servers had not handed over that are lost while others go on. Never raises.

    `there` are the router epochs of those that go on. Whoever is the only one keeps what it holds to itself.
    """
    found = await _read_all(_several(remains), reporter) if remains is not None else []
    return [outbox for outbox in found if outbox.router_epoch not in there]


def lies_here(remains: Path, filename: str) -> bool:
    """Whether an upload is in what a server, or one of several, left."""
    return _place_of(remains, filename) is not None


async def copy_upload(remains: Path, filename: str, save_dir: Path) -> Path:
    """An upload from there; it appears whole or not at all. Raises OSError."""
    source = _place_of(remains, filename) or remains / UPLOADS / filename
    partial = save_dir / f".{filename}.part"
    try:
        await asyncio.to_thread(shutil.copyfile, source, partial)
        return partial.rename(save_dir / filename)
    finally:
        partial.unlink(missing_ok=True)


def _several(remains: Path) -> list[Path]:
    """The data directories of several servers, in the one that holds them."""
    return sorted(outbox.parent for outbox in remains.glob(f"*/{OUTBOX}"))


def _place_of(remains: Path, filename: str) -> Path | None:
    places = (directory / UPLOADS / filename for directory in (remains, *_several(remains)))
    return next((place for place in places if place.is_file()), None)


async def _read_all(directories: Iterable[Path], reporter: Reporter) -> list[Outbox]:
    """Every outbox that can be read; of the others it is told that they cannot."""
    found: list[Outbox] = []
    for directory in directories:
        path = directory / OUTBOX
        try:
            found.append(Outbox(path, *await asyncio.to_thread(read_packets, path)))
        except (OSError, JournalDamaged) as error:
            reporter.say(f"what the server still held cannot be read: {error}")
    return found
