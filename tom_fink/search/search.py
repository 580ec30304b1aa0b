"""What is wanted of Fink, as data: criteria that narrow each other."""

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any, Self

from tom_fink.api import checks, lsst, ztf
from tom_fink.errors import BadQuery
from tom_fink.text import printable

SURVEYS = (ztf.SURVEY, lsst.SURVEY)
BANDS = {"ztf": ("g", "r", "i"), "lsst": ("u", "g", "r", "i", "z", "y")}
DATES_OF = ("alerts", "first")
DEFAULT_RADIUS_ARCSEC = 5.0
MAX_LABELS = 30  # classes or tags: each is a question
MAG_RANGE = (-30.0, 60.0)
ZTF_ALONE = {
    "classes": "Rubin's alerts have tags and no classes",
    "tracklet": "tracklets are ZTF's alone",
    "anomalies": "anomalies are ZTF's alone",
}

# What the checks of a question call what is called otherwise here
FIELD_OF = {"object_id": "object_ids", "label": "classes", "tag": "tags"}


@dataclass(frozen=True)
class Search:
    """What is wanted. An object fits if one of its alerts fits all that is given.

    Raises `BadQuery`, whose `field` is the name of the field here, or empty for nothing given at all.
    """

    survey: str  # ztf or lsst
    object_ids: tuple[str, ...] = ()
    ra_deg: float | None = None  # ICRS
    dec_deg: float | None = None
    radius_arcsec: float | None = None  # also around what `name` is resolved to; None: DEFAULT_RADIUS_ARCSEC
    name: str = ""  # of anything that TNS, SIMBAD or SsODNet know
    resolver: str = ""  # one of checks.RESOLVERS; empty: the one that fits the name
    classes: tuple[str, ...] = ()  # ZTF; one of them
    tags: tuple[str, ...] = ()  # Rubin; one of them
    start: datetime | None = None
    stop: datetime | None = None
    dates_of: str = "alerts"  # or first: when the object was first detected
    body: str = ""  # number, name or designation of a Solar System body
    tracklet: str = ""  # ZTF: an id, or a date
    anomalies: bool = False  # ZTF: the strangest first
    event: str = ""  # of gravitational waves
    credible_level: float = 0.9
    days_before: float = 1.0  # the event
    days_after: float = 6.0
    n: int = 100  # objects
    brightest_mag_ab: float | None = None  # of an object's newest brightness
    faintest_mag_ab: float | None = None
    bands: tuple[str, ...] = ()  # of an alert
    min_detections: int = 0

    def __post_init__(self):
        try:
            self._check()
        except BadQuery as error:
            field = FIELD_OF.get(error.field, error.field)
            raise BadQuery(str(error), field) from error

    def to_dict(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON has it; times in ISO 8601."""
        found = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.default is MISSING or value != one.default:
                value = list(value) if isinstance(value, tuple) else value
                found[one.name] = value.isoformat() if isinstance(value, datetime) else value
        return found

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Self:
        """The search of `to_dict`. Raises `BadQuery` for what is none."""
        names = {one.name for one in fields(cls)}
        for name in found:
            if name not in names:
                raise BadQuery(f"A search has no '{printable(str(name), 60)}'.", "")
        values = dict(found)
        for name in ("start", "stop"):
            if isinstance(values.get(name), str):
                try:
                    values[name] = datetime.fromisoformat(values[name])
                except ValueError:
                    raise BadQuery(f"'{printable(values[name], 60)}' is no time.", name) from None
        return cls(**{"survey": ""} | values)

    @property
    def has_cone(self) -> bool:
        """Whether it has a position."""
        return self.ra_deg is not None

    @property
    def radius(self) -> float:
        """The radius in arc seconds, given or not."""
        return DEFAULT_RADIUS_ARCSEC if self.radius_arcsec is None else self.radius_arcsec

    @property
    def has_cuts(self) -> bool:
        """Whether it asks for what Fink's services cannot pick out."""
        cuts = (self.brightest_mag_ab, self.faintest_mag_ab)
        return any(cut is not None for cut in cuts) or bool(self.bands or self.min_detections)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check(self) -> None:
        checks.one_of(self.survey, SURVEYS, "survey")
        for name in ("object_ids", "classes", "tags", "bands"):
            self._set(name, _texts(getattr(self, name), name))
        for name in ("name", "resolver", "body", "tracklet", "event", "dates_of"):
            if not isinstance(getattr(self, name), str):
                raise BadQuery("This takes text.", name)
            self._set(name, getattr(self, name).strip())
        self._check_of_survey()
        self._check_place()
        self._check_times()
        self._check_cuts()
        if not self.criteria:
            raise BadQuery("Say what to search for: an id, a place, a name, a class or tag, dates.", "")

    def _check_of_survey(self) -> None:
        if self.survey == "lsst":
            for name, why in ZTF_ALONE.items():
                if getattr(self, name):
                    raise BadQuery(f"{why[0].upper()}{why[1:]}.", name)
        elif self.tags:
            raise BadQuery("ZTF's alerts have classes and no tags.", "tags")
        if self.object_ids:
            self._set("object_ids", checks.object_ids(self.survey, self.object_ids))
        for name in ("classes", "tags"):
            if len(getattr(self, name)) > MAX_LABELS:
                raise BadQuery(f"Up to {MAX_LABELS} can be asked for at once.", name)
        for label in self.classes:
            ztf.latest(label)
        for tag in self.tags:
            lsst.latest(tag)
        if self.body:
            checks.name(self.body, "body", "A body has a number, a name or a designation")
        if self.tracklet:
            ztf.tracklet(self.tracklet)
        if self.event:
            checks.sky_map(self.event, self.credible_level)
            self._number("credible_level", 0.001, 1, "The credible level is from 0.001 to 1")
            self._number("days_before", 0, 7, "The days before are from 0 to 7")
            self._number("days_after", 0, 14, "The days after are from 0 to 14")

    def _check_place(self) -> None:
        if (self.ra_deg is None) != (self.dec_deg is None):
            missing = "ra_deg" if self.ra_deg is None else "dec_deg"
            raise BadQuery("A position has a right ascension and a declination.", missing)
        checks.cone(self.ra_deg or 0, self.dec_deg or 0, self.radius)
        for name in ("ra_deg", "dec_deg", "radius_arcsec"):
            if getattr(self, name) is not None:
                self._set(name, float(getattr(self, name)))
        if self.name:
            checks.resolvable(self.name)
        if self.resolver:
            checks.one_of(self.resolver, checks.RESOLVERS, "resolver")

    def _check_times(self) -> None:
        for name in ("start", "stop"):
            if not isinstance(getattr(self, name), datetime | None):
                raise BadQuery("This takes a time.", name)
        checks.dates(self.start, self.stop)
        checks.one_of(self.dates_of, DATES_OF, "dates_of")

    def _check_cuts(self) -> None:
        self._set("n", checks.count(self.n))
        for name in ("brightest_mag_ab", "faintest_mag_ab"):
            if getattr(self, name) is not None:
                self._number(name, *MAG_RANGE, "A magnitude is from -30 to 60")
        brightest, faintest = self.brightest_mag_ab, self.faintest_mag_ab
        if brightest is not None and faintest is not None and faintest < brightest:
            raise BadQuery("The faintest magnitude is not above the brightest.", "faintest_mag_ab")
        for band in self.bands:
            checks.one_of(band, BANDS[self.survey], "bands")
        self._set("anomalies", self.anomalies is True)
        takes = f"The least number of detections is from 0 to {checks.MAX_ROWS}"
        self._number("min_detections", 0, checks.MAX_ROWS, takes)
        self._set("min_detections", int(self.min_detections))

    def _number(self, name: str, low: float, high: float, takes: str) -> None:
        self._set(name, checks.number(getattr(self, name), low, high, name, takes))

    @property
    def criteria(self) -> frozenset[str]:
        """What it asks for, but for the cuts: names of `tom_fink.search.plan`."""
        given = {
            "ids": self.object_ids,
            "cone": self.has_cone,
            "name": self.name,
            "classes": self.classes,
            "tags": self.tags,
            "dates": self.start or self.stop,
            "body": self.body,
            "tracklet": self.tracklet,
            "anomalies": self.anomalies,
            "event": self.event,
        }
        return frozenset(name for name, value in given.items() if value)


def _texts(value: Any, field: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = (value,)
    found = tuple(value)
    if not all(isinstance(one, str) for one in found):
        raise BadQuery("This takes text.", field)
    return tuple(dict.fromkeys(one.strip() for one in found if one.strip()))
