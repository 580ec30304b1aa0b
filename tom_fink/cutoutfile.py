"""The file of cutouts: an SQLite database with the images of each object's first and newest alerts.

They stand beside the site's database and not in it: they are nine tenths of what a ZTF alert is, and each takes the
place of an earlier one (docs/decisions/0010-cutouts.md). The file may be lost: new alerts bring new images.
"""

import json
import os
import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tom_fink.errors import StoreUnavailable
from tom_fink.packing import packed

if TYPE_CHECKING:
    import polars as pl  # a web worker that shows cutouts does without it

KINDS = ("science", "template", "difference")
OBJECT = ["object_survey", "object_key"]
ALERT = ["survey", "alert_id"]
PLACE = [*OBJECT, "observed_us", *ALERT]  # of an alert: sorted so, those of an object are in order of time
Key = tuple[str, str]  # of an object: survey and name
Place = tuple[str, str, int, str, str]

BUSY_S = 60.0  # that others may use the file before this one gives up
IN_HAND = 4  # rows with images that are Python objects at once
LAYOUT = """
PRAGMA page_size = 16384;
CREATE TABLE cutout (
    number INTEGER PRIMARY KEY,
    object_survey TEXT NOT NULL, object_key TEXT NOT NULL, observed_us INTEGER NOT NULL,
    survey TEXT NOT NULL, alert_id TEXT NOT NULL,
    science BLOB, template BLOB, difference BLOB
);
CREATE UNIQUE INDEX cutout_once ON cutout (object_survey, object_key, observed_us, survey, alert_id);
"""
OF_OBJECTS = (
    "FROM json_each(?) AS wanted CROSS JOIN cutout "
    "ON object_survey = json_extract(wanted.value, '$[0]') AND object_key = json_extract(wanted.value, '$[1]')"
)


class Entry(NamedTuple):
    """An alert that has cutouts in the file, and the kinds of them."""

    survey: str
    alert_id: str
    kinds: tuple[str, ...]


class CutoutFile:
    """One such file, which need not be there yet. Any number of threads and processes may use it."""

    def __init__(self, path: Path):
        self.path = path

    def keep(self, alerts: "pl.DataFrame", seen: Mapping[Key, tuple[int, int]]) -> None:
        """Keep the images of alerts that are their object's first or newest now. On the disk when it returns.

        alerts: columns PLACE, and `science`, `template` and `difference` with the FITS files, null for none; in any
        order. seen: from when to when the database has alerts of each object, microseconds since 1970, without
        these ones; what the file has of other times was taken back or refused. The first and the newest of those
        that the database has stay until the next call: whether it commits these alerts or not, the images of what
        it has are there. Raises StoreUnavailable; then the file is as it was.
        """
        with self._transaction() as connection:
            names = ", ".join([*PLACE, "number"])
            objects = alerts.select(OBJECT).unique().rows()
            found = connection.execute(f"SELECT {names} {OF_OBJECTS}", _wanted(objects))
            there = {tuple(place): number for *place, number in found}
            alike = {place[3:]: place for place in there}
            before = [place for place in there if _is_within(place, seen)]
            new = [alike.get(place[3:], place) for place in alerts.select(PLACE).rows()]
            kept = _ends(before) | _ends([*before, *new])
            # Inserted before others are deleted: SQLite writes an image once where it takes a page that an earlier
            # transaction freed, and saves the page's content before where this one did.
            columns = [*PLACE, *KINDS]
            chosen = [place in kept and place not in there for place in new]
            rows = alerts.filter(chosen).select(columns).iter_rows(buffer_size=IN_HAND)
            connection.executemany(
                f"INSERT INTO cutout ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",  # noqa: S608 - names of ours
                (
                    (*row[: len(PLACE)], *(image and packed(image) for image in row[len(PLACE) :]))
                    for row in rows
                ),
            )
            gone = [number for place, number in there.items() if place not in kept]
            connection.execute(
                "DELETE FROM cutout WHERE number IN (SELECT value FROM json_each(?))", [json.dumps(gone)]
            )

    def forget(self, objects: Collection[Key]) -> None:
        """Remove the images of these objects, (survey, object id) each. Raises StoreUnavailable."""
        if not self.path.exists():
            return
        with self._transaction() as connection:
            connection.execute(
                f"DELETE FROM cutout WHERE number IN (SELECT number {OF_OBJECTS})",  # noqa: S608 - text of ours
                _wanted(objects),
            )

    def entries(self, objects: Collection[Key]) -> list[Entry]:
        """The alerts of these objects that have images here, oldest first. Raises StoreUnavailable."""
        has = ", ".join(f"{kind} IS NOT NULL" for kind in KINDS)
        found = self._ask(
            f"SELECT survey, alert_id, {has} {OF_OBJECTS} ORDER BY observed_us, alert_id", _wanted(objects)
        )
        return [
            Entry(
                survey, alert_id, tuple(kind for kind, is_there in zip(KINDS, there, strict=True) if is_there)
            )
            for survey, alert_id, *there in found
        ]

    def image(self, survey: str, alert_id: str, kind: str, of: Key) -> bytes | None:
        """One image of an alert of the object `of`, as `packing` keeps it; None where there is none.

        Raises ValueError for a kind that there is not, and StoreUnavailable.
        """
        if kind not in KINDS:
            raise ValueError(f"There is no {kind!r} cutout, but {', '.join(KINDS)}.")
        found = self._ask(
            f"SELECT {kind} {OF_OBJECTS} WHERE survey = ? AND alert_id = ?",
            [*_wanted([of]), survey, alert_id],
        )
        return found[0][0] if found else None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when it ends; the file and its folder are made."""
        with self._connection("written") as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = OFF")  # as built by Debian, SQLite fills what it frees
            connection.execute("BEGIN IMMEDIATE")
            yield connection  # to close it without a commit takes everything back
            connection.execute("COMMIT")

    def _ask(self, statement: str, values: list[str]) -> list[tuple]:
        if not self.path.exists():
            return []
        with self._connection("read") as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def _connection(self, done: str) -> Iterator[sqlite3.Connection]:
        try:
            if not self.path.exists():
                self._make()
            with closing(sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)) as connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(
                f"The file of cutouts {self.path} cannot be {done}: {error}. If it is damaged, move it and what "
                "begins with its name away: a new one is made, and new alerts bring their cutouts."
            ) from error

    def _make(self) -> None:
        """Make the file in one step: another process may be about to."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f"{self.path.name}-") as folder:
            made = Path(folder) / self.path.name
            with closing(sqlite3.connect(made)) as connection:
                connection.executescript(LAYOUT)
            with suppress(FileExistsError):
                os.link(made, self.path)


def _ends(places: Iterable[Place]) -> set[Place]:
    """The first and the newest of each object."""
    ends: dict[Key, tuple[Place, Place]] = {}
    for place in places:
        first, newest = ends.get(place[:2], (place, place))
        ends[place[:2]] = min(first, place), max(newest, place)
    return {place for both in ends.values() for place in both}


def _is_within(place: Place, seen: Mapping[Key, tuple[int, int]]) -> bool:
    first_us, last_us = seen.get(place[:2], (1, 0))
    return first_us <= place[2] <= last_us


def _wanted(objects: Collection[Key]) -> list[str]:
    return [json.dumps([list(key) for key in objects])]
