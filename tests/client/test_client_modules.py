"""The pure parts of falsework.js, run by Node's own test runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..tools import need

HERE = Path(__file__).parent


def test_the_pure_parts_of_the_client_do_as_they_promise() -> None:
    need("node")
    tests = sorted(str(path) for path in HERE.glob("*.test.mjs"))
    command = ["node", "--import", str(HERE / "as_modules.mjs"), "--test", *tests]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
