"""Objects of a search become targets, with all that Fink has of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl
from django.db import transaction
from guardian.shortcuts import assign_perm
from tom_targets.base_models import get_default_target_permission, get_target_model_app_label
from tom_targets.models import BaseTarget, Target, TargetName

from tom_fink.access import visible_targets
from tom_fink.api.client import FinkClient
from tom_fink.errors import ApiError, BadAnswer, QueryRefused
from tom_fink.frames import Tidy
from tom_fink.models import FinkObject
from tom_fink.search import Whole, fetch
from tom_fink.search.aliases import other_names
from tom_fink.search.answered import empty, keyed
from tom_fink.search.cutouts import with_cutouts
from tom_fink.store.found import Stored, store_found

AT_ONCE = 10  # objects of a question and a transaction
RIGHTS = ("view_target", "change_target", "delete_target")

Wanted = tuple[str, str, bool]  # survey, name of the object, whether it is a body


@dataclass
class Kept:
    """What became of the objects that were chosen, by survey and name. `targets` are keys in the database."""

    targets: dict[tuple[str, str], int] = field(default_factory=dict)
    new: list[int] = field(default_factory=list)
    alerts: int = 0
    points: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)  # of which Fink has nothing
    unusable: list[tuple[str, str]] = field(default_factory=list)  # of which Fink sent what cannot be used
    refused: list[tuple[str, str]] = field(default_factory=list)  # that this user may not have
    left: list[tuple[str, str]] = field(default_factory=list)  # that were not come to
    without_cutouts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    no_images: list[str] = field(default_factory=list)  # why a cutout could not be had, for each

    def note(self, survey: str, failed: Mapping[str, ApiError]) -> None:
        """Keep of which objects nothing could be had: what Fink refuses it does not have."""
        for name, error in failed.items():
            (self.missing if isinstance(error, QueryRefused) else self.unusable).append((survey, name))


class _NotTheirs(Exception):  # noqa: N818 - takes a transaction back
    """These objects are targets that the user may not see."""

    def __init__(self, keys: set[str]):
        super().__init__()
        self.keys = keys


def keep(
    wanted: Iterable[Wanted], client: FinkClient, user=None, extras_client: FinkClient | None = None
) -> Kept:
    """Fetch objects with their light curves and make each a target, then add other names and cutouts.

    What belongs together, up to AT_ONCE objects, is one transaction. user: gets the rights that TOM Toolkit gives
    who makes a target, and others what TARGET_DEFAULT_PERMISSION gives them; an object that is somebody else's
    target, which the user may not see, is refused and left as it is. None is a command, for which all are there and
    FINK_TARGET_PERMISSION counts. extras_client: for names and cutouts, if their time is another. What is wrong with
    one object is of no consequence to the others. Where Fink does not answer any more, that ends it, with what is
    stored by then.
    """
    kept, stored = Kept(), []
    wanted = list(dict.fromkeys(wanted))
    hidden = _hidden(wanted, user)
    kept.refused += [(survey, name) for survey, name, _ in wanted if (survey, name) in hidden]
    parts = list(_parts([one for one in wanted if one[:2] not in hidden]))
    for number, (survey, names) in enumerate(parts):
        try:
            whole = fetch(survey, names, client)
        except (QueryRefused, BadAnswer) as error:  # it was so of each
            kept.problems.append(str(error))
            kept.note(survey, dict.fromkeys(names, error))
            continue
        except ApiError as error:
            kept.problems.append(str(error))
            kept.left += [(its, name) for its, several in parts[number:] for name in several]
            break
        kept.problems += whole.problems
        kept.note(survey, whole.failed)
        kept.missing += [(survey, name) for name in whole.missing if name not in whole.failed]
        stored += _store(survey, names, whole, user, kept)
    _add_extras(stored, extras_client or client, kept)
    return kept


def _parts(wanted: list[Wanted]) -> Iterator[tuple[str, list[str]]]:
    """Objects of a survey together, bodies one by one."""
    for survey in dict.fromkeys(one[0] for one in wanted):
        ids = [name for its, name, is_body in wanted if its == survey and not is_body]
        yield from ((survey, ids[at : at + AT_ONCE]) for at in range(0, len(ids), AT_ONCE))
        yield from ((survey, [name]) for its, name, is_body in wanted if its == survey and is_body)


def _hidden(wanted: list[Wanted], user) -> set[tuple[str, str]]:
    """Those that are targets already, by name, which the user may not see."""
    if user is None:
        return set()
    names = {name for _, name, _ in wanted}
    known = dict(TargetName.objects.filter(name__in=names).values_list("name", "target_id"))
    known |= dict(BaseTarget.objects.filter(name__in=names).values_list("name", "pk"))
    objects = FinkObject.objects.filter(object_id__in=names, target__isnull=False)
    of_object = {
        (survey, name): key for survey, name, key in objects.values_list("survey", "object_id", "target")
    }
    keys = {(survey, name): of_object.get((survey, name), known.get(name)) for survey, name, _ in wanted}
    visible = _visible(user, keys.values())
    return {one for one, key in keys.items() if key is not None and key not in visible}


def _visible(user, keys: Iterable[int | None]) -> set[int]:
    wanted = {key for key in keys if key is not None}
    return set(visible_targets(user).filter(pk__in=wanted).values_list("pk", flat=True))


def _store(
    survey: str, names: list[str], whole: Whole, user, kept: Kept
) -> list[tuple[str, str, pl.DataFrame]]:
    """Store one part; returns its objects with their alerts."""
    alerts = keyed(whole.tidy.alerts)
    permission = None if user is None else get_default_target_permission()
    while True:
        tidy = Tidy(alerts.drop("object_key"), whole.tidy.detections)
        try:
            with transaction.atomic():
                stored = store_found(tidy, whole.aliases, permission=permission)
                if user is not None:
                    _check_theirs(stored, user)
                    _give_access(user, stored.new_targets)
            break
        except _NotTheirs as refusal:
            kept.refused += [(survey, key) for key in sorted(refusal.keys)]
            alerts = alerts.filter(~pl.col("object_key").is_in(list(refusal.keys)))
    kept.new += stored.new_targets
    kept.alerts += stored.alerts
    kept.points += stored.points
    found = [(survey, key, group) for (key,), group in alerts.group_by("object_key", maintain_order=True)]
    kept.targets |= {(survey, key): stored.targets[key] for _, key, _ in found if key in stored.targets}
    if len(names) == 1 and len(set(stored.targets.values())) == 1:
        kept.targets[survey, names[0]] = next(iter(stored.targets.values()))  # a body's name may be another
    return found


def _check_theirs(stored: Stored, user) -> None:
    keys = {name: key for name, key in stored.targets.items() if key not in stored.new_targets}
    visible = _visible(user, keys.values())
    if hidden := {name for name, key in keys.items() if key not in visible}:
        raise _NotTheirs(hidden)


def _give_access(user, new_targets: Iterable[int]) -> None:
    """The rights that TOM Toolkit's own page gives to who makes a target, and to the groups of that user."""
    targets = Target.objects.filter(pk__in=list(new_targets))
    if targets:
        for holder in (user, *user.groups.all()):
            for right in RIGHTS:
                assign_perm(f"{get_target_model_app_label()}.{right}", holder, targets)


def _add_extras(objects: list[tuple[str, str, pl.DataFrame]], client: FinkClient, kept: Kept) -> None:
    """Other names of what was stored, and cutouts of its first and latest alerts, object by object."""
    for number, (survey, _key, group) in enumerate(objects):
        alerts = group.drop("object_key")
        try:
            aliases, problems = other_names(survey, alerts, client)
            kept.problems += problems
            alerts, problems = with_cutouts(survey, alerts, client)
        except ApiError as error:
            kept.problems.append(str(error))
            is_of_one = isinstance(error, QueryRefused | BadAnswer)
            others = objects[number : number + 1] if is_of_one else objects[number:]
            kept.without_cutouts += [(its, name) for its, name, _ in others]
            if is_of_one:
                continue
            return
        kept.no_images += problems
        has_some = pl.any_horizontal(pl.col("^cutout_.*$").is_not_null())
        some = alerts.filter(has_some) if alerts.filter(has_some).height else alerts.tail(1)
        store_found(Tidy(some, empty().detections), aliases)
