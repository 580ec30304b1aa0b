"""What became of the messages: those that hold no alert, the ledger, the delays and the readers."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class RejectedMessage(models.Model):
    """A message that could not become an alert, kept whole so that nothing is lost.

    The digest is part of what makes it unique: a cluster that was set up anew counts its offsets
    from zero again, and a different message at the same place must not be taken for this one.
    A message that became an alert later, or that somebody gave up, is closed and not open any more.
    """

    class Closed(models.TextChoices):
        STORED = "stored", _("Stored")
        DUPLICATE = "duplicate", _("Was stored already")
        HANDLED = "handled", _("Handled")
        DISCARDED = "discarded", _("Discarded")

    topic = models.CharField(max_length=249)
    partition = models.IntegerField(null=True)
    offset = models.BigIntegerField(null=True)
    digest = models.CharField(max_length=64, help_text=_("SHA-256 of key and value"))
    key = models.BinaryField(null=True)
    value = models.BinaryField(null=True)
    error = models.TextField()
    traceback = models.TextField(blank=True, default="")
    received_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=1)
    tried_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_as = models.CharField(max_length=10, choices=Closed.choices, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["topic", "partition", "offset", "digest"], name="tom_fink_rejected_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["topic"], condition=models.Q(closed_at__isnull=True), name="tom_fink_rejected_open"
            )
        ]
        ordering = ["-received_at"]

    def __str__(self):
        return f"{self.topic} [{self.partition}] {self.offset}: {self.error}"


class PartitionLedger(models.Model):
    """What became of each message of a partition, for one consumer group, kept with the rows.

    Two sums hold at any moment. Every message that was read has one fate: the database itself checks
    read = stored + duplicate + rejected + handled. And every offset below `next_offset`, from the
    first one on, was read for the first time (read - replayed), lost or skipped.
    """

    SUMS = ("read", "stored", "duplicate", "rejected", "handled", "replayed", "lost", "skipped")

    group_id = models.CharField(max_length=255)
    topic = models.CharField(max_length=249)
    partition = models.IntegerField()
    first_offset = models.BigIntegerField(help_text=_("Where the account begins"))
    next_offset = models.BigIntegerField(help_text=_("All messages below it are accounted for"))
    end_offset = models.BigIntegerField(
        null=True, help_text=_("The broker's end of the partition, when it was asked last")
    )
    seen_at = models.DateTimeField(null=True, help_text=_("When it was asked"))
    read = models.BigIntegerField(default=0)
    stored = models.BigIntegerField(default=0)
    duplicate = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    handled = models.BigIntegerField(default=0)
    replayed = models.BigIntegerField(
        default=0, help_text=_("Of those read: messages that had been read before")
    )
    lost = models.BigIntegerField(default=0, help_text=_("Removed by the broker before they were read"))
    lost_at = models.DateTimeField(null=True, help_text=_("When a loss was noticed last"))
    skipped = models.BigIntegerField(
        default=0, help_text=_("Passed over on somebody's order, or no messages")
    )
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group_id", "topic", "partition"], name="tom_fink_ledger_once"),
            models.CheckConstraint(
                condition=models.Q(
                    read=models.F("stored")
                    + models.F("duplicate")
                    + models.F("rejected")
                    + models.F("handled")
                ),
                name="tom_fink_ledger_fates_add_up",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    next_offset=models.F("first_offset")
                    + models.F("read")
                    - models.F("replayed")
                    + models.F("lost")
                    + models.F("skipped")
                ),
                name="tom_fink_ledger_offsets_add_up",
            ),
        ]
        ordering = ["topic", "partition", "group_id"]

    def __str__(self):
        return f"{self.topic} [{self.partition}]"


class DelayHour(models.Model):
    """How long the alerts of a partition took, for those received in one hour (UTC).

    Each histogram is a JSON object from bin to number of alerts; `tom_fink.delays` says what a bin is.
    """

    topic = models.CharField(max_length=249)
    partition = models.IntegerField()
    hour = models.DateTimeField()
    emitted_to_broker = models.JSONField(default=dict)
    broker_to_received = models.JSONField(default=dict)
    received_to_stored = models.JSONField(default=dict)
    emitted_to_stored = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["topic", "partition", "hour"], name="tom_fink_delay_hour_once")
        ]
        indexes = [models.Index(fields=["hour"], name="tom_fink_delay_hour")]

    def __str__(self):
        return f"{self.topic} [{self.partition}] {self.hour:%Y-%m-%d %H} h"


class Reader(models.Model):
    """A running reader of a stream. It writes here every few seconds, from the loop that reads."""

    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    stream = models.CharField(max_length=8)
    group_id = models.CharField(max_length=255)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "pid", "stream"], name="tom_fink_reader_once")]

    def __str__(self):
        return f"{self.stream} reader {self.pid} on {self.host}"
