"""Raw COPY of all rows that a backlog has written: what the reader's rate stands beside."""

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from psycopg import Connection, sql

from bench.clones import written_tables
from bench.errors import BenchError
from bench.machine import Machine
from bench.site import PHOTOMETRY, Site

PIECE_BYTES = 1_000_000  # handed to libpq at once


@dataclass(frozen=True)
class Copied:
    """How fast raw COPY is."""

    points_per_s: float  # rows of photometry, in the time that all tables take
    points_alone_per_s: float  # in the time that photometry takes
    points_with_images_per_s: float  # in the time that all tables take, and the images in a file
    cpu_s_per_million: float  # of PostgreSQL, for a million rows of photometry and what belongs to them


def copy_again(machine: Machine, site: Site, parts: int) -> Copied:
    """COPY all that belongs to the site's targets into empty tables, in `parts` transactions, over one connection.

    Constraints, indexes and foreign keys are those of the tables that the rows come from. The rows are
    exported beforehand, in the binary form. The images, which no table has, are written in as many parts, each of them
    on the disk before the next.
    """
    connection = site.connection
    with tempfile.TemporaryFile() as file, _empty_copies(connection) as copies:
        sizes = {
            table: [_export(connection, table, n, parts, file) for n in range(parts)] for table in copies
        }
        places = _places(sizes)
        connection.execute("CHECKPOINT")
        took_s = dict.fromkeys(copies, 0.0)
        cpu, began = machine.postgresql_cpu(), time.monotonic()
        for number in range(parts):
            with connection.transaction():
                for table, copied in copies.items():
                    at = time.monotonic()
                    _copy(connection, copied, file, *places[table, number])
                    took_s[table] += time.monotonic() - at
        all_s, used = time.monotonic() - began, machine.postgresql_cpu() - cpu
        for table, copied in copies.items():
            _check(connection, table, copied)
    # What the commits take belongs to all of them.
    points_s = took_s[PHOTOMETRY] * all_s / sum(took_s.values())
    images_s = _write_images(machine.folder, site.cutouts, parts)
    return Copied(
        points_per_s=site.points / all_s,
        points_alone_per_s=site.points / points_s,
        points_with_images_per_s=site.points / (all_s + images_s),
        cpu_s_per_million=used / site.points * 1e6,
    )


@contextmanager
def _empty_copies(connection: Connection) -> Iterator[dict[str, sql.Identifier]]:
    """The tables that have rows of targets, each with the name of an empty one that is like it."""
    copies = {
        table: sql.Identifier(f"bench_{table}")
        for table in written_tables(connection)
        if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(table))).rowcount
    }
    try:
        for table, copied in copies.items():
            source = sql.Identifier(table)
            connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(copied, source))
            for name, definition in connection.execute(
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE conrelid = %s::regclass AND contype = 'f'",
                [table],
            ).fetchall():
                connection.execute(
                    sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                        copied, sql.Identifier(name), sql.SQL(definition)
                    )
                )
        yield copies
    finally:
        for copied in copies.values():
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(copied))


def _export(connection: Connection, table: str, number: int, parts: int, file: BinaryIO) -> int:
    """Write part `number` of the rows, in the order in which they were stored; its bytes."""
    rows = sql.SQL(
        "COPY (SELECT * FROM {table} WHERE ctid >= {first}::tid AND ctid < {end}::tid) TO STDOUT (FORMAT binary)"
    )
    blocks = connection.execute(
        "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int", [table]
    ).fetchone()[0]
    ends = [f"({blocks * edge // parts},0)" for edge in (number, number + 1)]
    statement = rows.format(table=sql.Identifier(table), first=sql.Literal(ends[0]), end=sql.Literal(ends[1]))
    with connection.cursor().copy(statement) as copy:
        return sum(file.write(row) for row in copy)


def _places(sizes: dict[str, list[int]]) -> dict[tuple[str, int], tuple[int, int]]:
    """Where each part of each table begins in the file, and how many bytes it has."""
    places, start = {}, 0
    for table, parts in sizes.items():
        for number, size in enumerate(parts):
            places[table, number] = start, size
            start += size
    return places


def _copy(connection: Connection, copied: sql.Identifier, file: BinaryIO, start: int, size: int) -> None:
    file.seek(start)
    statement = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(copied)
    with connection.cursor().copy(statement) as copy:
        for at in range(0, size, PIECE_BYTES):
            copy.write(file.read(min(PIECE_BYTES, size - at)))


def _write_images(folder: Path, cutouts: Path, parts: int) -> float:
    """Write the images of the file of cutouts into a plain one in `folder`; how many seconds that takes."""
    took_s = 0.0
    with closing(sqlite3.connect(cutouts)) as source, tempfile.TemporaryFile(dir=folder) as file:
        (number,) = source.execute("SELECT count(*) FROM cutout").fetchone()
        rows = source.execute("SELECT science, template, difference FROM cutout ORDER BY number")
        while images := [image for row in rows.fetchmany(-(-number // parts)) for image in row if image]:
            began = time.monotonic()
            file.writelines(images)
            file.flush()
            os.fsync(file.fileno())
            took_s += time.monotonic() - began
    return took_s


def _check(connection: Connection, table: str, copied: sql.Identifier) -> None:
    counts = [
        connection.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()[0]
        for name in (sql.Identifier(table), copied)
    ]
    if counts[0] != counts[1]:
        raise BenchError(f"COPY made {counts[1]} rows of {counts[0]} in {table}.")
