"""`push: git`: the same bundle, another way."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.architects.heroku.build import pack
from falsework.architects.heroku.push import REPOSITORY
from falsework.engine.contract.architect import Presence, Site
from falsework.engine.contract.bundle import Bundle, BundleError
from falsework.engine.errors import DeployFailed, TransientError

from ...engine.serving import soon
from ...platforms.heroku import HerokuPlatform
from .trials import (  # noqa: F401
    app_of,
    args,
    assert_down,
    new_site,
    platform,
    up,
)

# ruff: noqa: F811  (pytest's fixtures)

pytestmark = pytest.mark.slow

PUSH = ["GET /{app}.git/info/refs", "POST /{app}.git/git-receive-pack"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path, push="git")


async def take_down(platform: HerokuPlatform, site: Site) -> None:
    await HerokuArchitect().shutdown(site)
    await assert_down(platform, site)
    assert not platform.apps
    assert not (site.directory / REPOSITORY).exists()


async def test_exactly_the_sealed_files_are_pushed(platform: HerokuPlatform, site: Site) -> None:
    await up(site)
    assert await HerokuArchitect().probe(site) is Presence.UP
    bundle = Bundle.load(site.directory)
    await asyncio.to_thread(bundle.verify)
    slug = app_of(platform, site).slug
    assert slug is not None
    shipped = {path.relative_to(slug).as_posix() for path in slug.rglob("*") if path.is_file()}
    assert shipped == set(bundle.files())
    await take_down(platform, site)


async def test_what_the_user_told_git_changes_nothing(
    platform: HerokuPlatform, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("pre-commit", "pre-push"):
        (hooks / hook).write_text("#!/bin/sh\nexit 1\n")
        (hooks / hook).chmod(0o755)
    config = f"[core]\n\thooksPath = {hooks}\n\tautocrlf = true\n[commit]\n\tgpgSign = true\n"
    (tmp_path / ".gitconfig").write_text(config)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere" / "index"))
    await up(site)
    await take_down(platform, site)


async def test_the_token_is_on_no_command_line_and_in_no_file(platform: HerokuPlatform, site: Site) -> None:
    platform.builds.script(seconds=0.3)
    deploying = asyncio.create_task(up(site))
    await soon(lambda: bool(platform.builds.all))
    seen = {command for command in command_lines() if "git" in command and str(site.directory) in command}
    await deploying
    assert any("push" in command for command in seen)
    assert not [command for command in seen if platform.token in command]
    for path in site.directory.rglob("*"):
        assert not path.is_file() or platform.token.encode() not in path.read_bytes()
    await take_down(platform, site)


async def test_a_build_that_fails_is_told_with_its_last_lines(platform: HerokuPlatform, site: Site) -> None:
    platform.builds.script("No matching distribution found for tide", fails=True)
    with pytest.raises(DeployFailed, match="No matching distribution found for tide"):
        await up(site)
    await take_down(platform, site)


async def test_a_push_whose_answer_is_lost_is_not_lost(platform: HerokuPlatform, site: Site) -> None:
    platform.faults.inject(PUSH[1], drop="after", skip=1)
    platform.faults.inject(PUSH[1], drop="after")
    await up(site)
    await take_down(platform, site)


@pytest.mark.parametrize("endpoint", PUSH)
@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": "before"}], ids=["503", "lost"])
async def test_a_push_that_does_not_arrive_is_worth_another_attempt(
    platform: HerokuPlatform, site: Site, endpoint: str, fault: dict[str, object]
) -> None:
    platform.faults.inject(endpoint, times=None, **fault)
    with pytest.raises(TransientError, match="did not arrive; git's last lines:\n  "):
        await up(site)
    platform.faults.clear()
    await take_down(platform, site)


async def test_a_push_that_is_cancelled_leaves_no_git(platform: HerokuPlatform, site: Site) -> None:
    platform.builds.script(seconds=60)
    deploying = asyncio.create_task(up(site))
    await soon(lambda: bool(platform.builds.all))
    deploying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deploying
    await soon(lambda: not [command for command in command_lines() if str(site.directory) in command])
    await take_down(platform, site)


async def test_the_archive_of_a_bundle_is_the_same_each_time_and_holds_exactly_its_files(
    platform: HerokuPlatform, site: Site, tmp_path: Path
) -> None:
    bundle = await HerokuArchitect().prepare(site)
    bundle.seal()
    first, second = tmp_path / "1.tar.gz", tmp_path / "2.tar.gz"
    pack(bundle, first)
    for path in bundle.directory.rglob("*"):
        os.utime(path, (0, 0))
    pack(bundle, second)
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        packed = {entry.name: entry for entry in archive}
        assert packed.keys() == bundle.files().keys()
        assert {(entry.mode, entry.uid) for entry in packed.values()} == {(0o644, 0)}


async def test_a_bundle_that_was_changed_is_not_shipped_and_nothing_is_made(
    platform: HerokuPlatform, site: Site
) -> None:
    architect = HerokuArchitect()
    bundle = await architect.prepare(site)
    bundle.seal()
    (bundle.directory / "start.sh").write_text("exit 0\n")
    with pytest.raises(BundleError, match=r"changed: start\.sh"):
        await architect.deploy(site, bundle)
    assert not platform.apps


@pytest.mark.parametrize("push", ["git"])
async def test_preflight_wants_git(
    platform: HerokuPlatform, site: Site, push: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Exception, match=r"architect\.push: there is no git here"):
        await HerokuArchitect.assert_task_args(args(push=push), site.task)


def command_lines() -> set[str]:
    """What runs on this machine, each with its arguments."""
    ended = subprocess.run(["ps", "-eo", "args", "-ww"], capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines())
