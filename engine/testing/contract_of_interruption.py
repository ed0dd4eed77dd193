"""The contract's sentences about what is cut off in the middle: in each wait, and at each word to the ledger."""

from __future__ import annotations

import pytest

from ..errors import LedgerError
from .backend import Backend
from .cuts import cut_off, spread, waits_of
from .trial import Trial


class InterruptionContract(Backend):
    """`deploy` and `shutdown`, cancelled or failing somewhere."""

    async def test_a_deploy_that_is_cut_off_anywhere_ends_and_is_taken_down(self, trial: Trial) -> None:
        site, bundle = await trial.prepared()
        site.url, waits = await trial.within(waits_of(trial.architect.deploy(site, bundle)))
        await trial.shutdown(site)
        for wait in spread(waits, self.most_cuts):
            site, bundle = await trial.prepared()
            await cut_off(trial.architect.deploy(site, bundle), wait, trial.patience)
            await trial.shutdown(site)
            await trial.assert_nothing_stands(site)

    async def test_a_deploy_that_cannot_record_any_more_is_taken_down(self, trial: Trial) -> None:
        site = await trial.up()
        words = trial.journal(site).words
        for word in range(1, words + 1):
            site, bundle = await trial.prepared()
            trial.journal(site).fails_from = word
            with pytest.raises(LedgerError):
                await trial.deploy(site, bundle)
            trial.journal(site).fails_from = None
            await trial.shutdown(site)
            await trial.assert_nothing_stands(site)

    async def test_a_shutdown_that_is_cut_off_anywhere_is_finished_by_the_next(self, trial: Trial) -> None:
        site = await trial.up()
        _, waits = await trial.within(waits_of(trial.architect.shutdown(site)))
        for wait in spread(waits, self.most_cuts):
            site = await trial.up()
            await cut_off(trial.architect.shutdown(site), wait, trial.patience)
            await trial.shutdown(site)
            await trial.assert_nothing_stands(site)
