"""Names of Solar System bodies, so that every survey's alerts of a body find the same target."""

import json
import re
from typing import Any

import polars as pl

from tom_fink.surveys._names import A_NAME, OBJECT_ID, SAFE_NAME, is_safe_name

# ZTF writes provisional designations without the blank that the MPC writes: 2004JQ12 is 2004 JQ12,
# C/2020V2 is C/2020 V2.
UNSPACED = r"^((?:[CPDXAI]/)?\d{4}) *([A-Z]{1,2}\d*)$"

BODY_PROBLEM = f"the body's designation is not {A_NAME}, or has the form of an object's id"

MAX_ORBIT_RECORD = 100_000  # characters of mpc_orb_jsonb, which has some 6000
MAX_ALIASES = 50


def is_no_body_name(name: pl.Expr) -> pl.Expr:
    """Whether a body's name must not be used; null, which is no body, counts as no."""
    return (~is_safe_name(name) | name.str.contains(OBJECT_ID)) & name.is_not_null()


def body_name(name: pl.Expr) -> pl.Expr:
    """A body's number or designation as the MPC writes it; null for what says "none"."""
    return pl.when(~name.is_in(["0", "-1"])).then(name.str.replace(UNSPACED, "$1 $2"))


def aliases(name: str | None, packed: str | None, mpc_orb: str | None) -> list[str]:
    """The body's other names: number, name, packed and further designations, without doubles.

    `mpc_orb` is the JSON of the MPC's orbit record (mpc_orb_jsonb), of which designation_data is read. What
    may not be a body's name is left out, and so is what is beyond MAX_ALIASES: whoever is given an object's
    id as an alias would get that object's alerts.
    """
    found = [packed]
    designations = _designations(mpc_orb)
    found += [designations.get("permid"), designations.get("iau_name")]
    found += [designations.get("unpacked_primary_provisional_designation")]
    further = designations.get("unpacked_secondary_provisional_designations")
    found += further if isinstance(further, list) else []
    texts = [text.strip() for text in found if isinstance(text, str)]
    allowed = [text for text in texts if re.fullmatch(SAFE_NAME, text) and not re.fullmatch(OBJECT_ID, text)]
    return [text for text in dict.fromkeys(allowed) if text != name][:MAX_ALIASES]


def _designations(mpc_orb: str | None) -> dict[str, Any]:
    try:
        record = json.loads(mpc_orb) if mpc_orb and len(mpc_orb) <= MAX_ORBIT_RECORD else {}
    except (ValueError, RecursionError):  # lists in lists in lists
        return {}
    designations = record.get("designation_data") if isinstance(record, dict) else None
    return designations if isinstance(designations, dict) else {}
