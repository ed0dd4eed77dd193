"""The pictures say what the table says, mark where a run is, and the ones in diagrams/ are current."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from falsework.engine.lifecycle.diagram import (
    STANDING,
    Visit,
    lifecycle_dot,
    lifecycle_mermaid,
    spoken,
)
from falsework.engine.lifecycle.states import TABLE, State, Trigger

from ...tools import need

DIAGRAMS = Path(__file__).parents[3] / "diagrams"
STORY = [
    Visit(State.CONFIGURED, 0.02),
    Visit(State.PREPARING, 0.4),
    Visit(State.PREPARED, 0.001),
    Visit(State.DEPLOYING, 1.3),
    Visit(State.DEPLOY_FAILED, 61),
    Visit(State.DEPLOYING, 1.0),
]


def arrows_of(mermaid: str) -> set[tuple[str, str, str]]:
    """Trigger, source and destination of each arrow; the box's arrow stands for one from each state in it."""
    found = re.findall(r"^ *(\w+) --> (\w+) : (\w+)$", mermaid, flags=re.MULTILINE)
    one_by_one = {(trigger, source, dest) for source, dest, trigger in found if source != "standing"}
    box = [(dest, trigger) for source, dest, trigger in found if source == "standing"]
    return one_by_one | {(trigger, state.value, dest) for dest, trigger in box for state in STANDING}


def test_the_mermaid_text_holds_the_table_and_nothing_more() -> None:
    assert arrows_of(lifecycle_mermaid()) == {(row.trigger.value, row.source.value, row.dest.value) for row in TABLE}


def test_the_mermaid_box_holds_the_states_that_its_arrow_stands_for() -> None:
    box = lifecycle_mermaid().split("as standing {")[1].split("}")[0]
    assert set(re.findall(r"\w+(?= -->)|(?<=--> )\w+", box)) == {state.value for state in STANDING}


def test_shutdown_is_drawn_once_for_all_the_states_in_the_box() -> None:
    assert lifecycle_mermaid().count(f": {Trigger.SHUTDOWN}\n") == 2, "from the box and from shutdown_failed"
    assert lifecycle_dot().count(f'label="{Trigger.SHUTDOWN}"') == 2


def test_the_dot_text_holds_every_arrow() -> None:
    drawn = set()
    for left, right, rest in re.findall(r"^ *(\w+) -> (\w+) \[(.*label=.*)\];$", lifecycle_dot(), flags=re.MULTILINE):
        source, dest = (right, left) if "dir=back" in rest else (left, right)
        drawn.add((re.findall(r'label="(\w+)"', rest)[0], source, dest))
    from_the_box = {(Trigger.SHUTDOWN, state) for state in STANDING}
    expected = {tuple(row) for row in TABLE if (row.trigger, row.source) not in from_the_box}
    assert drawn == expected | {("shutdown", "words", "shutting_down")}


def test_pictures_are_the_same_every_time() -> None:
    assert lifecycle_mermaid(STORY, State.DEPLOYING) == lifecycle_mermaid(STORY, State.DEPLOYING)
    assert lifecycle_dot(STORY, State.DEPLOYING) == lifecycle_dot(STORY, State.DEPLOYING)


def test_a_run_is_marked_where_it_is_with_the_time_that_it_spent_in_each_state() -> None:
    text = lifecycle_mermaid(STORY, State.DEPLOYING)
    assert "class deploying current" in text
    assert '"preparing<br/>400 ms" as preparing' in text
    assert '"deploying<br/>now, 2 times, 2.3 s" as deploying' in text
    assert '"deploy_failed<br/>1 min 1 s" as deploy_failed' in text


def test_states_that_a_run_never_saw_are_faded() -> None:
    untouched = re.findall(r"^ *class ([\w,]+) untouched$", lifecycle_mermaid(STORY, State.DEPLOYING), re.MULTILINE)
    assert set(untouched[0].split(",")) == {state.value for state in State} - {visit.state.value for visit in STORY}


def test_the_way_of_a_run_is_drawn_along_its_arrows() -> None:
    walked = re.findall(r"^ *(\w+ -> \w+) .*class=walked", lifecycle_dot(STORY, State.DEPLOYING), flags=re.MULTILINE)
    assert walked == [
        "configured -> preparing",
        "prepared -> deploying",
        "deploying -> deploy_failed",
        "preparing -> prepared",
        "deploying -> deploy_failed",
    ], "the arrow back from deploy_failed is written backwards"


def test_the_way_down_is_marked_from_wherever_it_began() -> None:
    story = [*STORY, Visit(State.SHUTTING_DOWN, 0.2), Visit(State.SHUT_DOWN, 1e6)]
    assert 'words -> shutting_down [label="shutdown" ltail=cluster_standing weight=99 class=walked' in lifecycle_dot(
        story
    )


def test_time_after_the_end_is_no_time_of_the_run() -> None:
    story = [Visit(State.SHUTTING_DOWN, 0.2), Visit(State.SHUT_DOWN, 86400)]
    assert '"shut_down<br/>now" as shut_down' in lifecycle_mermaid(story, State.SHUT_DOWN)


def test_a_run_without_a_story_is_still_marked() -> None:
    assert '"configured<br/>now" as configured' in lifecycle_mermaid((), State.CONFIGURED)


@pytest.mark.parametrize(
    "seconds, words",
    [
        (-1, "0 ms"),
        (0.0404, "40 ms"),
        (0.9996, "1.0 s"),
        (2.34, "2.3 s"),
        (59.96, "1 min 0 s"),
        (252, "4 min 12 s"),
        (3599.6, "1 h 0 min"),
        (11_100, "3 h 5 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_read_as_a_person_would_say_them(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_the_pictures_in_diagrams_are_current() -> None:
    check = [sys.executable, str(DIAGRAMS / "regenerate.py"), "--check"]
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (result.stdout, result.returncode) == ("", 0), result.stderr


def test_a_stale_picture_is_named_and_drawn_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("dot")
    monkeypatch.syspath_prepend(str(DIAGRAMS))
    regenerate = runpy.run_path(str(DIAGRAMS / "regenerate.py"))
    names = ["lifecycle.mmd", "lifecycle.svg", "layers.mmd", "layers.svg"]
    assert regenerate["regenerate"](tmp_path) == names
    assert regenerate["stale"](tmp_path) == []
    for name in names:
        (tmp_path / name).write_text("something else", "utf-8")
    assert regenerate["stale"](tmp_path) == names
