"""The contract's sentences about what a server is for: workers, channels and files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from ..contract.architect import Presence, Site
from ..errors import ChannelError
from .backend import Backend
from .cuts import cut_off, spread, waits_of
from .trial import EXTRA, EXTRA_TEXT, Trial
from .visit import Reception, fetch, hand_in

ANSWER = {"colour": "green"}
FILE = bytes(range(256)) * 4096
"""A megabyte: more than one read from a socket."""
LEASE = 0.2
"""Seconds of a lease, and of a grace, that a test waits for."""


class ServingContract(Backend):
    """`get_channels`, `download_file`, and what `deploy` promises of the server itself."""

    @pytest.fixture
    def save_dir(self, tmp_path: Path) -> Path:
        """Where downloads go; empty."""
        directory = tmp_path / "saved"
        directory.mkdir()
        return directory

    @pytest_asyncio.fixture
    async def uploaded(self, trial: Trial) -> AsyncIterator[tuple[Site, str, bytes]]:
        """A server that has a file of a worker's: its name there, and what is in it."""
        site = await trial.up()
        async with AsyncExitStack() as stack:
            if not self.serves_workers:
                yield (site, *await self.upload(site))
                return
            reception = await stack.enter_async_context(Reception(trial.architect, site, trial.patience))
            await hand_in(site.url or "", ANSWER, FILE)
            packet = await trial.within(reception.submissions.get())
            yield site, packet.files[0].filename, FILE

    async def test_the_url_answers_with_the_run_id(self, trial: Trial) -> None:
        self._needs_workers()
        site = await trial.up()
        assert json.loads(await fetch(f"{site.url}/is_alive"))["run_id"] == site.run_id

    async def test_workers_get_what_was_sealed(self, trial: Trial) -> None:
        self._needs_workers()
        site, bundle = await trial.prepared()
        await trial.deploy(site, bundle)
        assert await fetch(f"{site.url}/") == (bundle.static / "index.html").read_bytes()
        assert await fetch(f"{site.url}/{EXTRA}") == EXTRA_TEXT

    async def test_channels_are_open_only_once_they_were_opened(self, trial: Trial) -> None:
        self._needs_workers()
        reception = Reception(trial.architect, await trial.up(), trial.patience)
        assert reception.opened == []
        async with reception:
            assert sorted(reception.opened) == sorted(channel.channel_id for channel in reception.channels)
            assert reception.opened != []

    async def test_what_a_worker_hands_in_comes_through_a_channel(self, trial: Trial) -> None:
        self._needs_workers()
        site = await trial.up()
        async with Reception(trial.architect, site, trial.patience) as reception:
            await trial.within(hand_in(site.url or "", ANSWER, FILE))
            packet = await trial.within(reception.submissions.get())
        assert msgspec.json.decode(packet.data).items() >= ANSWER.items()

    async def test_a_new_launcher_takes_up_the_live_server(self, trial: Trial) -> None:
        self._needs_workers()
        self.needs_guarantee(trial.architect, "resumable")
        site = await trial.up()
        async with Reception(trial.architect, site, trial.patience):
            await trial.within(hand_in(site.url or "", ANSWER, FILE))
        async with Reception(trial.architect, trial.taken_up(site), trial.patience) as reception:
            packet = await trial.within(reception.submissions.get())
        assert msgspec.json.decode(packet.data).items() >= ANSWER.items()

    async def test_a_server_ends_itself_when_its_lease_and_grace_are_over(self, trial: Trial) -> None:
        self._needs_workers()
        self.needs_guarantee(trial.architect, "dies_with_lease")
        site = await trial.up(lease=LEASE, grace=LEASE)
        async with asyncio.timeout(self.patience):
            while await trial.presence(site) is not Presence.GONE:
                pass
        await trial.assert_nothing_stands(site)

    async def test_a_download_is_whole(self, trial: Trial, uploaded: tuple[Site, str, bytes], save_dir: Path) -> None:
        site, name, content = uploaded
        path = await trial.within(trial.architect.download_file(site, name, save_dir))
        assert path.parent == save_dir
        assert path.read_bytes() == content

    async def test_a_download_that_is_cut_off_anywhere_leaves_no_part(
        self, trial: Trial, uploaded: tuple[Site, str, bytes], save_dir: Path
    ) -> None:
        site, name, content = uploaded
        path, waits = await trial.within(waits_of(trial.architect.download_file(site, name, save_dir)))
        path.unlink()
        for wait in spread(waits, self.most_cuts):
            await cut_off(trial.architect.download_file(site, name, save_dir), wait, trial.patience)
            assert {file.read_bytes() for file in save_dir.iterdir()} <= {content}
            path.unlink(missing_ok=True)

    async def test_a_missing_file_is_a_channel_error_and_leaves_nothing(
        self, trial: Trial, uploaded: tuple[Site, str, bytes], save_dir: Path
    ) -> None:
        site, name, _ = uploaded
        with pytest.raises(ChannelError):
            await trial.within(trial.architect.download_file(site, f"no-{name}", save_dir))
        assert list(save_dir.iterdir()) == []

    def _needs_workers(self) -> None:
        self.needs(self.serves_workers, "no router at the other end")
