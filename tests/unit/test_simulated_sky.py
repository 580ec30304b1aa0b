"""The sources of the simulated sky, their orbits, and the stamps that show them."""

import gzip
import io
import itertools
import math
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from tom_fink.simulate import lsst, simulated_alerts, ztf
from tom_fink.simulate.observations import Track
from tom_fink.simulate.orbits import ephemeris, orbit_near_opposition
from tom_fink.simulate.sky import ActiveGalaxy, Supernova, VariableStar, flux_njy, mag_ab, packed_designation

START = datetime(2026, 3, 22, 4, tzinfo=UTC)
SEED = 7


@pytest.fixture(scope="module")
def alerts() -> dict[str, list[dict]]:
    """Three alerts of each survey."""
    found = {"ztf": [], "lsst": []}
    for survey, some in found.items():
        of_survey = (sent.alert for sent in simulated_alerts(SEED, START) if sent.survey == survey)
        some.extend(itertools.islice(of_survey, 3))
    return found


def test_ztf_cutouts_are_gzipped_63_by_63(alerts):
    for alert in alerts["ztf"]:
        for name in ("cutoutScience", "cutoutTemplate", "cutoutDifference"):
            data = gzip.decompress(alert[name]["stampData"])
            with fits.open(io.BytesIO(data), ignore_missing_simple=True) as stamp:
                (image,) = stamp
                assert image.data.shape == (63, 63)
                assert image.data.dtype == np.dtype(">f4")
                assert "CRVAL1" not in image.header
            with pytest.warns(VerifyWarning, match="SIMPLE"):
                fits.open(io.BytesIO(data)).close()


def test_ztf_cutouts_show_the_source():
    bright = next(
        sent.alert
        for sent in simulated_alerts(SEED, START)
        if sent.survey == "ztf" and sent.alert["candidate"]["scorr"] > 20
    )
    data = gzip.decompress(bright["cutoutDifference"]["stampData"])
    with fits.open(io.BytesIO(data), ignore_missing_simple=True) as stamp:
        image = stamp[0].data * (1 if bright["candidate"]["isdiffpos"] == "t" else -1)
    row, column = np.unravel_index(np.argmax(image), image.shape)
    assert abs(row - 31) <= 2
    assert abs(column - 31) <= 2


def test_rubin_cutouts_have_image_variance_and_psf(alerts):
    for alert in alerts["lsst"]:
        for name in ("cutoutScience", "cutoutTemplate", "cutoutDifference"):
            with fits.open(io.BytesIO(alert[name])) as stamp:
                stamp.verify("exception")
                image, variance, psf = stamp
                assert image.data.shape == variance.data.shape == (30, 30)
                assert image.header["BUNIT"] == "nJy"
                assert "CTYPE1" not in image.header
                assert image.header["CRVAL1"] == pytest.approx(alert["diaSource"]["ra"])
                assert variance.name == "UNCERT"
                assert psf.name == "PSFIMAGE"
                assert psf.data.shape == (41, 41)
                assert psf.data.sum() == pytest.approx(1, abs=0.01)


def test_magnitudes_and_fluxes():
    assert mag_ab(flux_njy(20.0)) == pytest.approx(20.0)
    assert flux_njy(31.4) == pytest.approx(1.0)


def test_supernova_rises_and_fades():
    supernova = Supernova(ra=10.0, dec=10.0, exploded_mjd=61000.0, peak_mag=18.0, rise_days=15.0)
    assert supernova.difference_njy(60999.0, "r") == 0
    assert mag_ab(supernova.difference_njy(61015.0, "r")) == pytest.approx(18.0)
    fluxes = [supernova.difference_njy(61000.0 + day, "r") for day in range(16)]
    assert fluxes == sorted(fluxes)
    late_colour = supernova.difference_njy(61060.0, "g") / supernova.difference_njy(61060.0, "r")
    assert late_colour < 0.5


def test_variables_have_both_signs():
    star = VariableStar(ra=1.0, dec=1.0, reference_mag=17.0, period_days=0.5, amplitude=0.4)
    galaxy = ActiveGalaxy(
        ra=1.0,
        dec=1.0,
        reference_mag=18.0,
        sigma_mag=0.4,
        tau_days=60.0,
        phases=tuple(np.random.default_rng(3).uniform(0, 2 * np.pi, 64)),
    )
    for source in (star, galaxy):
        fluxes = [source.difference_njy(60000 + step * 0.37, "g") for step in range(4000)]
        assert min(fluxes) < 0 < max(fluxes)
        assert min(fluxes) > -source.reference_njy("g")


def test_damped_walk_has_the_asked_scatter():
    rng = np.random.default_rng(5)
    spread = [
        np.std(
            [
                -2.5 * math.log10(1 + g.difference_njy(55000 + 40.0 * n, "r") / g.reference_njy("r"))
                for n in range(300)
            ]
        )
        for g in (
            ActiveGalaxy(
                ra=0.0,
                dec=0.0,
                reference_mag=18.0,
                sigma_mag=0.3,
                tau_days=50.0,
                phases=tuple(rng.uniform(0, 2 * np.pi, 64)),
            )
            for _ in range(4)
        )
    ]
    assert np.mean(spread) == pytest.approx(0.3, rel=0.25)


def test_tracks_stay_bounded_and_consistent():
    source = VariableStar(ra=1.0, dec=1.0, reference_mag=17.0, period_days=0.53, amplitude=0.4)
    for survey, build in (("ztf", ztf), ("lsst", lsst)):
        track = Track(source, survey, 1, 0, np.random.default_rng(1))
        later = {}
        for visit in range(900):
            if track.observe(61000 + visit * 0.11).detected:
                alert = build.alert(track)
                if survey == "ztf":
                    told = {point["jd"]: point["magpsf"] for point in alert["prv_candidates"]}
                else:
                    told = {
                        point["midpointMjdTai"]: point["psfFlux"] for point in alert["prvDiaForcedSources"]
                    }
                assert all(later.get(time, value) == value for time, value in told.items())
                later |= told
        assert len(track.observations) <= 300
        assert len(later) > 700


def test_orbit_stands_at_opposition():
    orbit = orbit_near_opposition(61121.0, a=2.6, e=0.1, i=4.0, node=80.0, argperi=200.0, offset_deg=0.0)
    place = ephemeris(orbit, 61121.0)
    assert place.elongation > 170
    assert orbit.epoch_mjd == 61000.0
    assert place.helio_range - place.topo_range == pytest.approx(1.0, abs=0.03)
    assert ephemeris(orbit, orbit.peri_time).helio_range == pytest.approx(orbit.q, abs=1e-9)
    # Near opposition it goes backwards by about a quarter of a degree per day.
    assert -0.35 < ephemeris(orbit, 61122.0).ra - place.ra < -0.1


def test_packed_designations():
    assert packed_designation("2004 JQ12") == "K04J12Q"
    assert packed_designation("1998 SA103") == "J98SA3A"
    assert packed_designation("2011 AB") == "K11A00B"
