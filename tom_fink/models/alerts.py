"""Topics, objects and alerts, beside TOM Toolkit's own targets, lists and photometry.

A reference has no index of its own (`db_index=False`) where another index of the table begins with it.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _
from tom_targets.models import BaseTarget, TargetList


class Survey(models.TextChoices):
    """The survey that an object belongs to, or whose format an alert has."""

    ZTF = "ztf", "ZTF"
    LSST = "lsst", "Rubin"
    MM = "mm", "Multi-messenger"


class Topic(models.Model):
    """A Fink topic that has delivered an alert, and the target list that holds its targets.

    TOM Toolkit does not keep list names unique; this table does, so that two readers that meet a
    new topic together share one list.
    """

    name = models.CharField(max_length=249, unique=True)
    survey = models.CharField(max_length=8, choices=Survey.choices)
    target_list = models.OneToOneField(
        TargetList, null=True, on_delete=models.SET_NULL, related_name="fink_topic"
    )
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name


class FinkObject(models.Model):
    """What Fink calls an object: a ZTF objectId, a Rubin diaObjectId, or a Solar System body.

    It links an object to its target and carries the summary that tables sort by, so that a page
    over a million objects needs no aggregate. The writer brings the summary up to date with each
    new alert, while it holds the row's lock.
    """

    survey = models.CharField(max_length=8, choices=Survey.choices)
    object_id = models.CharField(max_length=100)
    target = models.ForeignKey(BaseTarget, null=True, on_delete=models.SET_NULL, related_name="fink_objects")
    alert_count = models.PositiveIntegerField(default=0)
    first_seen = models.DateTimeField(null=True)
    last_seen = models.DateTimeField(null=True)
    summary_at = models.DateTimeField(
        null=True, help_text=_("Time of the newest alert that has a brightness: what follows is that alert's")
    )
    ra_deg = models.FloatField(null=True)
    dec_deg = models.FloatField(null=True)
    mag_ab = models.FloatField(null=True, help_text=_("AB magnitude of the difference flux's size"))
    is_positive = models.BooleanField(null=True, help_text=_("Sign of that difference flux"))
    band = models.CharField(max_length=8, blank=True, default="")
    fink_class = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["survey", "object_id"], name="tom_fink_object_once")]
        indexes = [models.Index(fields=["-last_seen"], name="tom_fink_object_last_seen")]

    def __str__(self):
        return self.object_id


class Alert(models.Model):
    """One alert, stored once however many topics or replays bring it.

    `topic`, `partition`, `offset` and `received_at` are those of the message that brought it
    first; `TopicAlert` says in which other topics it came. `topic` is empty while only a search has
    brought it.
    """

    survey = models.CharField(max_length=8, choices=Survey.choices)
    alert_id = models.CharField(
        max_length=100, help_text=_("candid, diaSourceId, or object, trigger and time")
    )
    object_id = models.CharField(max_length=100, help_text=_("The survey's own id of the object"))
    fink_object = models.ForeignKey(
        FinkObject, on_delete=models.CASCADE, related_name="alerts", db_index=False
    )
    target = models.ForeignKey(
        BaseTarget, null=True, on_delete=models.SET_NULL, related_name="fink_alerts", db_index=False
    )
    observed_at = models.DateTimeField(
        help_text=_("UTC: start of the exposure for ZTF, its middle for Rubin")
    )
    ra_deg = models.FloatField()
    dec_deg = models.FloatField()
    band = models.CharField(max_length=8, blank=True, default="")
    mag_ab = models.FloatField(null=True, help_text=_("Of the difference flux's size; see is_positive"))
    mag_err = models.FloatField(null=True)
    flux_njy = models.FloatField(null=True, help_text=_("Signed difference flux"))
    flux_err_njy = models.FloatField(null=True)
    is_positive = models.BooleanField(null=True, help_text=_("Brighter than the reference image"))
    fink_class = models.CharField(max_length=100, blank=True, default="")
    fink_values = models.JSONField(
        default=dict, help_text=_("Fink's scores and cross-matches, without nulls")
    )
    url = models.CharField(
        max_length=400, blank=True, default="", help_text=_("The object's page in Fink's portal")
    )
    broker_end_at = models.DateTimeField(null=True, help_text=_("When Fink had finished with the alert"))
    topic = models.CharField(max_length=249)
    partition = models.IntegerField(null=True)
    offset = models.BigIntegerField(null=True)
    received_at = models.DateTimeField()
    stored_at = models.DateTimeField(null=True, auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["survey", "alert_id"], name="tom_fink_alert_once")]
        indexes = [
            models.Index(fields=["fink_object", "-observed_at"], name="tom_fink_alert_newest"),
            models.Index(fields=["target", "-observed_at"], name="tom_fink_alert_of_target"),
        ]

    def __str__(self):
        return f"{self.get_survey_display()} alert {self.alert_id} of {self.object_id}"


class TopicAlert(models.Model):
    """That an alert came in a topic. The object and time are repeated here for the topic's pages."""

    topic = models.ForeignKey(Topic, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    fink_object = models.ForeignKey(FinkObject, on_delete=models.CASCADE, related_name="deliveries")
    observed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["topic", "alert"], name="tom_fink_topic_alert_once")]
        indexes = [
            models.Index(fields=["topic", "observed_at"], name="tom_fink_topic_alert_time"),
            models.Index(fields=["topic", "fink_object"], name="tom_fink_topic_object"),
        ]

    def __str__(self):
        return f"{self.alert_id} in {self.topic_id}"


class KnownPoints(models.Model):
    """Which points of an object's light curve are stored: those of its newest alert's history, and of searches since.

    Each alert repeats the history; this tells what is new in it without a look at the light curve. It may
    always be deleted: then the next alert offers all its points again, and what is there is passed over.
    """

    fink_object = models.OneToOneField(
        FinkObject, primary_key=True, on_delete=models.CASCADE, related_name="known_points"
    )
    target = models.ForeignKey(BaseTarget, on_delete=models.CASCADE, related_name="+")
    digests = models.BinaryField(help_text=_("Eight bytes a point; see tom_fink.store.known"))

    def __str__(self):
        return f"Known points of {self.fink_object_id}"
