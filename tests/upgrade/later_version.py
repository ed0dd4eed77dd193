"""The command line of a version that is later than the one under test: its ledger has a table and two columns more."""

from __future__ import annotations

import sqlalchemy as sa
from falsework.engine.ledger import tables

SCHEMA = tables.SCHEMA + 1


def become_later() -> None:
    """Add to the tables, before anything has looked at them: a column that may be empty, one that may not, and a table."""
    tables.runs.append_column(sa.Column("harbour", sa.String, index=True))
    tables.transitions.append_column(sa.Column("berths", sa.Integer, nullable=False, server_default="1"))
    sa.Table("pilots", tables.metadata, sa.Column("name", sa.String, primary_key=True))
    tables.SCHEMA = SCHEMA  # type: ignore[misc]


if __name__ == "__main__":
    become_later()
    from falsework.engine.cli import main

    main()
