"""Breaches of the sentences about `probe`, `leftovers` and `log_tail`."""

from __future__ import annotations

import asyncio

from breaches import breaks
from falsework.engine.contract.architect import Leftover, Presence, Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import ArchitectError
from harbour import SHIP, HarbourArchitect


@breaks(
    "what_was_never_deployed_is_gone",
    "what_was_taken_down_is_gone",
    "what_was_destroyed_behind_its_back_is_gone",
    "what_stands_and_does_not_answer_is_down",
    "what_cannot_be_looked_at_is_unknown",
)
class SaysAlwaysUp(HarbourArchitect):
    async def probe(self, site: Site) -> Presence:
        return Presence.UP


@breaks("what_was_destroyed_behind_its_back_is_gone")
class ProbesTheRecordOnly(HarbourArchitect):
    async def probe(self, site: Site) -> Presence:
        presence = await super().probe(site)
        return Presence.DOWN if presence is Presence.GONE and site.resources else presence


@breaks("what_stands_and_does_not_answer_is_down")
class TakesSilenceForGone(HarbourArchitect):
    async def probe(self, site: Site) -> Presence:
        presence = await super().probe(site)
        return Presence.GONE if presence is Presence.DOWN else presence


@breaks("what_stands_and_does_not_answer_is_down")
class WaitsForAnAnswerForEver(HarbourArchitect):
    async def probe(self, site: Site) -> Presence:
        presence = await super().probe(site)
        if presence is Presence.DOWN:
            await asyncio.Event().wait()
        return presence


@breaks("what_cannot_be_looked_at_is_unknown")
class TakesFogForGone(HarbourArchitect):
    async def probe(self, site: Site) -> Presence:
        presence = await super().probe(site)
        return Presence.GONE if presence is Presence.UNKNOWN else presence


@breaks("what_cannot_be_looked_at_is_unknown")
class RaisesInTheFog(HarbourArchitect):
    async def probe(self, site: Site) -> Presence:
        presence = await super().probe(site)
        if presence is Presence.UNKNOWN:
            raise ArchitectError("nothing can be seen")
        return presence


@breaks("looking_changes_nothing")
class LearnsByLooking(HarbourArchitect):
    async def probe(self, site: Site) -> Presence:
        for resource in site.standing(SHIP):
            await site.learn(resource, seen=True)
        return await super().probe(site)


@breaks("leftovers_name_what_stands_as_it_was_announced")
class FindsNothing(HarbourArchitect):
    async def leftovers(self) -> list[Leftover]:
        return []


@breaks("leftovers_name_what_stands_as_it_was_announced")
class NamesThingsAnew(HarbourArchitect):
    async def leftovers(self) -> list[Leftover]:
        return [Leftover(one.run_id, one.kind, f"the {one.name}") for one in await super().leftovers()]


@breaks("leftovers_are_none_of_what_is_down")
class FindsTheDead(HarbourArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        (site.args.provider / "known").write_text(site.run_id)
        return await super().deploy(site, bundle)

    async def leftovers(self) -> list[Leftover]:
        known = self.provider / "known"
        return await super().leftovers() or [Leftover(known.read_text(), SHIP, known.read_text())]


@breaks("leftovers_are_enough_to_take_it_down")
class NeedsItsUrl(HarbourArchitect):
    async def shutdown(self, site: Site) -> None:
        if site.resources and not site.token:
            raise ArchitectError("who is asking?")
        await super().shutdown(site)


@breaks("the_log_tail_is_as_long_as_asked_for_at_most")
class TellsEverything(HarbourArchitect):
    async def log_tail(self, site: Site, lines: int) -> list[str]:
        return await super().log_tail(site, 1000)


@breaks("no_secret_is_in_the_log")
class LogsTheToken(HarbourArchitect):
    async def log_tail(self, site: Site, lines: int) -> list[str]:
        return [f"the word is {site.token}"]


@breaks("the_log_of_a_server_that_does_not_answer_raises_nothing")
class AsksTheServerForItsLog(HarbourArchitect):
    async def log_tail(self, site: Site, lines: int) -> list[str]:
        if await self.probe(site) is not Presence.UP:
            raise ArchitectError("the server does not answer")
        return await super().log_tail(site, lines)
