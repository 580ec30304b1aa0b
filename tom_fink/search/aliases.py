"""Other names of objects: those that TNS has, by Fink's resolvers.

A name is a claim: whoever is given an object's id as an alias gets that object's alerts. So ids are taken only
from a record of TNS that is at the object's place, and of another survey.
"""

import json
import re

import polars as pl

from tom_fink.api import lsst, ztf
from tom_fink.api.client import FinkClient
from tom_fink.api.names import resolved
from tom_fink.errors import ApiError, ServiceUnavailable
from tom_fink.search.answered import keyed
from tom_fink.search.names import SAME_PLACE_ARCSEC, separation_arcsec
from tom_fink.surveys._names import OBJECT_ID, SAFE_NAME, ZTF_ID

MODULES = {"ztf": ztf, "lsst": lsst}
TNS_NAME = re.compile("(?:SN|AT|TDE|FRB) ?[0-9]{4}[A-Za-z]{1,6}")
MAX_NAMES = 20  # of an object
MAX_ROWS = 50


def other_names(
    survey: str, alerts: pl.DataFrame, client: FinkClient
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The names of each object (by `object_key`, bodies excepted), and what went wrong: names are never needed.

    alerts: frames.ALERTS.
    """
    found, problems = {}, []
    of_objects = keyed(alerts).filter(pl.col("body").is_null()).sort("observed_at")
    newest = of_objects.unique("object_key", keep="last", maintain_order=True)
    columns = ("object_key", "object_id", "ra_deg", "dec_deg", "fink_values")
    for key, object_id, ra_deg, dec_deg, values in newest.select(columns).rows():
        try:
            names = _names(survey, object_id, (ra_deg, dec_deg), json.loads(values), client)
        except ServiceUnavailable as error:
            problems.append(str(error))
            break  # it is away for the others, too
        except ApiError as error:
            problems.append(str(error))
            continue
        if names:
            found[key] = names
    return found, tuple(problems)


def _names(survey: str, object_id: str, place: tuple, values: dict, client: FinkClient) -> tuple[str, ...]:
    if "tns_fullname" in values:  # Rubin's alerts have it
        official = [values["tns_fullname"]]
    else:
        rows = client.get(MODULES[survey].names_of("tns", object_id, MAX_ROWS), resolved)
        # TNS is asked for what contains the id.
        rows = rows.filter(pl.col("other_name").is_null() | (pl.col("other_name") == object_id))
        official = rows["name"].to_list()
    # SN comes after AT, which the same thing was before it had a spectrum.
    found = sorted(name for name in official if TNS_NAME.fullmatch(name))[-1:]
    for name in tuple(found):
        records = client.get(MODULES[survey].resolve("tns", name, MAX_ROWS), resolved).rows(named=True)
        same = [record for record in records if record["name"] == name]
        here = [record for record in same if _is_at(record, place)]
        if same and not here:
            return ()  # what TNS calls so is elsewhere
        found += [record["other_name"] for record in here if record["other_name"]]
    return tuple(name for name in dict.fromkeys(found) if _may_be_taken(name, survey, object_id))[:MAX_NAMES]


def _is_at(record: dict, place: tuple) -> bool:
    if record["ra_deg"] is None or record["dec_deg"] is None:
        return False
    return separation_arcsec(record["ra_deg"], record["dec_deg"], *place) <= SAME_PLACE_ARCSEC


def _may_be_taken(name: str, survey: str, object_id: str) -> bool:
    if name == object_id or not re.fullmatch(SAFE_NAME, name):
        return False
    return not re.fullmatch(OBJECT_ID, name) or (survey == "lsst" and re.fullmatch(ZTF_ID, name) is not None)
