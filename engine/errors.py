"""Every error that falsework raises, as one tree.

FalseworkError
├── ConfigError          what a user wrote cannot be used; carries every problem found
├── IllegalTransition    a trigger that the lifecycle does not allow in this state
├── ArchitectError       a backend could not do what its contract promises
│   ├── PrepareFailed
│   ├── DeployFailed     (architects.child.ServerDied is one)
│   ├── TransientError   worth another attempt; the only error that deploy is retried on (NeverReady is one)
│   └── ShutdownFailed   (also an ExceptionGroup) something still stands
├── LimitReached         (also a TimeoutError) a deadline passed; names the setting that moves it
├── BundleError          the files to ship are not the files that were sealed
├── ChannelError         the connection to a router
│   ├── ConnectFailed
│   ├── PacketTooLarge   (channel.py) a packet that the router would not take
│   └── FileMissing      (download.py) an upload that the router does not have
├── StoreError           (submissions.py) the run's own files: in use, damaged, or refused by the disk
├── AlreadySubmitted     (assignments.py)
├── HookFailed           (hook.py) the task's own Python file failed where the work cannot go on
├── RunEnded             (endings.py) a run ended before every unit had its submissions
├── GraphvizMissing, GraphvizFailed   (graphviz.py)
└── LedgerError          the durable record of runs

An error carries its facts as attributes, builds its sentence from them, and says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class FalseworkError(Exception):
    """The root: whatever falsework itself has to say to its user."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what a user wrote, and where it stands."""

    message: str
    file: str | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        where = self.file or ""
        if self.line is not None:
            where += f":{self.line}"
        return ": ".join(part for part in (where, self.key, self.message) if part)


class ConfigError(FalseworkError):
    """Something that the user wrote cannot be used. `problems` holds all that was found, not only the first."""

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p) for p in problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class IllegalTransition(FalseworkError):
    """A trigger that the lifecycle does not allow in the run's state. Nothing else happened."""

    def __init__(self, run_id: str, state: str, trigger: str, legal: Sequence[str], story: Sequence[str]) -> None:
        self.run_id, self.state, self.trigger = run_id, state, trigger
        self.legal, self.story = tuple(legal), tuple(story)
        allowed = ", ".join(self.legal) or "nothing: it is a final state"
        told = "".join(f"\n  {line}" for line in self.story)
        super().__init__(
            f"run {run_id} is {state}, where {trigger!r} is not legal (legal: {allowed}). The story so far:{told}"
        )


class ArchitectError(FalseworkError):
    """A backend could not do what its contract promises."""


class PrepareFailed(ArchitectError):
    """The bundle could not be made."""


class DeployFailed(ArchitectError):
    """The server could not be put up, and another attempt would not help."""


class TransientError(ArchitectError):
    """The action failed in a way that another attempt may mend. `retry_after` is in seconds, where the backend said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ShutdownFailed(ArchitectError, ExceptionGroup[Exception]):
    """Something still stands. `exceptions` holds what went wrong, step by step."""

    def derive(self, excs: Sequence[Exception]) -> ShutdownFailed:  # type: ignore[override]
        return ShutdownFailed(self.message, excs)


class LimitReached(FalseworkError, TimeoutError):
    """A deadline passed. `seconds` is how long it was, `setting` what moves it."""

    def __init__(self, seconds: float, setting: str) -> None:
        self.seconds, self.setting = seconds, setting
        super().__init__(f"not done within {seconds:g} s ({setting})")


class BundleError(FalseworkError):
    """A bundle is not what was sealed, or something was added where nothing may be."""


class ChannelError(FalseworkError):
    """The connection to a router failed, or was used after its end."""


class ConnectFailed(ChannelError):
    """No channel could be opened to the deployed server."""


class LedgerError(FalseworkError):
    """The durable record of runs could not be read or written, or somebody else changed the run."""
