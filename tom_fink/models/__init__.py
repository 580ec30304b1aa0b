"""The rows of the app: what alerts became, and what became of the messages."""

from tom_fink.models.alerts import Alert, Cutout, FinkObject, KnownPoints, Survey, Topic, TopicAlert
from tom_fink.models.reading import DelayHour, PartitionLedger, Reader, RejectedMessage

__all__ = [
    "Alert",
    "Cutout",
    "DelayHour",
    "FinkObject",
    "KnownPoints",
    "PartitionLedger",
    "Reader",
    "RejectedMessage",
    "Survey",
    "Topic",
    "TopicAlert",
]
