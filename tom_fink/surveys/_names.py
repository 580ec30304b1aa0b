"""Which names may become a target's name: alert text is hostile until it has been looked at."""

import polars as pl

# TOM Toolkit gives a target's name 100 characters and writes it raw into a script on its list page,
# so what no survey uses in a name is refused here. Bodies: "2004 JQ12", "C/2020 V2 (ZTF)", "1P/Halley",
# "'Oumuamua".
SAFE_NAME = r"^['A-Za-z0-9][A-Za-z0-9 ./+()'_-]{0,99}$"
OBJECT_ID_PROBLEM = "{} is missing or not a name (letters, digits and . / + ( ) ' _ - only, up to 100)"


def is_safe_name(name: pl.Expr) -> pl.Expr:
    """Whether a name may be used; null counts as no."""
    return name.str.contains(SAFE_NAME).fill_null(False)
