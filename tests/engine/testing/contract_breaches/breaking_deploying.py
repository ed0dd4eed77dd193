"""Breaches of the sentences about `deploy`, `cleanup` and `download_file`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from breaches import breaks
from falsework.engine.contract.architect import Resource, Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import ChannelError, DeployFailed, LedgerError
from harbour import BERTH, SILENT, HarbourArchitect


@breaks("nothing_stands_that_was_not_announced_before", "what_cannot_be_announced_is_not_made")
class MakesBeforeItAnnounces(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        await self.make(site, Resource(BERTH, site.run_id))
        return await super().deploy(site, bundle)


@breaks("nothing_stands_that_was_not_announced_before", "leftovers_name_what_stands_as_it_was_announced")
class MakesMoreThanItAnnounces(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        url = await super().deploy(site, bundle)
        await self.make(site, Resource("tug", site.run_id))
        return url


@breaks("what_cannot_be_announced_is_not_made", "a_deploy_that_cannot_record_any_more_is_taken_down")
class MakesWhatCannotBeAnnounced(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        try:
            return await super().deploy(site, bundle)
        except LedgerError:
            await self.make(site, Resource(BERTH, site.run_id))
            return "harbour://nobody-knows"


@breaks("what_is_recorded_reads_the_same_from_a_ledger")
class RecordsWhatIsNoJson(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        url = await super().deploy(site, bundle)
        await site.learn(site.standing(BERTH)[0], place=(54.3, 10.1))
        return url


@breaks("no_secret_is_recorded")
class RecordsTheToken(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        url = await super().deploy(site, bundle)
        await site.learn(site.standing(BERTH)[0], password=site.token)
        return url


@breaks("the_sealed_bundle_stays_as_it_is")
class WritesIntoTheBundle(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        (bundle.directory / "router" / "cache").touch()
        return await super().deploy(site, bundle)


@breaks("a_deploy_that_failed_says_so_and_is_taken_down")
class FailsInForeignWords(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        try:
            return await super().deploy(site, bundle)
        except DeployFailed as error:
            raise RuntimeError("Error 17") from error


@breaks("a_run_that_was_taken_down_can_be_deployed_again")
class DeploysOnce(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        url = await super().deploy(site, bundle)
        (site.directory / "sailed").touch(exist_ok=False)
        return url


@breaks(
    "a_deployed_server_is_up",
    "a_run_that_was_taken_down_can_be_deployed_again",
    "another_run_survives",
    "cleaning_up_may_be_repeated_and_the_server_stays_up",
)
class IsNeverUp(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        site.args.provider.joinpath(SILENT).touch()
        return await super().deploy(site, bundle)


@breaks("cleaning_up_may_be_repeated_and_the_server_stays_up")
class CleansUpOnce(HarbourArchitect):
    async def cleanup(self, site: Site) -> None:
        (site.directory / "source").rename(site.directory / "trash")


@breaks("cleaning_up_may_be_repeated_and_the_server_stays_up")
class CleansTheServerAway(HarbourArchitect):
    async def cleanup(self, site: Site) -> None:
        await self.shutdown(site)


@breaks("a_download_is_whole")
class LosesTheEnd(HarbourArchitect):
    async def fetch(self, site: Site, filename: str) -> bytes:
        return (await super().fetch(site, filename))[:-1]


@breaks("a_download_that_is_cut_off_anywhere_leaves_no_part")
class WritesInPlace(HarbourArchitect):
    async def download_file(self, site: Site, filename: str, save_dir: Path) -> Path:
        content = await self.fetch(site, filename)
        with (save_dir / filename).open("wb", buffering=0) as stream:
            for start in range(0, len(content), 1024):
                stream.write(content[start : start + 1024])
                await asyncio.sleep(0)
        return save_dir / filename


@breaks("a_missing_file_is_a_channel_error_and_leaves_nothing")
class MakesUpAFile(HarbourArchitect):
    async def download_file(self, site: Site, filename: str, save_dir: Path) -> Path:
        try:
            return await super().download_file(site, filename, save_dir)
        except ChannelError:
            (save_dir / filename).touch()
            raise


@breaks("a_missing_file_is_a_channel_error_and_leaves_nothing")
class MissesInForeignWords(HarbourArchitect):
    async def fetch(self, site: Site, filename: str) -> bytes:
        try:
            return await super().fetch(site, filename)
        except ChannelError as error:
            raise KeyError(filename) from error
