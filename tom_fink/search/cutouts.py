"""Cutouts of objects that are kept, as the FITS files that a stream's alerts bring."""

import polars as pl

from tom_fink.api import answers, lsst, ztf
from tom_fink.api.client import FinkClient
from tom_fink.api.ztf import CUTOUT_KINDS
from tom_fink.decoding.decode import MESSAGE
from tom_fink.errors import BadAnswer, QueryRefused
from tom_fink.search.answered import keyed


def with_cutouts(
    survey: str, alerts: pl.DataFrame, client: FinkClient
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Alerts (frames.ALERTS) with the cutouts of each object's first and latest one, and what there is none of.

    Raises the errors of the client but for what Fink refuses or sends damaged.
    """
    by_object = keyed(alerts).sort("observed_at", "alert_id").group_by("object_key", maintain_order=True)
    ends = by_object.agg(pl.col(MESSAGE).first().alias("first"), pl.col(MESSAGE).last().alias("last"))
    wanted = pl.concat([ends["first"], ends["last"]]).unique(maintain_order=True)
    images: dict[str, dict[int, bytes]] = {f"cutout_{kind.lower()}": {} for kind in CUTOUT_KINDS}
    problems = []
    chosen = alerts.filter(pl.col(MESSAGE).is_in(wanted.implode()))
    for message, object_id, alert_id in chosen.select(MESSAGE, "object_id", "alert_id").rows():
        for kind in CUTOUT_KINDS:
            try:
                query = (
                    ztf.cutout(object_id, kind, alert_id) if survey == "ztf" else lsst.cutout(alert_id, kind)
                )
                images[f"cutout_{kind.lower()}"][message] = client.get(query, answers.cutout)
            except (QueryRefused, BadAnswer) as error:
                problems.append(str(error))
    columns = [
        pl.Series(name, [found.get(message) for message in alerts[MESSAGE]], dtype=pl.Binary)
        for name, found in images.items()
    ]
    return alerts.with_columns(columns), tuple(problems)
