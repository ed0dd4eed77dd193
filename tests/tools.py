"""The programs that tests need and not every machine has. Whoever lacks one is skipped by `missing`, and by nothing else.

conftest.py counts what was skipped so in the last lines, by its reason; in CI it makes a failure of it.
"""

from __future__ import annotations

import shutil
from typing import NoReturn

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def missing(tool: str, cause: str = "") -> NoReturn:
    """Skip the test for want of this."""
    pytest.skip(f"no {tool} here{cause and f': {cause}'}")


def need(*programs: str) -> None:
    """Skip the test where one of these is not on the PATH."""
    for program in programs:
        if shutil.which(program) is None:
            missing(program)


def chromium() -> str:
    """The path of a Chromium; where there is none the test is skipped."""
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    return found or missing("chromium")
