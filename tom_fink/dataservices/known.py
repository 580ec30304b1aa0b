"""Light curves and names of targets that there are."""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, TargetName

from tom_fink.dataservices.base import SURVEY_NAMES, FinkBase, FinkQueryError
from tom_fink.errors import ApiError

if TYPE_CHECKING:
    from tom_fink.api.client import FinkClient

logger = logging.getLogger(__name__)

UPDATE_S = 25.0  # of a page, which asks several times; see PAGE_S. The surveys share it
MAX_ALIAS = TargetName._meta.get_field("name").max_length
PHOTOMETRY = "photometry"
SOURCE = "Fink"  # of stored points; TOM Toolkit's updatereduceddata takes it for the name of a data service


class KnownTargets(FinkBase):
    """What TOM Toolkit's *update data* and `updatereduceddata` call.

    Where one of two surveys fails, what the other has is kept. `not_had` says what is missing and why, and is
    logged; `FinkQueryError` is raised if nothing is had.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        """Ask nothing yet."""
        super().__init__(*args, **kwargs)
        self.not_had: list[tuple[str, str]] = []  # survey and sentence, of the target that was asked for last

    def build_query_parameters_from_target(self, target, **kwargs):
        """What Fink calls this target, by survey: it asks Fink for what is at the target's place, if no name tells.

        Raises `FinkQueryError`, also for a target that the user may not see.
        """
        from tom_fink.dataservices.curves import names_in_fink

        self.check_target(target)
        if self.user is None or target.pk not in self.names_found:  # TOM Toolkit's page asks twice
            self.names_found[target.pk] = self._of_each(
                self.surveys, lambda survey, client: names_in_fink(target, survey, client)
            )
        return {"names": self.names_found[target.pk]}

    def query_photometry(self, query_parameters, **kwargs):
        """The light curves of these objects: tom_fink.dataservices.curves.LightCurve. Raises `FinkQueryError`."""
        return self._curves(query_parameters)

    def query_forced_photometry(self, query_parameters, **kwargs):
        """The forced photometry of these objects, which Fink has of Rubin alone; it is in the light curves, too."""
        return self._curves(query_parameters, kind="forced")

    def query_reduced_data(self, target, **kwargs):
        """What Fink has of a target. Raises `FinkQueryError`, for a user also if that is nothing."""
        self.not_had = []
        parameters = self.build_query_parameters_from_target(target)
        curves = self.query_photometry(parameters)
        if not curves:
            failed = {survey for survey, _ in self.not_had}
            surveys = " and ".join(SURVEY_NAMES[survey] for survey in self.surveys if survey not in failed)
            said = f"Fink's {surveys} alerts have no object by a name of {target.name}, and none at its position."
            if self.not_had:
                raise FinkQueryError(f"{said} {self._missing()}" if surveys else self._missing())
            if self.user is not None:
                raise FinkQueryError(said)
            logger.info("%s", said)
        return {PHOTOMETRY: curves}

    def create_reduced_datums_from_query(self, target, data=None, data_type=None, **kwargs):
        """Store light curves, known points passed over; returns the points of Fink's that the target has."""
        from tom_fink.store.found import store_light_curve

        self.check_target(target)
        added = sum(store_light_curve(target, one.points, one.survey, one.url) for one in data or ())
        logger.info("%s has %s new points of Fink's.", target.name, added)
        return list(PhotometryReducedDatum.objects.filter(target=target, source_name=SOURCE))

    def query_aliases(self, query_parameters=None, target=None, **kwargs) -> list[str]:
        """What Fink and TNS call a target, its own names excepted. Raises `FinkQueryError`."""
        from tom_fink.dataservices.curves import fetch_names

        if not (query_parameters or {}).get("names"):
            if target is None:
                return []
            query_parameters = self.build_query_parameters_from_target(target)
        asked = {survey: names for survey, names in query_parameters["names"].items() if names}
        of_each = self._of_each(asked, lambda survey, client: fetch_names(survey, asked[survey], client))
        found = dict.fromkeys(name for names in of_each.values() for name in names)
        return [name for name in found if target is None or name != target.name]

    def create_aliases_from_query(self, alias_results, **kwargs):
        """Names that no target has yet."""
        taken = set(TargetName.objects.filter(name__in=alias_results).values_list("name", flat=True))
        taken |= set(BaseTarget.objects.filter(name__in=alias_results).values_list("name", flat=True))
        return [TargetName(name=name) for name in alias_results if name not in taken]

    def to_aliases(self, target, alias_results, **kwargs) -> list[TargetName]:
        """Store other names of a target; returns those of them that are the target's then.

        All at once: TOM Toolkit compares each with the name of every target of the site. Names are the last thing
        that its page stores, so what could not be had is told to a user now: raises `FinkQueryError`.
        """
        self.check_target(target)
        names = [name for name in alias_results if len(name) <= MAX_ALIAS]
        new = self.create_aliases_from_query(names)
        for alias in new:
            alias.target = target
        TargetName.objects.bulk_create(new, ignore_conflicts=True)
        if self.user is not None and self.not_had:
            raise FinkQueryError(f"{self._missing()} All else is stored.")
        return list(TargetName.objects.filter(target=target, name__in=names))

    def _curves(self, query_parameters: dict, kind: str | None = None) -> list:
        from tom_fink.dataservices.curves import fetch_curves

        def ask(survey: str, client: "FinkClient") -> list:
            curves, problems = fetch_curves(survey, asked[survey], client, kind)
            for problem in problems:
                self._note(survey, problem)
            return curves

        asked = {
            survey: names
            for survey, names in query_parameters.get("names", {}).items()
            if names and (kind != "forced" or survey == "lsst")
        }
        return [curve for curves in self._of_each(asked, ask).values() for curve in curves]

    def _of_each(self, surveys: Iterable[str], ask: Callable[[str, "FinkClient"], list]) -> dict[str, list]:
        """What each survey answers, without those that fail. Raises `FinkQueryError` if all do."""
        surveys, answers = tuple(surveys), {}
        for survey in surveys:
            with self.errors(), self.client(UPDATE_S / len(surveys)) as client:
                try:
                    answers[survey] = ask(survey, client)
                except ApiError as error:
                    self._note(survey, str(error))
        if surveys and not answers:
            raise FinkQueryError(self._missing())
        return answers

    def _note(self, survey: str, problem: str) -> None:
        self.not_had.append((survey, problem))
        logger.warning("%s", problem)

    def _missing(self) -> str:
        return " ".join(dict.fromkeys(problem for _, problem in self.not_had))
