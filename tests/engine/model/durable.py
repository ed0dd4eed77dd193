"""The ledger of the model: the real one, on SQLite in memory. What it costs is left out, what may go wrong is added.

Each process opens a Ledger of its own; all of them share one database, as processes share a file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from falsework.engine.errors import LedgerError
from falsework.engine.ledger import tables
from falsework.engine.ledger.database import Database, Write
from sqlalchemy.engine import Row

from .processes import this_process
from .watch import Watch


class SharedDatabase:
    """What a Ledger takes for its database. `name` is its own in this process; closing is for who opened it: `really_close`."""

    def __init__(self, name: str) -> None:
        self._database = Database(f"sqlite:///file:/{name}?vfs=memdb&uri=true", 0.0)
        self.durable = sqlite3.connect(f"file:/{name}?vfs=memdb", uri=True)
        """Reads what is durable, beside everything else."""
        self._watch: Watch | None = None
        self.is_down = False
        """Whether it refuses to be written: a full disk, or somebody else who holds it."""

    def begin(self, watch: Watch) -> None:
        """Empty, for the next schedule."""
        self._watch, self.is_down = watch, False
        for table in tables.metadata.tables.values():
            if table is not tables.about:
                self.durable.execute(f"delete from {table.name}")
        self.durable.commit()

    def end(self) -> None:
        """Nobody watches any more, and nothing is written any more."""
        self._watch, self.is_down = None, True

    def commit(self, writes: Sequence[Write]) -> list[LedgerError | None]:
        """As the database does it; then the watch looks at it."""
        process = this_process()
        if self.is_down:
            process.ledger_failed = True
            return [LedgerError("the ledger could not be written: its disk is full") for _ in writes]
        outcome = self._database.commit(writes)
        if self._watch is not None:
            self._watch.written(process)
        return outcome

    def read(self, query: sa.Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """As the database does it: a ledger that cannot be written can be read."""
        return self._database.read(query, parameters)

    def close(self) -> None:
        """A process is done with it. The others are not."""

    def really_close(self) -> None:
        """Nobody plays any more."""
        self._database.close()
        self.durable.close()
