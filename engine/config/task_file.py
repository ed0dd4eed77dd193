"""The task file: how it becomes values that the engine can trust.

What may stand in it is said by the dataclasses of settings/. Every problem of a file is found before any is reported. How
the file is read is yaml_reader.py's business, where a value stands document.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError

from ..contract.registry import architect_class
from ..errors import ConfigError, Problem
from ..settings.fields import schema_for
from ..settings.sections import TASK_FILE, LifecycleArgs, ProviderArgs, TaskArgs
from ..wording import found
from .document import Document, KeyPath
from .mephisto_form import ignore_foreign_settings, read_mephisto_form
from .overrides import override
from .yaml_reader import read_document

DEFAULT_ARCHITECT = "local"


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
