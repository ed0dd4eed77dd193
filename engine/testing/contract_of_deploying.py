"""The contract's sentences about a deploy that comes to its end, good or bad; contract_of_interruption.py cuts it off."""

from __future__ import annotations

import asyncio
import json

import pytest

from ..contract.architect import Resource
from ..errors import ArchitectError, LedgerError
from .backend import Backend
from .journal import Key, key_of
from .trial import Trial


class DeployingContract(Backend):
    """`deploy` and `cleanup`."""

    async def test_a_deployed_server_is_up(self, trial: Trial) -> None:
        site = await trial.up()
        assert site.url
        await trial.assert_up(site)

    async def test_nothing_stands_that_was_not_announced_before(self, trial: Trial) -> None:
        site, bundle = await trial.prepared()
        journal, early = trial.journal(site), set[Key]()

        async def look(resource: Resource | None = None) -> None:
            standing = await trial.standing(site)
            self.needs(standing is not None, "a way to see what stands: override `standing`")
            early.update((standing or set()) - set(journal.announced))

        journal.before_announcing = look
        await trial.deploy(site, bundle)
        await look()
        assert early == set()

    async def test_what_cannot_be_announced_is_not_made(self, trial: Trial) -> None:
        site, bundle = await trial.prepared()
        trial.journal(site).fails_from = 1
        with pytest.raises(LedgerError):
            await trial.deploy(site, bundle)
        await trial.assert_nothing_stands(site)

    async def test_what_is_recorded_reads_the_same_from_a_ledger(self, trial: Trial) -> None:
        site = await trial.up()
        known = {key_of(resource): dict(resource.facts) for resource in site.resources}
        assert {key_of(resource): resource.facts for resource in trial.journal(site).standing()} == known

    async def test_no_secret_is_recorded(self, trial: Trial) -> None:
        site = await trial.up()
        recorded = [resource.facts for resource in trial.journal(site).standing()]
        assert site.token not in json.dumps([recorded, trial.journal(site).announced, site.url])

    async def test_the_sealed_bundle_stays_as_it_is(self, trial: Trial) -> None:
        site, bundle = await trial.prepared()
        await trial.deploy(site, bundle)
        await asyncio.to_thread(bundle.verify)

    async def test_a_deploy_that_failed_says_so_and_is_taken_down(self, trial: Trial) -> None:
        site, bundle = await trial.prepared()
        async with self.failing(site):
            with pytest.raises(ArchitectError):
                await trial.deploy(site, bundle)
        await trial.shutdown(site)
        await trial.assert_nothing_stands(site)

    async def test_a_run_that_was_taken_down_can_be_deployed_again(self, trial: Trial) -> None:
        site, bundle = await trial.prepared()
        await trial.deploy(site, bundle)
        await trial.shutdown(site)
        await trial.deploy(site, bundle)
        await trial.assert_up(site)

    async def test_cleaning_up_may_be_repeated_and_the_server_stays_up(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.within(trial.architect.cleanup(site))
        await trial.within(trial.architect.cleanup(site))
        await trial.assert_up(site)
