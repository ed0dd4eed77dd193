"""Reading YAML into a document, every value with its place.

Read safely: plain data only, no tags, and no more of it than the limits allow once its aliases are expanded. Two things
differ from YAML 1.1, since they surprise: keys are always text (`on: 1` has the key "on"), and what looks like a time, a
base-60 or an octal number stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, Problem
from ..wording import found
from .document import Document, KeyPath, Place, dotted

MOST_BYTES = 1 << 20
MOST_NODES = 10_000
"""Values in a document, after every alias is expanded."""


def read_document(path: Path) -> Document:
    """The document in a file. Raises ConfigError if it cannot be read, is no YAML, or is larger than a task file can be."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(Problem(f"cannot be read: {getattr(error, 'strerror', error)}", str(path))) from error
    if len(content) > MOST_BYTES:
        raise ConfigError(Problem(f"is larger than {MOST_BYTES} bytes", str(path)))
    try:
        return parse(content.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(Problem("is not UTF-8 text", str(path), line)) from error


def parse(text: str, file: str) -> Document:
    """The document in a text. Raises ConfigError if it is no YAML, or too large; lesser problems are the document's."""
    document = Document(file)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        document.value = _Builder(document, loader).build(node, ()) if node else None
    except yaml.reader.ReaderError as error:
        raise ConfigError(
            Problem(f"is not YAML: {error.reason}", file, text.count("\n", 0, error.position) + 1)
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        why = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(Problem(f"is not YAML: {why}", file, line)) from error
    except RecursionError as error:
        raise ConfigError(Problem("is nested too deeply", file)) from error
    return document


class _Loader(yaml.SafeLoader):
    """Makes the nodes of a document, with their lines; stops at once when they are too many."""

    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.nodes += 1
        if self.nodes > 2 * MOST_NODES:  # keys are nodes as well
            raise yaml.MarkedYAMLError(problem=f"it has more than {MOST_NODES} values", problem_mark=self.get_mark())
        return super().compose_node(parent, index)


_CORE = "tag:yaml.org,2002:"
_SCALARS = {_CORE + kind for kind in ("null", "bool", "int", "float", "str")}
_MERGE = _CORE + "merge"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag in (_CORE + "null", _CORE + "bool", _MERGE)]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _CORE + "int", re.compile(r"(?:[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+)$", re.ASCII), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    _CORE + "float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$", re.ASCII),
    list("-+.0123456789"),
)


class _Builder:
    """Plain values from nodes. Every value is counted as often as it stands in the result, so aliases cannot explode."""

    def __init__(self, document: Document, loader: _Loader) -> None:
        self.document, self.loader = document, loader
        self.nodes = self.characters = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._spend(node)
        if path not in self.document.places:
            self._place(path, node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in (_CORE + "map", _CORE + "seq"):
            return self._refuse(path, f"the tag {node.tag} is not allowed; a task file holds plain values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]

    def _spend(self, node: yaml.Node) -> None:
        self.nodes += 1
        self.characters += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        if self.nodes > MOST_NODES or self.characters > MOST_BYTES:
            raise yaml.MarkedYAMLError(
                problem=f"its aliases expand to more than {MOST_NODES} values or {MOST_BYTES} characters",
                problem_mark=node.start_mark,
            )

    def _place(self, path: KeyPath, node: yaml.Node) -> None:
        if path:
            self.document.places[path] = Place(self.document.file, node.start_mark.line + 1, dotted(path))

    def _refuse(self, path: KeyPath, message: str) -> None:
        self.document.problems.append(self.document.problem(path, message))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        if node.tag not in _SCALARS:
            return self._refuse(path, f"the tag {node.tag} is not allowed; a task file holds plain values")
        try:
            value = self.loader.construct_object(node)
            str(value).encode()  # an escaped half of a character, or a number of thousands of digits
        except (ValueError, KeyError):
            return self._refuse(
                path, f"found {found(node.value)}, which cannot be read as {node.tag.removeprefix(_CORE)}"
            )
        if value in (float("inf"), float("-inf")) or value != value:
            return self._refuse(path, f"found {node.value}; allowed: a number that is finite")
        return value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in self._own(node, path):
            values[key.value] = self.build(value, (*path, key.value))
        for key, value in self._merged(node, path):
            if key.value not in values:
                values[key.value] = self.build(value, (*path, key.value))
        return values

    def _own(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(path, f"has a key on line {line} that is a list or a section; allowed: text")
            elif key.tag == _MERGE:
                continue
            elif key.value in lines:
                first = f"is given twice, first on line {lines[key.value]}"
                self.document.problems.append(Problem(first, self.document.file, line, dotted((*path, key.value))))
            else:
                lines[key.value] = line
                self._place((*path, key.value), key)
                yield key, value

    def _merged(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """What `<<` brings, the nearest first."""
        sources = [value for key, value in node.value if key.tag == _MERGE]
        for source in sources:
            for merged in source.value if isinstance(source, yaml.SequenceNode) else [source]:
                self._spend(merged)
                if not isinstance(merged, yaml.MappingNode):
                    self._refuse(path, "merges (<<) what is no section")
                    continue
                for key, value in merged.value:
                    self._spend(key)
                    if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                        yield key, value
                yield from self._merged(merged, path)
