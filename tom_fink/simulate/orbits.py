"""Orbits of simulated minor planets: two-body motion seen from a low-precision Earth.

Good to about an arcminute, without light time. That is enough for a demonstration sky, and the elements
in an alert lead an ephemeris service to the alert's position on that scale.
"""

import math
from dataclasses import dataclass

# Mean obliquity of the ecliptic at J2000 (IAU 1976), degrees.
_OBLIQUITY = math.radians(23.4392911)
# Gaussian gravitational constant: mean motion is this over a^1.5, in rad/day with a in au.
_GAUSS_K = 0.01720209895
_MJD_J2000 = 51544.5
_STANDARD_EPOCH_DAYS = 200  # the Minor Planet Center's elements are for multiples of 200 days


@dataclass(frozen=True)
class Orbit:
    """Heliocentric osculating elements, ecliptic J2000: au, degrees, MJD (TT)."""

    a: float
    e: float
    i: float
    node: float
    argperi: float
    mean_anomaly: float
    epoch_mjd: float

    @property
    def q(self) -> float:
        """Perihelion distance, au."""
        return self.a * (1 - self.e)

    @property
    def mean_motion(self) -> float:
        """Mean motion, degrees per day."""
        return math.degrees(_GAUSS_K / self.a**1.5)

    @property
    def period(self) -> float:
        """Orbital period, days."""
        return 360 / self.mean_motion

    @property
    def peri_time(self) -> float:
        """Time of the perihelion passage nearest to the epoch, MJD (TT)."""
        anomaly = (self.mean_anomaly + 180) % 360 - 180
        return self.epoch_mjd - anomaly / self.mean_motion

    def heliocentric(self, mjd: float) -> tuple[float, float, float]:
        """Position at `mjd` (TT), ecliptic J2000, au."""
        anomaly = math.radians(self.mean_anomaly + self.mean_motion * (mjd - self.epoch_mjd)) % (2 * math.pi)
        eccentric = anomaly
        for _ in range(12):  # Newton's method; converges within 6 steps for the e < 0.4 used here
            eccentric -= (eccentric - self.e * math.sin(eccentric) - anomaly) / (
                1 - self.e * math.cos(eccentric)
            )
        x = self.a * (math.cos(eccentric) - self.e)
        y = self.a * math.sqrt(1 - self.e**2) * math.sin(eccentric)
        w, node, i = (math.radians(angle) for angle in (self.argperi, self.node, self.i))
        along = x * math.cos(w) - y * math.sin(w)
        across = x * math.sin(w) + y * math.cos(w)
        return (
            along * math.cos(node) - across * math.cos(i) * math.sin(node),
            along * math.sin(node) + across * math.cos(i) * math.cos(node),
            across * math.sin(i),
        )


def orbit_near_opposition(
    mjd: float, a: float, e: float, i: float, node: float, argperi: float, offset_deg: float
) -> Orbit:
    """Orbit of a body that stands `offset_deg` of longitude from opposition at `mjd`.

    Longitude in the orbit is taken for ecliptic longitude: right to (i/2)^2, a degree or two here.
    """
    true_anomaly = math.radians(earth_longitude(mjd) + offset_deg - node - argperi)
    eccentric = 2 * math.atan2(
        math.sqrt(1 - e) * math.sin(true_anomaly / 2), math.sqrt(1 + e) * math.cos(true_anomaly / 2)
    )
    anomaly_now = math.degrees(eccentric - e * math.sin(eccentric))
    epoch = math.floor(mjd / _STANDARD_EPOCH_DAYS) * _STANDARD_EPOCH_DAYS
    back = math.degrees(_GAUSS_K / a**1.5) * (mjd - epoch)
    return Orbit(a, e, i, node, argperi, (anomaly_now - back) % 360, float(epoch))


def _earth(mjd: float) -> tuple[float, float]:
    """Heliocentric ecliptic longitude (radians, J2000) and distance (au) of the Earth.

    Low-precision formulae for the Sun of the Astronomical Almanac, page C5: 0.01 degree, 1950 to 2050.
    """
    days = mjd - _MJD_J2000
    anomaly = math.radians(357.528 + 0.9856003 * days)
    sun = 280.460 + 0.9856474 * days + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly)
    precession = 50.29 / 3600 / 365.25 * days  # the formulae give the equinox of date
    distance = 1.00014 - 0.01671 * math.cos(anomaly) - 0.00014 * math.cos(2 * anomaly)
    return math.radians((sun - precession + 180) % 360), distance


def earth_longitude(mjd: float) -> float:
    """Heliocentric ecliptic longitude of the Earth at `mjd`, degrees, J2000."""
    return math.degrees(_earth(mjd)[0])


@dataclass(frozen=True)
class Ephemeris:
    """A body as seen from the Earth: degrees (J2000) and au; the vectors are ecliptic."""

    ra: float
    dec: float
    ecliptic_longitude: float
    ecliptic_latitude: float
    helio: tuple[float, float, float]
    topo: tuple[float, float, float]
    helio_range: float
    topo_range: float
    phase_angle: float
    elongation: float

    def magnitude(self, h: float, g: float) -> float:
        """V magnitude in the H, G system (Bowell et al. 1989, Asteroids II, p. 524)."""
        half = math.tan(math.radians(self.phase_angle) / 2)
        phase = (1 - g) * math.exp(-3.33 * half**0.63) + g * math.exp(-1.87 * half**1.22)
        return h + 5 * math.log10(self.helio_range * self.topo_range) - 2.5 * math.log10(phase)


def ephemeris(orbit: Orbit, mjd: float) -> Ephemeris:
    """Where `orbit` stands in the sky at `mjd`."""
    longitude, distance = _earth(mjd)
    helio = orbit.heliocentric(mjd)
    topo = (helio[0] - distance * math.cos(longitude), helio[1] - distance * math.sin(longitude), helio[2])
    r, delta = math.hypot(*helio), math.hypot(*topo)
    equatorial_y = topo[1] * math.cos(_OBLIQUITY) - topo[2] * math.sin(_OBLIQUITY)
    equatorial_z = topo[1] * math.sin(_OBLIQUITY) + topo[2] * math.cos(_OBLIQUITY)
    return Ephemeris(
        ra=math.degrees(math.atan2(equatorial_y, topo[0])) % 360,
        dec=math.degrees(math.asin(equatorial_z / delta)),
        ecliptic_longitude=math.degrees(math.atan2(topo[1], topo[0])) % 360,
        ecliptic_latitude=math.degrees(math.asin(topo[2] / delta)),
        helio=helio,
        topo=topo,
        helio_range=r,
        topo_range=delta,
        phase_angle=_angle_between(r, delta, distance),
        elongation=_angle_between(distance, delta, r),
    )


def _angle_between(side: float, other: float, opposite: float) -> float:
    """Angle, in degrees, between two sides of a triangle, given the side opposite to it (law of cosines)."""
    cosine = (side**2 + other**2 - opposite**2) / (2 * side * other)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
