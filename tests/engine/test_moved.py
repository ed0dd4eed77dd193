"""What was written for 0.1.0 is told where things are now: each module of it is still there, or its import says where."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTED = [line.split() for line in Path(__file__).with_name("modules_of_0_1_0.txt").read_text("utf-8").splitlines()]
"""Every module of 0.1.0; after one whose name is a package's today stand its public names."""
MODULES = [module for module, *_ in LISTED]
NAMES = [(module, name) for module, *names in LISTED for name in names]
ERROR = re.compile(r"(\S+) is a place of 0\.1\.0; what was there is now in (\S+)")


def new_place(error: ImportError, old: str) -> str:
    """The place that an error names, after making sure that it speaks of `old`."""
    told = ERROR.fullmatch(str(error))
    assert told is not None, str(error)
    assert (told[1], error.name) == (old, old)
    return told[2]


def test_every_module_of_the_old_version_is_listed() -> None:
    assert len(set(MODULES)) == 177
    assert all(
        module.startswith(("falsework.engine", "falsework.architects", "falsework.router")) for module in MODULES
    )


@pytest.mark.parametrize("old", MODULES)
def test_an_old_module_is_there_or_its_import_names_the_new_place(old: str) -> None:
    try:
        found = find_spec(old)
    except ImportError as error:
        found = find_spec(new_place(error, old))
    assert found is not None


@pytest.mark.parametrize("old", ["falsework.engine.architect", "falsework.architects.process"])
def test_importing_an_old_module_from_its_package_says_as_much(old: str) -> None:
    package, _, module = old.rpartition(".")
    with pytest.raises(ImportError) as raised:
        exec(f"from {package} import {module}")
    assert new_place(raised.value, old)


@pytest.mark.parametrize("package, name", NAMES)
def test_a_name_of_a_module_that_is_a_package_today_has_a_new_place(package: str, name: str) -> None:
    with pytest.raises(ImportError) as raised:
        exec(f"from {package} import {name}")
    assert hasattr(importlib.import_module(new_place(raised.value, f"{package}.{name}")), name)


@pytest.mark.parametrize("missing", ["falsework.engine.nothing", "falsework.router.nothing"])
def test_what_never_was_is_missed_as_ever(missing: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"No module named '{missing}'"):
        importlib.import_module(missing)


def test_a_name_that_never_was_is_missed_as_ever() -> None:
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'falsework.engine.run'"):
        exec("from falsework.engine.run import nothing")


def test_no_module_is_loaded_before_the_first_import_of_an_old_place_but_the_tables() -> None:
    script = (
        "import sys, falsework.engine, falsework.architects; print(*sorted(m for m in sys.modules if 'falsework' in m))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    ours = [module for module in loaded if module.startswith("falsework")]
    assert ours == [
        "falsework",
        "falsework.architects",
        "falsework.architects.moved",
        "falsework.engine",
        "falsework.engine.errors",
        "falsework.engine.moved",
        "falsework.router",
        "falsework.router.wire",
        "falsework.router.wire.moved",
    ]


def test_a_router_that_runs_alone_tells_it_without_the_namespace() -> None:
    command = [sys.executable, "-c", "import router.protocol"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "router.protocol is a place of 0.1.0; what was there is now in router.wire.protocol" in result.stderr
