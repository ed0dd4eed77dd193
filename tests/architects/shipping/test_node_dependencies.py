"""What a server on Node depends on: installed once, whole or not at all, whoever else installs, whoever dies."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from falsework.architects.machine import process
from falsework.architects.shipping import node_dependencies
from falsework.architects.shipping.node_binary import Node
from falsework.architects.shipping.node_dependencies import (
    are_installed,
    everything,
    install,
    link_tree,
    what_runs,
)
from falsework.engine.errors import PrepareFailed

LOG = logging.getLogger("test")
LIKE_NPM = """
import os, pathlib, sys, time
with open({calls!r}, "a") as calls:
    print(os.environ["FALSEWORK_RUN_ID"], *sys.argv[1:], file=calls)
package = pathlib.Path("node_modules/package")
(package / "test").mkdir(parents=True)
for name in ("index.js", "index.d.ts", "index.js.map", "README.md", "LICENSE", "test/it.js"):
    (package / name).write_text(pathlib.Path("package-lock.json").read_text())
{end}
"""
SUCCEEDS, FAILS, HANGS = "print('done')", "sys.exit('no network\\nnothing to be done')", "time.sleep(600)"
Npm = Callable[[str], Node]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with a lock file."""
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "package.json").write_text("{}")
    (directory / "package-lock.json").write_text("one")
    return directory


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """What npm was called with, a line each."""
    return tmp_path / "calls"


@pytest.fixture
def npm(tmp_path: Path, calls: Path) -> Npm:
    """Makes a Node whose npm writes down how it is called, installs one package, and ends as it is told."""

    def make(end: str) -> Node:
        script = tmp_path / "npm.py"
        script.write_text(LIKE_NPM.format(calls=str(calls), end=end))
        return Node(Path(sys.executable), "20.0.0", (sys.executable, str(script)))

    return make


def files_in(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


async def test_what_is_locked_is_installed_once(
    home: Path, source: Path, npm: Npm, calls: Path, run_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert not are_installed(source)
    modules = await install(source, npm(SUCCEEDS), run_id=run_id, log=LOG)
    assert modules.is_relative_to(home)
    assert (modules / "package" / "index.js").read_text() == "one"
    assert are_installed(source)
    assert await install(source, npm(FAILS), run_id=run_id, log=LOG) == modules
    (call,) = calls.read_text().splitlines()
    assert call.startswith(f"{run_id} ci --omit=dev --ignore-scripts")
    assert [record.message for record in caplog.records][0].startswith("installing the server's Node packages")
    assert [record.message for record in caplog.records][-1].startswith("installed the server's Node packages in")


async def test_another_lock_file_is_another_installation(home: Path, source: Path, npm: Npm, run_id: str) -> None:
    first = await install(source, npm(SUCCEEDS), run_id=run_id, log=LOG)
    (source / "package-lock.json").write_text("two")
    second = await install(source, npm(SUCCEEDS), run_id=run_id, log=LOG)
    assert [(modules / "package" / "index.js").read_text() for modules in (first, second)] == ["one", "two"]


async def test_of_two_at_once_one_installs_and_the_other_waits(
    home: Path, source: Path, npm: Npm, calls: Path, run_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node = npm(SUCCEEDS)
    one, other = await asyncio.gather(*(install(source, node, run_id=run_id, log=LOG) for _ in range(2)))
    assert one == other
    assert len(calls.read_text().splitlines()) == 1
    assert "another process is installing the server's packages; waiting for it" in caplog.messages


async def test_what_never_runs_is_left_out_where_that_is_asked_for(
    home: Path, source: Path, npm: Npm, run_id: str
) -> None:
    whole = await install(source, npm(SUCCEEDS), run_id=run_id, log=LOG, keeps=everything)
    slim = await install(source, npm(SUCCEEDS), run_id=run_id, log=LOG, keeps=what_runs)
    assert files_in(slim) == ["package/LICENSE", "package/index.js"]
    assert len(files_in(whole)) == 6


async def test_a_failed_installation_leaves_nothing_and_says_why(
    home: Path, source: Path, npm: Npm, run_id: str
) -> None:
    with pytest.raises(
        PrepareFailed, match=r"exit status 1.*reach its registry(?s:.*)no network\n  nothing to be done"
    ):
        await install(source, npm(FAILS), run_id=run_id, log=LOG)
    assert not are_installed(source)
    assert [path.suffix for path in (home / "node-dependencies").iterdir()] == [".lock"]
    await install(source, npm(SUCCEEDS), run_id=run_id, log=LOG)


async def test_an_npm_that_cannot_be_run_is_a_failure_too(home: Path, source: Path, run_id: str) -> None:
    with pytest.raises(PrepareFailed, match="has no npm"):
        await install(source, Node(Path("node"), "20.0.0", ()), run_id=run_id, log=LOG)
    with pytest.raises(PrepareFailed, match="/no/such/npm"):
        await install(source, Node(Path("node"), "20.0.0", ("/no/such/npm",)), run_id=run_id, log=LOG)


async def test_cancelling_ends_npm_and_leaves_nothing(
    home: Path, source: Path, npm: Npm, calls: Path, run_id: str
) -> None:
    installing = asyncio.create_task(install(source, npm(HANGS), run_id=run_id, log=LOG))
    async with asyncio.timeout(20):
        while not calls.exists() or not process.find(run_id):  # noqa: ASYNC110  (it is another process)
            await asyncio.sleep(0.01)
    installing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await installing
    assert process.find(run_id) == []
    assert [path.suffix for path in (home / "node-dependencies").iterdir()] == [".lock"]


async def test_what_a_killed_process_left_half_made_goes_with_the_next_installation(
    home: Path, source: Path, npm: Npm, run_id: str
) -> None:
    (home / "node-dependencies").mkdir()
    modules = await install(source, npm(SUCCEEDS), run_id=run_id, log=LOG)
    half_made = modules.parent.with_name(f".{modules.parent.name}-dead")
    modules.parent.rename(half_made)
    await install(source, npm(SUCCEEDS), run_id=run_id, log=LOG)
    assert not half_made.exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_linked_tree_is_the_same_without_links_and_hidden_files(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "modules"
    (source / "@scope" / "package").mkdir(parents=True)
    (source / "@scope" / "package" / "index.js").write_text("code")
    (source / ".bin").mkdir()
    (source / "link").symlink_to(source / "@scope")
    if not links:
        monkeypatch.setattr(node_dependencies.os, "link", _across_file_systems)
    link_tree(source, tmp_path / "copy")
    assert files_in(tmp_path / "copy") == ["@scope/package/index.js"]
    linked = (tmp_path / "copy" / "@scope" / "package" / "index.js").stat().st_nlink == 2
    assert linked is links


def _across_file_systems(source: str, target: str) -> None:
    raise OSError(18, "Invalid cross-device link")
