"""How a ledger of an earlier schema becomes one of this schema: what it lacks is added, and nothing else about it changes.

So an older launcher that is at work goes on. It does not look at the schema again, its statements name every column that
they are about, and a row that it enters leaves what was added empty, or at its default. An older falsework that opens the
ledger afterwards reads the number of the schema, says that it is not its own, and changes nothing.

To add something: put it into the tables, raise SCHEMA, and enter it in tests/engine/test_ledger.py. A column may be empty or
has a `server_default`; what is there already has that.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from .tables import SCHEMA, about, metadata

FIRST_SCHEMA = 1


def bring_up_to_date(connection: Connection) -> int:
    """Make the tables where there are none, add what a ledger of an earlier schema lacks; returns the schema that it has then.

    That is SCHEMA; of a ledger that cannot be read here it is another one, and nothing was changed. Others that do this at the
    same time wait for the end of the first one's transaction.
    """
    if not sa.inspect(connection).has_table(about.name):
        metadata.create_all(connection)
        connection.execute(about.insert().values(schema=SCHEMA))
        return SCHEMA
    schema = connection.scalar(sa.select(about.c.schema).with_for_update()) or 0
    if not FIRST_SCHEMA <= schema <= SCHEMA:
        return schema
    lacking = list(_columns_lacking(connection)) if schema < SCHEMA else []
    metadata.create_all(connection)  # also a table that an earlier ledger of this schema lacks
    _add(connection, lacking)
    if schema < SCHEMA:
        connection.execute(about.update().values(schema=SCHEMA))
    return SCHEMA


def _columns_lacking(connection: Connection) -> Iterator[sa.Column[object]]:
    """The columns that tables which are there have not."""
    there = sa.inspect(connection)
    for table in metadata.sorted_tables:
        if there.has_table(table.name):
            known = {column["name"] for column in there.get_columns(table.name)}
            yield from (column for column in table.columns if column.name not in known)


def _add(connection: Connection, columns: list[sa.Column[object]]) -> None:
    """Add columns to tables that are there, with their indexes."""
    for column in columns:
        described = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
        table = connection.dialect.identifier_preparer.format_table(column.table)
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {described}")
    for changed in {column.table for column in columns}:
        for index in changed.indexes:
            index.create(connection, checkfirst=True)
