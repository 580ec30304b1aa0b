"""Simulated tracks as ZTF alerts, with ZTF's conventions and the fields that Fink adds."""

import math

from . import cutouts
from .observations import JD_MINUS_MJD, Observation, Track, clock
from .schemas import record
from .sky import Asteroid, mag_ab
from .ztf_science import features, rates, science

_FID = {"g": 1, "r": 2, "i": 3}
_ZERO_POINT = 26.0  # magnitude of 1 DN
_NOT_MATCHED = -999.0
_NID_ZERO_JD = 2457754  # ZTF counts its nights from 2017-01-01
_BROKER_DELAY_DAYS = 22 / 1440
_LETTERS = 26**7
_STEP = 5_000_000_087  # coprime with 26: distinct numbers give distinct names
_NAMES_PER_TRACK = 100_000


def alert(track: Track) -> dict:
    """ZTF alert of the newest observation of `track`, which must be a detection."""
    now = track.observations[-1]
    moving = isinstance(track.source, Asteroid)
    first = now if moving else track.first_detection
    name = _object_id(track, first)
    while len(track.history) < len(track.observations):
        track.history.append(_history_record(track, track.observations[len(track.history)]))
    detection = _detection(track, now)
    jd, jd_start = detection["jd"], _jd(first)
    detections = 1 if moving else track.detections
    # A moving object's past lies elsewhere: at its place there are only limits.
    told = track.history[track.window()][:-1]
    past = _limits_before(track, now) if moving else [dict(seen) for seen in told]
    candidate = {
        **detection,
        **_neighbours(track),
        "ndethist": detections,
        "ncovhist": 300 + track.visits,
        "jdstarthist": jd_start,
        "jdendhist": jd,
        "tooflag": 0,
        "exptime": 30.0,
        "drb": 0.9 + 0.1 * track.rng.random(),
        "drbversion": "d6_m7",
        "rfid": detection["field"] * 1_000_000 + 120_000 + detection["rcid"],
        "jdstartref": 2458217.00838,
        "jdendref": 2458371.626192,
        "nframesref": 24,
    }
    return record(
        "ztf_alert",
        {
            "candid": detection["candid"],
            "schemavsn": "4.02",
            "publisher": "Fink",
            "objectId": name,
            "candidate": record("candidate", candidate),
            "prv_candidates": past,
            **_cutouts(track, now, detection),
            "brokerIngestTimestamp": clock(now.mjd + _BROKER_DELAY_DAYS / 2),
            "brokerStartProcessTimestamp": clock(now.mjd + _BROKER_DELAY_DAYS * 0.8),
            "brokerEndProcessTimestamp": clock(now.mjd + _BROKER_DELAY_DAYS),
            "fink_broker_version": "4.1",
            "fink_science_version": "8.41.0",
            "timestamp": clock(now.mjd),
            "nalerthist": detections,
            "jd_first_real_det": jd_start,
            "jdstarthist_dt": 0.0,
            **science(track, detections),
            **rates(past, detection),
            **features(past, detection),
        },
    )


def topics(alert: dict) -> list[str]:
    """Topics to which Fink's filters would send `alert`: their main cuts, on the fields they use."""
    candidate = alert["candidate"]
    found = []
    if alert["roid"] == 3:
        return ["fink_sso_ztf_candidates_ztf"]
    age_days = candidate["jd"] - candidate["jdstarthist"]
    if alert["snn_sn_vs_all"] > 0.5:
        if candidate["ndethist"] > 1 and age_days <= 90:
            found.append("fink_sn_candidates_ztf")
        if alert["rf_snia_vs_nonia"] > 0.5 and candidate["ndethist"] <= 20:
            found.append("fink_early_sn_candidates_ztf")
    if alert["cdsxmatch"] in ("Blazar", "BLLac"):
        found.append("fink_blazar_ztf")
    return found


def _object_id(track: Track, first: Observation) -> str:
    """Name such as ZTF26abcdefg; a moving object gets a new one at each detection."""
    number = track.number * _NAMES_PER_TRACK
    if isinstance(track.source, Asteroid):
        number += track.visits
    code = (track.salt + number * _STEP) % _LETTERS
    letters = ""
    for _ in range(7):
        code, letter = divmod(code, 26)
        letters += chr(ord("a") + letter)
    return f"ZTF{clock(first.mjd)[2:4]}{letters}"


def _jd(observation: Observation) -> float:
    return round(observation.mjd + JD_MINUS_MJD, 7)


def _visit(track: Track, observation: Observation) -> dict:
    """What ZTF tells of any visit, be it a detection or a limit."""
    jd = _jd(observation)
    night = math.floor(jd - 0.5)
    millionths = math.floor((jd - 0.5 - night) * 10**6)
    rcid = track.number % 64
    return {
        "jd": jd,
        "fid": _FID[observation.band],
        # The night, the fraction of the day, the CCD quadrant and the kind of the image.
        "pid": ((night - _NID_ZERO_JD) * 10**6 + millionths) * 1000 + rcid * 10 + 5,
        "diffmaglim": observation.limit_mag,
        "programpi": "Simulated",
        "programid": 1,
        "nid": night - _NID_ZERO_JD,
        "rcid": rcid,
        "field": 245 + track.number % 600,
        "magzpsci": _ZERO_POINT,
        "magzpsciunc": 3e-5,
        "magzpscirms": 0.03,
        "clrcoeff": 0.08,
        "clrcounc": 2e-5,
        "rbversion": "t17_f5_c3",
    }


def _detection(track: Track, seen: Observation) -> dict:
    """What ZTF tells of a detection; magnitudes are those of the absolute difference."""
    visit = _visit(track, seen)
    positive = seen.flux_njy > 0
    table_row = 1 + track.number % 999
    source = track.source
    reference = source.reference_njy(seen.band)
    magnitude = mag_ab(abs(seen.flux_njy))
    moving = isinstance(source, Asteroid)
    return {
        **visit,
        "candid": visit["pid"] * 10**6 + (15000 if positive else 10000) + table_row,
        "tblid": table_row,
        "isdiffpos": "t" if positive else "f",
        "xpos": 100.0 + track.number * 37 % 2800,
        "ypos": 100.0 + track.number * 53 % 2800,
        "ra": round(seen.ra, 7),
        "dec": round(seen.dec, 7),
        "magpsf": magnitude,
        # First order: d(m) = 2.5 / ln(10) d(f) / f.
        "sigmapsf": 2.5 / math.log(10) / abs(seen.snr),
        "chipsf": 1.0,
        "magap": magnitude + 0.02,
        "sigmagap": 3 / abs(seen.snr),
        # ZTF always names a nearest reference source; far off, it has nothing to do with the alert.
        "distnr": source.reference_arcsec if reference else 12.5,
        "magnr": mag_ab(reference) if reference else 21.5,
        "sigmagnr": 0.02 if reference else 0.15,
        "sky": 0.5,
        "magdiff": 0.02,
        "fwhm": seen.fwhm_arcsec / cutouts.ZTF_ARCSEC_PER_PIXEL,
        "classtar": 0.98 - 0.1 * (track.number % 5) / 5,
        "mindtoedge": 100.0,
        "magfromlim": seen.limit_mag - magnitude,
        "nneg": 0 if positive else 5,
        "nbad": 0,
        "rb": 0.75 + 0.2 * (track.number % 7) / 7,
        "ssdistnr": 0.3 if moving else _NOT_MATCHED,
        "ssmagnr": round(magnitude, 1) if moving else _NOT_MATCHED,
        "ssnamenr": _minor_planet_name(source) if moving else "null",
        "scorr": abs(seen.snr),
    }


def _history_record(track: Track, seen: Observation) -> dict:
    """Entry of `prv_candidates`: a detection, or the limit of a visit that saw nothing (magpsf None)."""
    if not seen.detected:
        return record("prv_candidate", _visit(track, seen))
    # In histories the nearest minor planet is not told.
    unknown = dict.fromkeys(("ssdistnr", "ssmagnr", "ssnamenr"))
    return record("prv_candidate", _detection(track, seen) | unknown)


def _limits_before(track: Track, now: Observation) -> list[dict]:
    """Limits at the place of a moving object, from visits every third night before it came by."""
    return [
        record(
            "prv_candidate",
            _visit(
                track,
                Observation(
                    mjd=now.mjd - days,
                    band="gr"[days // 3 % 2],
                    flux_njy=0.0,
                    flux_err_njy=1.0,
                    limit_mag=now.limit_mag - 0.1 * (days % 4),
                    ra=now.ra,
                    dec=now.dec,
                    fwhm_arcsec=now.fwhm_arcsec,
                ),
            ),
        )
        for days in range(15, 0, -3)
    ]


def _minor_planet_name(source: Asteroid) -> str:
    """The number, or the provisional designation without its space."""
    return str(source.number or source.designation.replace(" ", ""))


def _neighbours(track: Track) -> dict:
    """Nearest sources of PS1 and Gaia: the reference's own, and -999 where there is none."""
    found = {}
    for n in (1, 2, 3):
        names = ("sgmag", "srmag", "simag", "szmag", "sgscore", "distpsnr")
        found |= {f"{name}{n}": _NOT_MATCHED for name in names} | {f"objectidps{n}": -999}
    if track.source.reference_mag is not None:
        found |= {
            "objectidps1": 10**17 + track.number,
            "srmag1": track.source.reference_mag,
            "sgscore1": 0.05 if track.source.extended_reference else 0.97,
            "distpsnr1": track.source.reference_arcsec,
        }
    no_bright_star = dict.fromkeys(("neargaiabright", "maggaiabright"), _NOT_MATCHED)
    return found | {"neargaia": 3.2, "maggaia": 19.0} | no_bright_star


def _cutouts(track: Track, now: Observation, detection: dict) -> dict:
    """The three cutouts, as ZTF names them."""
    to_dn = 10 ** (0.4 * (_ZERO_POINT - 31.4))
    width = now.fwhm_arcsec / 2.355 / cutouts.ZTF_ARCSEC_PER_PIXEL
    scene = cutouts.Scene(
        number=detection["candid"] // 1000,
        difference=now.flux_njy * to_dn,
        reference=track.source.reference_njy(now.band) * to_dn,
        flux_err=now.flux_err_njy * to_dn,
        psf_width=width,
        reference_width=width * (3 if track.source.extended_reference else 1),
    )
    stem = f"candid{detection['candid']}"
    names = {"Science": "_targ_sci", "Template": "_ref", "Difference": "_targ_scimref"}
    return {
        f"cutout{kind}": {"fileName": f"{stem}{suffix}.fits.gz", "stampData": stamp}
        for (kind, suffix), stamp in zip(names.items(), cutouts.ztf_stamps(scene), strict=True)
    }
