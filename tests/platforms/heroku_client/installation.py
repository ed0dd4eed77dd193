"""Installs the client that package-lock.json names, once for each lock file, where every checkout finds it.

The place is `$FALSEWORK_TEST_CACHE`, else the user's cache directory; 400 MB. Two who install at once do not meet.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import platformdirs
import pytest

from ...tools import need

LOCKED = Path(__file__).parent
PATIENCE = 600.0
"""Seconds for npm, with nothing in its own cache."""


def installed_client() -> Path:
    """The script that node runs. Without node or npm the test is skipped."""
    need("node", "npm")
    place = _cache() / f"heroku-{_fingerprint()}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _install(place)
    return place / "node_modules" / "heroku" / "bin" / "run.js"


def _cache() -> Path:
    chosen = os.environ.get("FALSEWORK_TEST_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("falsework-tests")


def _fingerprint() -> str:
    return hashlib.sha256((LOCKED / "package-lock.json").read_bytes()).hexdigest()[:12]


def _install(place: Path) -> None:
    making = place.with_suffix(".part")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKED / name, making)
    command = ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    npm = subprocess.run(command, cwd=making, capture_output=True, text=True, timeout=PATIENCE)
    if npm.returncode != 0:
        pytest.fail(f"npm could not install the heroku client:\n{npm.stderr[-2000:]}")
    making.rename(place)
