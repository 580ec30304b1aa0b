"""A site's database as the benchmark looks at it: how far the reader is, and what is there."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.errors import BenchError

PHOTOMETRY = "tom_dataproducts_photometryreduceddatum"
TARGETS = "tom_targets_basetarget"
OBJECTS = "tom_fink_finkobject"
_SUMS = ("read", "stored", "duplicate", "rejected", "handled", "replayed", "lost", "skipped")
_LEDGER = "SELECT {} FROM tom_fink_partitionledger".format(  # noqa: S608 - names of ours
    ", ".join(f"coalesce(sum({name}), 0)" for name in _SUMS)
)


@dataclass(frozen=True)
class Ledger:
    """The sums of all accounts of a site."""

    read: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    handled: int = 0
    replayed: int = 0
    lost: int = 0
    skipped: int = 0


class Site:
    """The database at `address` (DATABASE_URL), PostgreSQL or SQLite, over a connection of our own."""

    def __init__(self, address: str, cutouts: Path):
        self.address = address
        self.cutouts = cutouts  # the file of them
        if address.startswith("sqlite:///"):
            self.connection = sqlite3.connect(
                Path(address.removeprefix("sqlite:///")), timeout=30, isolation_level=None
            )
        else:
            self.connection = psycopg.connect(address, autocommit=True)
        self.alerts = self.points = 0  # that readers should have stored
        self.cloned_objects = self.cloned_alerts = self.cloned_points = 0  # and that were there without them

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def ask(self, statement: str) -> list[tuple]:
        """Run a statement; its rows."""
        cursor = self.connection.execute(statement)
        return cursor.fetchall() if cursor.description else []

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return self.ask(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 - names of ours

    def ledger(self) -> Ledger:
        """How far the readers are."""
        return Ledger(*map(int, self.ask(_LEDGER)[0]))

    def groups_that_read(self, prefix: str) -> int:
        """How many consumer groups whose names begin so have read something."""
        found = self.ask("SELECT DISTINCT group_id FROM tom_fink_partitionledger WHERE read > 0")
        return sum(group.startswith(prefix) for (group,) in found)

    def settle(self) -> None:
        """Leave no work of the past to be done while the next thing is measured."""
        if isinstance(self.connection, psycopg.Connection):
            self.ask("VACUUM ANALYZE")
            self.ask("CHECKPOINT")

    def check(self) -> None:
        """Raise `BenchError` unless all alerts, points and cutouts are there that should be, and nothing else happened."""
        ledger = self.ledger()
        wanted = Ledger(read=self.alerts, stored=self.alerts)
        if ledger != wanted:
            raise BenchError(f"The ledger says {ledger}, and should say {wanted}.")
        wanted_rows = {
            "tom_fink_alert": self.alerts + self.cloned_alerts,
            PHOTOMETRY: self.points + self.cloned_points,
        }
        for table, number in wanted_rows.items():
            found = self.count(table)
            if found != number:
                raise BenchError(f"{table} has {found} rows, and should have {number}.")
        objects = self.count(OBJECTS) - self.cloned_objects
        with closing(sqlite3.connect(self.cutouts)) as file:
            found = file.execute(
                "SELECT count(*) FROM (SELECT DISTINCT object_survey, object_key FROM cutout)"
            )
            if (number := found.fetchone()[0]) != objects:
                raise BenchError(
                    f"{self.cutouts} has cutouts of {number} objects, and should have {objects}."
                )
