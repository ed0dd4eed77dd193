"""What the Platform API answers, as values. Pure: each function reads one kind of JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, TypeVar

from .errors import Unanswered

T = TypeVar("T")
WEB = "web"
"""The one process type that is reached from outside."""


@dataclass(frozen=True)
class HerokuApp:
    """An app, as the API shows it. `created_at` is in seconds since the epoch; `url` is where it is served, no slash behind."""

    id: str
    name: str
    url: str
    git_url: str
    created_at: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        created = datetime.fromisoformat(row["created_at"].replace("Z", "+00:00")).timestamp()
        return cls(row["id"], row["name"], (row["web_url"] or "").rstrip("/"), row["git_url"], created)


@dataclass(frozen=True)
class HerokuAccount:
    """Whose token it is. An account that is not verified (by a means of payment) can make no apps of its own."""

    email: str
    verified: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(str(row["email"]), bool(row.get("verified", True)))


@dataclass(frozen=True)
class HerokuBuild:
    """A build: `status` is pending, succeeded or failed, `version` what its source was called by whoever sent it."""

    id: str
    status: str
    version: str | None
    output_url: str
    created_at: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        blob = row.get("source_blob") or {}
        return cls(row["id"], row["status"], blob.get("version"), row["output_stream_url"], row["created_at"])


def understood(read: Callable[[Any], T], said: Any, doing: str) -> T:
    """What `read` makes of an answer. Raises Unanswered for one of another shape than Heroku's, which says nothing."""
    try:
        return read(said)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Unanswered(doing, f"the answer is not Heroku's ({error!r})", may_be_done=True) from error


def variables_in(row: Any) -> dict[str, str]:
    """An app's config vars."""
    return {str(name): str(value) for name, value in row.items()}


def assert_all(wanted: Mapping[str, Any], row: Any) -> None:
    """Read nothing, but that it is now as it was wanted; the error has no values, some of which are secrets."""
    if missing := [name for name, value in wanted.items() if row.get(name) != value]:
        raise ValueError(f"not set: {', '.join(missing)}")


def web_states_in(rows: Any) -> list[str]:
    """What the web dynos among the dynos are at."""
    return [str(row["state"]) for row in rows if row["type"] == WEB]


def source_in(row: Any) -> tuple[str, str]:
    """Where a source may be put, and where a build gets it."""
    blob = row["source_blob"]
    return str(blob["put_url"]), str(blob["get_url"])
