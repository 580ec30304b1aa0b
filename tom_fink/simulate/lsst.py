"""Simulated tracks as Rubin alerts, with Rubin's conventions and the fields that Fink adds."""

import math

import numpy as np

from . import cutouts
from .features import lc_features
from .minor_planets import mpc_orbits, ss_object_id, ss_source
from .observations import TAI_MINUS_UTC_S, Observation, Track, clock
from .schemas import RUBIN_BANDS, record
from .sky import ActiveGalaxy, Asteroid, Supernova, VariableStar

UNIFORM_SAMPLE = 113  # the uniform sample holds the alerts whose diaSourceId this divides
_MJD_2000 = 51544.0
_ID_PER_SECOND, _ID_PER_TRACK = 200_000_000, 1000
_PROCESSING_DAYS = 2.5 / 1440
_BROKER_DELAY_DAYS = 6 / 1440


def alert(track: Track) -> dict:
    """Rubin alert of the newest observation of `track`, which must be a detection."""
    now = track.observations[-1]
    moving = isinstance(track.source, Asteroid)
    while len(track.history) < len(track.observations):
        earlier = track.observations[len(track.history)]
        track.history.append({"source": _dia_source(track, earlier), "forced": _forced(track, earlier)})
    source = dict(track.history[-1]["source"])
    window = track.window()
    known = list(zip(track.history[window], track.observations[window], strict=True))
    seen = [dict(records["source"]) for records, observation in known if observation.detected]
    # A visit before the first detection is told under the id that the object got later.
    forced = [records["forced"] | {"diaObjectId": source["diaObjectId"]} for records, _ in known]
    first = now if moving else track.first_detection
    return record(
        "lsst_alert",
        {
            "diaSourceId": source["diaSourceId"],
            "observation_reason": "simulated",
            "target_name": f"simulated field {track.number % 50}",
            "diaSource": source,
            # An asteroid has no object, so no history: null, where a new object's history is empty.
            "prvDiaSources": None if moving else seen[:-1],
            "prvDiaForcedSources": None if moving else forced,
            "diaObject": record("diaObject", {} if moving else _dia_object(track, seen, source)),
            "ssSource": record("ssSource", ss_source(track.source, now.mjd, source) if moving else {}),
            "mpc_orbits": record("mpc_orbits", mpc_orbits(track.source) if moving else {}),
            **_cutouts(track, now, source),
            "brokerIngestMjd": now.mjd + _PROCESSING_DAYS,
            "lsst_schema_version": "lsst.v10_0",
            "brokerStartProcessTimestamp": clock(now.mjd + _BROKER_DELAY_DAYS * 0.9),
            "brokerEndProcessTimestamp": clock(now.mjd + _BROKER_DELAY_DAYS),
            "fink_broker_version": "4.1",
            "fink_science_version": "8.39.0",
            "publisher": "Fink",
            "lc_features": _features([source] if moving else seen),
            **_science(track, source),
            "misc": record("misc", {"firstDiaSourceMjdTaiFink": _tai(first.mjd)}),
            "timestamp": clock(source["midpointMjdTai"]),
        },
    )


def topics(alert: dict) -> list[str]:
    """Topics to which Fink's filters would send `alert`: their main cuts, on the fields they use."""
    found = []
    if alert["pred"]["is_sso"]:
        found.append("fink_is_solar_system_lsst")
    elif alert["diaObject"]["nDiaSources"] > 5 and alert["xm"]["mangrove_HyperLEDA_name"]:
        found.append("fink_sn_near_galaxy_candidate_lsst")
    template = alert["clf"]["elephant_kstest_template"]
    bright = alert["diaSource"]["psfFlux"] >= 10 ** (0.4 * (31.4 - 21.5))
    if template is not None and template < 0.95 and bright:
        found.append("fink_hostless_candidate_lsst")
    if alert["diaSourceId"] % UNIFORM_SAMPLE == 0:
        found.append("fink_uniform_sample_lsst")
    return found


def _tai(mjd: float) -> float:
    return mjd + TAI_MINUS_UTC_S / 86400


def _source_id(track: Track, seen: Observation) -> int:
    """Id from the second and the track; some are rounded so that they fall into the uniform sample."""
    plain = int((seen.mjd - _MJD_2000) * 86400) * _ID_PER_SECOND + track.number * _ID_PER_TRACK
    rest = plain % UNIFORM_SAMPLE
    # Stars and galaxies have no topic of their own here; of the others, one visit in seven is sampled.
    sampled = isinstance(track.source, VariableStar | ActiveGalaxy) or plain // _ID_PER_SECOND % 7 == 0
    if sampled:
        return plain + (UNIFORM_SAMPLE - rest)
    return plain + 1 if rest == 0 else plain


def _object_id(track: Track) -> int:
    first = track.first_detection.mjd
    return int((first - _MJD_2000) * 86400) * _ID_PER_SECOND + track.number * _ID_PER_TRACK + 700


def _visit(track: Track, seen: Observation) -> dict:
    """What Rubin tells of any visit: its number is the date at Greenwich's last noon and a counter."""
    noon = seen.mjd - 0.5
    day = clock(math.floor(noon))[:10].replace("-", "")
    return {
        "visit": int(day) * 100_000 + int(noon % 1 * 86400 / 30),
        "detector": track.number % 189,
        "midpointMjdTai": _tai(seen.mjd),
        "band": seen.band,
        "psfFlux": seen.flux_njy,
        "psfFluxErr": seen.flux_err_njy,
        "scienceFlux": seen.flux_njy + track.source.reference_njy(seen.band),
        "scienceFluxErr": seen.flux_err_njy,
        "timeProcessedMjdTai": _tai(seen.mjd) + _PROCESSING_DAYS,
    }


def _dia_source(track: Track, seen: Observation) -> dict:
    source = track.source
    moving = isinstance(source, Asteroid)
    error_deg = seen.fwhm_arcsec / 2.355 / abs(seen.snr) / 3600
    flags = (
        "centroid_flag apFlux_flag psfFlux_flag psfFlux_flag_edge isDipole dipoleFitAttempted pixelFlags "
        "pixelFlags_bad pixelFlags_cr pixelFlags_edge pixelFlags_saturated pixelFlags_streak glint_trail"
    )
    return record(
        "diaSource",
        {
            **_visit(track, seen),
            **dict.fromkeys(flags.split(), False),
            "diaSourceId": _source_id(track, seen),
            "diaObjectId": 0 if moving else _object_id(track),
            "ssObjectId": ss_object_id(source) if moving else 0,
            "parentDiaSourceId": 0,
            "ra": seen.ra,
            "dec": seen.dec,
            "raErr": error_deg,
            "decErr": error_deg,
            "ra_dec_Cov": 0.0,
            "x": 100.0 + track.number * 37 % 3800,
            "xErr": error_deg * 3600 / cutouts.RUBIN_ARCSEC_PER_PIXEL,
            "y": 100.0 + track.number * 53 % 3800,
            "yErr": error_deg * 3600 / cutouts.RUBIN_ARCSEC_PER_PIXEL,
            "apFlux": seen.flux_njy,
            "apFluxErr": 2.4 * seen.flux_err_njy,
            "isNegative": seen.flux_njy < 0,
            "snr": abs(seen.snr),
            "psfChi2": 1700.0,
            "psfNdata": 1681,
            "trailLength": 0.4 if moving else 0.05,
            "templateFlux": source.reference_njy(seen.band),
            "templateFluxErr": 15.0,
            "extendedness": 0.02,
            "reliability": 0.9 + 0.09 * (track.number % 5) / 5,
            "bboxSize": 24,
        },
    )


def _forced(track: Track, seen: Observation) -> dict:
    """Forced photometry of one visit at the object's place: any signal to noise, either sign."""
    return record(
        "prvDiaForcedSource",
        {
            **_visit(track, seen),
            "diaForcedSourceId": _source_id(track, seen) + 500,
            "ra": track.source.ra,
            "dec": track.source.dec,
        },
    )


def _dia_object(track: Track, seen: list[dict], newest: dict) -> dict:
    """Summary of the object's detections `seen`, per band."""
    summary = {
        "diaObjectId": newest["diaObjectId"],
        "validityStartMjdTai": newest["timeProcessedMjdTai"],
        "ra": track.source.ra,
        "dec": track.source.dec,
        "raErr": newest["raErr"],
        "decErr": newest["decErr"],
        "ra_dec_Cov": 0.0,
        "nDiaSources": track.detections,
        # Rubin does not fill firstDiaSourceMjdTai and lastDiaSourceMjdTai.
    }
    for band in RUBIN_BANDS:
        points = [point for point in seen if point["band"] == band]
        summary[f"{band}_psfFluxNdata"] = len(points)
        if points:
            flux = np.array([point["psfFlux"] for point in points])
            errors = np.array([point["psfFluxErr"] for point in points])
            science = np.array([point["scienceFlux"] for point in points])
            mean_error = float(np.sqrt(np.sum(errors**2)) / len(points))
            values = {
                "psfFluxMean": float(flux.mean()),
                "psfFluxMeanErr": mean_error,
                "psfFluxSigma": float(flux.std(ddof=1)) if len(points) > 1 else None,
                "fpFluxMean": float(flux.mean()),
                "fpFluxMeanErr": mean_error,
                "scienceFluxMean": float(science.mean()),
                "scienceFluxMeanErr": mean_error,
                "psfFluxMin": float(flux.min()),
                "psfFluxMax": float(flux.max()),
                "psfFluxErrMean": float(errors.mean()),
            }
            summary |= {f"{band}_{name}": value for name, value in values.items()}
    return summary


def _cutouts(track: Track, now: Observation, newest: dict) -> dict:
    width = now.fwhm_arcsec / 2.355 / cutouts.RUBIN_ARCSEC_PER_PIXEL
    scene = cutouts.Scene(
        number=newest["diaSourceId"] // _ID_PER_TRACK,
        difference=now.flux_njy,
        reference=track.source.reference_njy(now.band),
        flux_err=now.flux_err_njy,
        psf_width=width,
        reference_width=width * (2.5 if track.source.extended_reference else 1),
    )
    rotation = float(newest["visit"] * 37 % 360)
    stamps = cutouts.rubin_stamps(scene, now.ra, now.dec, rotation)
    return dict(zip(("cutoutScience", "cutoutTemplate", "cutoutDifference"), stamps, strict=True))


def _features(seen: list[dict]) -> dict[str, dict]:
    """Fink's light-curve features of the difference fluxes, for the bands with detections."""
    fluxes: dict[str, list[float]] = {}
    for point in seen:
        fluxes.setdefault(point["band"], []).append(point["psfFlux"])
    return {band: lc_features(values) for band, values in sorted(fluxes.items())}


def _science(track: Track, newest: dict) -> dict:
    """Fink's classifiers, cross-matches and predictions, plausible for the kind of source."""
    source, noise = track.source, float(track.rng.normal(0, 0.03))
    moving = isinstance(source, Asteroid)
    scores = {"cats_class": -1, "cats_score": 0.0, "earlySNIa_score": -1.0}
    scores["snnSnVsOthers_score"] = 0.2 + abs(noise)
    matches = {"gaiadr3_VarFlag": 0, "simbad_otype": source.simbad_type}
    match source:
        case Supernova():
            scores |= {"snnSnVsOthers_score": 0.85 + noise, "cats_class": 11, "cats_score": 0.92 + noise}
            if source.extended_reference:
                matches |= {
                    "mangrove_HyperLEDA_name": f"PGC{1_000_000 + track.number}",
                    "mangrove_lum_dist": 4283.0 * (source.redshift or 0.0),  # Mpc: Hubble's law, 70 km/s/Mpc
                    "mangrove_ang_dist": source.reference_arcsec,
                    "legacydr8_zphot": source.redshift,
                    "legacydr8_e_zphot": 0.015625,
                }
            else:
                scores |= {"elephant_kstest_science": 0.4 + noise, "elephant_kstest_template": 0.3 + noise}
            if source.tns_type:
                matches |= {
                    "tns_fullname": f"SN {clock(source.exploded_mjd)[:4]}zz{'abcdefghij'[track.number % 10]}",
                    "tns_type": source.tns_type,
                    "tns_redshift": source.redshift,
                }
        case VariableStar():
            scores |= {"cats_class": 21, "cats_score": 0.9 + noise}
            matches |= {
                "gaiadr3_VarFlag": 1,
                "gaiadr3_DR3Name": f"Gaia DR3 {4_000_000_000_000_000_000 + track.salt * 1000 + track.number}",
                "gaiadr3_Plx": 0.25,
                "gaiadr3_e_Plx": 0.03125,
                "vsx_Type": "RRAB",
            }
        case ActiveGalaxy():
            scores |= {"cats_class": 22, "cats_score": 0.88 + noise}
            matches |= {"legacydr8_zphot": -0.023}  # photometric redshifts below zero do occur
    predictions = {
        "is_sso": moving,
        "is_first": None if moving else track.detections == 1,
        "is_cataloged": bool(source.simbad_type or matches.get("gaiadr3_DR3Name")),
        "main_label_classifier": scores["cats_class"],
        "main_label_crossmatch": source.simbad_type,
    }
    return {
        "clf": record("clf", scores),
        "xm": record("xm", matches),
        "pred": record("pred", predictions),
    }
