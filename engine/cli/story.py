"""A run's account from its ledger: its states, what came to stand and when it was gone, whose it was, and what stands now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import pairwise
from operator import attrgetter

from ..contract.architect import Resource
from ..ledger.ledger import (
    Ledger,
    Ownership,
    RunRecord,
    Standing,
    Step,
)
from ..lifecycle.diagram import Visit
from ..lifecycle.states import FINAL, INITIAL, State
from .output import local_time
from .records import is_owner_alive

MEANINGS = {
    State.CONFIGURED: "launched by {owner}",
    State.PREPARING: "making the bundle",
    State.PREPARED: "the bundle is made",
    State.DEPLOYING: "putting the server up",
    State.DEPLOYED: "the server answers, and it is this run's",
    State.CONNECTING: "opening the channel to it",
    State.CONNECTED: "the channel is open",
    State.SHUT_DOWN: "all was looked for, and is gone",
}
"""What it means to come to a state where nobody gave a reason. For the others somebody did."""


@dataclass(frozen=True)
class Chapter:
    """One stay of a run in a state. Times are seconds since the epoch; `left` is None while it lasts."""

    state: State
    entered: float
    left: float | None
    reason: str = ""
    error: str | None = None

    def seconds(self, now: float) -> float:
        """How long it lasted, or lasts until now."""
        return (now if self.left is None else self.left) - self.entered


@dataclass(frozen=True)
class Entry:
    """One line of an account. `at` is in seconds since the epoch; `chapter` is None for what happened during another's."""

    at: float
    told: str
    chapter: Chapter | None = None


def chapters(run: RunRecord, steps: Sequence[Step]) -> list[Chapter]:
    """The stays of a run, in order, the one that lasts at the end."""
    entries = [(INITIAL, run.started, "", None), *((step.dest, step.at, step.reason, step.error) for step in steps)]
    ended = [
        Chapter(state, entered, later[1], reason, error) for (state, entered, reason, error), later in pairwise(entries)
    ]
    state, entered, reason, error = entries[-1]
    return [*ended, Chapter(state, entered, None, reason, error)]


def visits(ledger: Ledger, run: RunRecord, now: float) -> list[Visit]:
    """The same for a diagram. The end takes no time."""
    told = chapters(run, ledger.story(run.run_id))
    return [Visit(one.state, 0.0 if one.state is FINAL else one.seconds(now)) for one in told]


def account(ledger: Ledger, run: RunRecord) -> list[Entry]:
    """All that happened to a run. Each kind of thing keeps its own order, whatever a clock that was set back says."""
    owners, standings = ledger.owners(run.run_id), ledger.standings(run.run_id)
    return list(
        merge(
            _takeovers(owners),
            _chapters_told(chapters(run, ledger.story(run.run_id)), owners),
            _announcements(standings),
            _ends(standings),
            key=attrgetter("at"),
        )
    )


def standing(resource: Resource) -> str:
    """A resource as a person would look for it: `process caption-7f3a9c (pid 4711, port 8080)`."""
    facts = ", ".join(f"{name} {value}" for name, value in resource.facts.items() if name != "started")
    return _named(resource) + (f" ({facts})" if facts else "")


def closing(ledger: Ledger, run: RunRecord) -> list[str]:
    """What stands of a run now, who sees to it, and which command does if nobody does."""
    if run.state is FINAL:
        return ["nothing stands"]
    things = [f"stands: {standing(resource)}" for resource in ledger.resources(run.run_id)]
    return [*(things or ["nothing stands that is known of"]), *_what_is_next(run)]


# Entries


def _chapters_told(told: Sequence[Chapter], owners: Sequence[Ownership]) -> Iterator[Entry]:
    launcher = owners[0].owner if owners else "an unknown process"
    several = sum(one.state is State.DEPLOYING for one in told) > 1
    attempt = 0
    for one in told:
        why = ": ".join(part for part in (one.reason, one.error) if part)
        why = why or MEANINGS.get(one.state, "").format(owner=launcher)
        if one.state is State.DEPLOYING and several:
            attempt += 1
            why += f", attempt {attempt}"
        yield Entry(one.entered, why, one)


def _takeovers(owners: Sequence[Ownership]) -> Iterator[Entry]:
    for before, after in pairwise(owners):
        heard = "" if after.last_heard is None else f", last heard of at {local_time(after.last_heard)}"
        yield Entry(after.since, f"taken over by {after.owner} from {before.owner}{heard}")


def _announcements(standings: Sequence[Standing]) -> Iterator[Entry]:
    for one in standings:
        yield Entry(one.announced, f"announced: {standing(one.resource)}")


def _ends(standings: Sequence[Standing]) -> list[Entry]:
    ends = [Entry(one.gone, f"seen to be gone: {_named(one.resource)}") for one in standings if one.gone is not None]
    return sorted(ends, key=attrgetter("at"))


def _named(resource: Resource) -> str:
    return f"{resource.kind} {resource.name}"


# The end


def _what_is_next(run: RunRecord) -> Iterator[str]:
    from ..launch.recovery import SERVED  # slow to import, and only `show` needs it, where something stands

    alive = is_owner_alive(run)
    if alive:
        yield f"its launcher {run.owner} lives, and sees it down; to end it now: falsework shutdown {run.run_id}"
        return
    heard = f"last heard of at {local_time(run.heartbeat)}"
    if alive is None:
        yield f"its launcher {run.owner} was {heard}; to end it, on {run.owner.host}: falsework shutdown {run.run_id}"
        yield f"here, if that host is gone for good: falsework shutdown {run.run_id} --force"
        return
    yield f"its launcher {run.owner} is gone, {heard}"
    if run.state in SERVED:
        yield f"take it up again: falsework resume {run.run_id}"
    yield finishing(run.run_id)


def finishing(run_id: str) -> str:
    """How to finish the job."""
    return f"finish the job: falsework shutdown {run_id}"
