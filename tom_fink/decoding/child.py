"""The process in which `tom_fink.decoding.decoder` decodes: it may hang, abort or be killed, and no message is lost.

Requests come on standard input and are answered on standard output, both pickled, one by one, until the
input ends: so the process ends with its parent, however that ended. What is large is in shared files.
"""

import logging
import os
import pickle
import resource
import signal
import sys
import traceback
from datetime import UTC, datetime
from typing import BinaryIO

from tom_fink.decoding.avro import framing_of
from tom_fink.decoding.container import close_idle
from tom_fink.decoding.decode import Message, decode, decode_one
from tom_fink.decoding.exchange import Answer, Files, Request
from tom_fink.errors import BadMessage
from tom_fink.surveys import normalise

# A longer life without the parent is not wanted: a native decoder that hangs reads no end of input.
ALARM_AFTER_S = 2.0
# The parent stores a batch meanwhile, and waits for the database more often than for the next batch: where there are
# fewer cores than work, that goes first. Readers store 1.05 times as many alerts of known objects (two cores, ZTF).
NICER = 10
MAX_LOGGED = 100  # records and characters of each: names in a schema are not ours
MAX_LOG_TEXT = 2_000
NOBODY = datetime.fromtimestamp(0, UTC)

# What a message may unpack to, as columns or pickled; real ones make 0.8 to 1.5 of their bytes.
UNPACKS_TO = 10
UNPACKS_TO_AT_LEAST = 1_000_000


class Unpacked(Exception):  # noqa: N818 - named for the thing
    """The alert is many times as large as its message."""


def main(memory_bytes: int) -> None:
    """Answer requests until standard input ends, in at most so many bytes of private memory."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent finishes its batch first, and needs this for it
    os.nice(NICER)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    logged = _Logged()
    logging.getLogger().addHandler(logged)
    logging.getLogger().setLevel(logging.INFO)
    serve(requests, answers, logged)


class _Logged(logging.Handler):
    """Keeps what is logged for the parent, as (logger, level, text)."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.records) < MAX_LOGGED:
            self.records.append((record.name, record.levelno, self.format(record)[:MAX_LOG_TEXT]))


def serve(requests: BinaryIO, answers: BinaryIO, logged: _Logged) -> None:
    """Answer each request until there are no more. The first thing that is said is where the shared files are."""
    files = Files(pickle.load(requests))  # noqa: S301 - of the parent's
    while True:
        try:
            request = pickle.load(requests)  # noqa: S301
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, request.seconds + ALARM_AFTER_S)
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
        try:
            answer = _read(request, files, logged.records)
        except MemoryError:
            answer = Answer("memory")
        except Unpacked:
            answer = Answer("large")
        except BaseException:  # noqa: BLE001 - a Rust panic is no Exception; the parent raises what it was
            answer = Answer("fault", traceback.format_exc())
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
        logged.records = []
        signal.setitimer(signal.ITIMER_REAL, 0)


def _read(request: Request, files: Files, logged: list[tuple[str, int, str]]) -> Answer:
    """Decode and normalise. Raises MemoryError also where it hid behind a message's error."""
    messages = [
        Message("", None, None, request.keys[key], value, NOBODY)
        for key, value in zip(request.key_of, files.values(request.lengths, request.framing), strict=True)
    ]
    path = None
    if request.framing:
        path = files.container(request.lengths, request.framing)
        close_idle()
    records, errors = {}, {}
    for index in sorted(request.as_records):
        try:
            record = pickle.dumps(decode_one(messages[index]), pickle.HIGHEST_PROTOCOL)
        except BadMessage as error:
            errors[index] = error
        else:
            _check_size(len(record), [messages[index]])
            records[index] = record
    others = [index for index in range(len(messages)) if index not in request.as_records]
    decoded = decode([messages[index] for index in others], request.careful, path)
    tidy, refused = normalise(decoded.frames)
    _check_size(tidy.alerts.estimated_size() + tidy.detections.estimated_size(), messages)
    for place, error in (refused | decoded.errors).items():
        errors[others[place]] = error
    if any(isinstance(error.__cause__, MemoryError) for error in errors.values()):
        raise MemoryError
    files.write_frames(tidy.alerts, tidy.detections)
    said = {index: str(error) for index, error in errors.items()}
    known = framing_of(request.keys[0]) if len(request.keys) == 1 and not request.framing else None
    return Answer("read", tidy=others, records=records, errors=said, logged=logged, framing=known)


def _check_size(size: int, messages: list) -> None:
    lengths = sum(len(message.value or b"") for message in messages)
    if size > UNPACKS_TO * lengths + UNPACKS_TO_AT_LEAST:
        raise Unpacked


if __name__ == "__main__":
    main(int(sys.argv[1]))
