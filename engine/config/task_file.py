"""The task file: what may stand in it, and how it becomes values that the engine can trust.

The dataclasses are the schema; their annotations, defaults and metadata say all that is allowed. Every problem of a file
is found before any is reported. How the file is read is yaml_reader.py's business, where a value stands document.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from marshmallow import Schema, ValidationError

from ..contract.registry import architect_class
from ..directories import check_static_directory
from ..errors import ConfigError, Problem
from ..wording import found
from .checks import check_hook, check_json, check_name, check_units
from .document import Document, KeyPath
from .fields import Duration, schema_for
from .mephisto_form import ignore_foreign_settings, read_mephisto_form
from .overrides import override
from .yaml_reader import read_document

TASK_FILE = "task.yaml"
DEFAULT_ARCHITECT = "local"

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


@dataclass(frozen=True)
class Sections:
    """What may stand in a task file, section by section."""

    task: TaskArgs
    architect: Any
    """An instance of the ArgsClass of the architect that `architect.type` names."""
    provider: ProviderArgs = ProviderArgs()
    lifecycle: LifecycleArgs = LifecycleArgs()


@dataclass(frozen=True, kw_only=True)
class TaskFile(Sections):
    """A task file, read and checked, the files it names included."""

    file: Path
    ignored: tuple[str, ...] = ()
    """Keys of the `mephisto:` form that mean nothing here, dotted."""


def load_task_file(path: Path | str, overrides: Sequence[str] = (), base: Path | None = None) -> TaskFile:
    """Read and check a task file, or the task.yaml of a directory, with `key=value` overrides from the command line.

    Paths in it are relative to `base`, by default to the directory that it is in.

    Raises ConfigError with every problem of the file, of the overrides, and of the files it names. Creates nothing.
    """
    file = _located(Path(path))
    document = read_document(file)
    if not isinstance(document.value, dict) or not document.value:
        raise ConfigError(Problem(f"found {found(document.value)}; allowed: a section `task:` and others", str(file)))
    for assignment in overrides:
        override(document, assignment)
    ignored = read_mephisto_form(document, [section.name for section in fields(Sections)])
    args_class = _architect_args(document)
    if args_class is not Any:
        ignored += ignore_foreign_settings(document, [setting.name for setting in fields(args_class)])
    sections = _load(document, args_class, base or file.absolute().parent)
    return TaskFile(**vars(sections), file=file.absolute(), ignored=tuple(ignored))


def _located(path: Path) -> Path:
    if not path.is_dir():
        return path
    if not (path / TASK_FILE).exists():
        raise ConfigError(Problem(f"is a directory that holds no {TASK_FILE}; `falsework new` makes one", str(path)))
    return path / TASK_FILE


def _architect_args(document: Document) -> Any:
    """The ArgsClass that `architect.type` asks for; Any, and a problem noted, if there is none."""
    if document.value.get("architect") is None:
        document.value["architect"] = {}
    section = document.value["architect"]
    name = section.setdefault("type", DEFAULT_ARCHITECT) if isinstance(section, dict) else None
    try:
        return architect_class(name if isinstance(name, str) else DEFAULT_ARCHITECT).ArgsClass
    except ConfigError as error:
        document.problems.extend(document.problem(("architect", "type"), p.message) for p in error.problems)
        return Any


def _load(document: Document, args_class: Any, base: Path) -> Sections:
    """The sections as dataclasses. Raises ConfigError with the document's problems and those found here."""
    try:
        sections: Sections = _schema(args_class, base).load(document.value)
    except ValidationError as error:
        raise _refusal(document, [*document.problems, *_problems(document, error.messages, ())]) from error
    if document.problems:
        raise _refusal(document, document.problems)
    return sections


@lru_cache(maxsize=4)
def _schema(args_class: Any, base: Path) -> Schema:
    """Kept, since a sweep reads the task file of each run, most of which are the same."""
    return schema_for(make_dataclass("Sections", [("architect", args_class)], bases=(Sections,), frozen=True), base)


def _refusal(document: Document, problems: Iterable[Problem]) -> ConfigError:
    """The problems in the order in which they stand in the file, those of other files behind them."""
    return ConfigError(*sorted(problems, key=lambda p: (p.file != document.file, p.file or "", p.line or 0)))


def _problems(document: Document, messages: Any, path: KeyPath) -> Iterator[Problem]:
    """marshmallow's tree of messages as problems, each with its place."""
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            yield from _problems(document, below, path if key == "_schema" else (*path, key))
        return
    for message in messages:
        problem = message if isinstance(message, Problem) else Problem(message)
        yield problem if problem.file else document.problem(path, problem.message)
