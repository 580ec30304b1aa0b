"""Alerts as long as Fink's real ones, as dictionaries: simulated alerts whose histories are written on.

Each visit to an object has a number, and its point is the same in whichever alert it is told. Alert `repeat`
of an object (0 is its first) tells the first one's history, the visits of the alerts between, and its own.
"""

import copy
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np

from tom_fink.simulate import simulated_alerts
from tom_fink.simulate.observations import JD_MINUS_MJD, TAI_MINUS_UTC_S, mjd_of
from tom_fink.simulate.schemas import SCHEMAS

START = datetime(2026, 3, 22, 4, tzinfo=UTC)  # of the visit that an object's first alert is of
SPACING_DAYS = 0.1  # between visits
# Objects whose numbers are the same modulo PERIOD have the same times and brightnesses.
PERIOD, SHIFT_S = 240, 7
MOST_REPEATS = 20  # of an object's alerts beyond its first
IDS_PER_OBJECT, FORCED_ID = 10_000, 5_000
FIRST_OBJECT = 170_000_000_000_000_000
FIRST_SOURCE = {"lsst": 180_000_000_000_000_000, "ztf": 2_500_000_000_000_000_000}


CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")


@dataclass(frozen=True)
class History:
    """What the first alert of an object tells beside its own detection, and what each further one adds.

    `others` are forced points for Rubin, of which the last is of the alert's own visit, and upper limits
    for ZTF.
    """

    detections: int
    others: int
    added: int

    def rows(self, repeat: int = 0) -> int:
        """How many points of an object are known after alert `repeat`."""
        return 1 + self.detections + self.others + repeat * self.added


HISTORIES = {"lsst": History(300, 440, 2), "ztf": History(8, 22, 1)}
OWN_VISIT = {"lsst": 439, "ztf": 30}  # of the first alert

# What Rubin's schema v10_0 has in a diaSource beyond the simulation's: 46 fields more to decode
_FLAGS = (
    "apFlux_flag_apertureTruncated psfFlux_flag_noGoodPixels trail_flag_edge forced_PsfFlux_flag "
    "forced_PsfFlux_flag_edge forced_PsfFlux_flag_noGoodPixels shape_flag shape_flag_no_pixels "
    "shape_flag_not_contained shape_flag_parent_source pixelFlags_crCenter pixelFlags_nodata "
    "pixelFlags_nodataCenter pixelFlags_interpolated pixelFlags_interpolatedCenter pixelFlags_offimage "
    "pixelFlags_saturatedCenter pixelFlags_suspect pixelFlags_suspectCenter pixelFlags_streakCenter "
    "pixelFlags_injected pixelFlags_injectedCenter pixelFlags_injected_template "
    "pixelFlags_injected_templateCenter"
)
_EMPTY = (
    "psfLnL trailRaErr trailDecErr trailLengthErr trailAngleErr trailChi2 dipoleMeanFluxErr dipoleFluxDiff "
    "dipoleFluxDiffErr dipoleAngle dipoleChi2"
)
MORE_FIELDS = {
    **dict.fromkeys(["trailFluxErr", "ixx", "iyy", "ixy", "ixxPSF", "iyyPSF", "ixyPSF"], ("float", 0.5)),
    **dict.fromkeys(_FLAGS.split(), ("boolean", False)),
    **dict.fromkeys(_EMPTY.split(), ("float", None)),
    **dict.fromkeys(("trailRa", "trailDec"), ("double", 120.5)),
    **dict.fromkeys(("trailNdata", "dipoleNdata"), ("int", 1600)),
}
FILLED = {"trailFlux": 900.0, "trailAngle": 1.25}  # in real alerts, and empty in the simulation
# Real cutouts of Rubin shrink to 0.47 of their length when packed, those of the simulation to a fifth: so much of
# them is made noise, behind the first header
RUBIN_NOISE, FITS_BLOCK_BYTES = 0.36, 2880
ZTF_CUTOUT_BYTES = 13_500  # gzipped; the simulation's have half as much
# What a ZTF alert says of its own detection in `candidate`, and the next alert in `prv_candidates`
ZTF_POINT = ("jd", "fid", "pid", "nid", "candid", "magpsf", "sigmapsf", "diffmaglim", "isdiffpos")


@cache
def schema(survey: str) -> dict[str, Any]:
    """The Avro schema: the simulation's, with all the 98 fields of Rubin's diaSource."""
    found = copy.deepcopy(SCHEMAS[survey])
    more = [{"name": name, "type": [kind, "null"]} for name, (kind, _) in MORE_FIELDS.items()]
    for field in found["fields"]:
        if field["name"] == "diaSource":
            field["type"][0]["fields"] += more
        elif field["name"] == "prvDiaSources":
            field["type"][0]["items"][0]["fields"] += more
    return found


def object_id(survey: str, number: int) -> str:
    """The id of object `number`: ZTF26 and seven letters, or Rubin's 18 digits."""
    if survey == "lsst":
        return str(FIRST_OBJECT + number)
    letters = ""
    for _ in range(7):
        number, letter = divmod(number, 26)
        letters = string.ascii_lowercase[letter] + letters
    return f"ZTF26{letters}"


def source_id(survey: str, number: int, visit: int) -> int:
    """The id of the detection of object `number` at a visit; FORCED_ID more is that of the forced point."""
    return FIRST_SOURCE[survey] + number * IDS_PER_OBJECT + visit


def visit_time(survey: str, visit: int) -> float:
    """When a visit was, as the survey writes it (MJD TAI or JD UTC), but for the object's own shift."""
    mjd = mjd_of(START) + (visit - OWN_VISIT[survey]) * SPACING_DAYS
    return mjd + TAI_MINUS_UTC_S / 86_400 if survey == "lsst" else mjd + JD_MINUS_MJD


def shift_days(number: int) -> float:
    """What object `number` adds to the times: not all are looked at together."""
    return number % PERIOD * SHIFT_S / 86_400


class RubinObject:
    """The alerts of one Rubin object."""

    def __init__(self, base: dict[str, Any], number: int, seed: int):
        self._base, self._number = base, number
        rng = np.random.default_rng([seed, 1])
        visits = np.arange(OWN_VISIT["lsst"] + MOST_REPEATS + 1)
        # Up and down, so that there are bright points, faint ones that become limits, and negative ones
        self._flux = 4000 * np.exp(-(((visits - 300) / 90) ** 2)) + rng.normal(0, 400, visits.size)
        self._error = rng.uniform(150, 300, visits.size)
        self._cutouts = {name: _noisy(base[name], rng) for name in CUTOUTS}

    def alert(self, repeat: int) -> dict[str, Any]:
        """Alert `repeat` (0 is the first)."""
        history, own = HISTORIES["lsst"], OWN_VISIT["lsst"] + repeat
        first = OWN_VISIT["lsst"] - history.detections
        source = self._source(own)
        return (
            self._base
            | self._cutouts
            | {
                "diaSourceId": source["diaSourceId"],
                "diaSource": source,
                "prvDiaSources": [self._source(visit) for visit in range(first, own)],
                "prvDiaForcedSources": [self._forced(visit) for visit in range(own + 1)],
                "diaObject": self._base["diaObject"] | {"diaObjectId": source["diaObjectId"]},
            }
        )

    def _visit(self, visit: int) -> dict[str, Any]:
        return {
            "diaObjectId": int(object_id("lsst", self._number)),
            "midpointMjdTai": visit_time("lsst", visit),
            "band": "ugrizy"[visit % 6],
            "psfFlux": float(self._flux[visit]),
            "psfFluxErr": float(self._error[visit]),
        }

    def _source(self, visit: int) -> dict[str, Any]:
        """A detection is 5 sigma at least, of either sign."""
        seen, least = self._visit(visit), 5.5 * float(self._error[visit])
        if abs(seen["psfFlux"]) < least:
            seen["psfFlux"] = least if seen["psfFlux"] > 0 else -least
        more = {name: value for name, (_, value) in MORE_FIELDS.items()}
        ids = {"diaSourceId": source_id("lsst", self._number, visit)}
        return self._base["diaSource"] | more | FILLED | seen | ids

    def _forced(self, visit: int) -> dict[str, Any]:
        ids = {"diaForcedSourceId": source_id("lsst", self._number, visit) + FORCED_ID}
        return self._base["prvDiaForcedSources"][0] | self._visit(visit) | ids


class ZtfObject:
    """The alerts of one ZTF object."""

    def __init__(self, base: dict[str, Any], number: int, seed: int):
        self._base, self._number = base, number
        rng = np.random.default_rng([seed, 2])
        visits = np.arange(OWN_VISIT["ztf"] + MOST_REPEATS + 1)
        self._magnitude = 18.5 + rng.normal(0, 0.3, visits.size)
        self._limit = 20.5 + rng.normal(0, 0.2, visits.size)
        self._cutout = {name: rng.bytes(ZTF_CUTOUT_BYTES) for name in CUTOUTS}
        past = base["prv_candidates"]
        self._seen = next(point for point in past if point["magpsf"] is not None)
        self._unseen = next(point for point in past if point["magpsf"] is None)

    def alert(self, repeat: int) -> dict[str, Any]:
        """Alert `repeat` (0 is the first)."""
        own = OWN_VISIT["ztf"] + repeat
        point = self._point(own)
        cutouts = {name: self._base[name] | {"stampData": data} for name, data in self._cutout.items()}
        return (
            self._base
            | cutouts
            | {
                "objectId": object_id("ztf", self._number),
                "candid": point["candid"],
                "candidate": self._base["candidate"] | {name: point[name] for name in ZTF_POINT},
                "prv_candidates": [self._point(visit) for visit in range(own)],
            }
        )

    def _point(self, visit: int) -> dict[str, Any]:
        """Of the first alert's history, one visit in four saw something; all those after it did."""
        when = {
            "jd": visit_time("ztf", visit),
            "fid": 1 + visit % 2,
            "diffmaglim": float(self._limit[visit]),
        }
        if visit < OWN_VISIT["ztf"] and visit % 4 != 1:
            return self._unseen | when
        return (
            self._seen
            | when
            | {
                "candid": source_id("ztf", self._number, visit),
                "magpsf": float(self._magnitude[visit]),
                "sigmapsf": 0.05,
                "isdiffpos": "t" if visit % 7 else "f",
            }
        )


def _noisy(cutout: bytes, rng: np.random.Generator) -> bytes:
    noise = rng.bytes(int(RUBIN_NOISE * len(cutout)))
    return cutout[:FITS_BLOCK_BYTES] + noise + cutout[FITS_BLOCK_BYTES + len(noise) :]


def long_objects(survey: str, count: int, number: int) -> Iterator[RubinObject | ZtfObject]:
    """Yield `count` objects, each made of another simulated one; all of them say that they are `number`."""
    kind = RubinObject if survey == "lsst" else ZtfObject
    known = set()
    for found in simulated_alerts(1, START):
        alert = found.alert
        if found.survey != survey or len(known) == count:
            continue
        if survey == "lsst":
            name, fits = alert["diaSource"]["diaObjectId"], bool(alert["prvDiaSources"])
        else:
            past = [point["magpsf"] is None for point in alert["prv_candidates"]]
            name, fits = alert["objectId"], alert["roid"] != 3 and len(set(past)) == 2
        if fits and name not in known:
            known.add(name)
            yield kind(alert, number, len(known))
        if len(known) == count:
            return
