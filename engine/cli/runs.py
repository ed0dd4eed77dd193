"""`ps` and `show`: what the ledger knows of runs. Nothing is changed, and nothing made where there is no ledger yet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..ledger.ledger import (
    Ledger,
    Ownership,
    RunRecord,
    Standing,
)
from ..lifecycle.diagram import spoken
from ..lifecycle.states import FINAL
from ..work.submissions import read
from .output import iso_time, local_time, print_aligned, print_json, print_table
from .progress import printable
from .records import is_owner_alive, reading, reading_run
from .story import Chapter, account, chapters, closing
from .story import standing as standing

COLUMNS = ("run_id", "state", "architect", "url", "started", "owner")


def ps(every: bool, as_json: bool) -> None:
    """List runs, newest first; those that have ended only if `every` one is asked for."""
    with reading() as ledger:
        runs = ledger.runs(ended=every) if ledger else []
        if as_json:
            print_json([_row(run) for run in runs])
        else:
            print_table(COLUMNS, [_cells(run) for run in runs])


def show(text: str, as_json: bool) -> None:
    """All that is known of one run."""
    with reading_run(text) as (ledger, run):
        if as_json:
            print_json(_whole(ledger, run))
            return
        print_aligned(_facts(run))
        for title, rows in (
            ("story", _story_rows(ledger, run)),
            ("submissions", _submission_rows(run)),
            ("now", [[printable(line)] for line in closing(ledger, run)]),
        ):
            print(f"\n{title}")
            print_aligned(list(rows) or [["none"]], indent="  ")


def _row(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "state": run.state.value,
        "architect": run.architect,
        "url": run.url,
        "started": iso_time(run.started),
        "owner": str(run.owner),
        "owner_alive": is_owner_alive(run),
    }


def _cells(run: RunRecord) -> list[str]:
    return [run.run_id, run.state.value, run.architect, run.url or "-", local_time(run.started), _owner(run)]


def _owner(run: RunRecord) -> str:
    if run.state is FINAL:
        return str(run.owner)
    alive = is_owner_alive(run)
    if alive is None:
        return f"{run.owner}, heard {spoken(time.time() - run.heartbeat)} ago"
    return str(run.owner) if alive else f"{run.owner}, gone"


def _whole(ledger: Ledger, run: RunRecord) -> dict[str, Any]:
    now = time.time()
    return {
        **_row(run),
        "ended": iso_time(run.ended),
        "directory": str(run.directory),
        "task_file": str(run.task_file),
        "overrides": list(run.overrides),
        "story": [_chapter(one, now) for one in chapters(run, ledger.story(run.run_id))],
        "owners": [_ownership(one) for one in ledger.owners(run.run_id)],
        "resources": [_standing(one) for one in ledger.standings(run.run_id)],
        "submissions": _count(run),
    }


def _chapter(chapter: Chapter, now: float) -> dict[str, Any]:
    return {
        "state": chapter.state.value,
        "entered": iso_time(chapter.entered),
        "seconds": None if chapter.state is FINAL else round(chapter.seconds(now), 6),
        "reason": chapter.reason or None,
        "error": chapter.error,
    }


def _ownership(ownership: Ownership) -> dict[str, Any]:
    return {"owner": str(ownership.owner), "since": iso_time(ownership.since)}


def _standing(one: Standing) -> dict[str, Any]:
    return {
        "kind": one.resource.kind,
        "name": one.resource.name,
        "facts": dict(one.resource.facts),
        "stands": one.gone is None,
        "announced": iso_time(one.announced),
        "gone": iso_time(one.gone),
    }


def _facts(run: RunRecord) -> list[list[str]]:
    return [
        [run.run_id, run.state.value],
        ["architect", run.architect],
        ["url", run.url or "-"],
        ["started", local_time(run.started)],
        *([["ended", local_time(run.ended)]] if run.ended is not None else []),
        ["owner", _owner(run)],
        ["task", " ".join([str(run.task_file), *run.overrides])],
        ["files", str(run.directory)],
    ]


def _story_rows(ledger: Ledger, run: RunRecord) -> Iterator[list[str]]:
    now = time.time()
    for entry in account(ledger, run):
        first, *more = printable(entry.told).splitlines() or [""]
        yield [local_time(entry.at), *_stay(entry.chapter, now), first]
        yield from (["", "", "", line] for line in more)


def _stay(chapter: Chapter | None, now: float) -> list[str]:
    if chapter is None:
        return ["", ""]
    return [chapter.state.value, "" if chapter.state is FINAL else spoken(chapter.seconds(now))]


def _count(run: RunRecord) -> dict[str, int]:
    """Submissions by kind; those of units that do not count are `extras`."""
    kinds = Counter("extras" if one.kind == "unit" and not one.counted else one.kind for one in read(run.directory))
    return {kind: kinds[kind] for kind in ("unit", "extras", "onboarding", "metadata")}


def _submission_rows(run: RunRecord) -> Iterator[list[str]]:
    words = {
        "unit": "of units, which count",
        "extras": "of units, which do not count",
        "onboarding": "of onboardings",
        "metadata": "of metadata",
    }
    for kind, count in _count(run).items():
        if count:
            yield [str(count), words[kind]]
