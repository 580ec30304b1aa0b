"""Observations of a simulated source by one survey: a track of visits, each with its noise and depth."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from .sky import Source, flux_njy

DETECTION_SNR = 5.0
MJD_UNIX_EPOCH = 40587.0
JD_MINUS_MJD = 2400000.5
TAI_MINUS_UTC_S = 37.0  # since 2017-01-01; no leap second has been announced since
HISTORY_DAYS = 30.0
HISTORY_POINTS = 100  # keeps alerts of a few tens of kB, however long the simulation runs

# Median 5 sigma depth (AB) of a visit, its scatter (mag), and the bands in the order of the visits.
_DEPTHS = {
    "ztf": {"g": 20.7, "r": 20.6, "i": 20.0},
    "lsst": {"u": 23.5, "g": 24.4, "r": 24.1, "i": 23.5, "z": 22.8, "y": 21.9},
}
_DEPTH_SCATTER_MAG = 0.25
_CYCLES = {"ztf": "grgrgri", "lsst": "ririgzurigzy"}
_SEEING_ARCSEC = {"ztf": 2.0, "lsst": 0.9}
_CALIBRATION_ERROR = 0.01  # of the flux, added in quadrature


def mjd_of(moment: datetime) -> float:
    """MJD (UTC) of an aware datetime."""
    return MJD_UNIX_EPOCH + moment.timestamp() / 86400


def clock(mjd: float) -> str:
    """The clock at `mjd` as Fink prints it: "2026-03-22 04:00:00.000000", without a zone."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=mjd - MJD_UNIX_EPOCH)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


@dataclass(frozen=True)
class Observation:
    """One visit to a source: difference flux and its error in nJy, 5 sigma depth in AB, position in degrees.

    `mjd` (UTC) is the instant that the survey quotes: ZTF's exposure start, Rubin's mid-exposure.
    """

    mjd: float
    band: str
    flux_njy: float
    flux_err_njy: float
    limit_mag: float
    ra: float
    dec: float
    fwhm_arcsec: float

    @property
    def snr(self) -> float:
        """Signal to noise; negative for a source fainter than its reference."""
        return self.flux_njy / self.flux_err_njy

    @property
    def detected(self) -> bool:
        """Whether the survey sees it: 5 sigma, either sign."""
        return abs(self.snr) > DETECTION_SNR


@dataclass
class Track:
    """A source as one survey sees it. `number` is unique in a simulation; `salt` differs between seeds.

    Each visit is observed once and kept, oldest first, until no history can reach back to it: alerts tell
    slices of `observations`, so that their histories agree.
    """

    source: Source
    survey: str
    number: int
    salt: int
    rng: np.random.Generator
    observations: list[Observation] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)  # the survey's records of each observation
    visits: int = 0
    detections: int = 0
    first_detection: Observation | None = None

    def observe(self, mjd: float) -> Observation:
        """Visit the source at `mjd`, which must be later than the last visit, and note what was seen."""
        bands = _CYCLES[self.survey]
        band = bands[(self.number + self.visits) % len(bands)]
        limit_mag = _DEPTHS[self.survey][band] + float(self.rng.normal(0, _DEPTH_SCATTER_MAG))
        true_flux = self.source.difference_njy(mjd, band)
        flux_err = math.hypot(flux_njy(limit_mag) / DETECTION_SNR, _CALIBRATION_ERROR * true_flux)
        flux = true_flux + float(self.rng.normal(0, flux_err))
        fwhm = _SEEING_ARCSEC[self.survey] * float(self.rng.uniform(0.8, 1.3))
        # Centroid error of a PSF fit: FWHM / (2.35 SNR), and a floor from the astrometric reference.
        centroid = fwhm / 2.35 / max(abs(flux) / flux_err, DETECTION_SNR) + 0.02
        ra, dec = self.source.position(mjd)
        dec_offset, ra_offset = self.rng.normal(0, centroid / 3600, 2)
        seen = Observation(
            mjd=mjd,
            band=band,
            flux_njy=flux,
            flux_err_njy=flux_err,
            limit_mag=limit_mag,
            ra=float(ra + ra_offset / math.cos(math.radians(dec))) % 360,
            dec=float(dec + dec_offset),
            fwhm_arcsec=fwhm,
        )
        self.visits += 1
        self.observations.append(seen)
        if len(self.observations) > 3 * HISTORY_POINTS:
            del self.observations[:HISTORY_POINTS], self.history[:HISTORY_POINTS]
        if seen.detected:
            self.detections += 1
            self.first_detection = self.first_detection or seen
        return seen

    def window(self) -> slice:
        """Slice of `observations` and `history` that the next alert may tell, the current visit included."""
        newest = self.observations[-1].mjd
        begin = max(0, len(self.observations) - HISTORY_POINTS)
        while self.observations[begin].mjd < newest - HISTORY_DAYS:
            begin += 1
        return slice(begin, len(self.observations))
