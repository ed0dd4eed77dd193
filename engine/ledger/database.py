"""The database under the ledger: how it is opened, how writes share a transaction, and what its errors mean.

SQLite by default: durable at each commit (WAL, `synchronous=FULL`), readable beside a writer. What is written is the business
of ledger.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from ..errors import LedgerError
from .additions import bring_up_to_date
from .tables import SCHEMA

Write = Callable[[Connection], None]


class Database:
    """One engine that writes and one that reads beside it. `busy_timeout` is in seconds."""

    def __init__(self, url: str | sa.URL, busy_timeout: float) -> None:
        self._url, self._busy_timeout = sa.make_url(url), busy_timeout
        self._reader = self._create_engine(isolation_level="AUTOCOMMIT")
        self._writer = self._create_engine()
        if self._writer.dialect.name == "sqlite":
            sa.event.listen(self._writer, "connect", _prepare_sqlite)
            sa.event.listen(self._writer, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        try:
            self._prepare_schema()
        except BaseException:
            self.close()
            raise

    def commit(self, writes: Sequence[Write]) -> list[LedgerError | None]:
        """Write all in one transaction, durably; returns each one's error, None if it is written.

        If one fails for a reason of its own, each gets a transaction of its own. If the database as a whole cannot be
        written (held by another process, a full disk), all have failed.
        """
        try:
            with self._writer.begin() as connection:
                for write in writes:
                    write(connection)
        except sa.exc.OperationalError as error:
            return [self._translated(error) for _ in writes]
        except Exception as error:  # noqa: BLE001 - each is raised where it was asked for
            if len(writes) == 1:
                return [self._translated(error)]
            return [outcome for write in writes for outcome in self.commit([write])]
        return [None] * len(writes)

    def read(self, query: sa.Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """All rows of a query. Raises LedgerError."""
        try:
            with self._reader.connect() as connection:
                return connection.execute(query, parameters).all()
        except sa.exc.SQLAlchemyError as error:
            raise self._translated(error) from error

    def close(self) -> None:
        """Close every connection."""
        self._writer.dispose()
        self._reader.dispose()

    def _create_engine(self, **options: Any) -> Engine:
        if self._url.get_backend_name() == "sqlite":
            options["connect_args"] = {"timeout": self._busy_timeout, "check_same_thread": False}
        return sa.create_engine(self._url, **options)

    def _prepare_schema(self) -> None:
        """Have the tables there, with all that belongs into them. Raises LedgerError, and changes nothing, for a ledger that a
        later falsework made or added to: what that enters may mean something else here."""
        try:
            with self._writer.begin() as connection:
                schema = bring_up_to_date(connection)
        except sa.exc.SQLAlchemyError as error:
            raise self._translated(error) from error
        if schema != SCHEMA:
            raise LedgerError(
                f"the ledger {self._where} has schema {schema}, this falsework reads {SCHEMA}: "
                "use the version that made it, or a later one; nothing was changed"
            )

    @property
    def _where(self) -> str:
        """The ledger's place, without a password."""
        is_file = self._url.get_backend_name() == "sqlite" and self._url.database
        return str(self._url.database) if is_file else self._url.render_as_string(hide_password=True)

    def _translated(self, error: Exception) -> LedgerError:
        """What an error of the database means to who keeps the ledger there."""
        if isinstance(error, LedgerError):
            return error
        cause = getattr(error, "orig", None) or error
        meaning = _MEANINGS.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, "could not be read or written: {cause}")
        told = meaning.format(cause=cause, busy_timeout=f"{self._busy_timeout:g}")
        translated = LedgerError(f"the ledger {self._where} {told}")
        translated.__cause__ = error
        return translated


_MEANINGS = {
    sqlite3.SQLITE_BUSY: "is held by another process, which did not let go of it within {busy_timeout} s",
    sqlite3.SQLITE_FULL: "could not be written: its disk is full",
    sqlite3.SQLITE_IOERR: "could not be read or written, its disk refused: {cause}",
    sqlite3.SQLITE_READONLY: "may not be written: {cause}",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: is its directory there, and may it be written? ({cause})",
    sqlite3.SQLITE_CORRUPT: "is damaged ({cause}): put a copy in its place, or move it away and `sweep --provider`",
    sqlite3.SQLITE_NOTADB: "is no ledger: {cause}",
}
"""By SQLite's primary result code."""


def _prepare_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    """The driver's own transactions are off: it would begin them without IMMEDIATE, and only at the first write."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
