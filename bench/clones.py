"""A million objects from a few that a reader has stored: their rows again, with other keys and names."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import Connection, sql

from bench.errors import BenchError
from bench.site import OBJECTS, PHOTOMETRY, TARGETS, Site

# The names of ZTF's objects may end with digits, its alerts' ids are texts: `c` counts the copies.
NAMES = {
    (TARGETS, "name"): "name || 'x' || c",
    (OBJECTS, "object_id"): "object_id || 'x' || c",
    ("tom_fink_alert", "object_id"): "object_id || 'x' || c",
    ("tom_fink_alert", "alert_id"): "alert_id || lpad(c::text, 8, '0')",
}
ROOT, ALERTS = TARGETS, "tom_fink_alert"

COLUMNS = (
    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
    "ORDER BY attnum"
)
PRIMARY_KEY = (
    "SELECT a.attname FROM pg_constraint c JOIN pg_attribute a "
    "ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'p' AND c.conrelid = %s::regclass"
)
REFERENCES = (
    "SELECT c.conrelid::regclass::text, a.attname, c.confrelid::regclass::text FROM pg_constraint c "
    "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'"
)
CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE contype = %s AND conrelid = ANY (%s::regclass[])"
)
INDEXES = (
    "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE NOT indisprimary "
    "AND indrelid = ANY (%s::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
)


@dataclass(frozen=True)
class _Table:
    """A table whose rows are copied: its columns, and what is added to some of them for each copy."""

    name: str
    key: str
    columns: list[str]
    steps: dict[str, int]


def clone(site: Site, copies: int, points: int) -> None:
    """Make `copies` of each object of the site, with up to `points` rows of photometry each.

    Every table whose rows refer to objects, targets or alerts is copied. Indexes, unique constraints and
    foreign keys are made again afterwards. The targets that were there lie evenly among all by their keys then, and
    so do their points in the indexes: they are as far apart as if they had come over years.
    """
    connection = site.connection
    with connection.transaction():
        connection.execute("SET LOCAL maintenance_work_mem = '1GB'")
        tables, places = _tables(connection), _places_of_targets(connection)
        with _without_indexes(connection, [table.name for table in tables]):
            _spread(connection, places, copies + 1)
            made = {table.name: _copy(connection, table, copies, points) for table in tables}
        for table in tables:
            connection.execute(
                sql.SQL("SELECT setval(sequence, (SELECT max({key}) FROM {table})) FROM "
                        "(SELECT pg_get_serial_sequence({name}, {column}) AS sequence) AS found "
                        "WHERE sequence IS NOT NULL").format(
                    key=sql.Identifier(table.key), table=sql.Identifier(table.name),
                    name=sql.Literal(table.name), column=sql.Literal(table.key),
                )
            )  # fmt: skip
    site.cloned_objects += made[OBJECTS]
    site.cloned_alerts += made[ALERTS]
    site.cloned_points += made[PHOTOMETRY]
    site.settle()


def written_tables(connection: Connection) -> list[str]:
    """The targets' table and all that refer to it, directly or not, in the order of their names."""
    references = connection.execute(REFERENCES).fetchall()
    names = {ROOT}
    while more := {table for table, _, other in references if other in names} - names:
        names |= more
    return sorted(names)


def _tables(connection: Connection) -> list[_Table]:
    """Those that are cloned and have rows."""
    references = connection.execute(REFERENCES).fetchall()
    names = set(written_tables(connection))
    keys = {name: _column(connection, PRIMARY_KEY, name)[0] for name in names}
    highest = {}
    for name in sorted(names):
        statement = sql.SQL("SELECT max({}) FROM {}").format(sql.Identifier(keys[name]), sql.Identifier(name))
        if (found := connection.execute(statement).fetchone()[0]) is not None:
            highest[name] = found
    if not {ROOT, ALERTS, PHOTOMETRY} <= highest.keys():
        raise BenchError("There is nothing to make copies of.")
    highest[ROOT] = 1  # `_spread` leaves room behind each
    return [
        _Table(
            name,
            keys[name],
            _column(connection, COLUMNS, name),
            {keys[name]: highest[name]}
            | {
                column: highest[other]
                for table, column, other in references
                if table == name and other in highest
            },
        )
        for name in highest
    ]


def _places_of_targets(connection: Connection) -> list[tuple[str, str]]:
    """Where keys of targets stand, as (table, column)."""
    references = connection.execute(REFERENCES).fetchall()
    own = (ROOT, _column(connection, PRIMARY_KEY, ROOT)[0])
    return [own, *((table, column) for table, column, other in references if other == ROOT)]


def _spread(connection: Connection, places: list[tuple[str, str]], distance: int) -> None:
    """Multiply the keys of targets. By way of negative ones, as one that is new could be an old one's."""
    for factor in (-distance, -1):
        for table, column in places:
            connection.execute(
                sql.SQL("UPDATE {table} SET {column} = {column} * {factor}").format(
                    table=sql.Identifier(table), column=sql.Identifier(column), factor=sql.Literal(factor)
                )
            )
    # References are checked at the commit, and no index is made for a table that has checks to come.
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _column(connection: Connection, statement: str, table: str) -> list[str]:
    return [value for (value,) in connection.execute(statement, [table])]


def _copy(connection: Connection, table: _Table, copies: int, points: int) -> int:
    """Copy `c` of a row has `c` steps more in its key, and so have its references. How many rows were made."""
    values = [
        sql.SQL(NAMES[table.name, column])
        if (table.name, column) in NAMES
        else sql.SQL("{} + c * {}").format(sql.Identifier(column), sql.Literal(table.steps[column]))
        if column in table.steps
        else sql.Identifier(column)
        for column in table.columns
    ]
    rows = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table.name))
    if table.name == PHOTOMETRY:
        rows = sql.SQL(
            "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY target_id ORDER BY id) AS place FROM {}) AS n "
            "WHERE place <= {}"
        ).format(sql.Identifier(table.name), sql.Literal(points))
    statement = sql.SQL(
        "WITH few AS MATERIALIZED ({}) INSERT INTO {} ({}) SELECT {} FROM generate_series(1, {}) AS c CROSS JOIN few"
    ).format(
        rows,
        sql.Identifier(table.name),
        sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        sql.SQL(", ").join(values),
        sql.Literal(copies),
    )
    return connection.execute(statement).rowcount


@contextmanager
def _without_indexes(connection: Connection, tables: list[str]) -> Iterator[None]:
    """The tables have no constraints and indexes but their primary keys within the block."""
    foreign = connection.execute(CONSTRAINTS, ["f", tables]).fetchall()
    unique = connection.execute(CONSTRAINTS, ["u", tables]).fetchall()
    indexes = connection.execute(INDEXES, [tables]).fetchall()
    for table, name, _ in foreign + unique:
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(name))
        )
    for name, _ in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(name)))
    yield
    for _, definition in indexes:
        connection.execute(definition)
    for table, name, definition in unique + foreign:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                sql.Identifier(table), sql.Identifier(name), sql.SQL(definition)
            )
        )
