"""What Fink adds to a simulated ZTF alert: scores, cross-matches, rates and light-curve features."""

import math

from .features import lc_features
from .observations import Track
from .sky import ActiveGalaxy, Afterglow, Asteroid, Supernova, VariableStar


def science(track: Track, detections: int) -> dict:
    """Fink's scores and cross-matches, plausible for the kind of source."""
    source, noise = track.source, float(track.rng.normal(0, 0.03))
    found = {
        "cdsxmatch": source.simbad_type or "Unknown",
        "tns": source.tns_type or "",
        "DR3Name": "nan",
        "Plx": math.nan,
        "e_Plx": math.nan,
        "gaiaVarFlag": 0,
        "gaiaClass": "nan",
        "vsx": "nan",
        "spicy_id": -1,
        "spicy_class": "Unknown",
        "gcvs": "Unknown",
        "x3hsp": "Unknown",
        "x4lac": "Unknown",
        "mangrove": dict.fromkeys(("HyperLEDA_name", "2MASS_name", "lum_dist", "ang_dist"), "None"),
        "roid": 0,
        "rf_snia_vs_nonia": 0.0,
        "snn_snia_vs_nonia": 0.1 + abs(noise),
        "snn_sn_vs_all": 0.05 + abs(noise),
        "mulens": 0.0,
        "rf_kn_vs_nonkn": 0.0,
        "blazar_stats": {"m0": -1.0, "m1": -1.0, "m2": -1.0},
        "is_transient": False,
        "slsn_score": -1.0,
        # Fink's are negative, the lower the stranger; of a short light curve there is none.
        "anomaly_score": -0.01 - 0.0001 * (track.number % 50) if detections > 3 else None,
    }
    match source:
        case Supernova():
            young = detections <= 20 and source.exploded_mjd > track.observations[-1].mjd - 15
            found |= {
                "snn_snia_vs_nonia": 0.8 + noise,
                "snn_sn_vs_all": 0.85 + noise,
                "rf_snia_vs_nonia": 0.75 + noise if young else 0.0,
                "is_transient": True,
            }
        case Afterglow():
            found |= {"snn_sn_vs_all": 0.62 + noise, "rf_kn_vs_nonkn": 0.2 + noise, "is_transient": True}
        case VariableStar():
            # Classifiers do take stars for supernovae now and then: then both signs enter that topic.
            found |= {
                "snn_sn_vs_all": 0.65 + noise,
                "DR3Name": f"Gaia DR3 {4_000_000_000_000_000_000 + track.salt * 1000 + track.number}",
                "Plx": round(0.2 + 0.01 * (track.number % 40), 2),
                "e_Plx": 0.03125,
                "gaiaVarFlag": 1,
                "gaiaClass": "RR",
                "vsx": "RRAB",
            }
        case ActiveGalaxy():
            found |= {"gaiaClass": "AGN", "blazar_stats": {"m0": 1.25, "m1": 0.75, "m2": 0.5}}
        case Asteroid():
            found |= {"roid": 3}
    return found


def rates(past: list[dict], detection: dict) -> dict:
    """Magnitude rate since the last detection in the same band, mag/day; None without one.

    The error neglects that both magnitudes share a calibration.
    """
    earlier = [seen for seen in past if seen["fid"] == detection["fid"] and seen["magpsf"] is not None]
    if not earlier:
        return {"from_upper": False}
    last = earlier[-1]
    days = detection["jd"] - last["jd"]
    rate = (detection["magpsf"] - last["magpsf"]) / days
    sigma = math.hypot(detection["sigmapsf"], last["sigmapsf"]) / days
    return {
        "mag_rate": rate,
        "sigma_rate": sigma,
        "lower_rate": rate - 2 * sigma,
        "upper_rate": rate + 2 * sigma,
        "delta_time": days,
        "from_upper": False,
    }


def features(past: list[dict], detection: dict) -> dict:
    """Fink's light-curve features in g and r, of the difference magnitudes."""
    seen = [*past, detection]
    return {
        f"lc_features_{band}": lc_features(
            [float(point["magpsf"]) for point in seen if point["fid"] == fid and point["magpsf"] is not None]
        )
        for band, fid in (("g", 1), ("r", 2))
    }
