"""The contract's sentences about looking: `probe` and its four answers, `leftovers` and `log_tail`."""

from __future__ import annotations

from ..contract.architect import Presence, Resource
from .backend import Backend
from .trial import Trial


class LookingContract(Backend):
    """`probe`, `leftovers` and `log_tail`."""

    async def test_what_was_never_deployed_is_gone(self, trial: Trial) -> None:
        assert await trial.presence(trial.new_site()) is Presence.GONE

    async def test_what_was_taken_down_is_gone(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.shutdown(site)
        assert await trial.presence(site) is Presence.GONE

    async def test_what_was_destroyed_behind_its_back_is_gone(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.within(self.destroy(site))
        assert await trial.presence(site) is Presence.GONE

    async def test_what_stands_and_does_not_answer_is_down(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.within(self.silence(site))
        assert await trial.presence(site) is Presence.DOWN

    async def test_what_cannot_be_looked_at_is_unknown(self, trial: Trial) -> None:
        site = await trial.up()
        async with self.unreachable(site):
            assert await trial.presence(site) is Presence.UNKNOWN

    async def test_looking_changes_nothing(self, trial: Trial) -> None:
        site = await trial.up()
        known, words, standing = list(site.resources), trial.journal(site).words, await trial.standing(site)
        await trial.presence(site)
        await trial.within(trial.architect.leftovers())
        await trial.within(trial.architect.log_tail(site, 10))
        assert (site.resources, trial.journal(site).words) == (known, words)
        assert await trial.standing(site) == standing

    async def test_leftovers_name_what_stands_as_it_was_announced(self, trial: Trial) -> None:
        self.needs_guarantee(trial.architect, "found_without_ledger")
        site = await trial.up()
        found = await trial.within(trial.architect.leftovers())
        named = {(one.kind, one.name) for one in found if one.run_id == site.run_id}
        assert named != set()
        assert named <= set(trial.journal(site).announced)

    async def test_leftovers_are_none_of_what_is_down(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.shutdown(site)
        assert site.run_id not in {one.run_id for one in await trial.within(trial.architect.leftovers())}

    async def test_leftovers_are_enough_to_take_it_down(self, trial: Trial) -> None:
        self.needs_guarantee(trial.architect, "found_without_ledger")
        site = await trial.up()
        found = await trial.within(trial.architect.leftovers())
        stray = trial.taken_up(site)
        stray.token, stray.url = "", None
        stray.resources = [Resource(one.kind, one.name) for one in found if one.run_id == site.run_id]
        await trial.shutdown(stray)
        await trial.assert_nothing_stands(stray)

    async def test_the_log_tail_is_as_long_as_asked_for_at_most(self, trial: Trial) -> None:
        site = await trial.up()
        for lines in (1, 100):
            tail = await trial.within(trial.architect.log_tail(site, lines))
            assert len(tail) <= lines
            assert all(isinstance(line, str) and "\n" not in line for line in tail)

    async def test_no_secret_is_in_the_log(self, trial: Trial) -> None:
        site = await trial.up()
        assert site.token not in "\n".join(await trial.within(trial.architect.log_tail(site, 1000)))

    async def test_the_log_of_a_server_that_does_not_answer_raises_nothing(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.within(self.silence(site))
        await trial.within(trial.architect.log_tail(site, 10))
