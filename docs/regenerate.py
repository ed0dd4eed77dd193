"""Write what the docs say of the code anew: `python docs/regenerate.py`, and `--check` to only compare.

That is the table of what each architect guarantees, between its marks in guarantees.md. `--check` changes nothing and exits 1
with the name of the page if that is stale.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from falsework.engine.contract.architect import Guarantees
from falsework.engine.contract.registry import architect_class, architects

PAGE = Path(__file__).with_name("guarantees.md")
BEGIN = "<!-- guarantees: begin (python docs/regenerate.py writes this table) -->\n"
END = "<!-- guarantees: end -->\n"
PACKAGE = "falsework"


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


def table(by_name: Mapping[str, Guarantees]) -> str:
    """A row for each guarantee, a column for each architect."""
    rows = [["", *(f"`{name}`" for name in by_name)], ["---"] * (len(by_name) + 1)]
    for field, meaning in meanings().items():
        kept = ["yes" if getattr(guarantees, field) else "no" for guarantees in by_name.values()]
        rows.append([f"*{field.replace('_', ' ')}*: {meaning}", *kept])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def rewritten(page: str) -> str:
    """The page with the table that the installed code makes. Raises MarksMissing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MarksMissing(f"{PAGE.name} lacks one of the lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}\n{table(promised())}\n{END}{after}"


def main(arguments: list[str], path: Path = PAGE) -> int:
    """Exit code 0: the page is current now; 1: `--check` found it stale."""
    page = path.read_text("utf-8")
    current = rewritten(page)
    if page == current:
        return 0
    if "--check" in arguments:
        print(f"docs/{path.name} is stale: run python docs/regenerate.py")
        return 1
    path.write_text(current, "utf-8")
    print(f"docs/{path.name} was written anew")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
