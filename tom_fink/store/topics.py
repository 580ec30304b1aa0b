"""Topics, each with the target list that TOM Toolkit shows for it."""

import hashlib

import polars as pl
from django.contrib.auth.models import Group
from guardian.shortcuts import assign_perm
from tom_targets.models import TargetList

from tom_fink.models import Alert, Topic, TopicAlert

LIST_NAME_LENGTH = TargetList._meta.get_field("name").max_length


def topics_named(names: list[tuple[str, str]]) -> dict[str, Topic]:
    """The topics of these (name, survey), made with their lists where new.

    A list that has the topic's name already, as the older Fink app made them, is taken over.
    """
    surveys = dict(names)
    topics = Topic.objects.select_related("target_list").in_bulk(surveys, field_name="name")
    missing = sorted(name for name in surveys if name not in topics)
    if missing:
        Topic.objects.bulk_create(
            [Topic(name=name, survey=surveys[name]) for name in missing], ignore_conflicts=True
        )
    if missing or any(topic.target_list is None for topic in topics.values()):
        # no_key, because another reader's deliveries may refer to a topic while this one waits for the next.
        rows = Topic.objects.select_for_update(of=("self",), no_key=True).select_related("target_list")
        locked = rows.order_by("name")
        topics = {topic.name: topic for topic in locked.filter(name__in=surveys)}
        for topic in topics.values():
            if topic.target_list is None:
                topic.target_list = _list_named(list_name(topic.name))
                topic.save(update_fields=["target_list"])
    return topics


def list_name(topic: str) -> str:
    """The name of a topic's list: the topic's, or what tells it from others where that is too long.

    Kafka's topics have up to 249 characters, TOM Toolkit's lists 200.
    """
    if len(topic) <= LIST_NAME_LENGTH:
        return topic
    mark = "~" + hashlib.sha256(topic.encode()).hexdigest()[:12]
    return topic[: LIST_NAME_LENGTH - len(mark)] + mark


def _list_named(name: str) -> TargetList:
    target_list = TargetList.objects.filter(name=name).order_by("pk").first() or TargetList.objects.create(
        name=name
    )
    public, _ = Group.objects.get_or_create(name="Public")
    assign_perm("tom_targets.view_targetlist", public, target_list)
    return target_list


def add_to_lists(
    alerts: pl.DataFrame, stored: dict[tuple[str, str], Alert], topics: dict[str, Topic]
) -> None:
    """Note in which topics the alerts came, and put their targets into the topics' lists."""
    deliveries, members = {}, {}
    for survey, alert_id, topic_name in alerts.select("survey", "alert_id", "topic").iter_rows():
        alert, topic = stored[survey, alert_id], topics[topic_name]
        deliveries[topic.pk, alert.pk] = TopicAlert(
            topic=topic, alert=alert, fink_object_id=alert.fink_object_id, observed_at=alert.observed_at
        )
        if alert.target_id is not None:
            members[topic.target_list_id, alert.target_id] = None
    TopicAlert.objects.bulk_create([deliveries[key] for key in sorted(deliveries)], ignore_conflicts=True)
    through = TargetList.targets.through
    through.objects.bulk_create(
        [through(targetlist_id=list_id, basetarget_id=target_id) for list_id, target_id in sorted(members)],
        ignore_conflicts=True,
    )
