"""A build: unpack what was pushed, look for its language and its Procfile, release it. Its output can be followed."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import re
import shutil
import tarfile
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from packaging.requirements import InvalidRequirement, Requirement

from .app import App, now
from .transcript import Transcript

LANGUAGES = {"Python": ("requirements.txt", "pyproject.toml", "Pipfile", "setup.py"), "Node.js": ("package.json",)}
"""What a buildpack goes by; the first that is found."""
Fetch = Callable[[Path], Awaitable[None]]
"""Puts the tar.gz where it is told to. Raises BuildFailed."""
PROCESS_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")


@dataclass(frozen=True)
class BuildScript:
    """What the next build does besides its work: `lines` it prints, `seconds` it takes, and whether it fails then."""

    lines: Sequence[str] = ()
    seconds: float = 0.0
    fails: bool = False


class BuildFailed(Exception):
    """The message is the build's last word."""


class Build:
    """One build of an app, from a file that is about to be there. `status` is pending, succeeded or failed."""

    def __init__(self, app: App, source: str, version: str | None, script: BuildScript) -> None:
        self.id, self.app, self.source, self.version = str(uuid.uuid4()), app, source, version
        self.script = script
        self.status, self.release_version = "pending", 0
        self.created_at = self.updated_at = now()
        self.output = Transcript()

    async def run(self, fetch: Fetch) -> None:
        """Do it."""
        try:
            slug, processes = await self._make(fetch)
        except BuildFailed as error:
            self._end("failed", f" !     {error}", " !     Push failed")
        except asyncio.CancelledError:
            self._end("failed", " !     Build stopped")
            raise
        else:
            if self.app.deleted:
                self._end("failed", " !     No such app")
                return
            self.app.release(slug, processes)
            self.release_version = self.app.version
            self._end(
                "succeeded", f"       Released v{self.app.version}", f"       {self.app.web_url} deployed to Heroku"
            )

    async def _make(self, fetch: Fetch) -> tuple[Path, dict[str, str]]:
        slug = Path(mkdtemp(prefix="slug-", dir=self.app.directory))
        archive = slug.with_suffix(".tgz")
        try:
            await fetch(archive)
            await asyncio.to_thread(_unpack, archive, slug)
            self._say(f"-----> Building on the {self.app.stack.capitalize()} stack")
            self._say("-----> Determining which buildpack to use for this app")
            await self._compile(slug)
            processes = self._discover_processes(slug)
            self._say("-----> Launching...")
            return slug, processes
        except BaseException:
            shutil.rmtree(slug, ignore_errors=True)
            raise
        finally:
            archive.unlink(missing_ok=True)

    async def _compile(self, slug: Path) -> None:
        language = _language_of(slug)
        self._say(f"-----> {language} app detected")
        for line in self.script.lines:
            self._say(line)
        await asyncio.sleep(self.script.seconds)
        problem = _missing_requirement(slug) if language == "Python" else _missing_module(slug)
        if self.script.fails or problem:
            self._say(problem or "ERROR: the build was told to fail")
            raise BuildFailed(f"Push rejected, failed to compile {language} app.")

    def _discover_processes(self, slug: Path) -> dict[str, str]:
        self._say("-----> Discovering process types")
        if not (slug / "Procfile").is_file():
            raise BuildFailed("Push rejected, there is no Procfile: nothing says how to start this app.")
        lines = (slug / "Procfile").read_text().splitlines()
        processes = {found[1]: found[2].strip() for line in lines if (found := PROCESS_LINE.match(line))}
        if not processes:
            raise BuildFailed("Push rejected, the Procfile names no process.")
        self._say(f"       Procfile declares types -> {', '.join(processes)}")
        return processes

    def _say(self, line: str) -> None:
        self.output.write(line)

    def _end(self, status: str, *lines: str) -> None:
        for line in lines:
            self._say(line)
        self.status, self.updated_at = status, now()
        self.output.end()


def _unpack(archive: Path, slug: Path) -> None:
    try:
        with tarfile.open(archive, "r:gz") as opened:
            opened.extractall(slug, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BuildFailed(f"Push rejected, the source is no tar.gz that can be unpacked: {error}") from error


def _language_of(slug: Path) -> str:
    for language, signs in LANGUAGES.items():
        if any((slug / sign).is_file() for sign in signs):
            return language
    raise BuildFailed("No default language could be detected for this app.")


def _missing_requirement(slug: Path) -> str | None:
    """What pip would say of requirements.txt, if this machine's own packages were all there is."""
    path = slug / "requirements.txt"
    for line in path.read_text().splitlines() if path.is_file() else ():
        wanted = line.partition("#")[0].strip()
        if wanted and not wanted.startswith("-") and not _is_met(wanted):
            return f"ERROR: No matching distribution found for {wanted}"
    return None


def _is_met(wanted: str) -> bool:
    try:
        requirement = Requirement(wanted.partition(" --hash")[0].rstrip("\\ "))
        needed = requirement.marker is None or requirement.marker.evaluate()
        return not needed or requirement.specifier.contains(
            importlib.metadata.version(requirement.name), prereleases=True
        )
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False


def _missing_module(slug: Path) -> str | None:
    """What npm would say if nothing could be downloaded: a dependency is in node_modules or nowhere."""
    try:
        wanted = json.loads((slug / "package.json").read_text()).get("dependencies", {})
    except (ValueError, AttributeError):
        return "npm error JSON.parse package.json: it is no JSON object"
    absent = [name for name in wanted if not (slug / "node_modules" / name / "package.json").is_file()]
    return f"npm error code E404: {absent[0]} is not in node_modules" if absent else None
