"""The stream of simulated alerts: which sources there are, when they are visited, and what is sent."""

import io
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import fastavro
import numpy as np

from . import lsst, mm, ztf
from .observations import JD_MINUS_MJD, MJD_UNIX_EPOCH, TAI_MINUS_UTC_S, Track, mjd_of
from .orbits import ephemeris, orbit_near_opposition
from .schemas import SCHEMAS, key_of
from .sky import ActiveGalaxy, Afterglow, Asteroid, Source, Supernova, VariableStar, sky_position

REVISIT_MINUTES = 45
NIGHT_HOURS = 8
_PAST_NIGHTS = 30
_SUPERNOVA_LIFE_DAYS = 110
_AFTERGLOW_LIFE_DAYS = 8
_DECLINATIONS = {"ztf": (-25, 70), "lsst": (-65, 5), "both": (-20, 0)}
_MAGNITUDES = {"ztf": (17.0, 18.6), "lsst": (19.0, 20.6), "both": (17.6, 18.4)}  # brightest and faintest
_FIRST_YEAR, _LAST_YEAR = 2018, 2041  # those whose ZTF candid is between 2^53 and 2^63


@dataclass(frozen=True)
class SimulatedAlert:
    """One alert on one topic. `survey` is "ztf", "lsst" or, for multi-messenger alerts, "mm".

    Alerts on two topics share their `alert` dict.
    """

    topic: str
    survey: str
    alert: dict

    @property
    def observed_at(self) -> datetime:
        """Time of the visit (UTC): its start for ZTF, its middle for Rubin."""
        if self.survey == "lsst":
            unix_s = (self.alert["diaSource"]["midpointMjdTai"] - MJD_UNIX_EPOCH) * 86_400 - TAI_MINUS_UTC_S
        else:
            unix_s = (self.alert.get("candidate", self.alert)["jd"] - JD_MINUS_MJD - MJD_UNIX_EPOCH) * 86_400
        return datetime.fromtimestamp(unix_s, UTC)


def simulated_alerts(seed: int, start: datetime, count: int | None = None) -> Iterator[SimulatedAlert]:
    """Alerts of a simulated sky, in the order of their visits, `count` of them or without end.

    `start` (aware) is the time of the first visit. Each source is visited every 45 minutes of an 8 hour
    night, and each night begins 24 hours after the last. What was observed in the 30 nights before `start`
    appears in histories only. The same seed and start give the same alerts.
    Raises ValueError for a naive `start`, one outside 2018 to 2041, or a negative seed.
    """
    if start.tzinfo is None or not _FIRST_YEAR <= start.year <= _LAST_YEAR:
        raise ValueError(f"start must be a time with a zone, of the years {_FIRST_YEAR} to {_LAST_YEAR}")
    if seed < 0:
        raise ValueError("seed must not be negative")
    return itertools.islice(_alerts(seed, mjd_of(start)), count)


def serialise(simulated: SimulatedAlert) -> tuple[bytes, bytes]:
    """Kafka (key, value) of an alert: its schema as compact JSON text, and its record as schemaless Avro."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _parsed(simulated.survey), simulated.alert)
    return key_of(simulated.survey), buffer.getvalue()


@cache
def _parsed(survey: str) -> dict:
    return fastavro.parse_schema(SCHEMAS[survey])


def _alerts(seed: int, start_mjd: float) -> Iterator[SimulatedAlert]:
    for track, burst in detections(seed, start_mjd):
        yield from _sent(track, burst)


def detections(
    seed: int, start_mjd: float, nights: int | None = None
) -> Iterator[tuple[Track, mm.Burst | None]]:
    """Each visit that sees its source, in order, as its track, with the burst that the source belongs to.

    The track's alert must be made once, before the next visit: making it draws random numbers.
    """
    sky = _Sky(seed, start_mjd)
    for night in itertools.count() if nights is None else range(nights):
        dusk = start_mjd + night
        sky.turn(night, dusk)
        for minutes in range(0, NIGHT_HOURS * 60, REVISIT_MINUTES):
            for place, track in enumerate(sky.tracks):
                # Whole seconds, as exposures of a schedule would have.
                offset_s = minutes * 60 + place * REVISIT_MINUTES * 60 // len(sky.tracks)
                if track.observe(dusk + offset_s / 86400).detected:
                    yield track, sky.bursts.get(track.number)


def _sent(track: Track, burst: mm.Burst | None) -> Iterator[SimulatedAlert]:
    """Alerts that the newest observation of `track` causes."""
    survey = ztf if track.survey == "ztf" else lsst
    alert = survey.alert(track)
    for topic in survey.topics(alert):
        yield SimulatedAlert(topic, track.survey, alert)
    if burst is not None:
        yield SimulatedAlert(mm.TOPIC, "mm", mm.alert(alert, burst))


class _Sky:
    """The sources of one simulation, as tracks in the order of their visits, and the bursts among them."""

    def __init__(self, seed: int, start_mjd: float):
        self.seed = seed
        self.start_mjd = start_mjd
        self.salt = int(np.random.default_rng([seed, 0, 2]).integers(26**7))
        self.numbers = itertools.count(1)
        self.tracks: list[Track] = []
        self.bursts: dict[int, mm.Burst] = {}

    def turn(self, night: int, dusk: float) -> None:
        """Begin a night: drop the transients that have faded, and let new ones appear."""
        self.tracks = [track for track in self.tracks if not _is_over(track.source, dusk)]
        rng = np.random.default_rng([self.seed, night])
        if night == 0:
            self._fill(rng, dusk)
        else:
            self._add(dusk, _supernova(rng, "ztf", dusk - rng.uniform(2, 4)), "ztf")
            hosted = night % 2 == 0
            self._add(dusk, _supernova(rng, "lsst", dusk - rng.uniform(3, 6), hosted=hosted), "lsst")
        if night % 4 == 0:
            self._add_burst(rng, dusk)
        if night == 0:
            # Surveys take turns; later sources come after these.
            self.tracks = [self.tracks[place] for place in rng.permutation(len(self.tracks))]

    def _fill(self, rng: np.random.Generator, dusk: float) -> None:
        """The sources of the first night."""
        for age_days, tns_type in ((12, "SN Ia"), (30, None)):
            shared = _supernova(rng, "both", dusk - age_days, tns_type=tns_type)
            self._add(dusk, shared, "ztf", "lsst")
        for age_days, tns_type in (
            (8, None),
            (14, None),
            (18, "SN Ia"),
            (25, "SN II"),
            (33, None),
            (40, None),
        ):
            self._add(dusk, _supernova(rng, "ztf", dusk - age_days, tns_type=tns_type), "ztf")
        for age_days in (6.5, 7, 7.5):
            self._add(dusk, _supernova(rng, "ztf", dusk - age_days), "ztf")
        for age_days, tns_type in ((12, None), (18, "SN Ia"), (26, None), (35, None)):
            self._add(dusk, _supernova(rng, "lsst", dusk - age_days, tns_type=tns_type), "lsst")
        for age_days in (9, 14, 20):
            self._add(dusk, _supernova(rng, "lsst", dusk - age_days, hosted=False), "lsst")
        for survey, galaxies, stars, asteroids in (("ztf", 4, 3, 5), ("lsst", 2, 2, 4)):
            for n in range(galaxies):
                self._add(dusk, _active_galaxy(rng, survey, ("BLLac", "Blazar")[n % 2]), survey)
            for n in range(stars):
                self._add(dusk, _variable_star(rng, survey, ("RRLyrae", None)[n % 2]), survey)
            for n in range(asteroids):
                self._add(dusk, _asteroid(rng, survey, dusk, numbered=n % 2 == 0), survey)

    def _add(self, dusk: float, source: Source, *surveys: str) -> Track:
        """Observe `source` with `surveys`, first on the nights before `dusk`; returns the last track."""
        for survey in surveys:
            number = next(self.numbers)
            rng = np.random.default_rng([self.seed, number, 1])
            track = Track(source, survey, number, self.salt, rng)
            self.tracks.append(track)
            nights = 0 if isinstance(source, Asteroid) else _PAST_NIGHTS
            for nights_ago in range(nights, 0, -1):
                if rng.random() < 0.7:  # the other nights have clouds
                    seconds = int(rng.integers(NIGHT_HOURS * 3600))
                    track.observe(dusk - nights_ago + seconds / 86400)
        return track

    def _add_burst(self, rng: np.random.Generator, dusk: float) -> None:
        """A burst some hours before `dusk`, and its afterglow inside the localisation."""
        ra, dec = sky_position(rng, *_DECLINATIONS["ztf"])
        trigger = dusk - float(rng.uniform(0.1, 0.2))
        error_deg = float(rng.uniform(2, 5))
        afterglow = Afterglow(ra=ra, dec=dec, trigger_mjd=trigger, mag_at_one_day=19.6)
        track = self._add(dusk, afterglow, "ztf")
        offset = error_deg * 0.4 / math.cos(math.radians(dec))
        self.bursts[track.number] = mm.Burst(
            # Fermi numbers its triggers by the seconds since 2001.
            trigger_id=str(int((trigger - 51910) * 86400)),
            mjd=trigger,
            ra=(ra + offset) % 360,
            dec=dec,
            loc_error_arcmin=error_deg * 60,
        )


def _is_over(source: Source, dusk: float) -> bool:
    match source:
        case Supernova():
            return dusk - source.exploded_mjd > _SUPERNOVA_LIFE_DAYS
        case Afterglow():
            return dusk - source.trigger_mjd > _AFTERGLOW_LIFE_DAYS
    return False


def _supernova(
    rng: np.random.Generator, survey: str, exploded: float, tns_type: str | None = None, hosted: bool = True
) -> Supernova:
    """A supernova at a random place; `survey` sets how far north and how bright it may be."""
    ra, dec = sky_position(rng, *_DECLINATIONS[survey])
    peak = float(rng.uniform(*_MAGNITUDES[survey]))
    # Redshift at which a type Ia of absolute magnitude -19.3 has this peak (Hubble's law, 70 km/s/Mpc).
    redshift = 10 ** ((peak + 19.3 - 25) / 5) / 4283
    return Supernova(
        ra=ra,
        dec=dec,
        exploded_mjd=float(exploded),
        peak_mag=peak,
        rise_days=float(rng.uniform(13, 17)),
        reference_mag=peak + float(rng.uniform(-1, 1)) if hosted else None,
        reference_arcsec=float(rng.uniform(1, 5)),
        extended_reference=hosted,
        tns_type=tns_type,
        redshift=redshift,
    )


def _active_galaxy(rng: np.random.Generator, survey: str, simbad_type: str) -> ActiveGalaxy:
    ra, dec = sky_position(rng, *_DECLINATIONS[survey])
    return ActiveGalaxy(
        ra=ra,
        dec=dec,
        reference_mag=float(rng.uniform(*_MAGNITUDES[survey])) - 0.5,
        simbad_type=simbad_type,
        sigma_mag=0.5,
        tau_days=float(rng.uniform(40, 120)),
        phases=tuple(float(phase) for phase in rng.uniform(0, 2 * math.pi, 64)),
    )


def _variable_star(rng: np.random.Generator, survey: str, simbad_type: str | None) -> VariableStar:
    ra, dec = sky_position(rng, *_DECLINATIONS[survey])
    return VariableStar(
        ra=ra,
        dec=dec,
        reference_mag=float(rng.uniform(*_MAGNITUDES[survey])) - 1,
        simbad_type=simbad_type,
        period_days=float(rng.uniform(0.4, 0.8)),
        amplitude=float(rng.uniform(0.25, 0.5)),
        phase=float(rng.random()),
    )


def _asteroid(rng: np.random.Generator, survey: str, mjd: float, numbered: bool) -> Asteroid:
    """A main-belt body near opposition at `mjd`. Its number is beyond those given so far."""
    orbit = orbit_near_opposition(
        mjd,
        a=float(rng.uniform(2.2, 3.2)),
        e=float(rng.uniform(0.02, 0.25)),
        i=float(rng.uniform(1, 12)),
        node=float(rng.uniform(0, 360)),
        argperi=float(rng.uniform(0, 360)),
        offset_deg=float(rng.uniform(-20, 20)),
    )
    place = ephemeris(orbit, mjd)
    magnitude = float(rng.uniform(*_MAGNITUDES[survey]))
    half_month, second = rng.choice(list("ABCDEFGHJKLMNOPQRSTUVWXY"), 2)
    return Asteroid(
        ra=place.ra,
        dec=place.dec,
        orbit=orbit,
        h=round(magnitude - place.magnitude(0.0, 0.15), 2),
        designation=f"{rng.integers(1996, 2020)} {half_month}{second}{rng.integers(1, 300)}",
        number=int(rng.integers(900_000, 1_000_000)) if numbered else None,
    )
