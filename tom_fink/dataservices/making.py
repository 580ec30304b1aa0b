"""Targets are made of what was found.

TOM Toolkit's page of results gives `to_target` what its cache has under the number of each chosen row. That cache
is one for all users, holds the results of whoever searched last, and is emptied by each search. Our table sends what
it shows instead, signed, with the chosen rows beside it, to a page of ours; so they are fetched together, nobody
gets another's, and nobody's search undoes another's. TOM Toolkit's own button is given one entry of the cache.
"""

import logging

from django.contrib import messages
from django.core import signing
from tom_dataservices.dataservices import get_data_service_class
from tom_targets.models import Target

from tom_fink.dataservices.base import FinkQueryError
from tom_fink.dataservices.searching import CHOSEN, KEPT_S, RESULTS, SALT, Searching

logger = logging.getLogger(__name__)

KEEP_S, KEEP_EXTRAS_S = 30.0, 20.0  # of a page
MAX_NAMED = 5  # objects in a message


class Making(Searching):
    """What TOM Toolkit's button and `rundataquery` call to make targets."""

    def to_target(self, target_result=None, **kwargs):
        """Make targets of what was chosen, or of one row of `query_targets`, with light curves, names and cutouts.

        From the page: of all chosen rows at once; gives the target of a single one, and None for several, so
        that TOM Toolkit shows the list of targets. From a command: this row's, fetched with those after it.
        """
        request = kwargs.get("request")
        if request is None:
            return self._target_of_row(target_result or {})
        return self._target_of_chosen(self._chosen(target_result or {}, request), request)

    @classmethod
    def of_results(cls, request) -> "tuple[Making, dict]":
        """The data service whose page of results was sent, and what that page showed, as `to_target` takes it.

        Raises `signing.BadSignature` for what no page of ours has sent within a day.
        """
        entry = signing.loads(request.POST.get(RESULTS, ""), salt=SALT, max_age=KEPT_S)
        return get_data_service_class(entry["fink"])(user=request.user), entry

    def _target_of_chosen(self, wanted: list[tuple[str, str, bool]], request):
        """Make targets of these; gives the target of a single one. Tells the user what became of them."""
        if not wanted:
            return None
        from tom_fink.dataservices.keeping import keep

        try:
            with (
                self.errors(),
                self.client(KEEP_S) as client,
                self.client(KEEP_S + KEEP_EXTRAS_S) as extras,
            ):
                kept = keep(wanted, client, request.user, extras)
        except FinkQueryError as error:
            messages.error(request, str(error))
            return None
        self.kept_targets |= kept.targets
        _tell(request, kept, len(wanted))
        return (
            Target.objects.get(pk=kept.targets[wanted[0][:2]])
            if len(wanted) == len(kept.targets) == 1
            else None
        )

    def _chosen(self, entry: dict, request) -> list[tuple[str, str, bool]]:
        """What a user has ticked of the results that `entry` stands for."""
        rows = entry.get("rows", ())
        if entry.get("fink") != self.name or entry.get("user") != request.user.pk:
            messages.error(request, "These are not the results of your search any more. Run it again.")
            return []
        numbers = {
            int(one)
            for field in request.POST.getlist(CHOSEN)
            for one in field.split(",")
            if one.isascii() and one.isdigit() and len(one) < 6
        }
        wanted = [tuple(rows[number]) for number in sorted(numbers) if number < len(rows)]
        if not wanted:
            messages.warning(request, "Nothing was chosen. Go back, and tick the objects to make targets of.")
        return wanted

    def _target_of_row(self, row: dict):
        from tom_fink.dataservices.keeping import AT_ONCE, keep

        key = (row.get("survey"), row.get("name"))
        if key not in self.tried:
            known = [(one["survey"], one["name"]) for one in self.found_rows]
            start = known.index(key) if key in known else 0
            following = self.found_rows[start : start + AT_ONCE] if key in known else [row]
            wanted = [(one["survey"], one["name"], bool(one.get("is_body"))) for one in following]
            wanted = [one for one in wanted if one[:2] not in self.tried]
            with self.errors(), self.client(KEEP_S) as client:
                kept = keep(wanted, client)
            self.kept_targets |= kept.targets
            self.tried |= {one[:2] for one in wanted}
            for problem in (*kept.problems, *kept.no_images):
                logger.warning("%s", problem)
            if kept.left:
                raise FinkQueryError(kept.problems[-1])
        return Target.objects.get(pk=self.kept_targets[key]) if key in self.kept_targets else None

    def to_reduced_datums(self, target, data_results=None, **kwargs):
        """Store light curves; nothing is left to do for a target that `to_target` has just made."""
        if data_results is None and target.pk in self.kept_targets.values():
            return []
        return super().to_reduced_datums(target, data_results, **kwargs)


def _tell(request, kept, number: int) -> None:
    """What became of what was chosen, as messages on the next page."""
    if kept.targets:
        old = len(set(kept.targets.values())) - len(kept.new)
        said = f"{len(kept.new)} new target{'' if len(kept.new) == 1 else 's'}"
        said += f", {old} that {'was' if old == 1 else 'were'} there already" if old else ""
        messages.success(request, f"{said}. Stored: {kept.alerts} alerts, {kept.points} points.")
    for keys, say in (
        (kept.missing, "Fink sent no alerts of {}."),
        (kept.unusable, "Not made targets, for what Fink sent of them cannot be used: {}."),
        (kept.left, "Not made targets, for the time was over or Fink did not answer: {}. Choose them again."),
        (kept.refused, "{} cannot be made a target by you. An administrator can say why."),
        (
            kept.without_cutouts,
            "Without cutouts and other names for now: {}. Choose them again to get these.",
        ),
    ):
        if keys:
            messages.warning(request, say.format(_listed(keys)))
    if kept.no_images:
        logger.info("Cutouts that could not be had: %s", " ".join(kept.no_images))
        number = len(kept.no_images)
        messages.info(request, f"{number} cutout{'' if number == 1 else 's'} Fink could not send.")
    for problem in list(dict.fromkeys(kept.problems))[:MAX_NAMED]:
        messages.warning(request, problem)


def _listed(keys: list[tuple[str, str]]) -> str:
    names = [name for _, name in keys]
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
