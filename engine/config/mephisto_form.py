"""Files of the form `mephisto: {architect: …, blueprint: …, task: …}`, read as the same things said in falsework's own sections.

What was written there keeps its place, so that a problem is told where the user wrote it. Falsework's own sections win.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from ..errors import Problem
from ..settings.checks import nearest_name
from ..wording import found
from .document import Document, KeyPath, dotted
from .overrides import COMMAND_LINE

MEPHISTO = "mephisto"
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss:; object-src 'none'"
"""What its pages need: Mephisto's scripts call webpack in development mode, whose bundles are text for `eval`."""


def read_mephisto_form(document: Document, sections: Collection[str]) -> list[str]:
    """Move what a `mephisto:` section says to falsework's own `sections`; returns the keys that mean nothing here, dotted.

    Among these are Hydra's `defaults:` and whatever else the user's own script keeps beside a `mephisto:` section; all of
    them are taken out.
    """
    foreign = ["defaults"]
    if MEPHISTO in document.value:
        document.problems.extend(_problems(document))
        _move(document)
        given = {path[0] for path, place in document.places.items() if place.file == COMMAND_LINE}
        known = {*sections, *given, "defaults"} - {MEPHISTO}
        foreign += [key for key in document.value if key not in known]
    present = [key for key in foreign if key in document.value]
    return [name for key in present for name in _leaves(document.remove((key,)), (key,))]


def ignore_foreign_settings(document: Document, known: Collection[str]) -> list[str]:
    """Take out what the `mephisto:` form says to the architect beside its `known` settings; returns the keys, dotted.

    Its pages may do what Mephisto's build scripts make them do, unless a policy is set. A setting of falsework's own
    section that is not known stays, to be refused.
    """
    section = document.get(("architect",))
    if not isinstance(section, dict):
        return []
    if "content_security_policy" in known and any(place.key == MEPHISTO for place in document.places.values()):
        section.setdefault("content_security_policy", POLICY)
    places = {key: document.places.get(("architect", key)) for key in section.keys() - known}
    foreign = {key: place.key for key, place in places.items() if place and place.key.startswith(f"{MEPHISTO}.")}
    for key in foreign:
        document.remove(("architect", key))
    return sorted(foreign.values())


def _problems(document: Document) -> Iterator[Problem]:
    for path in ((MEPHISTO,), *((MEPHISTO, name) for name in ("task", "blueprint", "architect", "provider"))):
        section = document.get(path)
        if section is not None and not isinstance(section, dict):
            yield document.problem(path, f"found {found(section)}; allowed: a section")


def _move(document: Document) -> None:
    for source, target, convert in _MOVES:
        path = (MEPHISTO, *source.split("."))
        value = document.get(path)
        converted = None if value is None else convert(value, Path(document.file).absolute())
        if converted is not None:
            document.move(path, tuple(target.split(".")), converted)
    architect = document.get((MEPHISTO, "architect"))
    for key in list(architect) if isinstance(architect, dict) else []:
        document.move((MEPHISTO, "architect", key), ("architect", key), architect[key])


def _leaves(value: Any, path: KeyPath) -> Iterator[str]:
    """What stands at a path, in the words of an `ignored` list: of a `mephisto:` section, its sections' keys one by one."""
    if path[0] == MEPHISTO and len(path) < 3 and isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    else:
        yield dotted(path)


def _as_it_is(value: Any, _: Path) -> Any:
    return value


def _normalised(value: Any, _: Path) -> Any:
    return nearest_name(value) if isinstance(value, str) else value


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
"""What of Mephisto's settings has a meaning here: its key, falsework's own, and its value here (None: none after all).

Of two for one setting the first wins.
"""
