"""The contract's sentences about what comes before anything stands: preflight and the bundle."""

from __future__ import annotations

import asyncio

import pytest

from ..contract.bundle import Bundle
from ..errors import ConfigError
from .backend import Backend, args_of
from .cuts import cut_off, spread, waits_of
from .trial import Trial


class PreparingContract(Backend):
    """Preflight and `prepare`."""

    async def test_preflight_accepts_good_settings_and_makes_nothing(self, trial: Trial) -> None:
        before = set(trial.directory.rglob("*"))
        await trial.within(type(trial.architect).assert_task_args(trial.args, trial.task))
        assert set(trial.directory.rglob("*")) == before
        await trial.assert_nothing_stands(trial.new_site())

    async def test_preflight_refuses_wrong_settings_by_their_names(
        self, trial: Trial, settings: dict[str, object]
    ) -> None:
        self.needs(bool(self.wrong_settings), "settings that preflight refuses: set `wrong_settings`")
        for key, wrong in self.wrong_settings.items():
            args = args_of(trial.architect, {**settings, **wrong})
            with pytest.raises(ConfigError) as refusal:
                await trial.within(type(trial.architect).assert_task_args(args, trial.task))
            assert key in {problem.key for problem in refusal.value.problems}

    async def test_preparing_makes_a_bundle_in_the_runs_directory_and_nothing_else(self, trial: Trial) -> None:
        site = trial.new_site()
        bundle = await trial.prepare(site)
        assert bundle.run_id == site.run_id
        assert bundle.directory.is_relative_to(site.directory)
        assert trial.journal(site).announced == []
        await trial.assert_nothing_stands(site)

    async def test_preparing_may_be_repeated(self, trial: Trial) -> None:
        site = trial.new_site()
        first = set((await trial.prepare(site)).files())
        second = await trial.prepare(site)
        assert set(second.files()) == first

    async def test_another_process_can_load_the_bundle(self, trial: Trial) -> None:
        site, bundle = await trial.prepared()
        loaded = await asyncio.to_thread(Bundle.load, site.directory)
        assert (loaded.run_id, loaded.start) == (site.run_id, bundle.start)

    async def test_preparing_that_was_cut_off_anywhere_may_be_repeated(self, trial: Trial) -> None:
        site = trial.new_site()
        whole, waits = await trial.within(waits_of(trial.architect.prepare(site)))
        files = set(whole.files())
        for wait in spread(waits, self.most_cuts):
            site = trial.new_site()
            await cut_off(trial.architect.prepare(site), wait, trial.patience)
            bundle = await trial.prepare(site)
            assert set(bundle.files()) == files
