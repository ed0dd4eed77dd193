"""The oldest versions that setup.cfg allows, as a constraints file for pip: `python .ci/oldest.py > oldest.txt`."""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SETUP = Path(__file__).parent.parent / "setup.cfg"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*>=\s*(?P<oldest>[\w.]+)(?P<others>\s*,.*)?")
OURSELVES = re.compile(r"falsework\[\w+\]")
FOR_DEVELOPERS = "dev"
"""The extra that nothing runs with: what checks and formats the code is always the newest."""


class NoLowerBoundError(ValueError):
    """A requirement that does not begin with `name >= version`, so that nobody knows with what it works."""


def oldest(setup: str) -> list[str]:
    """A line `name==version` for each requirement in the text of a setup.cfg. Raises NoLowerBoundError."""
    return sorted({_pinned(requirement) for requirement in requirements(setup)})


def requirements(setup: str) -> Iterator[str]:
    """What the package and its extras need, but for developers, and but for its own extras."""
    parser = configparser.ConfigParser()
    parser.read_string(setup)
    extras = parser["options.extras_require"]
    lists = [parser["options"]["install_requires"], *(extras[extra] for extra in extras if extra != FOR_DEVELOPERS)]
    for requirement in "\n".join(lists).splitlines():
        if requirement and not OURSELVES.fullmatch(requirement):
            yield requirement


def _pinned(requirement: str) -> str:
    found = REQUIREMENT.fullmatch(requirement)
    if found is None:
        raise NoLowerBoundError(f"setup.cfg: {requirement!r} has no lower bound; write `name >= version`")
    return f"{found['name']}=={found['oldest']}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(oldest(SETUP.read_text("utf-8"))) + "\n")
