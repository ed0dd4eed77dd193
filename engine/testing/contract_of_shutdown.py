"""The contract's sentences about taking down: from everywhere, everything, and nothing else."""

from __future__ import annotations

from .another_process import shut_down_in_another_process
from .backend import Backend
from .trial import Trial


class ShutdownContract(Backend):
    """`shutdown` and `remains`."""

    async def test_shutting_down_before_anything_is_quiet(self, trial: Trial) -> None:
        site = trial.new_site()
        await trial.shutdown(site)
        await trial.assert_nothing_stands(site)

    async def test_shutting_down_after_preparing_is_quiet(self, trial: Trial) -> None:
        site, _ = await trial.prepared()
        await trial.shutdown(site)
        await trial.assert_nothing_stands(site)

    async def test_shutting_down_leaves_nothing_of_what_was_deployed(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.shutdown(site)
        await trial.assert_nothing_stands(site)

    async def test_what_is_gone_is_forgotten(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.shutdown(site)
        assert trial.journal(site).standing() == []

    async def test_shutting_down_twice_is_quiet(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.shutdown(site)
        await trial.shutdown(site)

    async def test_gone_is_success(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.within(self.destroy(site))
        await trial.shutdown(site)
        await trial.assert_nothing_stands(site)

    async def test_what_does_not_answer_is_taken_down(self, trial: Trial) -> None:
        site = await trial.up()
        await trial.within(self.silence(site))
        await trial.shutdown(site)
        await trial.assert_nothing_stands(site)

    async def test_another_instance_takes_it_down_from_what_is_recorded(self, trial: Trial) -> None:
        self.needs(self.outlives_its_process, "its servers are one instance's, in memory")
        site = trial.taken_up(await trial.up())
        await trial.shutdown(site, type(trial.architect)())
        await trial.assert_nothing_stands(site)

    async def test_another_process_takes_it_down_from_the_ledger(
        self, trial: Trial, settings: dict[str, object]
    ) -> None:
        self.needs(self.outlives_its_process, "its servers are in this process's memory")
        site = await trial.up()
        recorded, directory = trial.journal(site).standing(), trial.directory
        left = await trial.within(shut_down_in_another_process(trial.architect, site, recorded, settings, directory))
        assert left == []
        trial.journal(site).forget_all()
        await trial.presence(site)  # a process that made it looks once more, and so lets go of its child
        await trial.assert_nothing_stands(trial.taken_up(site))

    async def test_another_run_survives(self, trial: Trial) -> None:
        survivor, site = await trial.up(), await trial.up()
        await trial.shutdown(site)
        await trial.assert_up(survivor)

    async def test_what_somebody_else_made_survives(self, trial: Trial) -> None:
        site = await trial.up()
        async with self.foreign(site) as still_stands:
            await trial.shutdown(site)
            assert await still_stands()
        await trial.assert_nothing_stands(site)

    async def test_what_remains_outlives_the_server(self, trial: Trial) -> None:
        site = await trial.up()
        remains = trial.architect.remains(site)
        self.needs(remains is not None, "nothing of its server remains on this machine")
        assert remains is not None
        (remains / "kept").write_text("not fetched yet")
        await trial.shutdown(site)
        assert trial.architect.remains(site) == remains
        assert (remains / "kept").read_text() == "not fetched yet"
