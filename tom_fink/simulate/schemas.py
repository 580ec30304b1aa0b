"""Avro schemas of the simulated alerts: field names and types of ZTF 4.02, lsst.v10_0 and Fink's own.

A field is written `name:code`. Every type is a union with null, as in Fink's real schemas.
"""

import json
from collections.abc import Mapping
from functools import cache

import numpy as np

_TYPES = {
    "i": "int",
    "l": "long",
    "f": "float",
    "d": "double",
    "s": "string",
    "b": "boolean",
    "y": "bytes",
}
RUBIN_BANDS = "ugrizy"


def _fields(text: str, **nested) -> list[dict]:
    """Avro fields of `name:code` words; `name:@` takes its type from the keyword of that name."""
    fields = []
    for word in text.split():
        name, code = word.split(":")
        avro_type = nested[name] if code == "@" else _TYPES[code]
        fields.append({"name": name, "type": [avro_type, "null"]})
    return fields


def _record(name: str, fields: list[dict]) -> dict:
    return {"type": "record", "name": name, "fields": fields}


def _array(items) -> dict:
    return {"type": "array", "items": [items, "null"]}


def _map(values) -> dict:
    return {"type": "map", "values": [values, "null"]}


def _cutout(name: str) -> dict:
    return _record(name, _fields("fileName:s stampData:y"))


def _each(names: str, code: str) -> str:
    return " ".join(f"{name}:{code}" for name in names.split())


# Statistics of a light curve in one band, computed by Fink for both surveys.
LC_FEATURES = (
    "mean weighted_mean standard_deviation median amplitude beyond_1_std cusum inter_percentile_range_10 "
    "kurtosis linear_trend linear_trend_sigma linear_trend_noise linear_fit_slope linear_fit_slope_sigma "
    "linear_fit_reduced_chi2 magnitude_percentage_ratio_40_5 magnitude_percentage_ratio_20_10 maximum_slope "
    "median_absolute_deviation median_buffer_range_percentage_10 percent_amplitude mean_variance "
    "anderson_darling_normal chi2 skew stetson_K"
)


def _lc_features(name: str) -> dict:
    return _record(name, _fields(_each(LC_FEATURES, "d")))


# What a ZTF detection says in an alert and also later, in the histories of the object's next alerts.
_ZTF_DETECTION = (
    "jd:d fid:i pid:l diffmaglim:f pdiffimfilename:s programpi:s programid:i candid:l isdiffpos:s tblid:l "
    "nid:i rcid:i field:i xpos:f ypos:f ra:d dec:d magpsf:f sigmapsf:f chipsf:f magap:f sigmagap:f distnr:f "
    "magnr:f sigmagnr:f chinr:f sharpnr:f sky:f magdiff:f fwhm:f classtar:f mindtoedge:f magfromlim:f "
    "seeratio:f aimage:f bimage:f aimagerat:f bimagerat:f elong:f nneg:i nbad:i rb:f ssdistnr:f ssmagnr:f "
    "ssnamenr:s sumrat:f magapbig:f sigmagapbig:f ranr:d decnr:d magzpsci:f magzpsciunc:f magzpscirms:f "
    "clrcoeff:f clrcounc:f scorr:d rbversion:s "
)
_ZTF_NEIGHBOURS = " ".join(
    f"objectidps{n}:l sgmag{n}:f srmag{n}:f simag{n}:f szmag{n}:f sgscore{n}:f distpsnr{n}:f"
    for n in (1, 2, 3)
)
_ZTF_CANDIDATE = (
    _ZTF_DETECTION + _ZTF_NEIGHBOURS + " ndethist:i ncovhist:i jdstarthist:d jdendhist:d tooflag:i nmtchps:i "
    "rfid:l jdstartref:d jdendref:d nframesref:i dsnrms:f ssnrms:f dsdiff:f nmatches:i zpclrcov:f zpmed:f "
    "clrmed:f clrrms:f neargaia:f neargaiabright:f maggaia:f maggaiabright:f exptime:f drb:f drbversion:s"
)
_CROSSMATCH = (
    "cdsxmatch:s DR3Name:s Plx:f e_Plx:f gcvs:s vsx:s x3hsp:s x4lac:s mangrove:@ roid:i rf_snia_vs_nonia:d "
    "snn_snia_vs_nonia:d snn_sn_vs_all:d mulens:d rf_kn_vs_nonkn:d anomaly_score:d lc_features_g:@ "
    "lc_features_r:@ "
)


def _crossmatch_types() -> dict:
    return {
        "mangrove": _map("string"),
        "lc_features_g": _lc_features("lc_features_g"),
        "lc_features_r": _lc_features("lc_features_r"),
    }


ZTF_SCHEMA = _record(
    "ztf_alert",
    _fields(
        "candid:l schemavsn:s publisher:s objectId:s candidate:@ prv_candidates:@ cutoutScience:@ "
        "cutoutTemplate:@ cutoutDifference:@ brokerIngestTimestamp:s brokerStartProcessTimestamp:s "
        "fink_broker_version:s fink_science_version:s " + _CROSSMATCH + "tns:s gaiaVarFlag:i gaiaClass:s "
        "spicy_id:i spicy_class:s nalerthist:i jd_first_real_det:d jdstarthist_dt:d mag_rate:d sigma_rate:d "
        "lower_rate:d upper_rate:d delta_time:d from_upper:b blazar_stats:@ is_transient:b slsn_score:d "
        "brokerEndProcessTimestamp:s tracklet:s timestamp:s",
        candidate=_record("candidate", _fields(_ZTF_CANDIDATE)),
        prv_candidates=_array(_record("prv_candidate", _fields(_ZTF_DETECTION))),
        cutoutScience=_cutout("cutout_science"),
        cutoutTemplate=_cutout("cutout_template"),
        cutoutDifference=_cutout("cutout_difference"),
        blazar_stats=_map("float"),
        **_crossmatch_types(),
    ),
)

MM_SCHEMA = _record(
    "mm_alert",
    _fields(
        "objectId:s candid:i ztf_ra:d ztf_dec:d fid:i jdstarthist:d rb:f jd:d instrument:s event:s "
        "observatory:s triggerId:s gcn_ra:d gcn_dec:d gcn_loc_error:d triggerTimeUTC:s p_assoc:d "
        "fink_class:s delta_mag:d rate:d from_upper:b start_vartime:d diff_vartime:d " + _CROSSMATCH,
        **_crossmatch_types(),
    ),
)

_DIA_SOURCE = (
    "diaSourceId:l visit:l detector:i diaObjectId:l ssObjectId:l parentDiaSourceId:l midpointMjdTai:d ra:d "
    "raErr:f dec:d decErr:f ra_dec_Cov:f x:f xErr:f y:f yErr:f centroid_flag:b apFlux:f apFluxErr:f "
    "apFlux_flag:b isNegative:b snr:f psfFlux:f psfFluxErr:f psfChi2:f psfNdata:i psfFlux_flag:b "
    "psfFlux_flag_edge:b trailFlux:f trailLength:f trailAngle:f dipoleMeanFlux:f dipoleLength:f "
    "scienceFlux:f scienceFluxErr:f templateFlux:f templateFluxErr:f extendedness:f reliability:f band:s "
    "isDipole:b dipoleFitAttempted:b timeProcessedMjdTai:d timeWithdrawnMjdTai:d bboxSize:i pixelFlags:b "
    "pixelFlags_bad:b pixelFlags_cr:b pixelFlags_edge:b pixelFlags_saturated:b pixelFlags_streak:b "
    "glint_trail:b"
)
_DIA_FORCED_SOURCE = (
    "diaForcedSourceId:l diaObjectId:l ra:d dec:d visit:l detector:i psfFlux:f psfFluxErr:f midpointMjdTai:d "
    "scienceFlux:f scienceFluxErr:f band:s timeProcessedMjdTai:d timeWithdrawnMjdTai:d"
)
_DIA_OBJECT = (
    "diaObjectId:l validityStartMjdTai:d ra:d raErr:f dec:d decErr:f ra_dec_Cov:f "
    + " ".join(
        f"{b}_psfFluxMean:f {b}_psfFluxMeanErr:f {b}_psfFluxSigma:f {b}_psfFluxNdata:i {b}_fpFluxMean:f "
        f"{b}_fpFluxMeanErr:f {b}_scienceFluxMean:f {b}_scienceFluxMeanErr:f {b}_psfFluxMin:f "
        f"{b}_psfFluxMax:f {b}_psfFluxMaxSlope:f {b}_psfFluxErrMean:f"
        for b in RUBIN_BANDS
    )
    + " firstDiaSourceMjdTai:d lastDiaSourceMjdTai:d nDiaSources:i"
)
_SS_SOURCE = (
    "diaSourceId:l ssObjectId:l designation:s "
    + _each("eclLambda eclBeta galLon galLat", "d")
    + " "
    + _each("elongation phaseAngle topoRange topoRangeRate helioRange helioRangeRate", "f")
    + " ephRa:d ephDec:d "
    + _each("ephVmag ephRate ephRateRa ephRateDec ephOffset", "f")
    + " ephOffsetRa:d ephOffsetDec:d "
    + _each("helio_x helio_y helio_z topo_x topo_y topo_z", "f")
    + " diaDistanceRank:i"
)
_ORBIT_NUMBERS = "a q e i node argperi peri_time mean_anomaly period mean_motion"
_MPC_ORBITS = (
    "id:i designation:s packed_primary_provisional_designation:s unpacked_primary_provisional_designation:s "
    "mpc_orb_jsonb:s created_at:l updated_at:l orbit_type_int:i u_param:i nopp:i arc_length_total:d "
    "arc_length_sel:d nobs_total:i nobs_total_sel:i "
    + _each(_ORBIT_NUMBERS, "d")
    + " "
    + _each(" ".join(f"{name}_unc" for name in _ORBIT_NUMBERS.split()), "d")
    + " epoch_mjd:d h:d g:d not_normalized_rms:d normalized_rms:d earth_moid:d fitting_datetime:l"
)

LSST_SCHEMA = _record(
    "lsst_alert",
    _fields(
        "diaSourceId:l observation_reason:s target_name:s diaSource:@ prvDiaSources:@ prvDiaForcedSources:@ "
        "diaObject:@ ssSource:@ mpc_orbits:@ cutoutDifference:y cutoutScience:y cutoutTemplate:y "
        "brokerIngestMjd:d lsst_schema_version:s brokerStartProcessTimestamp:s fink_broker_version:s "
        "fink_science_version:s publisher:s lc_features:@ clf:@ xm:@ pred:@ misc:@ "
        "brokerEndProcessTimestamp:s timestamp:s",
        diaSource=_record("diaSource", _fields(_DIA_SOURCE)),
        prvDiaSources=_array(_record("prvDiaSource", _fields(_DIA_SOURCE))),
        prvDiaForcedSources=_array(_record("prvDiaForcedSource", _fields(_DIA_FORCED_SOURCE))),
        diaObject=_record("diaObject", _fields(_DIA_OBJECT)),
        ssSource=_record("ssSource", _fields(_SS_SOURCE)),
        mpc_orbits=_record("mpc_orbits", _fields(_MPC_ORBITS)),
        lc_features=_map(_lc_features("lc_features")),
        clf=_record(
            "clf",
            _fields(
                "snnSnVsOthers_score:f cats_class:i cats_score:f earlySNIa_score:d elephant_kstest_science:f "
                "elephant_kstest_template:f"
            ),
        ),
        xm=_record(
            "xm",
            _fields(
                "simbad_otype:s gaiadr3_DR3Name:s gaiadr3_Plx:f gaiadr3_e_Plx:f gaiadr3_VarFlag:i "
                "legacydr8_zphot:f legacydr8_e_zphot:f legacydr8_pstar:f legacydr8_fqual:i tns_fullname:s "
                "tns_type:s tns_redshift:f gcvs_type:s x3hsp_type:s x4lac_type:s vsx_Type:s spicy_class:s "
                "mangrove_HyperLEDA_name:s mangrove_2MASS_name:s mangrove_lum_dist:f mangrove_ang_dist:f"
            ),
        ),
        pred=_record(
            "pred",
            _fields("is_sso:b is_first:b is_cataloged:b main_label_classifier:i main_label_crossmatch:s"),
        ),
        misc=_record("misc", _fields("firstDiaSourceMjdTaiFink:d")),
    ),
)
SCHEMAS = {"ztf": ZTF_SCHEMA, "lsst": LSST_SCHEMA, "mm": MM_SCHEMA}


@cache
def key_of(name: str) -> bytes:
    """Key of a message of format `name` ("ztf", "lsst" or "mm"): its schema as compact JSON text (UTF-8)."""
    return json.dumps(SCHEMAS[name], separators=(",", ":")).encode()


@cache
def _layout(name: str) -> tuple[dict[str, None], frozenset[str]]:
    """(an empty record, names of its float32 fields) of the record called `name` in any schema."""
    todo = list(SCHEMAS.values())
    while todo:
        avro_type = todo.pop()
        if avro_type["type"] == "record" and avro_type["name"] == name:
            names = dict.fromkeys(field["name"] for field in avro_type["fields"])
            floats = (field["name"] for field in avro_type["fields"] if field["type"][0] == "float")
            return names, frozenset(floats)
        inner = [field["type"][0] for field in avro_type.get("fields", ())]
        inner += [avro_type[part][0] for part in ("items", "values") if part in avro_type]
        todo += [part for part in inner if isinstance(part, dict)]
    raise KeyError(name)


def record(name: str, values: Mapping) -> dict:
    """Make the record `name`: all its fields, None where `values` has none, "float" ones rounded to float32.

    Rounding here means that an alert read back from its bytes equals the alert that was written.
    Raises KeyError for a value that is not a field.
    """
    empty, floats = _layout(name)
    unknown = values.keys() - empty.keys()
    if unknown:
        raise KeyError(f"{name} has no field {sorted(unknown)}")
    filled = {**empty, **values}
    for field in floats:
        if filled[field] is not None:
            filled[field] = float(np.float32(filled[field]))
    return filled
