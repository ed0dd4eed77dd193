"""Shipping by the Platform API: the bundle as an archive, put where Heroku says, and built from there."""

from __future__ import annotations

import asyncio
import gzip
import os
import tarfile
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from falsework.engine.contract.architect import Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.contract.cancellation import uncancelled

from .api import HerokuApi
from .errors import BuildFailed, Unanswered
from .http import patiently
from .removal import pauses
from .rows import HerokuApp, HerokuBuild

ARCHIVE = "heroku-source.tar.gz"
"""In the run's directory, until it is cleaned up."""
LINES_KEPT = 200


async def ship_by_build(site: Site, api: HerokuApi, app: HerokuApp, bundle: Bundle) -> None:
    """Have the sealed bundle built and released. Raises BuildFailed, Unanswered, Refused."""
    archive = site.directory / ARCHIVE
    await uncancelled(asyncio.to_thread(pack, bundle, archive))
    put_url, get_url = await api.new_source()
    await api.upload(put_url, archive)
    await see_built(site, api, app, await _start(api, app, get_url, site.run_id))


def pack(bundle: Bundle, archive: Path) -> None:
    """Write exactly the bundle's files, its manifest too, into an archive that depends on them alone."""
    with (
        open(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in sorted(bundle.files().items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)


async def see_built(site: Site, api: HerokuApi, app: HerokuApp, build: HerokuBuild) -> None:
    """Follow a build to its end. Raises BuildFailed with the last of what it said."""
    lines, is_whole = await _follow(site, api.output(build))
    async for _ in pauses():
        build = await api.build(app, build.id)
        if build.status != "pending":
            break
    if build.status == "succeeded":
        return
    if not is_whole:
        lines, _ = await _follow(site, api.output(build))
    raise BuildFailed(app.name, lines)


async def find_build(api: HerokuApi, app: HerokuApp, version: str | None = None) -> HerokuBuild | None:
    """The newest build of an app; of a source that was called so, if a version is given."""
    builds = [build for build in await api.builds(app) if version in (None, build.version)]
    return builds[-1] if builds else None


async def _start(api: HerokuApi, app: HerokuApp, source_url: str, version: str) -> HerokuBuild:
    """Start the one build; one whose start was not answered is looked for before another is asked for."""

    async def start() -> HerokuBuild:
        return await find_build(api, app, version) or await api.start_build(app, source_url, version)

    return await patiently(start)


async def _follow(site: Site, output: AsyncGenerator[str, None]) -> tuple[list[str], bool]:
    """Pass on what a build says; the last of it, and whether that is all. Where the stream breaks, the build goes on."""
    lines: deque[str] = deque(maxlen=LINES_KEPT)
    try:
        async with aclosing(output):
            async for line in output:
                lines.append(line)
                site.log.info("build: %s", line)
    except Unanswered as error:
        site.log.info("the build's output is not to be had any more: %s", error)
        return list(lines), False
    return list(lines), True
