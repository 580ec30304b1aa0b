"""The messages of several Avro files, for those who send or store them again."""

import heapq
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from tom_fink.decoding.decode import Message
from tom_fink.errors import AlertFileError
from tom_fink.files.avrofile import is_archive, read_archive, read_messages

Place = tuple[datetime, int]  # when a message was received, and its place in the batch
Numbered = Iterator[tuple[int, Message]]


def read_files(paths: list[str], topic: str | None = None) -> Iterator[Message]:
    """The messages of archive files in the order in which they were received, then the alerts of other files.

    The archive has a file for each topic, but which message came first decides whose topic and position
    count; so these files are read side by side. `topic` is that of the alerts in files which are not the
    archive's, and required for those; where it is given, the archive's messages are of that topic too,
    and then of no partition.

    Every file is opened before the first message is given. Raises AlertFileError then, for a file that
    is none or that needs a topic; and at a record that cannot be read, when the messages before are given.
    """
    archived = {path: is_archive(path) for path in paths}
    if topic is None:
        for path in paths:
            if not archived[path]:
                raise AlertFileError(f"{path}: does not say the topic of its alerts; name it with --topic")
    files = [path for path in archived if archived[path]]
    starts = sorted(((_start(path), path) for path in files), reverse=True)
    return _all(starts, [path for path in paths if not archived[path]], topic)


def _all(starts: list[tuple[Place, str]], others: list[str], topic: str | None) -> Iterator[Message]:
    for message in _in_order(starts):
        yield message if topic is None else replace(message, topic=topic, partition=None, offset=None)
    for path in others:
        now = datetime.now(UTC)
        for key, value in read_messages(path):
            yield Message(topic, None, None, key, value, now)


def _in_order(starts: list[tuple[Place, str]]) -> Iterator[Message]:
    """The messages of files by time of receipt; a file is open only from its first message to its last.

    `starts` are the files and their first messages' places, the last file first.
    """
    heads: list[tuple[Place, int, Message, Numbered]] = []  # of each open file the next message
    number = 0
    while starts or heads:
        while starts and (not heads or starts[-1][0] <= heads[0][0]):
            number += 1
            _push(heads, number, read_archive(starts.pop()[1]))
        _, file_number, message, rest = heapq.heappop(heads)
        yield message
        _push(heads, file_number, rest)


def _push(heads: list, number: int, messages: Numbered) -> None:
    for batch_index, message in messages:
        heapq.heappush(heads, ((message.received_at, batch_index), number, message, messages))
        return


def _start(path: str) -> Place:
    batch_index, message = next(read_archive(path))
    return message.received_at, batch_index
