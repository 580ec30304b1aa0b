"""The table of both services' endpoints: what each needs, and what answers it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import answers, labels, lsst, schema, statistics, ztf
from .answers import JSON, Answer, Failed, Refused, Row, as_json
from .catalogue import Catalogue
from .parameters import Parameters

Asked = Callable[[Catalogue, Parameters], list[Row] | Answer]
Listed = Callable[[Catalogue], Any]


@dataclass(frozen=True)
class Endpoint:
    """An endpoint: what it is, the parameters that it cannot do without, what is asked, what a bare GET lists."""

    description: str
    required: tuple[str, ...] = ()
    asked: Asked | None = None
    listed: Listed | None = None


ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "ztf": {
        "objects": Endpoint("Retrieve object data", ("objectId",), ztf.objects),
        "conesearch": Endpoint("Search around a position", ("ra", "dec", "radius"), ztf.conesearch),
        "latests": Endpoint("Get the latest alerts of a class", ("class",), ztf.latests),
        "classes": Endpoint("List the classes", listed=lambda catalogue: labels.classes()),
        "cutouts": Endpoint("Retrieve cutouts", ("objectId", "kind"), ztf.cutout),
        "sso": Endpoint("Retrieve known Solar System objects", ("n_or_d",), ztf.sso),
        "ssocand": Endpoint("Retrieve Solar System candidates", ("kind",), ztf.ssocand),
        "tracklet": Endpoint("Retrieve tracklets", (), ztf.tracklet),
        "resolver": Endpoint("Resolve names", ("resolver", "name"), ztf.resolve),
        "skymap": Endpoint("Search in a sky map", ("credible_level",), ztf.skymap),
        "anomaly": Endpoint("Retrieve anomalies", (), ztf.anomaly),
        "statistics": Endpoint("Retrieve statistics", ("date",), statistics.ztf),
        "schema": Endpoint("Retrieve the schema", listed=schema.ztf_schema),
    },
    "lsst": {
        "sources": Endpoint("Retrieve the sources of an object", ("diaObjectId",), lsst.sources),
        "objects": Endpoint("Retrieve the summary of an object", ("diaObjectId",), lsst.objects),
        "fp": Endpoint("Retrieve forced photometry", ("diaObjectId",), lsst.fp),
        "conesearch": Endpoint("Search around a position", ("ra", "dec", "radius"), lsst.conesearch),
        "tags": Endpoint("Get alerts by tag", ("tag",), lsst.tags, lambda catalogue: labels.tags()),
        "blocks": Endpoint("List the blocks", listed=lambda catalogue: labels.BLOCKS),
        "cutouts": Endpoint("Retrieve cutouts", ("diaSourceId", "kind"), lsst.cutout),
        "sso": Endpoint("Retrieve known Solar System objects", ("n_or_d",), lsst.sso),
        "resolver": Endpoint("Resolve names", ("resolver", "name_or_id"), lsst.resolve),
        "skymap": Endpoint("Search in a sky map", ("credible_level",), lsst.skymap),
        "statistics": Endpoint("Retrieve statistics", ("date",), statistics.lsst),
        "schema": Endpoint("Retrieve the schema of an endpoint", ("endpoint",), schema.lsst_schema),
    },
}


def answer(catalogue: Catalogue, survey: str, name: str, given: dict[str, Any] | None) -> Answer:
    """What the service answers to the parameters `given`; None is a GET without any."""
    endpoint = ENDPOINTS.get(survey, {}).get(name)
    if endpoint is None:
        return answers.page(404, "404 Not Found")
    if given is None or endpoint.asked is None:
        if endpoint.listed is not None:
            return Answer(200, JSON, as_json(endpoint.listed(catalogue)))
        return Answer(200, answers.HTML, f"{endpoint.description} of the Fink/{survey} database".encode())
    parameters = Parameters(given)
    try:
        parameters.require(*endpoint.required)
        if name in ("cutouts", "schema"):  # these have no rows
            return endpoint.asked(catalogue, parameters)
        output_format = parameters.output_format()
        return answers.rows(endpoint.asked(catalogue, parameters), output_format)
    except Refused as refusal:
        return refusal.answer
    except Failed:
        return answers.failed()
