"""What durability costs: the same with fsync, and with an fsync that does nothing (Debian's eatmydata, as a preload).

python tests/benchmarks/durability.py [LAUNCHES]

Submissions a second as tests/benchmarks/router.py counts them, and from `preparing` to `connected` of real launches, as their
stories tell it. The two take turns, so that both meet the same machine; of each the best and the median.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "question"
FALSEWORK = str(Path(sys.executable).with_name("falsework"))
ROUNDS = 3


def with_fsync() -> dict[str, str]:
    return dict(os.environ)


def without_fsync() -> dict[str, str]:
    library = ctypes.util.find_library("eatmydata")
    if library is None:
        sys.exit("needs libeatmydata: apt-get install eatmydata")
    return {**os.environ, "LD_PRELOAD": library}


def submissions_a_second(environment: dict[str, str]) -> float:
    command = [sys.executable, str(HERE / "router.py"), "submissions"]
    table = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    row = next(line for line in table.splitlines() if "submissions a second" in line)
    return float(row.split("|")[2].replace(",", ""))


def seconds_to_connected(environment: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory() as home:
        ours = {**environment, "FALSEWORK_HOME": home}
        launch = [FALSEWORK, "launch", str(EXAMPLE), "--bots", "1", "--json"]
        run_id = json.loads(subprocess.run(launch, env=ours, capture_output=True, check=True).stdout)["run_id"]
        show = [FALSEWORK, "show", run_id, "--json"]
        story = json.loads(subprocess.run(show, env=ours, capture_output=True, check=True).stdout)["story"]
    entered = {chapter["state"]: datetime.fromisoformat(chapter["entered"]) for chapter in story}
    return (entered["connected"] - entered["preparing"]).total_seconds()


def main() -> None:
    launches = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    ways = {"with fsync": with_fsync(), "without": without_fsync()}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, environment in ways.items():
            rates[name].append(submissions_a_second(environment))
    for _ in range(launches):
        for name, environment in ways.items():
            times[name].append(seconds_to_connected(environment))
    print(f"| | {' | '.join(ways)} |")
    print(
        "| durable submissions a second | "
        + " | ".join(f"{max(r):,.0f} ({statistics.median(r):,.0f})" for r in rates.values())
        + " |"
    )
    print(
        "| launch to connected, s | "
        + " | ".join(f"{min(t):.2f} ({statistics.median(t):.2f})" for t in times.values())
        + " |"
    )


if __name__ == "__main__":
    main()
