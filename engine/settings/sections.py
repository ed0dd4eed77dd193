"""The sections of a task file that are falsework's own: the dataclasses are the schema. `architect:` is its backend's.

Annotations, defaults and metadata say all that is allowed; fields.py makes the schema of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..directories import check_static_directory
from .checks import check_hook, check_json, check_name, check_units
from .fields import Duration

TASK_FILE = "task.yaml"
"""In a task's directory, and the copy of it in a run's."""
_MINUTE, _HOUR = 60.0, 3600.0
_POSITIVE = {"above": 0}


def _in_order(shorter: str, least: float, longer: str, most: float) -> None:
    if least > most:
        raise ValueError(f"{shorter} ({least:g}s) is longer than {longer} ({most:g}s)")


@dataclass(frozen=True)
class TaskArgs:
    """The `task:` section. Paths are absolute here; in the file, and on the command line, relative to the task file."""

    name: str = field(metadata={"check": check_name})
    """1 to 30 of a-z, 0-9 and -, a letter first. Run ids, and what a backend creates, are called after it."""
    static: Path = field(metadata={"check": check_static_directory})
    """The directory of the page, with its index.html."""
    units: Path = field(metadata={"check": check_units})
    """The file of units: one JSON value a line is what one worker gets."""
    assignments_per_unit: int = field(default=1, metadata={"min": 1})
    """How many different workers do each unit."""
    submission_timeout: Duration = field(default=30 * _MINUTE, metadata=_POSITIVE)
    """Seconds a worker has for a unit before it goes to somebody else."""
    review: bool = False
    """Whether somebody reviews the submissions before the run is over."""
    hook: Path | None = field(default=None, metadata={"check": check_hook})
    """A Python file with on_update and its like, for live tasks."""
    together: bool = False
    """The workers of a unit do it at the same time, talking to each other."""
    onboarding: bool = False
    """A worker's first visit begins with the page's onboarding."""
    units_per_worker: int = field(default=0, metadata={"min": 0})
    """How many units one worker may do; 0 is no limit."""
    config: dict[str, Any] = field(default_factory=dict, metadata={"check": check_json})
    """What the page finds in task_config.json, as it is."""


@dataclass(frozen=True)
class DeployArgs:
    """How often and how long putting a server up is tried. Times in seconds."""

    attempts: int = field(default=4, metadata={"min": 1})
    wait_min: Duration = 1.0
    wait_max: Duration = 30.0
    attempt_timeout: Duration = field(default=10 * _MINUTE, metadata=_POSITIVE)
    timeout: Duration = field(default=30 * _MINUTE, metadata=_POSITIVE)
    """For all attempts and the waits between them."""

    def __post_init__(self) -> None:
        _in_order("wait_min", self.wait_min, "wait_max", self.wait_max)


@dataclass(frozen=True)
class ShutdownArgs:
    """How often and how long taking a server down is tried. Times in seconds."""

    attempts: int = field(default=10, metadata={"min": 1})
    timeout: Duration = field(default=5 * _MINUTE, metadata=_POSITIVE)
    """For all attempts and the waits between them."""
    wait_min: Duration = 0.2
    wait_max: Duration = 10.0

    def __post_init__(self) -> None:
        _in_order("wait_min", self.wait_min, "wait_max", self.wait_max)


@dataclass(frozen=True)
class LifecycleArgs:
    """The `lifecycle:` section: the limits of a run. Times in seconds; None is no limit, written as `never`."""

    deploy: DeployArgs = DeployArgs()
    shutdown: ShutdownArgs = ShutdownArgs()
    prepare_timeout: Duration = field(default=10 * _MINUTE, metadata=_POSITIVE)
    connect_timeout: Duration = field(default=1 * _MINUTE, metadata=_POSITIVE)
    reconnect_timeout: Duration = field(default=5 * _MINUTE, metadata=_POSITIVE)
    lease: Duration = field(default=15 * _MINUTE, metadata=_POSITIVE)
    """How long the server takes workers without hearing from its launcher."""
    grace: Duration = 24 * _HOUR
    """How long after its lease a server keeps what was not collected."""
    idle_timeout: Duration | None = field(default=None, metadata=_POSITIVE)
    """The run ends when no worker was heard for this long."""
    max_lifetime: Duration | None = field(default=None, metadata=_POSITIVE)
    """The run ends this long after it was launched, whatever happens."""
    cleanup: Literal["after_deploy", "after_review", "auto"] = "auto"
    """When what deploying needed is removed; auto is after the review where there is one."""


@dataclass(frozen=True)
class ProviderArgs:
    """The `provider:` section: how workers hear of the task. `link` prints the URL."""

    type: Literal["link"] = "link"
