"""Light curves and names of targets that there are."""

import logging

from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, TargetName

from tom_fink.dataservices.base import FinkBase, FinkQueryError

logger = logging.getLogger(__name__)

UPDATE_S = 25.0  # of a page, which asks several times; see PAGE_S
PHOTOMETRY = "photometry"
SOURCE = "Fink"  # of stored points; TOM Toolkit's updatereduceddata takes it for the name of a data service


class KnownTargets(FinkBase):
    """What TOM Toolkit's *update data* and `updatereduceddata` call."""

    def build_query_parameters_from_target(self, target, **kwargs):
        """What Fink calls this target, by survey: it asks Fink for what is at the target's place, if no name tells.

        Raises `FinkQueryError`, also for a target that the user may not see.
        """
        from tom_fink.dataservices.curves import names_in_fink

        self.check_target(target)
        if self.user is None or target.pk not in self.names_found:  # TOM Toolkit's page asks twice
            with self.errors(), self.client(UPDATE_S) as client:
                self.names_found[target.pk] = {
                    survey: names_in_fink(target, survey, client) for survey in self.surveys
                }
        return {"names": self.names_found[target.pk]}

    def query_photometry(self, query_parameters, **kwargs):
        """The light curves of these objects: tom_fink.dataservices.curves.LightCurve. Raises `FinkQueryError`."""
        return self._curves(query_parameters)

    def query_forced_photometry(self, query_parameters, **kwargs):
        """The forced photometry of these objects, which Fink has of Rubin alone; it is in the light curves, too."""
        return self._curves(query_parameters, kind="forced")

    def query_reduced_data(self, target, **kwargs):
        """What Fink has of a target. Raises `FinkQueryError`, for a user also if that is nothing."""
        parameters = self.build_query_parameters_from_target(target)
        curves = self.query_photometry(parameters)
        if not curves:
            surveys = " and ".join(self.survey_names())
            said = f"Fink's {surveys} alerts have no object by a name of {target.name}, and none at its position."
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
        found = []
        with self.errors(), self.client(UPDATE_S) as client:
            for survey, names in query_parameters["names"].items():
                found += fetch_names(survey, names, client) if names else []
        return [name for name in dict.fromkeys(found) if target is None or name != target.name]

    def create_aliases_from_query(self, alias_results, **kwargs):
        """Names that no target has yet."""
        taken = set(TargetName.objects.filter(name__in=alias_results).values_list("name", flat=True))
        taken |= set(BaseTarget.objects.filter(name__in=alias_results).values_list("name", flat=True))
        return [TargetName(name=name) for name in alias_results if name not in taken]

    def _curves(self, query_parameters: dict, kind: str | None = None) -> list:
        from tom_fink.dataservices.curves import fetch_curves

        found = []
        with self.errors(), self.client(UPDATE_S) as client:
            for survey, names in query_parameters.get("names", {}).items():
                if kind != "forced" or survey == "lsst":
                    found += fetch_curves(survey, names, client, kind)
        return found
