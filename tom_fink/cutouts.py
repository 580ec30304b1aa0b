"""Cutouts as pages show them: those of each object's first and latest alert that has any."""

from collections import defaultdict
from dataclasses import dataclass

from django.db import models
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tom_fink.conf import cutout_file
from tom_fink.models import Alert, FinkObject


class CutoutKind(models.TextChoices):
    """What an image shows, in the order of the pages."""

    SCIENCE = "science", _("Science")
    TEMPLATE = "template", _("Template")
    DIFFERENCE = "difference", _("Difference")


@dataclass(frozen=True)
class Cutout:
    """An image of an alert; whether it is kept is known when it is read."""

    alert: Alert
    kind: CutoutKind

    def stored(self) -> bytes | None:
        """The FITS file that Fink sent, as `packing` keeps it; None where it is not kept. Raises StoreUnavailable."""
        of = self.alert.fink_object
        return cutout_file().image(
            self.alert.survey, self.alert.alert_id, self.kind.value, (of.survey, of.object_id)
        )


def with_cutouts(alerts: QuerySet[Alert]) -> list[tuple[Alert, list[Cutout]]]:
    """Those of the alerts that are the first and the latest with cutouts of their object, in order of time.

    alerts: those of a few objects. Raises StoreUnavailable.
    """
    objects = FinkObject.objects.filter(pk__in=alerts.order_by().values("fink_object"))
    entries = cutout_file().entries(list(objects.values_list("survey", "object_id")))
    kinds = {(entry.survey, entry.alert_id): entry.kinds for entry in entries}
    found = (
        alerts.filter(alert_id__in=[alert_id for _, alert_id in kinds])
        .select_related("fink_object")
        .defer("fink_values")
        .order_by("observed_at", "alert_id")
    )
    by_object = defaultdict(list)
    for alert in found:
        if (alert.survey, alert.alert_id) in kinds:
            by_object[alert.fink_object_id].append(alert)
    ends = {alert.pk: alert for of in by_object.values() for alert in (of[0], of[-1])}
    return [
        (
            alert,
            [Cutout(alert, kind) for kind in CutoutKind if kind.value in kinds[alert.survey, alert.alert_id]],
        )
        for alert in sorted(ends.values(), key=lambda alert: (alert.observed_at, alert.alert_id))
    ]
