"""Chaos on real processes: launches whose launcher, router or whole server is killed, frozen or stopped at random moments.

    python tests/chaos.py --minutes 1 [--seed N]

Round after round a crowd works through a run while one thing after another happens to it; then the run ends in one of the
ways in which runs end. After each round every answer that a worker was told is safe is in the store, once, and nothing of
the run is left on the machine. The seed is printed first, and decides everything but the machine's own timing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from engine.launching import processes_of
from engine.storm import Victim, assert_nothing_lost, storm

Blow = Callable[[Victim, Random], Awaitable[None]]


# What happens to a run that goes on


async def kill_launcher_and_resume(victim: Victim, random: Random) -> None:
    await victim.kill_driver()
    await asyncio.sleep(random.random())
    await victim.resume()


async def kill_launcher_collect_and_resume(victim: Victim, random: Random) -> None:
    await victim.kill_driver()
    await asyncio.sleep(random.random())
    await victim.command("collect", victim.run_id, "--json")
    await victim.resume()


async def kill_launcher_and_whoever_resumes_it_at_once(victim: Victim, random: Random) -> None:
    await victim.kill_driver()
    for _ in range(random.randint(1, 3)):
        process = await victim.start("resume", victim.run_id)
        await asyncio.sleep(random.random() * 1.2)
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
    await victim.resume()


async def kill_router(victim: Victim, random: Random) -> None:
    victim.kill_router()


async def kill_router_and_launcher(victim: Victim, random: Random) -> None:
    victim.kill_router()
    await kill_launcher_and_resume(victim, random)


async def freeze_server(victim: Victim, random: Random) -> None:
    frozen = processes_of(victim.run_id)
    _signal(frozen, signal.SIGSTOP)
    await asyncio.sleep(random.random() * 3)
    _signal(frozen, signal.SIGCONT)


# How a run ends


async def until_all_is_done(victim: Victim, random: Random) -> None:
    assert await victim.ended() == 0, victim.lines[-20:]


async def interrupt(victim: Victim, random: Random) -> None:
    assert await victim.interrupt() in (0, 130), victim.lines[-20:]


async def kill_launcher_and_sweep(victim: Victim, random: Random) -> None:
    await victim.kill_driver()
    await victim.command("sweep", "--yes", "--json")


async def kill_launcher_and_sweeps(victim: Victim, random: Random) -> None:
    await victim.kill_driver()
    for _ in range(random.randint(1, 3)):
        process = await victim.start("sweep", "--yes")
        await asyncio.sleep(random.random() * 1.2)
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
    await victim.command("sweep", "--yes", "--json")


async def kill_launcher_and_shut_down(victim: Victim, random: Random) -> None:
    await victim.kill_driver()
    await victim.command("shutdown", victim.run_id, "--json")


async def kill_launcher_on_its_way_down(victim: Victim, random: Random) -> None:
    ending = asyncio.create_task(victim.interrupt())
    await asyncio.sleep(random.random() * 0.3)
    with suppress(ProcessLookupError):
        await victim.kill_driver()
    await ending
    await victim.command("sweep", "--yes", "--json")


async def kill_whole_server(victim: Victim, random: Random) -> None:
    victim.kill_server()
    assert await victim.ended() in (0, 1), victim.lines[-20:]


BLOWS: tuple[Blow, ...] = (
    kill_launcher_and_resume,
    kill_launcher_collect_and_resume,
    kill_launcher_and_whoever_resumes_it_at_once,
    kill_router,
    kill_router_and_launcher,
    freeze_server,
)
ENDS: tuple[Blow, ...] = (
    until_all_is_done,
    interrupt,
    kill_launcher_and_sweep,
    kill_launcher_and_sweeps,
    kill_launcher_and_shut_down,
    kill_launcher_on_its_way_down,
    kill_whole_server,
)


async def one_round(random: Random, done: Counter[str]) -> None:
    """One run, from its launch to a clean machine."""
    workers = random.randint(20, 120)
    blows = random.choices(BLOWS, k=random.randint(1, 4))
    end = random.choice(ENDS)
    print(f"{workers} workers: {', '.join(_words(one) for one in (*blows, end))}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        async with storm(Path(directory), workers, at_once=20) as (victim, crowd):
            for number, blow in enumerate(blows, start=1):
                await crowd.has_handed_in(number * workers // (len(blows) + 2))
                if victim.has_ended():
                    break
                await _happen(blow, victim, random, done)
            if not victim.has_ended():
                await _happen(end, victim, random, done)
            await crowd.end()
            await victim.command("sweep", "--yes", "--json")  # for one that was killed on its way down
            await victim.assert_clean()
            assert_nothing_lost(victim, crowd)
            done.update({"answers that were told safe": len(crowd.told), "rounds": 1})


async def _happen(blow: Blow, victim: Victim, random: Random, done: Counter[str]) -> None:
    await blow(victim, random)
    done[_words(blow)] += 1


def _words(blow: Blow) -> str:
    return blow.__name__.replace("_", " ")


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args()
    seed = Random().randrange(1 << 32) if chosen.seed is None else chosen.seed
    print(f"seed {seed}", flush=True)
    random, done = Random(seed), Counter[str]()
    until = time.monotonic() + 60 * chosen.minutes
    while time.monotonic() < until:
        asyncio.run(one_round(random, done))
    for words, count in sorted(done.items()):
        print(f"{count:6}  {words}")
    print("nothing lost, nothing doubled, nothing left")


if __name__ == "__main__":
    sys.exit(main())
