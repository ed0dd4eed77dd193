"""Values given on the command line, `architect.port=3000`, which win over those of the file."""

from __future__ import annotations

from dataclasses import replace

from ..errors import ConfigError, Problem
from .document import Document, KeyPath, Place, dotted
from .yaml_reader import parse

COMMAND_LINE = "command line"
"""The file of what was not written in one."""


def override(document: Document, assignment: str) -> None:
    """Set a value of a document as `key=value` says, the value read as YAML. Its problems become the document's."""
    key, equals, text = assignment.partition("=")
    path: KeyPath = tuple(key.strip().split("."))
    if not equals or "" in path:
        wrong = f"found {assignment!r}; allowed: key=value, as in task.name=x"
        document.problems.append(Problem(wrong, COMMAND_LINE))
        return
    given = _parsed(text)
    document.problems.extend(replace(problem, line=None, key=dotted(path)) for problem in given.problems)
    if document.section_for(path) is None:
        document.problems.append(Problem("stands in something that has no keys", COMMAND_LINE, None, dotted(path)))
    elif not given.problems:
        places = {inner: Place(COMMAND_LINE, None, dotted(path + inner)) for inner in ((), *given.places)}
        document.put(path, given.value, places)


def _parsed(text: str) -> Document:
    try:
        return parse(text, COMMAND_LINE)
    except ConfigError as error:
        unreadable = Document(COMMAND_LINE)
        unreadable.problems.extend(error.problems)
        return unreadable
