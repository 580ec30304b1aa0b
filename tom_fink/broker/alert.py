"""A result of a query: an object with what its newest alert says, small enough for TOM Toolkit's cache."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from tom_alerts.alerts import GenericAlert
from tom_targets.base_models import get_default_target_permission
from tom_targets.models import BaseTarget, Target, TargetName

from tom_fink.models import FinkObject

if TYPE_CHECKING:
    from tom_fink.search import Found

Result = dict[str, Any]


def results_of(found: "Found") -> list[Result]:
    """The objects that were found as plain values, each with the rows of its newest alert."""
    import polars as pl

    from tom_fink.decoding.decode import MESSAGE
    from tom_fink.search.answered import keyed

    alerts = keyed(found.tidy.alerts).sort("observed_at", "alert_id")
    newest = alerts.unique("object_key", keep="last", maintain_order=True)
    alert_of = {row["object_key"]: row for row in newest.to_dicts()}
    points: dict[int, list[dict]] = {}
    for point in found.tidy.detections.filter(pl.col(MESSAGE).is_in(newest[MESSAGE].implode())).to_dicts():
        points.setdefault(point[MESSAGE], []).append(point)
    results = []
    for row in found.objects.drop("points").to_dicts():
        alert = dict(alert_of[row["object_key"]])
        key = alert.pop("object_key")
        rows = {"alerts": [alert], "detections": points.get(alert[MESSAGE], [])}
        results.append({"id": id_of(row["survey"], key), "object": row, "rows": rows})
    return results


def id_of(survey: str, object_key: str) -> str:
    """What TOM Toolkit calls a result, in its form and in the key of its cache: ztf:ZTF26aamcbly."""
    return f"{survey}:{quote(object_key, safe='')}"


def object_of(result_id: str) -> tuple[str, str]:
    """Survey and object of `id_of`."""
    survey, _, key = result_id.partition(":")
    return survey, unquote(key)


@dataclass
class FinkAlert(GenericAlert):
    """A result as the page shows it, and as it becomes a target."""

    result: Result

    def to_target(self) -> tuple[Target, dict, list]:
        """The new target of this object, stored with its newest alert by the stream's writer.

        TOM Toolkit saves what comes back and hands it to the user. So where there is a target already, which need
        not be the user's, this gives one that cannot be saved.
        """
        import polars as pl

        from tom_fink.frames import ALERTS, DETECTIONS, Tidy
        from tom_fink.store import store_found

        row, rows = self.result["object"], self.result["rows"]
        alerts = pl.DataFrame(rows["alerts"], schema=ALERTS)
        names = {row["object_key"], *(alerts["body_aliases"].to_list()[0] or ())}
        with transaction.atomic():
            if not _is_taken(row["survey"], names):
                tidy = Tidy(alerts, pl.DataFrame(rows["detections"], schema=DETECTIONS))
                stored = store_found(tidy, permission=get_default_target_permission())
                key = stored.targets[row["object_key"]]
                if key in stored.new_targets:
                    return Target.objects.get(pk=key), {}, []
        return _taken(row["object_key"]), {}, []


def _taken(name: str) -> Target:
    """What stands for a target that is there already, so that TOM Toolkit says so.

    Its page does where saving raises `IntegrityError`, its command where cleaning raises `ValidationError`.
    """
    target, said = Target(name=name), f"There is a target with the name or alias {name} already."

    def save(*args: Any, **kwargs: Any) -> None:
        raise IntegrityError(said)

    def full_clean(*args: Any, **kwargs: Any) -> None:
        raise ValidationError(said)

    target.save, target.full_clean = save, full_clean
    return target


def _is_taken(survey: str, names: set[str]) -> bool:
    """Whether an object or a name is a target's already."""
    return (
        FinkObject.objects.filter(survey=survey, object_id__in=names, target__isnull=False).exists()
        or BaseTarget.objects.filter(name__in=names).exists()
        or TargetName.objects.filter(name__in=names).exists()
    )
