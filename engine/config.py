"""The task file: what may stand in it, and how it becomes values that the engine can trust.

The dataclasses are the schema; their annotations, defaults and metadata say all that is allowed. Every problem of a file
is found before any is reported. How YAML is read and where a value stands is document.py's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from marshmallow import ValidationError

from .directories import check_static_directory
from .document import COMMAND_LINE, Document, KeyPath, dotted, read_document
from .errors import ConfigError, Problem
from .fields import Duration, found, schema_for
from .registry import architect_class
from .units import load_units

TASK_FILE = "task.yaml"
DEFAULT_ARCHITECT = "local"
LONGEST_NAME = 30

_MINUTE, _HOUR = 60.0, 3600.0
_POSITIVE = {"above": 0}


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or len(name) > LONGEST_NAME:
        allowed = f"1 to {LONGEST_NAME} of a-z, 0-9 and -, a letter first"
        raise ValueError(f"found {found(name)}; allowed: {allowed}, such as {_as_name(name)!r}")


def _check_units(units: Path) -> None:
    if not units.is_file():
        raise ValueError(f"found no file {units}; allowed: a file with one JSON value a line")
    load_units(units)


def _check_hook(hook: Path) -> None:
    if not hook.is_file():
        raise ValueError(f"found no file {hook}; allowed: a Python file")
    try:
        compile(hook.read_bytes(), str(hook), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ConfigError(Problem(f"is not Python: {error.msg}", str(hook), error.lineno)) from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(Problem(f"cannot be compiled: {error}", str(hook))) from error


def _check_json(config: dict[str, Any]) -> None:
    try:
        msgspec.json.encode(config)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from error


def _in_order(shorter: str, least: float, longer: str, most: float) -> None:
    if least > most:
        raise ValueError(f"{shorter} ({least:g}s) is longer than {longer} ({most:g}s)")


@dataclass(frozen=True)
class TaskArgs:
    """The `task:` section. Paths are absolute here; in the file, and on the command line, relative to the task file."""

    name: str = field(metadata={"check": _check_name})
    """1 to 30 of a-z, 0-9 and -, a letter first. Run ids, and what a backend creates, are called after it."""
    static: Path = field(metadata={"check": check_static_directory})
    """The directory of the page, with its index.html."""
    units: Path = field(metadata={"check": _check_units})
    """The file of units: one JSON value a line is what one worker gets."""
    assignments_per_unit: int = field(default=1, metadata={"min": 1})
    """How many different workers do each unit."""
    submission_timeout: Duration = field(default=30 * _MINUTE, metadata=_POSITIVE)
    """Seconds a worker has for a unit before it goes to somebody else."""
    review: bool = False
    """Whether somebody reviews the submissions before the run is over."""
    hook: Path | None = field(default=None, metadata={"check": _check_hook})
    """A Python file with on_update and its like, for live tasks."""
    together: bool = False
    """The workers of a unit do it at the same time, talking to each other."""
    onboarding: bool = False
    """A worker's first visit begins with the page's onboarding."""
    units_per_worker: int = field(default=0, metadata={"min": 0})
    """How many units one worker may do; 0 is no limit."""
    config: dict[str, Any] = field(default_factory=dict, metadata={"check": _check_json})
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
class TaskFile:
    """A task file, read and checked, the files it names included."""

    file: Path
    task: TaskArgs
    architect: Any
    """An instance of the ArgsClass of the architect that `architect.type` names."""
    provider: ProviderArgs = ProviderArgs()
    lifecycle: LifecycleArgs = LifecycleArgs()
    ignored: tuple[str, ...] = ()
    """Keys of the `mephisto:` form that mean nothing here, dotted."""


def load_task_file(path: Path | str, overrides: Sequence[str] = ()) -> TaskFile:
    """Read and check a task file, or the task.yaml of a directory, with `key=value` overrides from the command line.

    Raises ConfigError with every problem of the file, of the overrides, and of the files it names. Creates nothing.
    """
    file = _located(Path(path))
    document = read_document(file)
    if not isinstance(document.value, dict) or not document.value:
        raise ConfigError(Problem(f"found {found(document.value)}; allowed: a section `task:` and others", str(file)))
    for assignment in overrides:
        document.override(assignment)
    ignored = _read_mephisto_form(document)
    args_class = _architect_args(document)
    ignored += _ignore_foreign_architect_keys(document, args_class)
    sections = _load(document, args_class, file.absolute().parent)
    return TaskFile(
        file.absolute(), sections.task, sections.architect, sections.provider, sections.lifecycle, tuple(ignored)
    )


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


def _load(document: Document, args_class: Any, base: Path) -> Any:
    """The sections as dataclasses. Raises ConfigError with the document's problems and those found here."""
    sections: list[Any] = [
        ("task", TaskArgs),
        ("architect", args_class),
        ("provider", ProviderArgs, field(default=ProviderArgs())),
        ("lifecycle", LifecycleArgs, field(default=LifecycleArgs())),
    ]
    schema = schema_for(make_dataclass("Sections", sections, frozen=True), base)
    problems = list(document.problems)
    try:
        loaded = schema.load(document.value)
    except ValidationError as error:
        loaded = None
        problems += _problems(document, error.messages, ())
    if problems:
        raise ConfigError(*sorted(problems, key=lambda p: (p.file != document.file, p.file or "", p.line or 0)))
    return loaded


def _problems(document: Document, messages: Any, path: KeyPath) -> Iterator[Problem]:
    """marshmallow's tree of messages as problems, each with its place."""
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            yield from _problems(document, below, path if key == "_schema" else (*path, key))
        return
    for message in messages:
        problem = message if isinstance(message, Problem) else Problem(message)
        yield problem if problem.file else document.problem(path, problem.message)


def _read_mephisto_form(document: Document) -> list[str]:
    """Move what a `mephisto:` section says to falsework's own sections, which win; returns the keys that mean nothing here.

    Among these are Hydra's `defaults:` and whatever else the user's own script keeps beside a `mephisto:` section.
    """
    foreign = ["defaults"]
    if "mephisto" in document.value:
        _move_from_mephisto(document)
        mine = {path[0] for path, place in document.places.items() if place.file == COMMAND_LINE}
        foreign += [key for key in document.value if key not in {*_SECTIONS, *mine, "defaults"} or key == "mephisto"]
    present = [key for key in foreign if key in document.value]
    return [name for key in present for name in _leaves(document.remove((key,)), (key,))]


def _move_from_mephisto(document: Document) -> None:
    for name in ("", "task", "blueprint", "architect", "provider"):
        path: KeyPath = ("mephisto", name) if name else ("mephisto",)
        section = document.get(path)
        if section is not None and not isinstance(section, dict):
            document.problems.append(document.problem(path, f"found {found(section)}; allowed: a section"))
    for source, target, convert in _MOVES:
        path = ("mephisto", *source.split("."))
        value = document.get(path)
        converted = None if value is None else convert(value, Path(document.file).absolute())
        if converted is not None:
            document.move(path, tuple(target.split(".")), converted)
    architect = document.get(("mephisto", "architect"))
    for key in list(architect) if isinstance(architect, dict) else []:
        document.move(("mephisto", "architect", key), ("architect", key), architect[key])


def _leaves(value: Any, path: KeyPath) -> Iterator[str]:
    if path[0] == "mephisto" and len(path) < 3 and isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    else:
        yield dotted(path)


def _ignore_foreign_architect_keys(document: Document, args_class: Any) -> list[str]:
    """Take out what came from the `mephisto:` form and is no setting of this architect; returns its keys."""
    known = {known.name for known in fields(args_class)} if args_class is not Any else None
    section = document.get(("architect",))
    if known is None or not isinstance(section, dict):
        return []
    places = {key: document.places.get(("architect", key)) for key in section.keys() - known}
    foreign = {key: place.key for key, place in places.items() if place and place.key.startswith("mephisto.")}
    for key in foreign:
        document.remove(("architect", key))
    return sorted(foreign.values())


def _as_it_is(value: Any, _: Path) -> Any:
    return value


def _normalised(value: Any, _: Path) -> Any:
    return _as_name(value) if isinstance(value, str) else value


def _as_name(text: str) -> str:
    """The nearest name that a task can have."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    name = name if name[:1].isalpha() else f"task-{name}"
    return name[:LONGEST_NAME].rstrip("-")


def _onboarding(qualification: Any, _: Path) -> bool:
    return bool(qualification)


def _in_task_directory(value: Any, file: Path) -> Any:
    """A path as Mephisto means it: from the directory of the task's script, which Hydra's files lie two levels below."""
    script = file.parents[2] if file.parts[-3:-1] == ("hydra_configs", "conf") else file.parent
    return str(script / re.sub(r"^\$\{task_dir\}/*", "", value)) if isinstance(value, str) else value


def _directory_of_page(value: Any, file: Path) -> Any:
    path = _in_task_directory(value, file)
    return str(Path(path).parent) if isinstance(path, str) and path.endswith("/index.html") else None


def _provider_type(value: Any, _: Path) -> Any:
    return "link" if value in ("mock", "inhouse") else value  # both only hand out a URL


_SECTIONS = ("task", "architect", "provider", "lifecycle")
_MOVES: tuple[tuple[str, str, Callable[[Any, Path], Any]], ...] = (
    ("task.task_name", "task.name", _normalised),
    ("task.assignment_duration_in_seconds", "task.submission_timeout", _as_it_is),
    ("task.submission_timeout", "task.submission_timeout", _as_it_is),
    ("task.maximum_units_per_worker", "task.units_per_worker", _as_it_is),
    ("blueprint.units_per_assignment", "task.assignments_per_unit", _as_it_is),
    ("blueprint.onboarding_qualification", "task.onboarding", _onboarding),
    ("blueprint.data_jsonl", "task.units", _in_task_directory),
    ("blueprint.data_json", "task.units", _in_task_directory),
    ("blueprint.extra_source_dir", "task.static", _in_task_directory),
    ("blueprint.task_source", "task.static", _directory_of_page),
    ("architect._architect_type", "architect.type", _as_it_is),
    ("provider._provider_type", "provider.type", _provider_type),
)
"""What of Mephisto's settings has a meaning here; of two for one setting the first wins."""
