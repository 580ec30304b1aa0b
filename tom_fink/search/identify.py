"""Which of a survey's objects a target is, whatever the target is called."""

import re
from collections.abc import Iterable

import polars as pl

from tom_fink.api.client import FinkClient
from tom_fink.search.fetch import IDS
from tom_fink.search.run import run
from tom_fink.search.search import Search

RADIUS_ARCSEC = 2.0


def identify(
    survey: str,
    names: Iterable[str],
    client: FinkClient,
    place: tuple[float, float] | None = None,
    radius_arcsec: float = RADIUS_ARCSEC,
) -> str | None:
    """The id of the survey's object that has one of these names, else of the nearest one at `place`.

    names: the target's name and its aliases. place: right ascension and declination (ICRS, degrees). None if no
    name is an id and nothing is there. Only a place is asked for. Raises `BadQuery` and the errors of the client.
    """
    for name in names:
        if re.fullmatch(IDS[survey][1], name):
            return name
    if place is None:
        return None
    search = Search(survey, ra_deg=place[0], dec_deg=place[1], radius_arcsec=radius_arcsec)
    nearest = run(search, client).objects.filter(~pl.col("is_body")).head(1)
    return nearest["object_id"].item() if nearest.height else None
