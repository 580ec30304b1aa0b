"""What Fink calls alerts: ZTF's classes, and Rubin's tags with the blocks that their filters are made of."""

from .answers import Row

FINK_CLASSES = (
    "Early SN Ia candidate", "Kilonova candidate", "SN candidate", "SLSN candidate", "Microlensing candidate",
    "Tracklet", "Solar System MPC", "Solar System candidate", "Ambiguous", "(CTA) Blazar low state",
    "(CTA) Blazar high state",
)  # fmt: skip
TNS_TYPES = (
    "AGN", "Afterglow", "CV", "FRB", "Galaxy", "ILRT", "Impostor-SN", "Kilonova", "LBV", "LRN", "Light-Echo",
    "M dwarf", "Nova", "Other", "QSO", "SLSN-I", "SLSN-II", "SN", "SN I", "SN II", "SN II-pec", "SN IIL", "SN IIP",
    "SN IIb", "SN IIn", "SN IIn-pec", "SN Ia", "SN Ia-91T-like", "SN Ia-91bg-like", "SN Ia-CSM", "SN Ia-pec",
    "SN Iax[02cx-like]", "SN Ib", "SN Ib-Ca-rich", "SN Ib-pec", "SN Ib/c", "SN Ibn", "SN Ic", "SN Ic-BL", "SN Ic-pec",
    "SN Icn", "TDE", "Varstar",
)  # fmt: skip
# Some of SIMBAD's 315, those of the simulated sky among them
SIMBAD_TYPES = (
    "AGN", "AGN_Candidate", "BLLac", "Blazar", "CataclyV*", "Candidate_YSO", "EB*", "EmG", "Galaxy", "GinGroup",
    "LongPeriodV*", "Mira", "Nova", "QSO", "RRLyrae", "Seyfert1", "Star", "TTauri*", "Transient", "V*", "YSO",
    "YSO_Candidate",
)  # fmt: skip
# Filters of Rubin's stream: what they select, and whether their alerts can be searched for
TAGS = {
    "extragalactic_lt20mag_candidate": ("Extragalactic, rising and brighter than magnitude 20", True),
    "extragalactic_new_candidate": ("Extragalactic, first seen less than 5 days ago", True),
    "extragalactic_svom": ("Near a galaxy, first seen less than 5 days ago, for SVOM", False),
    "faint_trails": ("Trailed detections between magnitudes 18 and 21", True),
    "fast_transient_gvom": ("Changes by more than 0.3 mag per day", False),
    "hostless_candidate": ("No host in the template image, off the Galactic plane", True),
    "in_simbad": ("With a counterpart in SIMBAD", False),
    "in_tns": ("With a counterpart in TNS", True),
    "is_solar_system": ("Associated with a Solar System body by Rubin", False),
    "mdwarf_flare": ("Flares of M dwarfs", True),
    "most_likely_sn": ("Most likely a supernova", True),
    "remove_unlikely_transients": ("What is left when unlikely transients are removed", False),
    "sn_near_galaxy_candidate": ("Supernova candidates near a catalogued galaxy", True),
    "uniform_sample": ("About one alert in a hundred", False),
}
BLOCKS = {
    "b_good_quality": "No quality flag, positive flux, signal to noise of at least 6",
    "b_is_new": "First seen less than 5 days ago",
    "b_in_tns": "With a counterpart in TNS",
    "b_outside_galactic_plane": "Beyond 20 degrees of the Galactic plane",
    "b_template_hostless": "No host in the template image",
    "b_xmatched_to_galaxy": "Near a catalogued galaxy",
}


def classes() -> dict[str, list[str]]:
    """The answer of ZTF's `classes`."""
    return {
        "Fink classifiers": list(FINK_CLASSES),
        "Cross-match with TNS": [f"(TNS) {label}" for label in TNS_TYPES],
        "Cross-match with SIMBAD (see http://simbad.u-strasbg.fr/simbad/sim-display?data=otypes)": [
            f"(SIMBAD) {label}" for label in SIMBAD_TYPES
        ],
    }


def tags() -> dict[str, dict]:
    """The answer of Rubin's `tags`."""
    return {
        tag: {"description": description, "API support": is_searchable}
        for tag, (description, is_searchable) in TAGS.items()
    }


def ztf_label(row: Row) -> str:
    """Fink's class of an alert: its classifiers in rising priority, then SIMBAD's type."""

    def is_above(name: str, limit: float) -> bool:
        value = row.get(name)
        return isinstance(value, int | float) and value > limit

    label, roid = "Unknown", row.get("d:roid")
    age_days = (row.get("i:jd") or 0.0) - (row.get("i:jdstarthist") or row.get("i:jd") or 0.0)
    is_lensed, is_supernova = is_above("d:mulens", 0), is_above("d:snn_sn_vs_all", 0.5) and age_days <= 90
    found = {
        "Microlensing candidate": is_lensed,
        "SN candidate": is_supernova and is_above("i:ndethist", 1),
        "Early SN Ia candidate": is_supernova
        and is_above("d:rf_snia_vs_nonia", 0.5)
        and not is_above("i:ndethist", 20),
        "Kilonova candidate": is_above("d:rf_kn_vs_nonkn", 0.5) and age_days < 5,
        "Solar System candidate": roid == 2,
        "Tracklet": bool(row.get("d:tracklet")),
        "Solar System MPC": roid == 3,
    }
    for name, is_so in found.items():
        label = name if is_so else label
    if is_lensed + found["SN candidate"] + (roid in (2, 3)) > 1:
        label = "Ambiguous"
    simbad = row.get("d:cdsxmatch") or "Unknown"
    if simbad in ("Unknown", "Transient") or simbad.startswith(("Fail", "Galaxy")):
        return label
    return simbad


def has_class(row: Row, label: str) -> bool:
    """Whether `latests` finds the alert of `row` under `label`."""
    if label.startswith("(TNS) "):
        return row["d:tns"] == label.removeprefix("(TNS) ")
    if label.startswith("(SIMBAD) "):
        return row["d:cdsxmatch"] == label.removeprefix("(SIMBAD) ")
    if label.startswith("(CTA) Blazar "):
        return _blazar_state(row) == label.removeprefix("(CTA) Blazar ")
    if label == "SLSN candidate":
        return (row.get("d:slsn_score") or 0.0) > 0.5
    # SIMBAD's "Unknown" is no type, but Fink's is a class.
    return label == row["d:classification"] or (label != "Unknown" and label == row["d:cdsxmatch"])


def _blazar_state(row: Row) -> str | None:
    """The state by Fink's ratio of the newest flux to the threshold, m2; -1 is not computed."""
    ratio = row.get("d:blazar_stats_m2")
    if ratio is None or ratio < 0:
        return None
    return "low state" if ratio < 1 else "high state"


def lsst_tags(row: Row, topics: list[str]) -> frozenset[str]:
    """The tags of an alert: of the filters whose topics it was sent to, and of the plain cuts beside them."""
    found = {topic.removeprefix("fink_").removesuffix("_lsst") for topic in topics}
    if row.get("f:xm_tns_fullname"):
        found.add("in_tns")
    if row.get("f:xm_simbad_otype"):
        found.add("in_simbad")
    return frozenset(found)
