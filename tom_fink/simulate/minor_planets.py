"""Rubin's records of a known minor planet: the association of a detection with it, and its orbit."""

import json
import math

from .sky import Asteroid, packed_designation

_SSO_UNIT_FACTOR = 1.495978707e8  # Rubin's ranges come divided by the km in an au


def ss_object_id(source: Asteroid) -> int:
    """The packed designation's ASCII bytes as one integer."""
    return int.from_bytes(packed_designation(source.designation).encode("ascii"), "big")


def ss_source(source: Asteroid, mjd: float, newest: dict) -> dict:
    """Association of the detection `newest` (at `mjd`, UTC) with the known body.

    It has the faults of the real ones: ranges in a wrong unit, zeros for what is not computed.
    """
    place = source.ephemeris(mjd)
    vectors = {
        f"{name}_{axis}": value / _SSO_UNIT_FACTOR
        for name, vector in (("helio", place.helio), ("topo", place.topo))
        for axis, value in zip("xyz", vector, strict=True)
    }
    return {
        "diaSourceId": newest["diaSourceId"],
        "ssObjectId": newest["ssObjectId"],
        "designation": source.designation,
        "eclLambda": place.ecliptic_longitude,
        "eclBeta": place.ecliptic_latitude,
        "elongation": place.elongation,
        "phaseAngle": place.phase_angle,
        "topoRange": place.topo_range / _SSO_UNIT_FACTOR,
        "helioRange": place.helio_range / _SSO_UNIT_FACTOR,
        "topoRangeRate": 0.0,
        "ephRa": place.ra,
        "ephDec": place.dec,
        "ephVmag": 0.0,
        "ephRate": 0.0,
        "ephRateRa": 0.0,
        "ephRateDec": 0.0,
        "ephOffset": math.hypot(newest["ra"] - place.ra, newest["dec"] - place.dec) * 3600,
        "diaDistanceRank": 1,
        **vectors,
    }


def mpc_orbits(source: Asteroid) -> dict:
    """The body's orbit as the Minor Planet Center gives it, with Rubin's placeholders (0 and -1)."""
    orbit = source.orbit
    packed = packed_designation(source.designation)
    names = ("a", "q", "e", "i", "node", "argperi", "peri_time", "mean_anomaly", "period", "mean_motion")
    elements = {name: getattr(orbit, name) for name in names}
    document = {
        "COM": {
            "coefficient_names": ["q", "e", "i", "node", "argperi", "peri_time"],
            "coefficient_values": [orbit.q, orbit.e, orbit.i, orbit.node, orbit.argperi, orbit.peri_time],
        },
        "epoch_data": {"epoch": orbit.epoch_mjd, "timeform": "MJD", "timesystem": "TDT"},
        "magnitude_data": {"H": source.h, "G": source.g},
        "designation_data": {
            "permid": str(source.number) if source.number else None,
            "packed_primary_provisional_designation": packed,
            "unpacked_primary_provisional_designation": source.designation,
        },
    }
    return {
        "id": 0,
        "designation": source.designation,
        "packed_primary_provisional_designation": packed,
        "unpacked_primary_provisional_designation": source.designation,
        "mpc_orb_jsonb": json.dumps(document),
        "created_at": 0,
        "updated_at": 0,
        "fitting_datetime": 0,
        "orbit_type_int": -1,
        "u_param": 0,
        "nopp": 12 if source.number else 2,
        "nobs_total": 480 if source.number else 45,
        "nobs_total_sel": 476 if source.number else 45,
        "arc_length_total": 9000.0 if source.number else 600.0,
        **elements,
        **{f"{name}_unc": 1e-6 for name in names},
        "epoch_mjd": orbit.epoch_mjd,
        "h": source.h,
        "g": source.g,
        "not_normalized_rms": 0.0,
        "normalized_rms": 0.6,
        "earth_moid": 0.0,
    }
