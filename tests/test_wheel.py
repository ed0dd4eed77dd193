"""The wheel is what users get: it holds all that git tracks of the packages, and does the main job with nothing else there."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest

from .tools import need

SOURCES = Path(__file__).parents[1]
PACKAGES = ("architects", "engine", "examples", "router")
LAUNCH_SECONDS = 90

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(*command: str | Path, **options: object) -> str:
    """What a command says; its own words are in the failure when it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if result.returncode:
        pytest.fail(f"{command} exited {result.returncode}:\n{result.stdout}\n{result.stderr}", pytrace=False)
    return str(result.stdout)


def tracked() -> list[str]:
    """The files that git tracks or would, so that a leftover build/ or .venv/ is not taken for source."""
    need("git")
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=SOURCES).split("\0")
    return [name for name in listed if name and (SOURCES / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(SOURCES / name, copy / name)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", built, copy)
    (path,) = built.glob("falsework-*.whl")
    return path


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of commands of an environment that holds the wheel and what it asks for."""
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    run(sys.executable, "-m", "pip", "--python", environment / "bin/python", "install", "--quiet", wheel)
    return environment / "bin"


@pytest.fixture
def elsewhere(tmp_path: Path, installed: Path) -> dict[str, object]:
    """A directory and an environment variable or two: nothing there leads back to the sources."""
    environment = {
        "FALSEWORK_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PATH": f"{installed}:/usr/bin:/bin",
        "PYTEST_CURRENT_TEST": os.environ["PYTEST_CURRENT_TEST"],  # so that the guard knows what it starts
        "TMPDIR": os.environ["TMPDIR"],
    }
    return {"cwd": tmp_path, "env": environment, "timeout": LAUNCH_SECONDS}


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_that_git_tracks_of_a_package_is_in_the_wheel(contents: set[str], package: str) -> None:
    wanted = {f"falsework/{name}" for name in tracked() if name.startswith(f"{package}/")}
    assert wanted - contents == set()


def test_nothing_else_is_in_the_wheel(contents: set[str]) -> None:
    shipped = {name for name in contents if ".dist-info/" not in name}
    assert shipped - {f"falsework/{name}" for name in tracked()} == set()
    assert {name.split("/")[1] for name in shipped} == set(PACKAGES)


@pytest.mark.parametrize("package", ["architects", "engine", "router"])
def test_type_checkers_may_read_it(contents: set[str], package: str) -> None:
    assert f"falsework/{package}/py.typed" in contents


def test_the_command_and_the_architects_are_entry_points(wheel: Path, contents: set[str]) -> None:
    (name,) = (name for name in contents if name.endswith(".dist-info/entry_points.txt"))
    entry_points = configparser.ConfigParser(delimiters="=")
    with ZipFile(wheel) as archive:
        entry_points.read_string(archive.read(name).decode())
    assert dict(entry_points["console_scripts"]) == {"falsework": "falsework.engine.cli:main"}
    assert entry_points["falsework.architects"]["local"] == "falsework.architects.local.architect:LocalArchitect"


def test_the_sources_are_out_of_reach(installed: Path, elsewhere: dict[str, object]) -> None:
    script = "import falsework.engine, falsework.architects, falsework.router; print(falsework.engine.__file__)"
    found = run(installed / "python", "-I", "-c", script, **elsewhere)
    assert Path(found).is_relative_to(installed.parent)


def test_it_tells_its_version_and_how_to_use_it(elsewhere: dict[str, object]) -> None:
    assert version("falsework") in run("falsework", "--version", **elsewhere)
    assert "launch" in run("falsework", "--help", **elsewhere)


def test_a_new_task_launches_as_it_is_and_comes_down(elsewhere: dict[str, object]) -> None:
    run("falsework", "new", "task", **elsewhere)
    run("falsework", "launch", "task", "--bots", "3", "--json", **elsewhere)
    runs = json.loads(run("falsework", "ps", "--all", "--json", **elsewhere))
    assert [row["state"] for row in runs] == ["shut_down"]


def test_the_packaged_examples_launch_and_come_down(installed: Path, elsewhere: dict[str, object]) -> None:
    script = "from importlib.resources import files; print(files('falsework.examples'))"
    examples = Path(run(installed / "python", "-I", "-c", script, **elsewhere).strip())
    tasks = sorted(examples.glob("*/task.yaml"))
    assert {task.parent.name for task in tasks} >= {"caption", "chat"}
    for task in tasks:
        run("falsework", "launch", task, "--bots", "3", "--json", **elsewhere)
    runs = json.loads(run("falsework", "ps", "--all", "--json", **elsewhere))
    assert [row["state"] for row in runs] == ["shut_down"] * len(tasks)
