"""Topics, each with the target list that TOM Toolkit shows for it."""

import hashlib

import polars as pl
from django.contrib.auth.models import Group
from guardian.shortcuts import assign_perm
from tom_targets.models import TargetList

from tom_fink.models import Topic, TopicAlert
from tom_fink.store.bulk import insert, insert_missing
from tom_fink.store.lookups import any_of

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
    alerts: pl.DataFrame, stored: pl.DataFrame, topics: dict[str, Topic], new: pl.DataFrame
) -> None:
    """Note in which topics the alerts came, and put their targets into the topics' lists.

    `stored` has the alerts' links (alerts.LINKS). new: those that this transaction has made. They have come in
    no topic before, so that their deliveries need not be looked for.
    """
    lists = pl.DataFrame(
        [(topic.name, topic.pk, topic.target_list_id) for topic in topics.values()],
        schema={"topic": pl.String, "topic_id": pl.Int64, "targetlist_id": pl.Int64},
        orient="row",
    )
    found = (
        alerts.select("survey", "alert_id", "topic")
        .join(stored, on=["survey", "alert_id"])
        .join(lists, on="topic")
    )
    for write, how in ((insert, "semi"), (insert_missing, "anti")):
        deliveries = found.join(new, on=["survey", "alert_id"], how=how).select(
            "topic_id", pl.col("alert_pk").alias("alert_id"), "fink_object_id", "observed_at"
        )
        write(TopicAlert, deliveries.unique(["topic_id", "alert_id"]).sort("topic_id", "alert_id"))
    members = found.select("targetlist_id", pl.col("target_id").alias("basetarget_id")).drop_nulls()
    _add_members(members.unique().sort("targetlist_id", "basetarget_id"))


def _add_members(members: pl.DataFrame) -> None:
    """Add targets to lists, both by their keys.

    Those that are in are not offered: PostgreSQL takes a number of the table's sequence for each row that is, and
    TOM Toolkit's keys have 32 bits. At Rubin's full rate they would be used up in some months. What is in is looked
    for by target alone: told the list too, PostgreSQL reads all of a list that it believes to be short.
    """
    through = TargetList.targets.through
    there = through.objects.filter(any_of("basetarget_id", members["basetarget_id"].unique().to_list()))
    known = pl.DataFrame(list(there.values_list(*members.columns)), schema=members.schema, orient="row")
    insert_missing(through, members.join(known, on=members.columns, how="anti", maintain_order="left"))
