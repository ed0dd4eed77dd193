"""The picture of the rooms: what each folder is for, and which rests on which, as the imports in the code say it.

Left out is what would hide the rest: an arrow that follows from others (the picture is the transitive reduction of the
imports), and what lies beside the rooms, such as errors.py, on which all may rest.
"""

from __future__ import annotations

import configparser
import importlib
import textwrap
from collections.abc import Collection, Mapping
from pathlib import Path

import grimp
from falsework.engine.lifecycle.diagram import LOOKS, MARK, MUTED, Look

LAYERS = ("falsework.architects", "falsework.engine", "falsework.router")
LEGEND = "green decides: no I/O, no clock · blue leads to another layer · all may rest on what lies beside the rooms"
PURE, OTHER = LOOKS["settled"], LOOKS["untouched"]
CONTRACTS = Path(__file__).parent.parent / ".importlinter"
LINE_END = r"\n"
"""In a label of graphviz."""
LETTERS_IN_LINE = 24
"""Of what a room is for."""

Arrows = dict[str, set[str]]
"""What each room imports, by the rooms' whole names."""


def imports() -> Arrows:
    """The imports between the rooms of the picture, as found in the installed code."""
    graph = grimp.build_graph(*LAYERS, cache_dir=None)
    rooms = {room for layer in LAYERS for room in graph.find_children(layer) if graph.find_children(room)}
    arrows: Arrows = {room: set() for room in sorted(rooms)}
    for module in graph.modules:
        if (room := _room(module)) in rooms:
            imported = {_room(target) for target in graph.find_modules_directly_imported_by(module)}
            arrows[room] |= (imported & rooms) - {room}
    return arrows


def purpose(room: str) -> str:
    """What a room is for: the beginning of its docstring, up to the first colon, semicolon or full stop."""
    words = (importlib.import_module(room).__doc__ or "").split("\n", 1)[0]
    ends = [words.find(mark) for mark in (": ", "; ", ".") if mark in words]
    return words[: min(ends, default=len(words))]


def reduced(arrows: Mapping[str, set[str]]) -> Arrows:
    """The arrows that do not follow from others. Arrows of a circle are all kept: a circle should be seen."""
    reach = {module: _reachable(module, arrows) for module in arrows}

    def follows(source: str, target: str) -> bool:
        between = (other for other in arrows[source] - {target} if target in reach[other])
        return any(other not in reach[target] and source not in reach[other] for other in between)

    return {source: {target for target in targets if not follows(source, target)} for source, targets in arrows.items()}


def pure_modules() -> set[str]:
    """The modules and rooms that .importlinter keeps free of I/O and of the clock."""
    contracts = configparser.ConfigParser()
    contracts.read_string(CONTRACTS.read_text("utf-8"))
    return set(contracts["importlinter:contract:pure"]["source_modules"].split())


def layers_mermaid(arrows: Mapping[str, set[str]], pure: Collection[str]) -> str:
    """The layers as a Mermaid flowchart."""
    pairs = _pairs(arrows)
    across = [str(number) for number, pair in enumerate(pairs) if _crosses(*pair)]
    green = [_identifier(module) for module in arrows if module in pure]
    lines = ["---", f"title: {LEGEND.replace(': ', ', ')}", "---", "flowchart TB"]
    for layer in LAYERS:
        lines += [f'    subgraph layer_{_name(layer)}["{_name(layer)}/"]']
        lines += [
            f'        {_identifier(module)}["{_label(module, "<br>")}"]' for module in arrows if _layer(module) == layer
        ]
        lines += ["    end", f"    style layer_{_name(layer)} fill:transparent,stroke:{MUTED},stroke-dasharray:5 3"]
    lines += [f"    {_identifier(source)} --> {_identifier(target)}" for source, target in pairs]
    lines += [f"    linkStyle {','.join(across)} stroke:{MARK}"] if across else []
    lines += [f"    classDef {kind} {_colours(look)}" for kind, look in (("default", OTHER), ("pure", PURE))]
    lines += [f"    class {','.join(green)} pure"] if green else []
    return "\n".join(lines) + "\n"


def layers_dot(arrows: Mapping[str, set[str]], pure: Collection[str]) -> str:
    """The layers in graphviz's language."""
    words = f'fontcolor="{MUTED}" fontname="Helvetica" fontsize=13'
    lines = [
        "digraph layers {",
        f'  graph [bgcolor="transparent" class=words label="{LEGEND}" {words} nodesep=0.22 newrank=true pad=0.1 ranksep=0.5];',
        '  node [fontname="Helvetica" fontsize=13 height=0.4 penwidth=1.3 shape=box style="filled,rounded" width=0.9];',
        f'  edge [arrowsize=0.65 color="{MUTED}"];',
    ]
    for layer in LAYERS:
        box = f'color="{MUTED}" label="{_name(layer)}/" labeljust=l margin=14 style="dashed,rounded"'
        boxes = [f"    {_dot_box(module, module in pure)}" for module in arrows if _layer(module) == layer]
        lines += [f"  subgraph cluster_{_name(layer)} {{", f"    graph [{box}];", *boxes, "  }"]
    lines += [f"  {_dot_arrow(source, target)}" for source, target in _pairs(arrows)]
    return "\n".join([*lines, "}"]) + "\n"


def _layer(module: str) -> str:
    return ".".join(module.split(".")[:2])


def _name(module: str) -> str:
    return module.rpartition(".")[2]


def _room(module: str) -> str:
    """The room that a module lies in: falsework.engine.cli.launch is in falsework.engine.cli."""
    return ".".join(module.split(".")[:3])


def _label(room: str, line_end: str) -> str:
    return line_end.join([f"{_name(room)}/", *textwrap.wrap(purpose(room), LETTERS_IN_LINE)])


def _identifier(room: str) -> str:
    return f"{_name(_layer(room))}_{_name(room)}"


def _pairs(arrows: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    return [(source, target) for source in sorted(arrows) for target in sorted(arrows[source])]


def _reachable(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        new = arrows[ahead.pop()] - seen
        seen |= new
        ahead += new
    return seen


def _crosses(source: str, target: str) -> bool:
    return _layer(source) != _layer(target)


def _colours(look: Look) -> str:
    return f"fill:{look.fill},stroke:{look.line},color:{look.text}"


def _dot_box(module: str, is_pure: bool) -> str:
    look = PURE if is_pure else OTHER
    colours = f'color="{look.line}" fillcolor="{look.fill}" fontcolor="{look.text}"'
    return f'{_identifier(module)} [{colours} label="{_label(module, LINE_END)}"];'


def _dot_arrow(source: str, target: str) -> str:
    style = f' [class=walked color="{MARK}"]' if _crosses(source, target) else ""
    return f"{_identifier(source)} -> {_identifier(target)}{style};"
