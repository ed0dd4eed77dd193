"""Breaches of the sentences about preflight and `prepare`."""

from __future__ import annotations

import shutil

from breaches import breaks
from falsework.engine.contract.architect import Resource, Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import ArchitectError, ConfigError, Problem
from falsework.engine.settings.sections import TaskArgs
from harbour import BERTH, HarbourArchitect, HarbourArgs


@breaks("preflight_accepts_good_settings_and_makes_nothing")
class PreflightMakesSomething(HarbourArchitect):
    @classmethod
    async def assert_task_args(cls, args: HarbourArgs, task: TaskArgs) -> None:
        await super().assert_task_args(args, task)
        (args.provider / "berth.reserved").touch()


@breaks("preflight_accepts_good_settings_and_makes_nothing")
class PreflightIsNeverContent(HarbourArchitect):
    @classmethod
    async def assert_task_args(cls, args: HarbourArgs, task: TaskArgs) -> None:
        raise ConfigError(Problem("the weather is bad", key="architect.draught"))


@breaks("preflight_refuses_wrong_settings_by_their_names")
class PreflightIsBlind(HarbourArchitect):
    @classmethod
    async def assert_task_args(cls, args: HarbourArgs, task: TaskArgs) -> None:
        pass


@breaks("preflight_refuses_wrong_settings_by_their_names")
class PreflightNamesNoSetting(HarbourArchitect):
    @classmethod
    async def assert_task_args(cls, args: HarbourArgs, task: TaskArgs) -> None:
        if args.draught > 12:
            raise ConfigError("something is too deep")


@breaks("preparing_makes_a_bundle_in_the_runs_directory_and_nothing_else")
class PrepareAnnounces(HarbourArchitect):
    async def prepare(self, site: Site) -> Bundle:
        await site.announce(Resource(BERTH, site.run_id))
        return await super().prepare(site)


@breaks("preparing_may_be_repeated", "preparing_that_was_cut_off_anywhere_may_be_repeated")
class PrepareWorksOnce(HarbourArchitect):
    async def prepare(self, site: Site) -> Bundle:
        (site.directory / "source").mkdir()
        return await super().prepare(site)


@breaks("preparing_that_was_cut_off_anywhere_may_be_repeated")
class PrepareGoesOnAfterItsCancellation(HarbourArchitect):
    """As a thread does that nobody waits for."""

    async def prepare(self, site: Site) -> Bundle:
        lock = site.directory / "preparing"
        if lock.exists():
            raise ArchitectError("somebody is at it")
        lock.touch()
        bundle = await super().prepare(site)
        lock.unlink()
        return bundle


@breaks("another_process_can_load_the_bundle")
class BundleLiesElsewhere(HarbourArchitect):
    async def prepare(self, site: Site) -> Bundle:
        bundle = await super().prepare(site)
        shutil.rmtree(site.directory / "parcel", ignore_errors=True)
        bundle.directory = bundle.directory.rename(site.directory / "parcel")
        return bundle
