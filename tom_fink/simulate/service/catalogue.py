"""What the service knows: every alert that was added, as rows, by object and by alert."""

import zlib
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tom_fink.simulate.observations import JD_MINUS_MJD

from . import rows
from .answers import Row
from .bodies import Bodies
from .cutouts import KINDS
from .events import Event
from .labels import lsst_tags
from .resolver import TnsNames

CUTOUTS_KEPT = 4000  # alerts of a survey, each with up to 25 kB


@dataclass
class Alert:
    """An alert. `mjd` has the survey's own scale: UTC for ZTF, TAI for Rubin."""

    alert_id: str
    object_id: str  # "" for a body of Rubin's, which has no object
    mjd: float
    row: Row
    tags: frozenset[str] = frozenset()
    body_row: Row = field(default_factory=dict)  # what Rubin's sso has beyond `row`
    packed_cutouts: dict[str, bytes] = field(default_factory=dict, repr=False)

    def cutout(self, kind: str) -> bytes | None:
        """The FITS file of a kind, if it is kept."""
        packed = self.packed_cutouts.get(kind)
        return None if packed is None else zlib.decompress(packed, wbits=47)  # zlib's header, or gzip's


@dataclass
class Table:
    """The alerts of a survey by id, and the rows of its light curves by object and key."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    points: dict[str, dict[Any, Row]] = field(default_factory=lambda: defaultdict(dict))
    with_cutouts: deque[Alert] = field(default_factory=deque)

    def add(self, alert: Alert) -> None:
        """Keep an alert, and let go the cutouts of one that is long past."""
        self.alerts[alert.alert_id] = alert
        self.with_cutouts.append(alert)
        if len(self.with_cutouts) > CUTOUTS_KEPT:
            self.with_cutouts.popleft().packed_cutouts = {}

    def last_of_objects(self, alerts: Iterable[Alert] | None = None) -> dict[str, Alert]:
        """The last alert of each object, of all alerts or of some."""
        last: dict[str, Alert] = {}
        for alert in self.alerts.values() if alerts is None else alerts:
            known = last.get(alert.object_id)
            if alert.object_id and (known is None or alert.mjd >= known.mjd):
                last[alert.object_id] = alert
        return last


def scanned(points: dict[str, dict[Any, Row]], ids: Iterable[str]) -> list[Row]:
    """The rows of the objects whose ids begin with one of `ids`: Fink scans for the beginning of a key."""
    return [
        row
        for one in ids
        if one
        for object_id, found in points.items()
        if object_id.startswith(one)
        for row in found.values()
    ]


class Catalogue:
    """Alerts of both surveys. One thread at a time."""

    def __init__(self):
        """Know nothing."""
        self.tables = {"ztf": Table(), "lsst": Table()}
        self.forced: dict[str, dict[Any, Row]] = defaultdict(dict)
        self.summaries: dict[str, Row] = {}
        self.bodies = Bodies()
        self.tns = TnsNames()
        self.events: dict[str, Event] = {}

    def add(self, survey: str, alert: dict[str, Any], topics: Iterable[str] = ()) -> None:
        """Add an alert of "ztf" or "lsst" with its history; one that is known already changes nothing."""
        if survey == "ztf":
            self._add_ztf(alert)
        else:
            self._add_lsst(alert, list(topics))

    def add_event(self, event: Event) -> None:
        """Add a gravitational-wave event."""
        self.events[event.name] = event

    def _add_ztf(self, alert: dict[str, Any]) -> None:
        table, alert_id = self.tables["ztf"], str(alert["candid"])
        if alert_id in table.alerts:
            return
        row = rows.ztf_row(alert)
        object_id = row["i:objectId"]
        points = table.points[object_id]
        for point in alert.get("prv_candidates") or ():
            if _visit(point) not in points:
                points[_visit(point)] = rows.ztf_history(row, point)
        points[_visit(alert["candidate"])] = row | {"d:tag": "valid"}
        # Gzipped already
        cutouts = {kind: (alert.get(f"cutout{kind}") or {}).get("stampData") for kind in KINDS}
        packed = {kind: stamp for kind, stamp in cutouts.items() if stamp}
        table.add(Alert(alert_id, object_id, row["i:jd"] - JD_MINUS_MJD, row, packed_cutouts=packed))
        if row.get("d:roid") == 3:
            self.bodies.add_named(row["i:ssnamenr"])
        self.tns.add_ztf(row)

    def _add_lsst(self, alert: dict[str, Any], topics: list[str]) -> None:
        table, source = self.tables["lsst"], alert["diaSource"]
        alert_id = str(source["diaSourceId"])
        if alert_id in table.alerts:
            return
        row = rows.lsst_row(alert)
        object_id = str(source["diaObjectId"]) if source["diaObjectId"] else ""
        body_row = {} if object_id else rows.lsst_body(alert)
        if object_id:
            points, forced = table.points[object_id], self.forced[object_id]
            for point in alert.get("prvDiaSources") or ():
                if point["diaSourceId"] not in points:
                    points[point["diaSourceId"]] = rows.lsst_history(row, point)
            points[source["diaSourceId"]] = row
            for point in alert.get("prvDiaForcedSources") or ():
                if point["diaForcedSourceId"] not in forced:
                    forced[point["diaForcedSourceId"]] = rows.prefixed("r:", point)
            self.summaries[object_id] = rows.lsst_summary(alert)
            self.tns.add_lsst(row)
        else:
            self.bodies.add_orbit(alert["mpc_orbits"], source["ssObjectId"])
        packed = {
            kind: zlib.compress(alert[f"cutout{kind}"], level=1)
            for kind in KINDS
            if alert.get(f"cutout{kind}")
        }
        tags = lsst_tags(row, topics)
        table.add(Alert(alert_id, object_id, source["midpointMjdTai"], row, tags, body_row, packed))


def _visit(point: dict[str, Any]) -> tuple[float, int | None]:
    """The time and the processing id of a point: two quadrants may give a limit of one exposure."""
    return point["jd"], point.get("pid")
