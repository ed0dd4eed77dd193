"""Breaches of the sentences about `shutdown`, and about what is cut off in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from breaches import breaks
from falsework.engine.contract.architect import Resource, Site
from falsework.engine.errors import ArchitectError
from harbour import SILENT, HarbourArchitect, place_of, things_of

NEVER_DOWN = (
    "shutting_down_leaves_nothing_of_what_was_deployed",
    "what_was_taken_down_is_gone",
    "leftovers_are_none_of_what_is_down",
    "leftovers_are_enough_to_take_it_down",
    "what_does_not_answer_is_taken_down",
    "what_somebody_else_made_survives",
    "a_deploy_that_failed_says_so_and_is_taken_down",
    "a_deploy_that_is_cut_off_anywhere_ends_and_is_taken_down",
    "a_deploy_that_cannot_record_any_more_is_taken_down",
    "a_shutdown_that_is_cut_off_anywhere_is_finished_by_the_next",
)


@breaks(*NEVER_DOWN)
class LiarArchitect(HarbourArchitect):
    async def remove(self, thing: Path) -> None:
        pass


@breaks(
    *NEVER_DOWN,
    "what_is_gone_is_forgotten",
    "shutting_down_twice_is_quiet",
    "another_run_survives",
    "what_remains_outlives_the_server",
    "a_run_that_was_taken_down_can_be_deployed_again",
)
class ImmortalServer(HarbourArchitect):
    async def remove(self, thing: Path) -> None:
        raise ArchitectError(f"{thing.name} does not sink")


@breaks(
    "shutting_down_before_anything_is_quiet",
    "shutting_down_after_preparing_is_quiet",
    "a_deploy_that_cannot_record_any_more_is_taken_down",
)
class NeedsSomethingToShutDown(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        if not (site.directory / "data").exists() and not things_of(site) and not site.resources:
            raise ArchitectError("there is nothing")
        await super().shutdown(site)


@breaks("shutting_down_twice_is_quiet")
class ComplainsOfTheSecondTime(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        if (site.directory / "sunk").exists():
            raise ArchitectError("it was shut down already")
        await super().shutdown(site)
        (site.directory / "sunk").touch()


@breaks("gone_is_success", "a_shutdown_that_is_cut_off_anywhere_is_finished_by_the_next")
class TakesGoneForAFailure(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        if "flag" in "".join(str(resource.facts) for resource in site.resources) and not things_of(site):
            raise ArchitectError("the ship is missing")
        await super().shutdown(site)


@breaks("what_does_not_answer_is_taken_down")
class LeavesTheSilentAlone(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        if not site.args.provider.joinpath(SILENT).exists():
            await super().shutdown(site)


@breaks("what_is_gone_is_forgotten")
class NeverForgets(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        for thing in things_of(site):
            await self.remove(thing)


@breaks("another_run_survives")
class EmptiesTheHarbour(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        for thing in site.args.provider.glob("*.contract-*"):
            if thing.read_text() != "somebody else":
                await self.remove(thing)
        await super().shutdown(site)


@breaks("what_somebody_else_made_survives")
class DeletesWhatIsNamedLikeIt(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        await super().shutdown(site)
        for thing in site.args.provider.glob(f"*.{site.run_id}"):
            await self.remove(thing)


@breaks("what_remains_outlives_the_server")
class ThrowsAwayWhatRemains(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        await super().shutdown(site)
        (site.directory / "data" / "kept").unlink(missing_ok=True)


@breaks("another_instance_takes_it_down_from_what_is_recorded", "another_process_takes_it_down_from_the_ledger")
class KeepsItsStateToItself(HarbourArchitect):
    def __init__(self) -> None:
        self.moored: set[str] = set()

    async def make(self, site: Site, resource: Resource) -> None:
        self.moored.add(site.run_id)
        await super().make(site, resource)

    async def shutdown(self, site: Site) -> None:
        if site.run_id in self.moored:
            await super().shutdown(site)


@breaks("another_process_takes_it_down_from_the_ledger")
class KeepsItsStateInTheProcess(KeepsItsStateToItself):
    everywhere: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        self.moored = self.everywhere


@breaks("a_deploy_that_is_cut_off_anywhere_ends_and_is_taken_down")
class SwallowsItsCancellation(HarbourArchitect):
    async def make(self, site: Site, resource: Resource) -> None:
        try:
            await super().make(site, resource)
        except asyncio.CancelledError:
            place_of(site, resource.kind).write_text(site.run_id)


@breaks(
    "a_deploy_that_is_cut_off_anywhere_ends_and_is_taken_down",
    "a_deploy_that_failed_says_so_and_is_taken_down",
    "a_deploy_that_cannot_record_any_more_is_taken_down",
    "leftovers_are_enough_to_take_it_down",
)
class KnowsOnlyWhatItFinished(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        if any("flag" in resource.facts for resource in site.resources):
            await super().shutdown(site)


@breaks("a_shutdown_that_is_cut_off_anywhere_is_finished_by_the_next")
class ForgetsBeforeItLooks(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        for resource in list(reversed(site.resources)):
            await site.forget(resource)
            await self.remove(place_of(site, resource.kind))
