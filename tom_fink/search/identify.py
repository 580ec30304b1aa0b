"""Which of a survey's objects a target is, whatever the target is called.

Names of other catalogues have the form of Rubin's ids too: Gaia's numbers, TIC's. So a name is taken for an id only
if Fink knows it.
"""

import re
from collections.abc import Iterable

import polars as pl

from tom_fink.api import lsst, ztf
from tom_fink.api.client import FinkClient
from tom_fink.fields import text
from tom_fink.search.fetch import IDS
from tom_fink.search.run import run
from tom_fink.search.search import Search

MODULES = {"ztf": ztf, "lsst": lsst}
RADIUS_ARCSEC = 2.0
MAX_IDS = 5  # that one target may have of a survey


def identify(
    survey: str,
    names: Iterable[str],
    client: FinkClient,
    place: tuple[float, float] | None = None,
    radius_arcsec: float = RADIUS_ARCSEC,
) -> list[str]:
    """The ids of the survey's objects that have one of these names, else of the nearest one at `place`.

    names: the target's name and its aliases; up to MAX_IDS of the form of the survey's ids are asked for at once, and
    those that Fink knows are given in their order. place: right ascension and declination (ICRS, degrees). One such
    name without a place is given unasked. Empty if Fink knows none and nothing is there. Raises `BadQuery` and the
    errors of the client.
    """
    ids = [name for name in dict.fromkeys(names) if re.fullmatch(IDS[survey][1], name)][:MAX_IDS]
    if place is None and len(ids) < 2:
        return ids
    if ids:
        rows = client.get(MODULES[survey].known(ids)).frame
        known = set(rows.select(text(rows.schema, IDS[survey][0]))[:, 0])
        if found := [one for one in ids if one in known]:
            return found
    if place is None:
        return []
    search = Search(survey, ra_deg=place[0], dec_deg=place[1], radius_arcsec=radius_arcsec)
    nearest = run(search, client).objects.filter(~pl.col("is_body")).head(1)
    return nearest["object_id"].to_list()
