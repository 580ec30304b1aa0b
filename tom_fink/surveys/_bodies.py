"""Names of Solar System bodies, so that every survey's alerts of a body find the same target."""

import json
from typing import Any

import polars as pl

# ZTF writes provisional designations without the blank that the MPC writes: 2004JQ12 is 2004 JQ12,
# C/2020V2 is C/2020 V2.
UNSPACED = r"^((?:[CPDXAI]/)?\d{4})\s*([A-Z]{1,2}\d*)$"


def body_name(name: pl.Expr) -> pl.Expr:
    """A body's number or designation as the MPC writes it; null for what says "none"."""
    return pl.when(~name.is_in(["0", "-1"])).then(name.str.replace(UNSPACED, "$1 $2"))


def aliases(name: str | None, packed: str | None, mpc_orb: str | None) -> list[str]:
    """The body's other names: number, name, packed and further designations, without doubles.

    `mpc_orb` is the JSON of the MPC's orbit record (mpc_orb_jsonb), of which designation_data is read.
    """
    found = [packed]
    designations = _designations(mpc_orb)
    found += [designations.get("permid"), designations.get("iau_name")]
    found += [designations.get("unpacked_primary_provisional_designation")]
    further = designations.get("unpacked_secondary_provisional_designations")
    found += further if isinstance(further, list) else []
    texts = [text.strip() for text in found if isinstance(text, str) and text.strip()]
    return [text for text in dict.fromkeys(texts) if text != name]


def _designations(mpc_orb: str | None) -> dict[str, Any]:
    try:
        record = json.loads(mpc_orb) if mpc_orb else {}
    except ValueError:
        return {}
    designations = record.get("designation_data") if isinstance(record, dict) else None
    return designations if isinstance(designations, dict) else {}
