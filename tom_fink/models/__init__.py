"""The rows of the app: what alerts became, what became of the messages, and how far gaps are filled."""

from tom_fink.models.alerts import Alert, FinkObject, KnownPoints, Survey, Topic, TopicAlert
from tom_fink.models.filling import Backfill, TargetRefresh
from tom_fink.models.reading import DelayHour, PartitionLedger, Reader, RejectedMessage

__all__ = [
    "Alert",
    "Backfill",
    "DelayHour",
    "FinkObject",
    "KnownPoints",
    "PartitionLedger",
    "Reader",
    "RejectedMessage",
    "Survey",
    "TargetRefresh",
    "Topic",
    "TopicAlert",
]
