"""What Heroku gets to build, and how it is started there."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import version
from pathlib import Path

import pytest
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.architects.shipping.node_binary import Node
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import PrepareFailed

from ..shipping.node_installed import node_home  # noqa: F401
from .trials import TOKEN, new_site

# ruff: noqa: F811  (pytest's fixtures)


def text_of(bundle: Bundle, name: str) -> str:
    return (bundle.directory / name).read_text()


async def test_a_python_bundle_is_built_with_the_versions_of_this_machine(tmp_path: Path) -> None:
    bundle = await HerokuArchitect().prepare(new_site(tmp_path))
    required = text_of(bundle, "requirements.txt").splitlines()
    assert {f"aiohttp=={version('aiohttp')}", f"msgspec=={version('msgspec')}"} <= set(required)
    assert text_of(bundle, ".python-version").startswith("3.")
    bundle.seal()
    sealed = json.loads(text_of(bundle, "manifest.json"))
    assert {"Procfile", "start.sh", ".python-version", "requirements.txt", "router/door/server.py"} <= set(
        sealed["files"]
    )
    assert not [name for name in sealed["files"] if name.startswith("router/node/")]
    assert sealed["environment"] == ["PORT", "FALSEWORK_TOKEN", "FALSEWORK_RUN_ID", "FALSEWORK_EXPIRES"]


async def test_the_start_command_says_all_that_is_no_secret(tmp_path: Path) -> None:
    site = new_site(
        tmp_path,
        limits={"frame": "512KiB"},
        frame_ancestors=["https://worker.example.org"],
        content_security_policy="default-src 'self'; img-src *",
    )
    site.lease, site.idle_timeout = 90.0, 7200.0
    bundle = await HerokuArchitect().prepare(site)
    kind, _, command = text_of(bundle, "Procfile").strip().partition(": ")
    words = shlex.split(command)
    assert (kind, words[:5]) == ("web", ["sh", "start.sh", "python", "-m", "router"])
    assert tuple(words[2:]) == bundle.start
    assert set(words) >= {
        "--host=0.0.0.0",
        "--outbox=launcher",
        f"--run-id={site.run_id}",
        "--lease=90s",
        "--idle-timeout=2h",
        "--frame-ancestors=https://worker.example.org",
        "--csp=default-src 'self'; img-src *",
        "--limit=frame=524288",
    }
    assert TOKEN not in command


@pytest.mark.slow
async def test_a_node_bundle_has_its_packages_and_has_none_installed(node_home: Node, tmp_path: Path) -> None:
    bundle = await HerokuArchitect().prepare(new_site(tmp_path, router="node"))
    package = json.loads(text_of(bundle, "package.json"))
    assert "dependencies" not in package
    assert package["engines"] == {"node": f"{node_home.version.partition('.')[0]}.x"}
    assert "router/node_modules/fastify/package.json" in bundle.files()
    assert bundle.start[:2] == ("node", "router/server.js")
    assert "requirements.txt" not in bundle.files()


async def test_no_node_is_told_when_preparing(tmp_path: Path) -> None:
    with pytest.raises(PrepareFailed, match="no-node"):
        await HerokuArchitect().prepare(new_site(tmp_path, router="node", node=str(tmp_path / "no-node")))
