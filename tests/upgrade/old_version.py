"""Falsework 0.1.0 as it was released, in an environment of its own: what it leaves behind is what later versions have to take up.

Its sources come from this repository's history, its dependencies from the environment that runs the tests. Nothing of the
version under test can be imported there.
"""

from __future__ import annotations

import asyncio
import configparser
import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMIT = "f0d90de20f183dda2ed027e064feb3388c9e9cff"
"""The last commit of 0.1.0."""
REPOSITORY = Path(__file__).parents[2]
COMMANDS = Path(__file__).with_name("old_commands.py")
LONGEST = 60.0
"""Seconds that any of its commands may take."""


@dataclass(frozen=True)
class Said:
    """What a command of 0.1.0 came to."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class OldVersion:
    """The environment that 0.1.0 is installed in."""

    environment: Path

    async def start(self, home: Path, commands: Mapping[str, Mapping[str, Any]]) -> asyncio.subprocess.Process:
        """Start commands of 0.1.0, all at once; old_commands.py says what can be asked for, and what is said on stdout."""
        files = files_of(home)
        files.mkdir(exist_ok=True)
        return await asyncio.create_subprocess_exec(
            self.environment / "bin" / "python",
            COMMANDS,
            json.dumps({"files": str(files), "commands": commands}),
            env={**os.environ, "FALSEWORK_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )

    async def run(self, home: Path, *commands: Sequence[str]) -> list[Said]:
        """Run commands of 0.1.0 to their ends, all at once."""
        named = {f"command-{number}": {"arguments": list(command)} for number, command in enumerate(commands)}
        process = await self.start(home, named)
        assert process.stdout is not None
        async with asyncio.timeout(LONGEST):
            told = [json.loads(line) async for line in process.stdout]
            await process.wait()
        codes = {one["command"]: one["ended"] for one in told if "ended" in one}
        return [Said(codes[name], *said_by(home, name)) for name in named]


def said_by(home: Path, name: str) -> tuple[str, str]:
    """The stdout and the stderr of a command of 0.1.0."""
    stdout, stderr = (files_of(home) / f"{name}.{stream}" for stream in ("stdout", "stderr"))
    return stdout.read_bytes().decode(), stderr.read_bytes().decode()


def files_of(home: Path) -> Path:
    """Where commands of 0.1.0 write to, beside the home."""
    return home.with_name("said-by-0.1.0")


def is_at_hand() -> bool:
    """Whether the history of this checkout reaches back to 0.1.0."""
    try:
        looked = subprocess.run(
            ["git", "-C", REPOSITORY, "cat-file", "-e", f"{COMMIT}^{{commit}}"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return looked.returncode == 0


def install(directory: Path) -> OldVersion:
    """Install 0.1.0 into `directory`, without network: an installer would fetch what builds a package first."""
    sources, environment = directory / "sources", directory / "environment"
    sources.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", REPOSITORY, "archive", "--format=tar", COMMIT], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", sources], input=archive.stdout, check=True)
    venv.create(environment, symlinks=True)
    _lay_out(sources, _packages_of(environment))
    return OldVersion(environment)


def _lay_out(sources: Path, packages: Path) -> None:
    """The packages, the metadata that tells its entry points, and a path to its dependencies, which are looked at last."""
    setup = configparser.ConfigParser()
    setup.read(sources / "setup.cfg")
    (packages / "falsework").mkdir()
    for line in setup["options"]["package_dir"].split("\n")[1:]:
        name, folder = (side.strip() for side in line.split("="))
        (sources / folder).rename(packages / name.replace(".", "/"))
    version = setup["metadata"]["version"]
    metadata = packages / f"falsework-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: falsework\nVersion: {version}\n")
    groups = setup["options.entry_points"].items()
    (metadata / "entry_points.txt").write_text("".join(f"[{group}]{lines}\n" for group, lines in groups))
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("".join(f"{path}\n" for path in dependencies))


def _packages_of(environment: Path) -> Path:
    paths = {"base": str(environment), "platbase": str(environment)}
    return Path(sysconfig.get_path("purelib", "venv", paths))
