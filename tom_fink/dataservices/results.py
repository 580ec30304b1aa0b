"""Results as rows: what a search found, an object a row, and what a user sees beside it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import polars as pl
from tom_targets.models import TargetName

from tom_fink.access import visible_objects, visible_targets
from tom_fink.api.client import FinkClient
from tom_fink.api.query import SURVEY_NAMES
from tom_fink.dataservices.sparkline import sparkline
from tom_fink.errors import ApiError, BadQuery
from tom_fink.search import Found, Search, light_curves, run, with_counts
from tom_fink.search.counts import without_counts
from tom_fink.search.fetch import sparklines

MAX_COUNTED = 100  # objects whose number of alerts is asked for, 50 at once
MAX_CURVES = 20  # objects whose light curves are asked for, 10 at once
MAX_DRAWN = 300  # rows with a light curve: a page of a thousand would have a megabyte of them
# Of `Found.objects`, beside the names that TOM Toolkit has
COLUMNS = (
    "object_id", "survey", "is_body", "separation_arcsec", "mag_ab", "mag_err", "is_positive", "band", "fink_class",
    "alerts_came", "alert_count", "first_seen", "last_seen", "anomaly_score", "url",
)  # fmt: skip


@dataclass
class Results:
    """What searches of one or two surveys found."""

    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    curves: dict[tuple[str, str], pl.DataFrame] = field(default_factory=dict)  # by survey and object

    @property
    def has_more(self) -> bool:
        """Whether Fink may have more than is shown."""
        return any(one.has_more for one in self.found)

    @property
    def problems(self) -> list[str]:
        """Rows that came and hold no alert."""
        return [problem for one in self.found for problem in one.problems]

    def rows(self) -> list[dict[str, Any]]:
        """A dictionary for each object: `name`, `ra` and `dec` (degrees) as a target has them, and COLUMNS."""
        return [
            {"name": row["object_key"], "ra": row["ra_deg"], "dec": row["dec_deg"]}
            | {name: row[name] for name in COLUMNS}
            for one in self.found
            for row in one.objects.drop("points").iter_rows(named=True)
        ]


def ask(searches: dict[str, Search], new_client: Callable[[], FinkClient]) -> Results:
    """Run a search of each survey, each with a client of its own. Where one of two fails, its error is a note; raises it if all do."""
    results, problem = Results(), None
    for survey, search in searches.items():
        try:
            with new_client() as client:
                found = run(search, client)
        except ApiError as error:
            # A name that cannot be resolved is one for both surveys.
            is_told = isinstance(error, BadQuery) and problem is not None
            problem = problem or error
            results.notes += [] if is_told else [f"{SURVEY_NAMES[survey]}: {error}"]
            continue
        results.found.append(found)
        results.notes += found.notes
    if not results.found:
        raise problem
    return results


def complete(results: Results, client: FinkClient) -> None:
    """Ask for what is shown beside the objects: how often they were seen, and light curves of the first ones."""
    try:
        for at, one in enumerate(results.found):
            if 0 < without_counts(one.objects).height <= MAX_COUNTED:
                results.found[at] = replace(one, objects=with_counts(one.objects, client))
        for one in results.found:
            ids = one.objects.filter(~pl.col("is_body"))["object_id"].head(MAX_CURVES).to_list()
            if ids:
                curves = sparklines(light_curves(one.search.survey, ids, client, results.notes))
                results.curves |= {(one.search.survey, key): points for key, points in curves.items()}
    except ApiError as error:
        results.notes.append(f"Numbers of alerts and light curves are not complete. {error}")


def shown(results: Results, rows: list[dict[str, Any]], user) -> list[SimpleNamespace]:
    """The rows as the page's table takes them: with `index`, `survey_name`, `target` and `sparkline`."""
    targets = known_targets(rows, user)
    points = {
        (one.search.survey, key): of_object
        for one in results.found
        for key, of_object in one.objects.select("object_key", "points").head(MAX_DRAWN).rows()
    }
    for key, curve in results.curves.items():
        points[key] = curve.to_dicts()
    return [
        SimpleNamespace(
            **row,
            index=index,
            survey_name=SURVEY_NAMES[row["survey"]],
            target=targets.get((row["survey"], row["name"])),
            sparkline=sparkline(
                (point["observed_at"], point["band"], point["mag_ab"])
                for point in points.get((row["survey"], row["name"])) or ()
            ),
        )
        for index, row in enumerate(rows)
    ]


def known_targets(rows: Iterable[dict[str, Any]], user) -> dict[tuple[str, str], Any]:
    """Targets that these objects are already, by survey and name; only those that `user` may see."""
    keys = {(row["survey"], row["name"]) for row in rows}
    names = {name for _, name in keys}
    targets = visible_targets(user).filter(name__in=names)
    by_name = {target.name: target for target in targets}
    aliases = TargetName.objects.filter(
        name__in=names, target__in=visible_targets(user).order_by().values("pk")
    )
    by_name |= {alias.name: alias.target for alias in aliases.select_related("target")}
    found = {key: by_name[key[1]] for key in keys if key[1] in by_name}
    objects = visible_objects(user).filter(object_id__in=names, target__isnull=False).select_related("target")
    return found | {
        (one.survey, one.object_id): one.target for one in objects if (one.survey, one.object_id) in keys
    }
