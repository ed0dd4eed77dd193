"""The lifecycle as data: states, triggers and the table of transitions. No behaviour lives here.

The `transitions` machine (lifecycle.py), the diagrams, the docs and the tests are all derived from this file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Where a run is. `-ing` is work under way, a participle is at rest."""

    CONFIGURED = "configured"
    PREPARING = "preparing"
    PREPARED = "prepared"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    SHUTTING_DOWN = "shutting_down"
    SHUT_DOWN = "shut_down"
    PREPARE_FAILED = "prepare_failed"
    DEPLOY_FAILED = "deploy_failed"
    CONNECT_FAILED = "connect_failed"
    DISCONNECTED = "disconnected"
    SHUTDOWN_FAILED = "shutdown_failed"


class Trigger(StrEnum):
    """What moves a run from one state to the next."""

    PREPARE = "prepare"
    DEPLOY = "deploy"
    CONNECT = "connect"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    SHUTDOWN = "shutdown"


class Transition(NamedTuple):
    """One row of the table."""

    trigger: Trigger
    source: State
    dest: State


INITIAL = State.CONFIGURED
FINAL = State.SHUT_DOWN

WORK = {
    State.PREPARING: (State.PREPARED, State.PREPARE_FAILED),
    State.DEPLOYING: (State.DEPLOYED, State.DEPLOY_FAILED),
    State.CONNECTING: (State.CONNECTED, State.CONNECT_FAILED),
    State.SHUTTING_DOWN: (State.SHUT_DOWN, State.SHUTDOWN_FAILED),
}
"""Each kind of work, and where it rests when it succeeded and when it failed."""

SETTLED = (State.CONFIGURED, State.PREPARED, State.DEPLOYED, State.CONNECTED, State.SHUT_DOWN)
FAILURES = (
    State.PREPARE_FAILED,
    State.DEPLOY_FAILED,
    State.CONNECT_FAILED,
    State.DISCONNECTED,
    State.SHUTDOWN_FAILED,
)

TABLE: tuple[Transition, ...] = (
    Transition(Trigger.PREPARE, State.CONFIGURED, State.PREPARING),
    Transition(Trigger.PREPARE, State.PREPARE_FAILED, State.PREPARING),
    Transition(Trigger.DEPLOY, State.PREPARED, State.DEPLOYING),
    Transition(Trigger.DEPLOY, State.DEPLOY_FAILED, State.DEPLOYING),
    Transition(Trigger.CONNECT, State.DEPLOYED, State.CONNECTING),
    Transition(Trigger.CONNECT, State.CONNECT_FAILED, State.CONNECTING),
    Transition(Trigger.CONNECT, State.DISCONNECTED, State.CONNECTING),
    *(Transition(Trigger.SUCCEEDED, work, settled) for work, (settled, _) in WORK.items()),
    *(Transition(Trigger.FAILED, work, failure) for work, (_, failure) in WORK.items()),
    Transition(Trigger.LOST, State.CONNECTED, State.DISCONNECTED),
    *(
        Transition(Trigger.SHUTDOWN, state, State.SHUTTING_DOWN)
        for state in State
        if state not in (State.SHUTTING_DOWN, State.SHUT_DOWN)
    ),
)
