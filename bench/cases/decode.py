"""Messages to tidy frames, against fastavro one by one on the same messages."""

import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

import fastavro

from bench.errors import BenchError
from bench.findings import Finding
from bench.lines import FASTAVRO
from bench.reading import batch_of
from bench.run import Run
from tom_fink.decoding.decode import Message
from tom_fink.decoding.decoder import Decoder

SMALL_BATCH = 200


def decode(run: Run) -> None:
    """`Decoder.read`, which normalises too, in turns with fastavro, which only decodes.

    In batches as large as the reader's, and in others.
    """
    for survey in ("lsst", "ztf"):
        own = batch_of(run.moulds(survey))
        for size in sorted({SMALL_BATCH, own}):
            figure = "alerts/s" if size == own else f"alerts/s in batches of {size}"
            found = compare(run, survey, size, figure)
            run.findings.put(found)
            if size == own:
                run.fastavro[survey] = median(found.baselines)


def compare(run: Run, survey: str, size: int, figure: str) -> Finding:
    """Alerts a second of both, round by round."""
    moulds, now = run.moulds(survey), datetime.now(UTC)
    messages = [Message("bench", 0, number, moulds.key, moulds.cast(number), now) for number in range(size)]
    few = messages[: run.sizes.fastavro_messages]
    schema = fastavro.parse_schema(json.loads(moulds.key))
    found = Finding(f"decode {survey}", figure, [], FASTAVRO)
    decoder = Decoder()
    try:
        decoder.read(messages)  # the process is started and the schema known
        for _ in range(run.sizes.decode_rounds):
            found.baselines.append(_rate(len(few), lambda: _one_by_one(schema, few)))
            found.values.append(_rate(size, lambda: _read(decoder, messages, size * moulds.history.rows())))
            found.ratios.append(found.values[-1] / found.baselines[-1])
    finally:
        decoder.close()
    return found


def fastavro_rate(run: Run, survey: str) -> float:
    """Alerts/s of fastavro one by one, measured at first use."""
    if survey not in run.fastavro:
        moulds = run.moulds(survey)
        schema = fastavro.parse_schema(json.loads(moulds.key))
        messages = [
            Message("bench", 0, number, moulds.key, moulds.cast(number), datetime.now(UTC))
            for number in range(run.sizes.fastavro_messages)
        ]
        rates = [
            _rate(len(messages), lambda: _one_by_one(schema, messages))
            for _ in range(run.sizes.decode_rounds)
        ]
        run.fastavro[survey] = median(rates)
    return run.fastavro[survey]


def _one_by_one(schema: dict, messages: list[Message]) -> None:
    for message in messages:
        fastavro.schemaless_reader(io.BytesIO(message.value), schema, None)


def _read(decoder: Decoder, messages: list[Message], points: int) -> None:
    read = decoder.read(messages)
    found = read.tidy.alerts.height, read.tidy.detections.height, len(read.errors)
    if found != (len(messages), points, 0):
        raise BenchError(
            f"The decoder read (alerts, points, errors) {found} of {len(messages)} and {points}."
        )


def _rate(number: int, work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return number / (time.monotonic() - began)
