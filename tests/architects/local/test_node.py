"""`router: node`: the same life as with the router in Python, its packages in the bundle, and no network needed for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from falsework.architects.local.architect import LocalArchitect
from falsework.architects.shipping.node_binary import Node
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Presence, Site
from falsework.engine.contract.bundle import Bundle, BundleChanged
from falsework.engine.errors import PrepareFailed

from ...tools import missing
from ..conftest import TOKEN, up
from ..shipping.node_installed import node_home  # noqa: F401

OFFLINE = Path(__file__).parents[1] / "shipping" / "offline_launch.py"
IN_A_NAMESPACE = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--net", "--map-root-user")

pytestmark = pytest.mark.slow


@pytest.fixture
def architect(node_home: Node, site: Site) -> LocalArchitect:  # noqa: F811
    site.args = replace(site.args, router="node")
    return LocalArchitect()


async def connect(architect: LocalArchitect, site: Site) -> None:
    (channel,) = architect.get_channels(site, Ears())
    await channel.open(20.0, 20.0)
    await channel.close()


@pytest.mark.decisive
async def test_it_goes_up_serves_its_pages_takes_its_launcher_and_comes_down(
    architect: LocalArchitect, site: Site
) -> None:
    bundle = await architect.prepare(site)
    site.url = await architect.deploy(site, bundle)
    assert await architect.probe(site) is Presence.UP
    await connect(architect, site)
    async with aiohttp.ClientSession(site.url) as session:
        for path, content in {"/": "<p>Hello</p>", "/falsework.js": "export"}.items():
            async with session.get(path) as answer:
                assert answer.status == 200
                assert content in await answer.text()
    (left,) = [leftover for leftover in await architect.leftovers() if leftover.run_id == site.run_id]
    assert TOKEN not in left.detail
    await architect.shutdown(site)
    assert await architect.probe(site) is Presence.GONE
    assert "launcher attached" in "".join(await architect.log_tail(site, 20))
    bundle.verify()


async def test_the_bundle_holds_its_packages_and_the_manifest_every_file_of_them(
    architect: LocalArchitect, site: Site
) -> None:
    bundle = await architect.prepare(site)
    bundle.seal()
    sealed = json.loads((bundle.directory / "manifest.json").read_text())
    lock = json.loads((bundle.directory / "router" / "package-lock.json").read_text())
    needed = [place for place, package in lock["packages"].items() if place and not package.get("dev")]
    assert len(needed) > 50
    for place in needed:
        assert f"router/{place}/package.json" in sealed["files"]
    assert sealed["start"][1:] == ["router/server.js"]
    assert not [name for name in sealed["files"] if "/typescript/" in name or name.endswith((".py", ".d.ts"))]
    (bundle.directory / "router" / "node_modules" / "fastify" / "fastify.js").unlink()
    with pytest.raises(BundleChanged, match=r"missing: router/node_modules/fastify/fastify\.js"):
        await architect.deploy(site, Bundle.load(site.directory))
    assert site.resources == []


async def test_preparing_again_takes_the_old_bundles_place(architect: LocalArchitect, site: Site) -> None:
    await architect.prepare(site)
    await architect.prepare(site)
    await up(architect, site)
    await architect.shutdown(site)


async def test_a_node_that_went_away_after_the_check_is_told_when_preparing(
    architect: LocalArchitect, site: Site
) -> None:
    site.args = replace(site.args, node="/no/such/node")
    with pytest.raises(PrepareFailed, match=r"/no/such/node.*falsework\[node\]"):
        await architect.prepare(site)


@pytest.mark.skipif(sys.platform != "linux", reason="capability: network namespaces")
def test_once_they_are_installed_no_network_is_needed(node_home: Node, tmp_path: Path) -> None:  # noqa: F811
    if not shutil.which("unshare") or subprocess.run([*IN_A_NAMESPACE, "true"], capture_output=True).returncode:
        missing("network namespaces")
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").touch()
    command = [*IN_A_NAMESPACE, sys.executable, str(OFFLINE), str(tmp_path / "static"), str(tmp_path / "run")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
