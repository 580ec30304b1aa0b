"""Gravitational-wave events of the simulated sky, in place of GraceDB's, and where in the sky they may be."""

import math
from dataclasses import dataclass

MAX_RADIUS_DEG = 30.0


@dataclass(frozen=True)
class Event:
    """An event: time (MJD UTC), and a round Gaussian localisation of `sigma_deg` about `ra`, `dec` (degrees)."""

    name: str
    mjd: float
    ra: float
    dec: float
    sigma_deg: float

    def radius_deg(self, credible_level: float) -> float:
        """Radius of the circle that holds `credible_level` (0 to 1) of the probability, up to MAX_RADIUS_DEG."""
        if credible_level >= 1:
            return MAX_RADIUS_DEG
        # Of a two-dimensional Gaussian, 1 - exp(-r^2 / 2 sigma^2) is within r.
        return min(self.sigma_deg * math.sqrt(-2 * math.log1p(-max(credible_level, 0.0))), MAX_RADIUS_DEG)

    def holds(self, ra: float, dec: float, credible_level: float) -> bool:
        """Whether a place is in the region of `credible_level`."""
        return separation_deg(self.ra, self.dec, ra, dec) <= self.radius_deg(credible_level)


def separation_deg(ra: float, dec: float, other_ra: float, other_dec: float) -> float:
    """Angle between two places, all in degrees (haversine, which is exact for small angles)."""
    half_dec = math.radians(other_dec - dec) / 2
    half_ra = math.radians(other_ra - ra) / 2
    cosines = math.cos(math.radians(dec)) * math.cos(math.radians(other_dec))
    square = math.sin(half_dec) ** 2 + cosines * math.sin(half_ra) ** 2
    return math.degrees(2 * math.asin(math.sqrt(min(square, 1.0))))
