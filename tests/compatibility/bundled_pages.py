"""Pages made with Mephisto's own client: its packages installed once for each lock file, the pages bundled by esbuild.

The packages lie outside the tree, in this user's cache. Needs npm, and the first time its registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from ..tools import need

SOURCES = Path(__file__).parent / "pages"
PAGES = ("static", "live", "remote")
MANIFESTS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 90
BUNDLE_SECONDS = 20

STYLE = "header { color: teal }"
AS_MEPHISTO_BUILDS = (
    "const style = document.createElement('style'); style.append({style}); document.head.append(style)\neval({code})\n"
)
"""What webpack makes of a page in its development mode, by which Mephisto's own build scripts call it: code as text that is
evaluated, styles that a script puts into the page (style-loader)."""


class Unavailable(Exception):
    """The pages cannot be made on this machine; says what is missing."""


def installed_packages() -> Path:
    """The node_modules of the lock file, installed first where they are not. Raises Unavailable."""
    contents = b"\0".join((SOURCES / name).read_bytes() for name in MANIFESTS)
    place = platformdirs.user_cache_path("falsework-tests") / f"pages-{hashlib.sha256(contents).hexdigest()[:16]}"
    if not place.is_dir():
        _install(place)
    return place / "node_modules"


def bundle(packages: Path, target: Path) -> None:
    """Make `target/<page>/` of each page: index.html and bundle.js, to be served as they are."""
    target.mkdir()
    entries = [str(SOURCES / f"{page}.jsx") for page in PAGES]
    flags = [
        "--bundle",
        "--minify",
        '--define:process.env.NODE_ENV="production"',
        f"--outdir={target}",
        "--log-level=warning",
    ]
    command = [str(packages / ".bin" / "esbuild"), *entries, *flags]
    made = subprocess.run(
        command, env={**os.environ, "NODE_PATH": str(packages)}, capture_output=True, text=True, timeout=BUNDLE_SECONDS
    )
    if made.returncode != 0 or made.stderr:
        raise AssertionError(f"esbuild says of the pages:\n{made.stderr}")
    for page in PAGES:
        (target / page).mkdir()
        (target / f"{page}.js").rename(target / page / "bundle.js")
        shutil.copy(SOURCES / "index.html", target / page)


def rebuild_as_mephisto_does(page: Path) -> None:
    """Turn a bundled page into what it would be in the form that Mephisto's build scripts give to it."""
    code = (page / "bundle.js").read_text()
    (page / "bundle.js").write_text(AS_MEPHISTO_BUILDS.format(style=json.dumps(STYLE), code=json.dumps(code)))
    index = (page / "index.html").read_text()
    (page / "index.html").write_text(index.replace('<div id="app">', '<div id="app" style="overflow: hidden">'))


def _install(place: Path) -> None:
    """By `npm ci`, into a directory that gets its name when it is complete: two sessions may install at once."""
    need("npm")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as half_made:
        for name in MANIFESTS:
            shutil.copy(SOURCES / name, half_made)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        try:
            ended = subprocess.run(command, cwd=half_made, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired as expired:
            raise Unavailable(f"npm ci takes longer than {INSTALL_SECONDS} s") from expired
        if ended.returncode != 0:
            raise Unavailable(f"npm ci fails: {ended.stderr[-2000:]}")
        _take_place(Path(half_made), place)


def _take_place(half_made: Path, place: Path) -> None:
    complete = half_made / "complete"
    complete.mkdir()
    (half_made / "node_modules").rename(complete / "node_modules")
    try:
        complete.rename(place)
    except OSError:
        if not place.is_dir():  # else another session was first
            raise
