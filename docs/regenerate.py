"""Write what is made from the code anew: `python docs/regenerate.py`, and `--check` to only compare.

The table of what each architect guarantees, between its marks in guarantees.md; that of all that a router can be told, in
router.md; and the same for the Node router, its router_args.js. `--check` changes nothing and exits 1 with the name of what is
stale.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

from falsework.engine.contract.architect import Guarantees
from falsework.engine.contract.registry import architect_class, architects
from falsework.engine.settings.quantities import format_duration
from falsework.router.wire.router_args import Flag, Kind, flags

ROOT = Path(__file__).parents[1]
PACKAGE = "falsework"
TYPES = {Kind.SWITCH: "boolean", Kind.PORT: "number", Kind.DURATION: "number", Kind.LIMITS: "[string, string]"}
"""What a value is to the Node router, where it is no text."""
FOR_NODE = """\
/* All that a router can be told, as router/wire/router_args.py says it. `python docs/regenerate.py` writes this file. */

/**
 * What the flags come to, before the token is read and the limits are.
 * @typedef {{
%s
 * }} RouterArgs
 */

/**
 * One flag: `name` without its dashes, `field` as in RouterArgs, `kind` as in Python's table.
 * @typedef {{
 *   name: string, field: string, kind: string, help: string, metavar: string | null, default: unknown, choices: string[],
 *   isRepeatable: boolean, isRequired: boolean, fallsBackOn: string | null
 * }} Flag
 */

/** @type {readonly Flag[]} */
export const FLAGS = [
%s
]
"""


class MarksMissing(ValueError):
    """The page has no place for the table."""


def meanings() -> dict[str, str]:
    """What each guarantee says, in the words under its field in the code."""
    source = ast.parse(textwrap.dedent(inspect.getsource(Guarantees)))
    (record,) = (node for node in ast.walk(source) if isinstance(node, ast.ClassDef))
    found = {}
    for field, words in pairwise(record.body):
        if isinstance(field, ast.AnnAssign) and isinstance(words, ast.Expr):
            found[ast.unparse(field.target)] = str(ast.literal_eval(words.value))
    return found


def promised() -> dict[str, Guarantees]:
    """What each architect of this package guarantees, by its name; those of other packages are theirs to document."""
    ours = [name for name, entry in architects().items() if entry.dist and entry.dist.name == PACKAGE]
    return {name: architect_class(name).guarantees for name in ours}


def table_of_guarantees(by_name: Mapping[str, Guarantees]) -> str:
    """A row for each guarantee, a column for each architect."""
    rows = [["", *(f"`{name}`" for name in by_name)], ["---"] * (len(by_name) + 1)]
    for field, meaning in meanings().items():
        kept = ["yes" if getattr(guarantees, field) else "no" for guarantees in by_name.values()]
        rows.append([f"*{field.replace('_', ' ')}*: {meaning}", *kept])
    return _table(rows)


def table_of_flags() -> str:
    """A row for each flag: how a task file says it, and how a server of one's own is told."""
    rows = [["flag", "`architect.…`", "a server of one's own", "default", ""], ["---"] * 5]
    for flag in flags():
        key, variable = (f"`{flag.field}`" if flag.is_setting else ""), (f"`{flag.variable}`" if flag.variable else "")
        rows.append([f"`{_usage(flag)}`", key, variable, _default(flag), flag.help])
    return _table(rows)


def page(path: Path, topic: str, table: str) -> str:
    """The page with that table between the marks of its topic. Raises MarksMissing."""
    begin = f"<!-- {topic}: begin (python docs/regenerate.py writes this table) -->\n"
    end = f"<!-- {topic}: end -->\n"
    before, found, rest = path.read_text("utf-8").partition(begin)
    _, ending, after = rest.partition(end)
    if not found or not ending:
        raise MarksMissing(f"{path.name} lacks one of the lines {begin.strip()} and {end.strip()}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def flags_for_node() -> str:
    """The table of flags as a module of the Node router."""
    types = "\n".join(f" *   {_camel(flag.field)}{_type_for_node(flag)}," for flag in flags())
    return FOR_NODE % (types.removesuffix(","), ",\n".join(f"  {_object_for_node(flag)}" for flag in flags()))


def _table(rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _usage(flag: Flag) -> str:
    metavar = "\\|".join(flag.choices) or flag.metavar
    return f"--{flag.name} {metavar}" if metavar else f"--{flag.name}"


def _default(flag: Flag) -> str:
    if flag.default in (None, False, [], {}):
        return ""
    return f"`{format_duration(flag.default) if flag.kind is Kind.DURATION else flag.default}`"


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)


def _type_for_node(flag: Flag) -> str:
    one = TYPES.get(flag.kind, "string")
    if flag.is_repeatable:
        return f": {one if one.isalpha() else f'({one})'}[]"
    is_there = flag.is_required or flag.default is not None
    return f": {one}" if is_there else f"?: {one}"


def _object_for_node(flag: Flag) -> str:
    said = {
        "name": flag.name,
        "field": _camel(flag.field),
        "kind": flag.kind,
        "help": flag.help,
        "metavar": flag.metavar,
        "default": list(flag.default) if flag.is_repeatable else flag.default,
        "choices": flag.choices,
        "isRepeatable": flag.is_repeatable,
        "isRequired": flag.is_required,
        "fallsBackOn": flag.falls_back_on,
    }
    return json.dumps(said)


MADE: Mapping[str, Callable[[Path], str]] = {
    "docs/guarantees.md": lambda path: page(path, "guarantees", table_of_guarantees(promised())),
    "docs/router.md": lambda path: page(path, "flags", table_of_flags()),
    "router/node/wire/router_args.js": lambda path: flags_for_node(),
}
"""What is made, by its path, and how."""


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Exit code 0: all of it is current now; 1: `--check` found some of it stale."""
    stale = 0
    for name, make in MADE.items():
        path = root / name
        current = make(path)
        if path.is_file() and path.read_text("utf-8") == current:
            continue
        if "--check" in arguments:
            print(f"{name} is stale: run python docs/regenerate.py")
            stale = 1
        else:
            path.write_text(current, "utf-8")
            print(f"{name} was written anew")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
