"""Messages that hold no alert, kept whole."""

import logging

from tom_fink.decode import Message
from tom_fink.models import RejectedMessage

logger = logging.getLogger(__name__)


def store_rejected(rejections: list[tuple[Message, str]]) -> None:
    """Keep the messages with the reason for each; one that is kept already stays as it is."""
    for message, error in rejections:
        logger.warning(
            "Rejected a message of %s [%s] at offset %s: %s",
            message.topic,
            message.partition,
            message.offset,
            error,
        )
    RejectedMessage.objects.bulk_create(
        [
            RejectedMessage(
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
                digest=message.digest,
                key=message.key,
                value=message.value,
                error=error.replace("\0", ""),
                received_at=message.received_at,
            )
            for message, error in rejections
        ],
        ignore_conflicts=True,
    )
