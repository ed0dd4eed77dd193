"""What Heroku refuses and what it leaves unanswered, told apart by status alone; its texts are shown, never read.

ArchitectError
├── NoCredentials    nobody is logged in here
├── Refused          an answer that the same question would get again
└── TransientError
    └── Unanswered   no answer that says what was done; the same question may be answered
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from falsework.engine.errors import ArchitectError, DeployFailed, TransientError

ADVICE = {
    401: "log in again (heroku login), or put a valid token into HEROKU_API_KEY",
    402: "verify the account at https://heroku.com/verify, then launch again",
    403: "ask who owns it for access, or log in as somebody who has it",
}
"""What the user can do about a refusal of that status."""
LINES_SHOWN = 15
"""Lines of a build's output that an error carries."""


class NoCredentials(ArchitectError):
    """There is no token for the Platform API on this machine, or it cannot be read."""


class Refused(ArchitectError):
    """The Platform API says no. `kind` is its word for programs, such as `invalid_params`, empty where it gave none."""

    def __init__(self, doing: str, status: int, kind: str, message: str) -> None:
        self.doing, self.status, self.kind = doing, status, kind
        advice = f"; {ADVICE[status]}" if status in ADVICE else ""
        super().__init__(f"Heroku refused {doing} ({' '.join(filter(None, (str(status), kind)))}): {message}{advice}")

    @property
    def is_absence(self) -> bool:
        """Whether Heroku itself said that there is no such thing. A 404 in other words may be anybody's."""
        return self.status == 404 and self.kind == "not_found"


class Unanswered(TransientError):
    """No answer came, or none that says anything. What was asked may have been done, unless `may_be_done` is false."""

    def __init__(self, doing: str, reason: str, *, may_be_done: bool, retry_after: float | None = None) -> None:
        self.doing, self.reason, self.may_be_done = doing, reason, may_be_done
        super().__init__(f"Heroku did not answer {doing}: {reason}", retry_after)


class BuildFailed(DeployFailed):
    """What was shipped could not be built. `lines` are the last of the build's output."""

    def __init__(self, app: str, lines: Sequence[str]) -> None:
        self.app, self.lines = app, tuple(lines[-LINES_SHOWN:])
        super().__init__(
            "\n  ".join([f"Heroku could not build app {app}; the last of the build's output:", *self.lines])
        )


@contextmanager
def refusal_ends_deploy() -> Iterator[None]:
    """Heroku's refusals, and missing credentials, as DeployFailed: another attempt would get the same answer."""
    try:
        yield
    except (Refused, NoCredentials) as error:
        raise DeployFailed(str(error)) from error
