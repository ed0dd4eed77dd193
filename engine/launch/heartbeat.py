"""The launcher's signs of life in the ledger, by which others see that a run's owner is alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ..contract.architect import Site
from ..errors import LedgerError
from ..ledger.ledger import Ledger

INTERVAL = 10.0
"""Seconds between two of them."""


@asynccontextmanager
async def beating(ledger: Ledger, site: Site) -> AsyncIterator[None]:
    """Sign the ledger now and then while this lasts, as this site's launcher. That it cannot be written ends no run."""

    async def beat() -> None:
        while not leaving.is_set():
            await asyncio.sleep(INTERVAL)
            with suppress(LedgerError):
                await ledger.beat(site.run_id, site.epoch)

    leaving = asyncio.Event()  # a sign that fails while the task is cancelled takes the cancellation with it
    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        leaving.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
