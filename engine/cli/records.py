"""The ledger as the command line finds it: where it is, how it is opened, and which run somebody means."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from ..directories import home, home_location
from ..errors import ConfigError, Problem
from ..ledger.ledger import Ledger, RunRecord

LEDGER_VARIABLE = "FALSEWORK_LEDGER"
FILE_NAME = "ledger.db"
MOST_NAMED = 10
"""Runs that are named where a beginning of an id means several."""


def open_ledger() -> Ledger:
    """The ledger, made where there is none. Raises ConfigError for a ledger that cannot be meant, LedgerError."""
    url = os.environ.get(LEDGER_VARIABLE)
    if not url:
        return Ledger.at(home() / FILE_NAME)
    _check_url(url)
    try:
        return Ledger(url)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise ConfigError(Problem(f"cannot be used: {error}", key=LEDGER_VARIABLE)) from error


def open_existing_ledger() -> Ledger | None:
    """The ledger; None, and nothing made, where there is none yet."""
    file = _ledger_file()
    return open_ledger() if file is None or file.exists() else None


@contextmanager
def reading() -> Iterator[Ledger | None]:
    """The ledger, for a command that only looks; None, and nothing made, where there is none yet."""
    ledger = open_existing_ledger()
    try:
        yield ledger
    finally:
        if ledger is not None:
            asyncio.run(ledger.close())


@contextmanager
def reading_run(text: str) -> Iterator[tuple[Ledger, RunRecord]]:
    """The ledger and the run that `text` means, for a command that only looks. Raises ConfigError if there is none."""
    with reading() as ledger:
        if ledger is None:
            raise ConfigError(Problem(f"no run {text!r} is known: nothing was launched yet", key="RUN"))
        yield ledger, find_run(ledger, text)


def find_run(ledger: Ledger, text: str) -> RunRecord:
    """The run whose id is `text`, or the only one whose id begins so. Raises ConfigError that lists what may be meant."""
    runs = ledger.runs(ended=True)
    found = [run for run in runs if run.run_id == text] or [run for run in runs if text and run.run_id.startswith(text)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(Problem(f"no run {text!r} is known; `falsework ps --all` lists them", key="RUN"))
    named = ", ".join(run.run_id for run in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    raise ConfigError(Problem(f"{text!r} may mean {named}{more}; say more of it", key="RUN"))


def is_owner_alive(run: RunRecord) -> bool | None:
    """Whether the launcher lives; None if that cannot be seen from this host."""
    return run.owner.is_alive(time.time() - run.heartbeat) if run.owner.is_on_this_host() else None


def _check_url(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        raise ConfigError(
            Problem(f"found {text!r}; allowed: a URL such as sqlite:////path/ledger.db", key=LEDGER_VARIABLE)
        ) from error
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError(Problem(f"{text!r} names no file, so nothing would be durable", key=LEDGER_VARIABLE))
    return url


def _ledger_file() -> Path | None:
    """The file that the ledger is in; None if it is in a database server."""
    text = os.environ.get(LEDGER_VARIABLE)
    if text:
        url = _check_url(text)
        return Path(url.database or "") if url.get_backend_name() == "sqlite" else None
    return home_location() / FILE_NAME
