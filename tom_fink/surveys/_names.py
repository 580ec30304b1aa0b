"""Which names may become a target's name: alert text is hostile until it has been looked at."""

import polars as pl

# TOM Toolkit gives a target's name 100 characters and writes it raw into a script on its list page,
# so what no survey uses in a name is refused here. Bodies: "2004 JQ12", "C/2020 V2 (ZTF)", "1P/Halley",
# "'Oumuamua".
SAFE_NAME = r"^['A-Za-z0-9][A-Za-z0-9 ./+()'_-]{0,99}$"
A_NAME = "a name (letters, digits and . / + ( ) ' _ - only, up to 100)"

# A survey's ids of objects have a form of their own, so that none can be taken for an object of the other
# survey, for a body (numbered up to seven digits now) or for a target that somebody named. ZTF's are
# ZTF18abcdefg, Rubin's have 18 digits.
ZTF_ID = "ZTF[0-9]{2}[A-Za-z0-9]{1,25}"
RUBIN_ID = "[0-9]{10,19}"
OBJECT_ID = f"^({ZTF_ID}|{RUBIN_ID})$"
ZTF_ID_PROBLEM = "objectId is missing or none of ZTF's (ZTF, two digits, up to 25 letters or digits)"


# What a safe name may hold and a path of a URL may not
ESCAPES = {" ": "%20", "/": "%2F", "'": "%27", "+": "%2B", "(": "%28", ")": "%29"}


def page(portal: str, name: pl.Expr) -> pl.Expr:
    """The address of an object's page in a portal of Fink's; null for a null name."""
    return pl.lit(portal) + name.str.replace_many(ESCAPES)


def is_ztf_id(name: pl.Expr) -> pl.Expr:
    """Whether a name has the form of ZTF's objects' ids; null counts as no."""
    return name.str.contains(f"^{ZTF_ID}$").fill_null(False)


def is_safe_name(name: pl.Expr) -> pl.Expr:
    """Whether a name may be used; null counts as no."""
    return name.str.contains(SAFE_NAME).fill_null(False)
