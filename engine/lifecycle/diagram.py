"""Pictures of the lifecycle, drawn from the table of states.py: as Mermaid text, and in graphviz's language.

With a run's visits the same picture shows where the run is, the way it took and the time that it spent in each state.
The text depends on nothing but the table and the visits, so that a picture kept in a repository can be told stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .states import (
    FAILURES,
    FINAL,
    INITIAL,
    SETTLED,
    TABLE,
    WORK,
    State,
    Transition,
    Trigger,
)


@dataclass(frozen=True)
class Visit:
    """One stay of a run in a state, in the order of its story. The last one may still go on."""

    state: State
    seconds: float


@dataclass(frozen=True)
class Look:
    """How a kind of state is painted: light fills with their own dark text, legible on a light and on a dark page."""

    fill: str
    line: str
    text: str
    dashed: bool = False


LOOKS = {  # the first three in the order of COLUMNS
    "settled": Look("#d8f0e2", "#2f8f63", "#12382a"),
    "underway": Look("#fdf0c4", "#c08a00", "#463500"),
    "failure": Look("#fbdcd8", "#c8483d", "#581610", dashed=True),
    "untouched": Look("#eef0f3", "#a5acb5", "#646c76"),
}
MUTED, MARK = "#7a838f", "#1f6feb"
"""Lines and text outside the states, legible on both pages; and what marks the run's own way."""

COLUMNS = (SETTLED, tuple(WORK), FAILURES)
ANYWHERE = "shutdown is legal in each of these"
STANDING = tuple(
    row.source for row in TABLE if row.trigger is Trigger.SHUTDOWN and row.source is not State.SHUTDOWN_FAILED
)
"""The states in the box from which one arrow leads to shutting_down; shutdown_failed has an arrow of its own."""


def lifecycle_mermaid(visits: Sequence[Visit] = (), current: State | None = None) -> str:
    """The lifecycle as a Mermaid state diagram; with a run's visits and state, as that run's."""
    picture = _Picture(visits, current)
    kinds = {kind: [state for state in State if picture.kind(state) == kind] for kind in LOOKS}
    painted = {kind: states for kind, states in kinds.items() if states}
    lines = [
        "stateDiagram-v2",
        *(f'    state "{picture.label(state, "<br/>")}" as {state}' for state in State if picture.note(state)),
        f'    state "{ANYWHERE}" as standing {{',
        f"        [*] --> {INITIAL}",
        *(
            f"        {arrow}"
            for arrow in _mermaid_arrows(row for row in _drawn_one_by_one() if row.source in STANDING)
        ),
        "    }",
        f"    standing --> {State.SHUTTING_DOWN} : {Trigger.SHUTDOWN}",
        *(
            f"    {arrow}"
            for arrow in _mermaid_arrows(row for row in _drawn_one_by_one() if row.source not in STANDING)
        ),
        f"    {FINAL} --> [*]",
        *(f"    classDef {kind} {_mermaid_style(LOOKS[kind])}" for kind in painted),
        *(f"    class {','.join(states)} {kind}" for kind, states in painted.items()),
    ]
    if current is not None:
        lines += [f"    classDef current stroke:{MARK},stroke-width:4px", f"    class {current} current"]
    return "\n".join(lines) + "\n"


def lifecycle_dot(visits: Sequence[Visit] = (), current: State | None = None) -> str:
    """The same picture in graphviz's language, as a grid: the columns are at rest, under way and failed."""
    picture = _Picture(visits, current)
    lines = [
        "digraph lifecycle {",
        '  graph [bgcolor="transparent" compound=true newrank=true nodesep=0.9 pad=0.1 ranksep=0.42];',
        '  node [fontname="Helvetica" fontsize=13 height=0.48 penwidth=1.4 shape=box width=1.45];',
        f'  edge [arrowsize=0.75 color="{MUTED}" fontcolor="{MUTED}" fontname="Helvetica" fontsize=11.5];',
        *(f"  {line}" for line in _dot_grid()),
        f'  start [color="{MUTED}" fillcolor="{MUTED}" height=0.14 label="" shape=circle style=filled width=0.14];',
        f'  words [class=words fontcolor="{MUTED}" fontsize=12 height=0.2 label="{ANYWHERE}" shape=plaintext];',
        *(f"  {state} [{_dot_look(state, picture)}];" for state in State),
        f"  start -> {INITIAL};",
        *(f"  {_dot_arrow(row, picture)}" for row in _drawn_one_by_one()),
        f"  {_dot_way_down(picture)}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def spoken(seconds: float) -> str:
    """A duration as a person would say it: 40 ms, 2.3 s, 4 min 12 s, 3 h 5 min, 2 d 4 h."""
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    return f"{hours} h {minute} min" if hours else f"{minutes} min {second} s"


class _Picture:
    """What the visits of a run say about each state. Without visits and state it is the lifecycle itself."""

    def __init__(self, visits: Sequence[Visit], current: State | None) -> None:
        self.visits, self.current = visits, current
        self._touched = {visit.state for visit in visits} | ({current} if current else set())
        self._walked = set(pairwise(visit.state for visit in visits))

    def kind(self, state: State) -> str:
        if self._touched and state not in self._touched:
            return "untouched"
        return list(LOOKS)[_column(state)]

    def label(self, state: State, newline: str) -> str:
        note = self.note(state)
        return f"{state}{newline}{note}" if note else state.value

    def note(self, state: State) -> str:
        """The time spent in a state; what passes after the end is no time of the run."""
        stays = [visit.seconds for visit in self.visits if visit.state is state]
        here = "now" if state is self.current else ""
        if not stays or state is FINAL:
            return here
        often = f"{len(stays)} times" if len(stays) > 1 else ""
        return ", ".join(part for part in (here, often, spoken(sum(stays))) if part)

    def walked(self, source: State, dest: State) -> bool:
        return (source, dest) in self._walked


def _drawn_one_by_one() -> list[Transition]:
    """The rows with an arrow of their own: all but shutdown from the states in the box."""
    return [row for row in TABLE if row.trigger is not Trigger.SHUTDOWN or row.source not in STANDING]


def _column(state: State) -> int:
    return next(number for number, states in enumerate(COLUMNS) if state in states)


def _mermaid_arrows(rows: Iterable[Transition]) -> list[str]:
    return [f"{row.source} --> {row.dest} : {row.trigger}" for row in rows]


def _mermaid_style(look: Look) -> str:
    dashes = ",stroke-dasharray:5 3" if look.dashed else ""
    return f"fill:{look.fill},stroke:{look.line},color:{look.text}{dashes}"


def _rows() -> list[list[State]]:
    """The rows of the grid: a state at rest, the work whose failure stands in this row, and that failure."""
    works = {failure: work for work, (_, failure) in WORK.items()}
    return [
        [state for state in (settled, works.get(failure), failure) if state]
        for settled, failure in zip(SETTLED, FAILURES, strict=True)
    ]


def _dot_grid() -> list[str]:
    """Rows by rank, the box around those that shutdown leads out of, and hidden arrows that keep the columns straight."""
    *standing, ending = [f"{{rank=same; {'; '.join(states)};}}" for states in _rows()]
    columns = [pair for states in COLUMNS for pair in pairwise(states) if pair[1] is not State.SHUTTING_DOWN]
    return [
        "subgraph cluster_standing {",
        f'  graph [color="{MUTED}" margin=14 style="dashed,rounded"];',
        *(f"  {row}" for row in standing),
        "  words;",
        "}",
        ending,
        *(f"{upper} -> {lower} [style=invis weight=99];" for upper, lower in columns),
        f"{State.CONNECTING} -> words [minlen=2 style=invis weight=99];",
    ]


def _dot_look(state: State, picture: _Picture) -> str:
    look = LOOKS[picture.kind(state)]
    line = f'"{MARK}" penwidth=3.2' if state is picture.current else f'"{look.line}"'
    label = picture.label(state, r"\n")
    style = "filled,rounded,dashed" if look.dashed else "filled,rounded"
    rim = " peripheries=2" if state is FINAL else ""
    return (
        f'color={line} fillcolor="{look.fill}" fontcolor="{look.text}" group={_column(state)} label="{label}"'
        f'{rim} style="{style}"'
    )


def _dot_arrow(row: Transition, picture: _Picture) -> str:
    """One arrow. Within a row graphviz orders states by their arrows, so one to the left is written backwards."""
    way = _dot_way(picture.walked(row.source, row.dest))
    side_by_side = any(row.source in states and row.dest in states for states in _rows())
    if side_by_side and _column(row.dest) < _column(row.source):
        return f'{row.dest} -> {row.source} [dir=back label="{row.trigger}"{way}];'
    return f'{row.source} -> {row.dest} [label="{row.trigger}"{way}];'


def _dot_way_down(picture: _Picture) -> str:
    """One arrow for all the states in the box: it hangs on the words at its foot and is cut off at the box's rim."""
    way = _dot_way(any(picture.walked(state, State.SHUTTING_DOWN) for state in STANDING))
    return f'words -> {State.SHUTTING_DOWN} [label="{Trigger.SHUTDOWN}" ltail=cluster_standing weight=99{way}];'


def _dot_way(walked: bool) -> str:
    return f' class=walked color="{MARK}" fontcolor="{MARK}" penwidth=2.2' if walked else ""
