"""The script above the server in a dyno, run as Heroku runs it, and what it does at the end of a lease."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.architects.heroku.start import SCRIPT, procfile
from falsework.engine.contract.architect import Presence, Site

from ...engine.serving import soon
from ...platforms.heroku import HerokuPlatform
from .trials import (  # noqa: F401
    app_of,
    args,
    platform,
    site,
    up,
)

# ruff: noqa: F811  (pytest's fixtures)

PATIENCE = 20.0


class Script:
    """The script above a command, its output in a pipe."""

    def __init__(self, directory: Path, *command: str, **environment: str) -> None:
        (directory / "start.sh").write_text(SCRIPT)
        self.process = subprocess.Popen(
            ["sh", str(directory / "start.sh"), *command],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def ends(self) -> tuple[int, str]:
        """Its status, and what was printed."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def error_line(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline().strip()

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def scripts() -> Iterator[list[Script]]:
    started: list[Script] = []
    yield started
    for script in started:
        script.close()


def start(scripts: list[Script], directory: Path, *command: str, **environment: str) -> Script:
    scripts.append(Script(directory, *command, **environment))
    return scripts[-1]


def test_the_procfile_starts_the_script_and_any_argument_comes_whole() -> None:
    line = procfile(("python", "-m", "router", "--csp=default-src 'self'; img-src *"))
    assert line == "web: sh start.sh python -m router '--csp=default-src '\"'\"'self'\"'\"'; img-src *'\n"


def test_a_server_that_dies_ends_the_script_with_its_status(tmp_path: Path, scripts: list[Script]) -> None:
    assert start(scripts, tmp_path, "sh", "-c", "echo working; exit 7").ends() == (7, "working\n")


def test_who_is_told_to_end_has_its_server_end_first(tmp_path: Path, scripts: list[Script]) -> None:
    server = "trap 'echo drained; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    script = start(scripts, tmp_path, "sh", "-c", server)
    assert script.line() == "ready"
    script.process.terminate()
    assert script.ends() == (0, "drained\n")


@pytest.mark.slow
def test_after_the_lease_the_door_stays_shut_until_the_dyno_is_told_to_end(
    tmp_path: Path, scripts: list[Script]
) -> None:
    script = start(scripts, tmp_path, "true")
    assert "ended for good" in script.error_line()
    assert script.process.poll() is None
    script.process.terminate()
    assert script.ends()[0] == 0


@pytest.mark.parametrize("ends_in, left", [(3600, 3600), (-5, 0)])
def test_a_server_is_told_what_is_left_of_its_life(
    tmp_path: Path, scripts: list[Script], ends_in: int, left: int
) -> None:
    expires = str(int(time.time()) + ends_in)
    script = start(scripts, tmp_path, "sh", "-c", 'echo "$@"; exit 1', "x", "--a=1 2", FALSEWORK_EXPIRES=expires)
    told = script.ends()[1].split()
    assert told[:2] == ["--a=1", "2"]
    assert 0 <= left - int(told[2].removeprefix("--max-lifetime=").removesuffix("s")) <= 5


def test_the_accounts_token_is_nothing_that_the_server_knows(tmp_path: Path, scripts: list[Script]) -> None:
    script = start(scripts, tmp_path, "sh", "-c", "env; exit 1", FALSEWORK_DESTRUCT_TOKEN="HRKU-secret")
    assert "HRKU-secret" not in script.ends()[1]


@pytest.mark.slow
async def test_an_app_that_may_scales_itself_to_nothing_when_its_lease_is_over(
    platform: HerokuPlatform, site: Site
) -> None:
    site.args, site.lease, site.grace = args(self_destruct=True), 1.5, 0.1
    await up(site)
    app = app_of(platform, site)
    told = [text for process in dyno_processes(site) for text in (*process.cmdline(), *read_environment(process))]
    assert platform.token not in "".join(told)
    await soon(lambda: app.formation["web"][0] == 0)
    await soon(lambda: not app.running())
    assert await HerokuArchitect().probe(site) is Presence.DOWN
    await HerokuArchitect().shutdown(site)
    assert not platform.apps


@pytest.mark.slow
async def test_an_app_that_may_not_keeps_its_door_shut_and_is_not_started_anew(
    platform: HerokuPlatform, site: Site
) -> None:
    site.lease, site.grace = 1.0, 0.1
    await up(site)
    (dyno,) = app_of(platform, site).running()
    await soon(lambda: any("ended for good" in line for line in app_of(platform, site).log.lines))
    assert dyno.died == 0
    assert await HerokuArchitect().probe(site) is Presence.DOWN
    await HerokuArchitect().shutdown(site)
    assert not platform.apps


@pytest.mark.slow
async def test_a_restart_gives_no_new_life(platform: HerokuPlatform, site: Site) -> None:
    site.max_lifetime = 600.0
    await up(site)
    app = app_of(platform, site)
    first = life_of(await server_of(site))
    app.restart()
    await app.gone()
    assert 590 <= life_of(await server_of(site)) <= first <= 600
    await HerokuArchitect().shutdown(site)


def life_of(server: psutil.Process) -> int:
    """What it was told of the end of its life, in seconds from its start."""
    (told,) = (text for text in server.cmdline() if text.startswith("--max-lifetime="))
    return int(told.partition("=")[2].removesuffix("s"))


async def server_of(site: Site) -> psutil.Process:
    """The server that runs now, once one does."""
    await soon(lambda: bool(dyno_processes(site)))
    return dyno_processes(site)[0]


def dyno_processes(site: Site) -> list[psutil.Process]:
    """The servers of a run: what was started with its id on the command line, but for shells."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if f"--run-id={site.run_id}" in command and "start.sh" not in command:
            found.append(process)
    return found


def read_environment(process: psutil.Process) -> list[str]:
    return list(process.environ().values())
