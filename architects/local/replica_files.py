"""What workers uploaded to one of several routers: it is had from that router, or from its disk once it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from falsework.engine.channel.download import FileMissing, download
from falsework.engine.contract.architect import Site
from falsework.engine.launch.salvage import copy_upload, lies_here

from .replica import Replica, url_at


async def fetch(site: Site, replicas: Sequence[Replica], filename: str, save_dir: Path) -> Path:
    """As `Architect.download_file`. Raises FileMissing where none of them has it."""
    holder = await asyncio.to_thread(_holder, replicas, filename)
    if holder is None:
        raise FileMissing(f"none of the {len(replicas)} servers of run {site.run_id} has a file {filename!r}")
    if await asyncio.to_thread(holder.stands, site.run_id):
        return await download(url_at(site, holder) or "", filename, save_dir, site.token)
    return await copy_upload(holder.data, filename, save_dir)


def _holder(replicas: Sequence[Replica], filename: str) -> Replica | None:
    """Who has it. A name that leads elsewhere is no name of a file here."""
    if Path(filename).name != filename:
        return None
    return next((replica for replica in replicas if lies_here(replica.data, filename)), None)
