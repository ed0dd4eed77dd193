"""Which worker does which unit. Pure: no I/O, no clock, no randomness; ids and `now` are handed in.

The same calls in the same order lead to an equal state, which is how a resumed launcher rebuilds it from its journal.

A worker gets a unit once, for ever. At every instant a unit has at most `per_unit` places taken, by open assignments
and by submissions that count. A place that somebody leaves is free for others, and stays open to whoever left until
it is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from ..counts import Counts
from ..errors import FalseworkError
from .places import Places, UnitSet

WAITING = "waiting"
IN_TASK = "in task"
COMPLETED = "completed"
PARTNER_DISCONNECT = "partner disconnect"
_OPEN = frozenset({WAITING, IN_TASK})

NothingFor = Literal["finished", "nothing_left", "all_in_work"]


class AlreadySubmitted(FalseworkError):
    """An agent hands in once; what it handed in first stands."""

    def __init__(self, agent_id: str, unit: int) -> None:
        self.agent_id, self.unit = agent_id, unit
        super().__init__(f"agent {agent_id} has submitted unit {unit} already; its first submission stands")


@dataclass(frozen=True)
class Assignment:
    """One worker's one try at one unit."""

    agent_id: str
    worker_id: str
    unit: int
    status: str
    """`waiting`, `in task`, `completed`, `partner disconnect`, or what `release` was told."""
    since: float
    """When it was assigned, taken up again or, in a group, when the group started."""
    counted: bool = False
    """It was submitted and the submission counts."""
    started_with: tuple[str, ...] = ()
    """Only in the answer of `assign`: the agents that waited and are `in task` now, as this one filled their group."""
    revoked: tuple[str, ...] = ()
    """The agents whose submissions stopped counting because this one left their group."""

    @property
    def is_open(self) -> bool:
        """Whether the worker may still be at it."""
        return self.status in _OPEN


class Assignments:
    """Gives units to workers, finishing the units that were begun before beginning others.

    With `together` the `per_unit` workers of a unit do it at the same time: they wait until the group is full. If one
    leaves after that, the group is broken: none of its submissions counts, and the unit waits for a group of other
    workers.

    `units_per_worker` (0: no limit) bounds the units that a worker was ever given, released ones included, so that
    nobody can page through a task. Taking up a released unit again is no new unit, and one that a partner spoiled is
    not held against the worker.
    """

    def __init__(self, units: int, per_unit: int, *, together: bool = False, units_per_worker: int = 0) -> None:
        if units < 0 or per_unit < 1 or units_per_worker < 0:
            raise ValueError("units and units_per_worker cannot be negative, and a unit needs at least one worker")
        self._together = together and per_unit > 1
        self._units_per_worker = units_per_worker
        self._places = Places(units, per_unit)
        self._agents: dict[str, Assignment] = {}
        self._open: dict[str, None] = {}
        self._workers: dict[str, _Worker] = {}
        self._groups: dict[int, list[str]] = {}
        self._extras = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Assignments) and vars(self) == vars(other)

    def assign(self, worker_id: str, agent_id: str, now: float) -> Assignment | None:
        """The worker's assignment: the open one, else a released one whose place is still free, else a new unit.

        The first two carry the agent id that they had before; `agent_id` is used for a new unit only, and ValueError if
        somebody has it. Among new units those that others began come first, lowest index first. None: nothing for this
        worker now; `nothing_for` says why.
        """
        worker = self._workers.get(worker_id) or _Worker()
        if worker.open_agent is not None:
            return self._agents[worker.open_agent]
        unit = self._places.lowest_free_within(worker.released)
        if unit is not None:
            return self._take(worker, self._agents[worker.agents[unit]], now)
        unit = self._new_unit(worker)
        if unit is None:
            return None
        if agent_id in self._agents:
            raise ValueError(f"agent {agent_id} exists already; agent ids are used once")
        self._workers[worker_id] = worker
        worker.give(unit, agent_id)
        return self._take(worker, Assignment(agent_id, worker_id, unit, IN_TASK, now), now)

    def submit(self, agent_id: str) -> bool:
        """The agent handed in. True if it counts; False for an extra.

        A submission after release counts if a place of the unit is still free. In a group only the submissions of
        members count, from its start until it is broken. Raises KeyError for an unknown agent, AlreadySubmitted the
        second time.
        """
        assignment = self._agents[agent_id]
        if assignment.status == COMPLETED:
            raise AlreadySubmitted(agent_id, assignment.unit)
        if assignment.status == WAITING:
            self._groups[assignment.unit].remove(agent_id)
        counts = self._would_count(assignment)
        self._end(assignment, COMPLETED, counted=counts)
        if counts:
            self._places.count(assignment.unit)
        else:
            self._extras += 1
        return counts

    def release(self, agent_id: str, status: str) -> list[str]:
        """The worker left or ran out of time; `status` says which. Quiet if the assignment is over already.

        Returns the other agents that it concerns: the partners at work in a group that is broken now, whose status
        became `partner disconnect`. Submissions that stopped counting are in `agent(agent_id).revoked`. Raises
        KeyError for an unknown agent.
        """
        if status in _OPEN or status == COMPLETED:
            raise ValueError(f"{status!r} is no status of an assignment that was left")
        assignment = self._agents[agent_id]
        if not assignment.is_open:
            return []
        self._end(assignment, status)
        if self._together and assignment.status == IN_TASK:
            return self._break_group(assignment)
        if self._together:
            self._groups[assignment.unit].remove(agent_id)
        self._workers[assignment.worker_id].released.add(assignment.unit)
        return []

    def overdue(self, before: float) -> list[str]:
        """The open agents whose `since` is earlier than `before`, oldest first."""
        late = [agent_id for agent_id in self._open if self._agents[agent_id].since < before]
        return sorted(late, key=lambda agent_id: self._agents[agent_id].since)

    def agent(self, agent_id: str) -> Assignment | None:
        """What is known of an agent; None if it was never assigned anything."""
        return self._agents.get(agent_id)

    @property
    def done(self) -> bool:
        """Whether every unit has all its submissions."""
        return not self._places.unfinished

    @property
    def counts(self) -> Counts:
        """Where the work stands."""
        places = self._places
        return Counts(
            units=places.units,
            done=places.done,
            in_work=places.begun - places.done,
            places_free=places.free,
            agents_open=len(self._open),
            counted=places.counted,
            extras=self._extras,
        )

    def nothing_for(self, worker_id: str) -> NothingFor:
        """Why `assign` answered None: all is done, this worker had all it may, or others hold what it might get."""
        if self.done:
            return "finished"
        worker = self._workers.get(worker_id) or _Worker()
        unfinished = self._places.unfinished
        may_return = unfinished.lowest_within(worker.released) is not None
        may_begin = not self._is_at_limit(worker) and unfinished.lowest_outside(worker.had) is not None
        return "all_in_work" if may_return or may_begin else "nothing_left"

    def _new_unit(self, worker: _Worker) -> int | None:
        return None if self._is_at_limit(worker) else self._places.lowest_free_outside(worker.had)

    def _is_at_limit(self, worker: _Worker) -> bool:
        return 0 < self._units_per_worker <= len(worker.agents) - worker.spoiled

    def _take(self, worker: _Worker, assignment: Assignment, now: float) -> Assignment:
        agent_id, unit = assignment.agent_id, assignment.unit
        self._places.take(unit)
        worker.open_agent = agent_id
        worker.released.discard(unit)
        self._open[agent_id] = None
        self._agents[agent_id] = taken = replace(assignment, status=IN_TASK, since=now)
        return self._join_group(taken, now) if self._together else taken

    def _join_group(self, joining: Assignment, now: float) -> Assignment:
        members = self._groups.setdefault(joining.unit, [])
        members.append(joining.agent_id)
        if len(members) < self._places.per_unit:
            self._agents[joining.agent_id] = waiting = replace(joining, status=WAITING)
            return waiting
        partners = tuple(members[:-1])
        for agent_id in partners:
            self._agents[agent_id] = replace(self._agents[agent_id], status=IN_TASK, since=now)
        return replace(joining, started_with=partners)

    def _would_count(self, assignment: Assignment) -> bool:
        if self._together:
            return assignment.status == IN_TASK
        return assignment.is_open or self._places.is_free(assignment.unit)

    def _end(self, assignment: Assignment, status: str, *, counted: bool = False) -> None:
        """Close the assignment if it is open, and note how it ended."""
        worker = self._workers[assignment.worker_id]
        if assignment.is_open:
            del self._open[assignment.agent_id]
            worker.open_agent = None
            self._places.leave(assignment.unit)
        worker.released.discard(assignment.unit)
        self._agents[assignment.agent_id] = replace(assignment, status=status, counted=counted)

    def _break_group(self, leaver: Assignment) -> list[str]:
        members = [self._agents[agent_id] for agent_id in self._groups.pop(leaver.unit) if agent_id != leaver.agent_id]
        partners = [member for member in members if member.is_open]
        revoked = [member for member in members if member.counted]
        for partner in partners:
            self._end(partner, PARTNER_DISCONNECT)
            self._workers[partner.worker_id].spoiled += 1
        for member in revoked:
            self._places.uncount(member.unit)
            self._extras += 1
            self._agents[member.agent_id] = replace(member, counted=False)
        self._agents[leaver.agent_id] = replace(
            self._agents[leaver.agent_id], revoked=tuple(member.agent_id for member in revoked)
        )
        return [partner.agent_id for partner in partners]


@dataclass
class _Worker:
    """What one worker was given."""

    open_agent: str | None = None
    agents: dict[int, str] = field(default_factory=dict)
    """The agent of each unit that the worker ever had."""
    had: UnitSet = field(default_factory=UnitSet)
    released: UnitSet = field(default_factory=UnitSet)
    """Units that it left without submitting, and may take up again."""
    spoiled: int = 0
    """Units that a partner spoiled."""

    def give(self, unit: int, agent_id: str) -> None:
        self.agents[unit] = agent_id
        self.had.add(unit)
