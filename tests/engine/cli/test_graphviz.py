"""What graphviz draws, and what it says where it cannot."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from falsework.engine.cli.graphviz import GraphvizFailed, GraphvizMissing, stamp, svg
from falsework.engine.lifecycle.diagram import Visit, lifecycle_dot
from falsework.engine.lifecycle.states import State

from ...tools import need

STORY = [Visit(State.DEPLOYING, 1.3), Visit(State.DEPLOY_FAILED, 61), Visit(State.DEPLOYING, 1.0)]


def test_svg_is_well_formed_and_says_what_it_was_drawn_from() -> None:
    need("dot")
    dot = lifecycle_dot(STORY, State.DEPLOYING)
    drawn = svg(dot)
    ElementTree.fromstring(drawn)
    assert stamp(dot) in drawn
    assert "now, 2 times, 2.3 s" in drawn
    assert "prefers-color-scheme: dark" in drawn


def test_svg_without_graphviz_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GraphvizMissing, match="apt-get install graphviz"):
        svg(lifecycle_dot())


def test_what_graphviz_cannot_draw_is_told_in_its_words() -> None:
    need("dot")
    with pytest.raises(GraphvizFailed, match="syntax error"):
        svg("digraph {")
