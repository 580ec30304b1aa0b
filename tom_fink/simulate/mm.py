"""Simulated ZTF alerts inside a gamma-ray burst's localisation, as Fink's multi-messenger alerts."""

import math
from dataclasses import dataclass

import numpy as np

from .observations import JD_MINUS_MJD, clock
from .schemas import record

TOPIC = "fink_grb_bronze"


@dataclass(frozen=True)
class Burst:
    """A gamma-ray burst: time (MJD UTC), localisation (degrees J2000, radius in arcmin)."""

    trigger_id: str
    mjd: float
    ra: float
    dec: float
    loc_error_arcmin: float


def alert(ztf_alert: dict, burst: Burst) -> dict:
    """Flat record of the association of a ZTF alert with `burst`."""
    candidate = ztf_alert["candidate"]
    shared = (
        "objectId cdsxmatch DR3Name Plx e_Plx gcvs vsx x3hsp x4lac mangrove roid rf_snia_vs_nonia "
        "snn_snia_vs_nonia snn_sn_vs_all mulens rf_kn_vs_nonkn anomaly_score lc_features_g lc_features_r "
        "from_upper"
    )
    days = candidate["jd"] - JD_MINUS_MJD - burst.mjd
    rate = ztf_alert["mag_rate"]
    # Bursts that chance would put there since then, of the 240 that Fermi sees per year in the whole sky.
    area_deg2 = math.pi * (burst.loc_error_arcmin / 60) ** 2
    chance = 240 / 365.25 * days * area_deg2 / 41253
    return record(
        "mm_alert",
        {
            **{name: ztf_alert[name] for name in shared.split()},
            # The real stream keeps the low 32 bits too: this candid is no key.
            "candid": int(np.int64(ztf_alert["candid"]).astype(np.int32)),
            "ztf_ra": candidate["ra"],
            "ztf_dec": candidate["dec"],
            "fid": candidate["fid"],
            "jdstarthist": candidate["jdstarthist"],
            "rb": candidate["rb"],
            "jd": candidate["jd"],
            "instrument": "GBM",
            "event": "Fin_Pos",
            "observatory": "Fermi",
            "triggerId": burst.trigger_id,
            "gcn_ra": burst.ra,
            "gcn_dec": burst.dec,
            "gcn_loc_error": burst.loc_error_arcmin,
            "triggerTimeUTC": clock(burst.mjd),
            "p_assoc": 1 - math.exp(-chance),
            "fink_class": "SN candidate",
            "delta_mag": None if rate is None else rate * ztf_alert["delta_time"],
            "rate": rate,
            "start_vartime": candidate["jdstarthist"],
            "diff_vartime": candidate["jd"] - candidate["jdstarthist"],
        },
    )
