"""A real new process that has only the ledger and the run's directory: `falsework shutdown RUN`, after its launcher died."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..contract.architect import Architect, Resource, Site
from ..contract.registry import GROUP
from ..directories import write_secret
from ..launch.takeover import TOKEN
from ..ledger.ledger import Ledger, RunRecord
from ..ledger.owner import Owner
from ..lifecycle.states import State
from ..settings.sections import TASK_FILE
from ..settings.units import UNITS_FILE

NAME = "contract"
"""What the architect on trial is called in that process."""
AN_HOUR = 3600.0
NOBODY = Owner(socket.gethostname(), os.getpid(), started=0.0)
"""A launcher that ended long ago, whose process id is another process's now."""


async def shut_down_in_another_process(
    architect: Architect, site: Site, resources: list[Resource], settings: Mapping[str, Any], directory: Path
) -> list[Resource]:
    """Have the run taken down as after its launcher's death; returns the resources that the ledger still has as standing.

    The ledger, and what tells the process of the architect, come into `directory`. Raises AssertionError with what the
    process said if it did not succeed.
    """
    ledger = Ledger.at(directory / "ledger.db", clock=lambda: time.time() - AN_HOUR)
    try:
        await _enter(ledger, site, resources, settings)
        _register(type(architect), directory)
        await asyncio.to_thread(_run, site.run_id, directory)
        return ledger.resources(site.run_id)
    finally:
        await ledger.close()


async def _enter(ledger: Ledger, site: Site, resources: list[Resource], settings: Mapping[str, Any]) -> None:
    """What a launcher that died in the middle of deploying has written."""
    file = site.directory / TASK_FILE
    task = {"name": site.task.name, "static": str(site.task.static), "units": str(site.task.units)}
    file.write_text(json.dumps({"task": task, "architect": {**settings, "type": NAME}}))
    (site.directory / UNITS_FILE).write_text(site.task.units.read_text())
    write_secret(site.directory / TOKEN, site.token)
    await ledger.create(RunRecord(site.run_id, NAME, site.directory, file, NOBODY, state=State.DEPLOYING, url=site.url))
    for resource in resources:
        await ledger.record_resource(site.run_id, resource, True)


def _register(architect: type[Architect], directory: Path) -> None:
    """The entry point of an installed package, without the package."""
    metadata = directory / f"falsework_{NAME}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: falsework-{NAME}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{NAME} = {architect.__module__}:{architect.__qualname__}\n")


def _run(run_id: str, directory: Path) -> None:
    environment = {
        **os.environ,
        "FALSEWORK_LEDGER": f"sqlite:///{directory / 'ledger.db'}",
        "PYTHONPATH": os.pathsep.join([str(directory), *filter(None, sys.path)]),
    }
    command = [sys.executable, "-m", "falsework.engine", "shutdown", run_id]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise AssertionError(f"another process could not shut {run_id} down ({ended.returncode}):\n{ended.stderr}")
