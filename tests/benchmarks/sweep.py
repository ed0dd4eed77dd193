"""From kill -9 of the launcher to a clean machine: one run that served workers, then many dead runs at once.

python tests/benchmarks/sweep.py [RUNS] [SERVING]

Of the RUNS (500) dead ones SERVING (20) were real launches of an example, killed when they were connected; the others died
while deploying: their server's process stands, marked as falsework marks it, but is only a sleeping one, since hundreds of
routers would need more memory than a laptop has. Each directory, ledger entry and process is real, and so is the sweep.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from falsework.architects.machine import process
from falsework.engine.contract.architect import Resource
from falsework.engine.ledger.ledger import Ledger, RunRecord, Step
from falsework.engine.ledger.owner import Owner
from falsework.engine.lifecycle.states import State, Trigger

EXAMPLE = Path(__file__).parents[2] / "examples" / "question"
FALSEWORK = str(Path(sys.executable).with_name("falsework"))
WAY = (
    (Trigger.PREPARE, State.CONFIGURED, State.PREPARING),
    (Trigger.SUCCEEDED, State.PREPARING, State.PREPARED),
    (Trigger.DEPLOY, State.PREPARED, State.DEPLOYING),
)


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FALSEWORK_HOME": str(home)}
    return subprocess.run([FALSEWORK, *arguments], env=environment, capture_output=True, text=True, check=True)


def killed_while_serving(home: Path, runs: int) -> None:
    """Launch, wait until workers could come, kill -9."""
    for begun in range(0, runs, 4):
        launchers = [_launcher(home) for _ in range(min(4, runs - begun))]
        for launcher in launchers:
            assert launcher.stderr is not None
            while b"open for work" not in launcher.stderr.readline():
                pass
            launcher.send_signal(signal.SIGKILL)
        for launcher in launchers:
            launcher.communicate()


def _launcher(home: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "FALSEWORK_HOME": str(home)}
    return subprocess.Popen(
        [FALSEWORK, "launch", str(EXAMPLE)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


async def killed_while_deploying(home: Path, runs: int) -> list[int]:
    """What a launcher leaves that dies after it started the server and before it heard that it is ready."""
    owner = Owner(Owner.this_process().host, _orphan("nobody", "true"), time.time())
    ledger = Ledger.at(home / "ledger.db")
    try:
        return list(await asyncio.gather(*(_half_made(ledger, home, owner, f"half-{n:06x}") for n in range(runs))))
    finally:
        await ledger.close()


async def _half_made(ledger: Ledger, home: Path, owner: Owner, run_id: str) -> int:
    directory = home / "runs" / run_id
    directory.mkdir(mode=0o700, parents=True)
    shutil.copyfile(EXAMPLE / "task.yaml", directory / "task.yaml")
    (directory / "units.jsonl").write_text("{}\n")
    await ledger.create(RunRecord(run_id, "local", directory, EXAMPLE / "task.yaml", owner))
    for trigger, source, dest in WAY:
        await ledger.record(run_id, Step(time.time(), trigger, source, dest))
    await ledger.record_resource(run_id, Resource("process", run_id), True)
    pid = _orphan(run_id)
    started = psutil.Process(pid).create_time()
    await ledger.record_resource(run_id, Resource("process", run_id, {"pid": pid, "started": started}), True)
    return pid


def _orphan(run_id: str, command: str = "sleep 600") -> int:
    """A sleeping process that is nobody's child, as a server is whose launcher was killed; its process id."""
    environment = {**os.environ, "FALSEWORK_RUN_ID": run_id}
    shell = ["sh", "-c", f"setsid {command} >/dev/null 2>&1 & echo $!"]
    return int(subprocess.run(shell, env=environment, capture_output=True, check=True).stdout)


def swept(home: Path, runs: int) -> float:
    """Seconds that `falsework sweep --yes` takes, start of the interpreter included; checks that the machine is clean."""
    start = time.perf_counter()
    result = json.loads(command(home, "sweep", "--yes", "--json").stdout)
    took = time.perf_counter() - start
    assert not result["failed"], result
    assert len(result["down"]) == runs, result
    return took


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    serving = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    os.environ.pop("FALSEWORK_LEDGER", None)
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        killed_while_serving(home, 1)
        print(f"| sweep of one run that served, from the command to a clean machine | {swept(home, 1):.2f} s |")
        killed_while_serving(home, serving)
        servers = asyncio.run(killed_while_deploying(home, runs - serving))
        took = swept(home, runs)
        print(f"| sweep of {runs} dead runs, {serving} of which served | {took:.1f} s |")
        assert not any(map(process.runs, servers))
        ours = {path.name for path in (home / "runs").iterdir()}
        assert not [found for found in process.marked() if found.run_id in ours]


if __name__ == "__main__":
    main()
