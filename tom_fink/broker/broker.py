"""The broker: the searches of Fink's databases, on the older alert pages."""

import logging
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.utils.html import format_html_join
from tom_alerts.alerts import GenericBroker
from tom_targets.models import BaseTarget

from tom_fink.broker.alert import FinkAlert, Result, object_of, results_of
from tom_fink.broker.form import FinkQueryForm, search_of
from tom_fink.broker.patience import light_curve_s
from tom_fink.errors import ApiError, ConfigurationError
from tom_fink.models import FinkObject

if TYPE_CHECKING:
    from tom_fink.api.client import FinkClient

logger = logging.getLogger(__name__)

RESULTS_S = 45.0  # for all questions of a page of results; gunicorn's workers are given up after 60 s
SURVEYS = ("ztf", "lsst")


class FinkBroker(GenericBroker):
    """Fink's entry in TOM Toolkit's list of brokers. A result is an object with its newest alert."""

    name = "Fink"
    form = FinkQueryForm
    score_description = "Number of alerts of the object; at least so many, where Fink does not tell."

    def __init__(self):
        """Have nothing to say yet."""
        super().__init__()
        self.said: list[str] = []

    def fetch_alerts(self, parameters: dict[str, Any]) -> Iterator[Result]:
        """The objects that a query finds; what there is to say of it is in `said`, and in the log for commands."""
        from tom_fink.search import run

        self.said = []
        try:
            search = search_of(parameters)
            with _client() as client:
                found = run(search, client)
        except (ApiError, ConfigurationError) as error:
            return self._tell([str(error)], ())
        said = [*found.notes, *found.problems]
        if found.has_more:
            said.append("Fink may have more than is shown. Narrow the query to see the rest.")
        if not len(found):
            said.append("Nothing was found. Check the spelling of ids, classes and tags.")
        return self._tell(said, results_of(found))

    def _tell(self, said: list[str], results: Iterable[Result]) -> Iterator[Result]:
        self.said = said
        for one in said:
            logger.warning("Fink: %s", one)
        return iter(results)

    def get_broker_context_data(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What there is to say of the query that ran last, as HTML: the page shows it as it is."""
        return {"broker_feedback": format_html_join("", "{}<br>", ((one,) for one in self.said))}

    def fetch_alert(self, alert_id: str) -> Result | None:
        """The result that has this id, asked for anew; None if Fink has nothing of it.

        Raises `ApiError`.
        """
        from tom_fink.search import Search, run

        survey, key = object_of(str(alert_id))
        if survey not in SURVEYS:
            return None
        search = Search(survey, object_ids=(key,)) if _is_id(survey, key) else Search(survey, body=key)
        with _client() as client:
            return next(iter(results_of(run(search, client))), None)

    def to_generic_alert(self, alert: Result) -> FinkAlert:
        """A result as the page shows it."""
        row = alert["object"]
        return FinkAlert(
            timestamp=row["last_seen"],
            id=alert["id"],
            name=row["object_key"],
            ra=row["ra_deg"],
            dec=row["dec_deg"],
            mag=row["mag_ab"],
            score=row["alert_count"] or row["alerts_came"],
            url=row["url"] or "",
            result=alert,
        )

    def to_target(self, alert: Result) -> BaseTarget:
        """The new target of a result. See `FinkAlert.to_target`."""
        return self.to_generic_alert(alert).to_target()[0]

    def process_reduced_data(self, target: BaseTarget, alert: Result | None = None) -> None:
        """Store the whole light curve of a target: of the result that it was made of, else of what Fink has of it.

        What Fink does not give is logged, as the page that calls this has no place to say it: the target is there
        with its newest alert, and can be completed later. So it is with those that the time of the page is over for.
        """
        from tom_fink.search import fetch
        from tom_fink.store import store_found

        try:
            with _client(light_curve_s()) as client:
                if alert is None:
                    for survey in SURVEYS:
                        _complete(target, survey, client)
                    return
                survey, key = alert["object"]["survey"], alert["object"]["object_key"]
                if FinkObject.objects.filter(survey=survey, object_id=key, target_id=target.pk).exists():
                    whole = fetch(survey, [key], client)
                    others = {
                        one for several in whole.tidy.alerts["body_aliases"].drop_nulls() for one in several
                    }
                    store_found(whole.tidy, {key: tuple(sorted(others))})
                    for problem in whole.problems:
                        logger.warning("Target %s: %s", target.pk, problem)
                else:
                    _store_light_curve(target, survey, key, client)
        except (ApiError, ConfigurationError) as error:
            logger.warning("The light curve of target %s is not complete: %s", target.pk, error)


def _complete(target: BaseTarget, survey: str, client: "FinkClient") -> None:
    from tom_fink.search import identify

    linked = FinkObject.objects.filter(survey=survey, target_id=target.pk).order_by("pk")
    keys = list(linked.values_list("object_id", flat=True))
    if not keys:
        # Where a body was once, others are.
        is_fixed = target.type != BaseTarget.NON_SIDEREAL
        has_place = is_fixed and target.ra is not None and target.dec is not None
        place = (target.ra % 360, target.dec) if has_place else None
        keys = identify(survey, target.names, client, place)
    for key in keys:
        _store_light_curve(target, survey, key, client)


def _store_light_curve(target: BaseTarget, survey: str, key: str, client: "FinkClient") -> None:
    from tom_fink.search import light_curve
    from tom_fink.store import store_light_curve
    from tom_fink.surveys import lsst, ztf

    portal = {"ztf": ztf.PORTAL, "lsst": lsst.PORTAL}[survey]
    url = f"{portal}{key}" if _is_id(survey, key) else ""
    store_light_curve(target, light_curve(survey, key, client), survey, url)


def _is_id(survey: str, key: str) -> bool:
    from tom_fink.search.fetch import IDS

    return re.fullmatch(IDS[survey][1], key) is not None


def _client(total_s: float = RESULTS_S) -> "FinkClient":
    from tom_fink.dataservices.asking import page_client

    return page_client(total_s)
