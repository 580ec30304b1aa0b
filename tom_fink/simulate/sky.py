"""Sources of the simulated sky: where each one is and how much brighter than its reference image, when.

Times are MJD (UTC), positions degrees (J2000), fluxes nJy: m_AB = 31.4 - 2.5 log10(flux).
A difference flux may be negative: then the source is fainter than in the reference image.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from .orbits import Ephemeris, Orbit, ephemeris

AB_ZERO_POINT = 31.4  # of fluxes in nJy
_GALACTIC_POLE = (192.85948, 27.12825)  # J2000 degrees (Hipparcos and Tycho Catalogues, vol. 1, 1.5.3)


def flux_njy(mag_ab: float) -> float:
    """Flux in nJy of an AB magnitude."""
    return 10 ** (0.4 * (AB_ZERO_POINT - mag_ab))


def mag_ab(flux: float) -> float:
    """AB magnitude of a flux in nJy, which must be positive."""
    return AB_ZERO_POINT - 2.5 * math.log10(flux)


def galactic_latitude(ra: float, dec: float) -> float:
    """Galactic latitude in degrees."""
    pole_ra, pole_dec = (math.radians(angle) for angle in _GALACTIC_POLE)
    ra, dec = math.radians(ra), math.radians(dec)
    sine = math.sin(dec) * math.sin(pole_dec) + math.cos(dec) * math.cos(pole_dec) * math.cos(ra - pole_ra)
    return math.degrees(math.asin(sine))


def sky_position(rng: np.random.Generator, dec_min: float, dec_max: float) -> tuple[float, float]:
    """Draw (ra, dec) uniformly on the sky between two declinations, off the Milky Way (|b| > 25)."""
    low, high = math.sin(math.radians(dec_min)), math.sin(math.radians(dec_max))
    while True:
        ra = float(rng.uniform(0, 360))
        dec = math.degrees(math.asin(rng.uniform(low, high)))
        if abs(galactic_latitude(ra, dec)) > 25:
            return ra, dec


@dataclass(frozen=True, kw_only=True)
class Source:
    """A fixed source. `reference_mag` is the r magnitude of what the reference image holds there."""

    ra: float
    dec: float
    reference_mag: float | None = None
    reference_arcsec: float = 0.1  # distance of the reference image's source
    extended_reference: bool = False
    simbad_type: str | None = None
    tns_type: str | None = None
    redshift: float | None = None

    def position(self, mjd: float) -> tuple[float, float]:
        """(ra, dec) at `mjd`."""
        return self.ra, self.dec

    def difference_njy(self, mjd: float, band: str) -> float:
        """Flux above the reference image."""
        raise NotImplementedError

    def reference_njy(self, band: str) -> float:
        """Flux in the reference image; 0 when nothing is there."""
        if self.reference_mag is None:
            return 0.0
        colours = {"u": 0.4, "g": 0.7, "r": 1.0, "i": 1.2, "z": 1.3, "y": 1.4}
        return flux_njy(self.reference_mag) * colours[band]


@dataclass(frozen=True, kw_only=True)
class Supernova(Source):
    """A supernova: dark until `exploded_mjd`, brightest `rise_days` later, then an exponential fade.

    The rise starts as t^2 (the expanding fireball: Nugent et al. 2011, Nature 480, 344) and the fade is
    sech(t / tau), which joins the peak smoothly; blue bands fade faster, as the ejecta cool.
    """

    exploded_mjd: float
    peak_mag: float
    rise_days: float = 15.0

    _PEAK = {"u": 0.5, "g": 1.0, "r": 1.0, "i": 0.75, "z": 0.65, "y": 0.6}
    _FADE_DAYS = {"u": 9.0, "g": 14.0, "r": 20.0, "i": 26.0, "z": 28.0, "y": 30.0}

    def difference_njy(self, mjd: float, band: str) -> float:
        phase = (mjd - self.exploded_mjd) / self.rise_days
        peak = flux_njy(self.peak_mag) * self._PEAK[band]
        if phase <= 0:
            return 0.0
        if phase < 1:
            return peak * phase**2 * (3 - 2 * phase)
        return peak / math.cosh((phase - 1) * self.rise_days / self._FADE_DAYS[band])


@dataclass(frozen=True, kw_only=True)
class Afterglow(Source):
    """The optical afterglow of a gamma-ray burst: flux falls as t^-1.1 and as frequency^-0.7."""

    trigger_mjd: float
    mag_at_one_day: float

    _WAVELENGTH_UM = {"u": 0.36, "g": 0.48, "r": 0.62, "i": 0.75, "z": 0.87, "y": 0.98}

    def difference_njy(self, mjd: float, band: str) -> float:
        days = mjd - self.trigger_mjd
        if days <= 0:
            return 0.0
        # Within five minutes of the burst the law would diverge.
        return (
            flux_njy(self.mag_at_one_day)
            * max(days, 0.0035) ** -1.1
            * (self._WAVELENGTH_UM[band] / 0.62) ** 0.7
        )


@dataclass(frozen=True, kw_only=True)
class VariableStar(Source):
    """A pulsating star: a sawtooth-like wave about its mean, which the reference image holds."""

    period_days: float
    amplitude: float  # of the flux, as a fraction of the mean
    phase: float = 0.0

    _AMPLITUDE = {"u": 1.2, "g": 1.2, "r": 1.0, "i": 0.8, "z": 0.75, "y": 0.7}

    def difference_njy(self, mjd: float, band: str) -> float:
        angle = 2 * math.pi * (mjd / self.period_days + self.phase)
        wave = (math.sin(angle) + 0.5 * math.sin(2 * angle) + 0.25 * math.sin(3 * angle)) / 1.3
        return self.reference_njy(band) * self.amplitude * self._AMPLITUDE[band] * wave


@dataclass(frozen=True, kw_only=True)
class ActiveGalaxy(Source):
    """An active galaxy whose magnitude does a damped random walk (Kelly et al. 2009, ApJ 698, 895).

    The walk is a sum of waves with random phases that has the walk's power spectrum,
    4 sigma^2 tau / (1 + (2 pi f tau)^2): a plain function of time, the same for any order of visits.
    """

    sigma_mag: float
    tau_days: float
    phases: tuple[float, ...]

    _frequencies: np.ndarray = field(init=False, repr=False, compare=False)
    _amplitudes: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        edges = np.geomspace(1 / 3000, 20, len(self.phases) + 1)  # cycles per day
        frequencies = np.sqrt(edges[:-1] * edges[1:])
        power = 4 * self.sigma_mag**2 * self.tau_days / (1 + (2 * np.pi * frequencies * self.tau_days) ** 2)
        object.__setattr__(self, "_frequencies", frequencies)
        object.__setattr__(self, "_amplitudes", np.sqrt(2 * power * np.diff(edges)))

    def difference_njy(self, mjd: float, band: str) -> float:
        waves = np.cos(2 * np.pi * self._frequencies * (mjd - 60000) + np.array(self.phases))
        change = float(self._amplitudes @ waves)
        return self.reference_njy(band) * (10 ** (-0.4 * change) - 1)


@dataclass(frozen=True, kw_only=True)
class Asteroid(Source):
    """A known minor planet; `ra` and `dec` are those of the start. Numbered ones have a `number`.

    `designation` is the unpacked provisional one, such as "2004 AB12".
    """

    orbit: Orbit
    h: float
    g: float = 0.15
    designation: str
    number: int | None = None

    # Colours of the Sun, V to AB band (Willmer 2018, ApJS 236, 47), to a tenth of a magnitude.
    _BAND_MINUS_V = {"u": 1.6, "g": 0.2, "r": -0.2, "i": -0.3, "z": -0.3, "y": -0.3}

    def ephemeris(self, mjd: float) -> Ephemeris:
        """Its ephemeris at `mjd`; UTC is taken for TT, which moves it by less than an arcsecond."""
        return ephemeris(self.orbit, mjd)

    def position(self, mjd: float) -> tuple[float, float]:
        place = self.ephemeris(mjd)
        return place.ra, place.dec

    def difference_njy(self, mjd: float, band: str) -> float:
        return flux_njy(self.ephemeris(mjd).magnitude(self.h, self.g) + self._BAND_MINUS_V[band])


def packed_designation(designation: str) -> str:
    """Pack a provisional designation as the Minor Planet Center does: "2004 AB12" is "K04A12B"."""
    year, code = designation.split()
    cycle = int(code[2:] or 0)
    tens = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[cycle // 10]
    return f"{'IJK'[int(year[:2]) - 18]}{year[2:]}{code[0]}{tens}{cycle % 10}{code[1]}"
