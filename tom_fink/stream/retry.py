"""Rejected messages once more through the code as it is now."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import transaction

from tom_fink.decoding.decode import Message
from tom_fink.decoding.decoder import Decoder
from tom_fink.models import RejectedMessage
from tom_fink.store import Fate
from tom_fink.store.rejected import close_rejected, count_try, lock_rejected
from tom_fink.stream.streams import fink_streams, handlers_of


@dataclass(frozen=True)
class Retried:
    """What became of a rejected message: `Fate.REJECTED` if it is still open, and why."""

    key: int
    topic: str
    fate: Fate
    error: str = ""


def retry(keys: Iterable[int]) -> Iterator[Retried]:
    """Give each rejected message to its topic's handler; one that works is closed in the same transaction.

    The rows are those that the alert would have made when it came. One that was closed meanwhile is left
    out. Raises `ImproperlyConfigured` for ALERT_STREAMS that cannot be used, and `DecoderError`.
    """
    streams = fink_streams()
    decoder = Decoder()
    try:
        for key in keys:
            kept = RejectedMessage.objects.filter(pk=key).first()
            if kept is None:
                continue
            message = Message(
                kept.topic,
                kept.partition,
                kept.offset,
                _bytes(kept.key),
                _bytes(kept.value),
                kept.received_at,
            )
            handlers = handlers_of(kept.topic, streams)
            decoded = handlers.decode([message], decoder)
            with transaction.atomic():
                found = lock_rejected(key)
                if found is None:
                    continue
                fate = handlers.store(decoded).fates[0]
                if fate == Fate.REJECTED:
                    count_try(key)
                    found.refresh_from_db(fields=["error"])
                else:
                    close_rejected(found, fate)
            yield Retried(key, kept.topic, fate, found.error if fate == Fate.REJECTED else "")
    finally:
        decoder.close()


def _bytes(content) -> bytes | None:
    return None if content is None else bytes(content)
