"""One-by-one ingest by Django's ORM, which the reader's figures stand beside."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql
from psycopg.rows import dict_row

from bench.errors import BenchError
from bench.machine import Machine
from bench.site import PHOTOMETRY, Site
from tests.services.postgres import as_default

POINTS_OF = """
    SELECT t.name, t.ra, t.dec, p.timestamp, p.bandpass, p.reduction_version, p.brightness, p.brightness_error,
           p."limit", p.unit, p.telescope, p.instrument, p.source_name, p.source_location, p.value
    FROM {} p JOIN tom_targets_basetarget t ON t.id = p.target_id
    WHERE p.target_id IN (SELECT id FROM tom_targets_basetarget ORDER BY id LIMIT %s) ORDER BY t.id, p.id
"""


@dataclass(frozen=True)
class OneByOne:
    """How fast the ORM is, row by row."""

    rows_per_s: float  # of objects that are new
    repeats_per_s: float  # alerts of objects all of whose points are there already


def ingest_one_by_one(machine: Machine, site: Site, objects: int) -> OneByOne:
    """Store the first objects of `site` in an empty one, as TOM Toolkit 3.1's own brokers store.

    `Target.objects.get_or_create`, then `PhotometryReducedDatum.objects.get_or_create` for each point
    (tom_alerts/brokers/alerce.py, process_reduced_data). What decodes and converts is not in it.
    """
    from tom_targets.models import Target  # once Django is set up

    alerts = list(_alerts(site, objects))
    with machine.site() as other, as_default(other.address):
        Target.objects.count()  # the connection is made
        new_s, repeated_s = _store(alerts), _store(alerts)
        points = sum(len(found) for _, found in alerts)
        stored = other.count(PHOTOMETRY)
        if stored != points:
            raise BenchError(f"The ORM made {stored} rows of {points}.")
    return OneByOne(points / new_s, len(alerts) / repeated_s)


def _alerts(site: Site, objects: int) -> Iterator[tuple[dict, list[dict]]]:
    """(a target's fields, its points as (what to look for, the rest)), object by object."""
    with site.connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(sql.SQL(POINTS_OF).format(sql.Identifier(PHOTOMETRY)), [objects]).fetchall()
    by_target: dict[str, tuple[dict, list]] = {}
    for row in rows:
        target = {name: row.pop(name) for name in ("name", "ra", "dec")}
        wanted = {name: row.pop(name) for name in ("bandpass", "timestamp", "reduction_version")}
        by_target.setdefault(target["name"], (target, []))[1].append((wanted, row))
    yield from by_target.values()


def _store(alerts: list[tuple[dict, list]]) -> float:
    """Seconds that it takes."""
    from tom_dataproducts.models import PhotometryReducedDatum
    from tom_targets.models import Target

    began = time.monotonic()
    for target, points in alerts:
        stored, _ = Target.objects.get_or_create(
            name=target["name"], defaults={"type": Target.SIDEREAL, "ra": target["ra"], "dec": target["dec"]}
        )
        for wanted, rest in points:
            PhotometryReducedDatum.objects.get_or_create(target=stored, **wanted, defaults=rest)
    return time.monotonic() - began
