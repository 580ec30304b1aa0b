"""The light curve and other names that Fink has of a target, whatever the target is called."""

import logging
import re
from dataclasses import dataclass
from urllib.parse import quote

import polars as pl
from tom_targets.models import BaseTarget, TargetName

from tom_fink.api.client import FinkClient
from tom_fink.errors import ApiError, BadQuery, QueryRefused
from tom_fink.models import FinkObject
from tom_fink.search import fetch, identify, light_curve
from tom_fink.surveys import lsst, ztf
from tom_fink.surveys._names import OBJECT_ID

logger = logging.getLogger(__name__)

PORTALS = {"ztf": ztf.PORTAL, "lsst": lsst.PORTAL}
MAX_OBJECTS = 5  # of a survey that one target may be
MAX_NAMES = 5  # of a body, that are tried


@dataclass(frozen=True)
class LightCurve:
    """Points of one object (frames.DETECTIONS)."""

    survey: str
    name: str
    url: str
    points: pl.DataFrame

    def __len__(self) -> int:
        return self.points.height


def names_in_fink(target: BaseTarget, survey: str, client: FinkClient) -> list[str]:
    """What Fink calls this target: objects it is known to be, else an id among its names, else what is at its place.

    Raises the errors of the client.
    """
    known = FinkObject.objects.filter(survey=survey, target_id=target.pk).order_by("-last_seen", "pk")
    if names := list(known.values_list("object_id", flat=True)[:MAX_OBJECTS]):
        return names
    names = [target.name, *TargetName.objects.filter(target_id=target.pk).values_list("name", flat=True)]
    is_moving = target.type == BaseTarget.NON_SIDEREAL
    has_place = not is_moving and target.ra is not None and target.dec is not None
    place = (target.ra % 360, target.dec) if has_place else None
    found = identify(survey, names, client, place)
    if found:
        return found
    if not is_moving:
        return []
    return [name for name in names if not re.fullmatch(OBJECT_ID, name)][:MAX_NAMES]


def fetch_curves(
    survey: str, names: list[str], client: FinkClient, kind: str | None = None
) -> tuple[list[LightCurve], list[str]]:
    """The light curves of these objects, and for each that could not be had why.

    Of several names of a body, which are tried, one that Fink refuses is passed over. kind: forced for forced
    photometry alone. Raises the errors of the client if nothing came.
    """
    found, problems, first = [], [], None
    for name in names:
        try:
            points = light_curve(survey, name, client)
        except ApiError as error:
            is_tried = len(names) > 1 and not re.fullmatch(OBJECT_ID, name)
            if not (is_tried and isinstance(error, QueryRefused | BadQuery)):
                problems.append(str(error))
                first = first or error
            continue
        points = points if kind is None else points.filter(pl.col("kind") == kind)
        if points.height:
            found.append(LightCurve(survey, name, _page(survey, name), points))
    if first is not None and not found:
        raise first
    return found, problems


def fetch_names(survey: str, names: list[str], client: FinkClient) -> list[str]:
    """These names and the others that TNS has of them; none if Fink refuses, which is logged.

    Raises the other errors of the client.
    """
    try:
        whole = fetch(survey, names, client, aliases=True)
    except QueryRefused as error:
        logger.warning("Other names of %s could not be had: %s", ", ".join(names), error)
        return []
    for problem in whole.problems:
        logger.warning("%s", problem)
    others = [other for several in whole.aliases.values() for other in several]
    known = [name for name in names if name not in whole.missing]
    return list(dict.fromkeys([*known, *others]))


def _page(survey: str, name: str) -> str:
    """The object's page in Fink's portal."""
    return f"{PORTALS[survey]}{quote(name, safe='')}"
