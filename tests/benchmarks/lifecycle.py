"""What the engine itself costs: runs on a do-nothing architect, side by side in one process, with a durable ledger.

python tests/benchmarks/lifecycle.py [RUNS]
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Site
from falsework.engine.ledger.ledger import Ledger, RunRecord
from falsework.engine.ledger.owner import Owner
from falsework.engine.lifecycle.states import State
from falsework.engine.run.hands import Hands
from falsework.engine.run.run import Run
from falsework.engine.settings.sections import LifecycleArgs
from falsework.engine.testing import IdleArchitect


async def live_once(ledger: Ledger, home: Path, run_id: str) -> None:
    directory = home / run_id
    directory.mkdir()
    record = RunRecord(run_id, "idle", directory, directory / "task.yaml", Owner.this_process())
    await ledger.create(record)
    site = Site(run_id, None, SimpleNamespace(), directory, "token", logging.getLogger("bench"))  # type: ignore[arg-type]
    run = Run(Hands(IdleArchitect(), site), ledger, LifecycleArgs())
    await run.deploy(await run.prepare())
    await run.connect(Ears())
    await run.shutdown("the benchmark is over")
    assert run.state is State.SHUT_DOWN


async def side_by_side(runs: int) -> float:
    with tempfile.TemporaryDirectory() as home:
        ledger = Ledger.at(Path(home) / "ledger.db")
        start = time.perf_counter()
        await asyncio.gather(*(live_once(ledger, Path(home), f"run-{number}") for number in range(runs)))
        took = time.perf_counter() - start
        assert len(ledger.runs(ended=True)) == runs
        await ledger.close()
    return took


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    best = min(asyncio.run(side_by_side(runs)) for _ in range(3))
    print(f"| {runs} runs on a do-nothing architect, side by side, durable | {best:.2f} s |")


if __name__ == "__main__":
    main()
