"""Thousands of messages from a few alerts: copies of their bytes with the ids and times of other objects."""

import io
import json
import struct
from dataclasses import dataclass
from functools import cached_property

import fastavro
import numpy as np

from bench.alerts import (
    FIRST_OBJECT,
    FORCED_ID,
    HISTORIES,
    IDS_PER_OBJECT,
    OWN_VISIT,
    PERIOD,
    History,
    long_objects,
    object_id,
    schema,
    shift_days,
    source_id,
    visit_time,
)
from tests.mutations import long

MARK = 123_456_789  # the object's number in a template
LONG_BYTES = 9  # of every id here, as Avro writes it: from 2^55 up to 2^62
MOULDS = 4  # PERIOD is a multiple of it


def _longs(numbers: np.ndarray) -> np.ndarray:
    """Numbers from 2^55 up to 2^62, shape (n,), as Avro's zig-zag longs: uint8 of shape (n, 9)."""
    steps = np.arange(LONG_BYTES, dtype=np.uint64) * np.uint64(7)
    parts = (numbers.astype(np.uint64)[:, None] << np.uint64(1)) >> steps
    out = (parts & np.uint64(0x7F)).astype(np.uint8)
    out[:, :-1] |= 0x80
    return out


@dataclass(frozen=True)
class _Places:
    """Where something stands in a template: `at` (n, bytes) indices, and for each place its `values` (n,)."""

    at: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, content: bytes, patterns: dict[float, bytes]) -> "_Places":
        """All places of the patterns, each given by its value."""
        starts, values = [], []
        for value, pattern in patterns.items():
            start = content.find(pattern)
            while start >= 0:
                starts.append(start)
                values.append(value)
                start = content.find(pattern, start + 1)
        length = len(next(iter(patterns.values())))
        at = np.asarray(starts, dtype=np.int64)[:, None] + np.arange(length)
        return cls(at, np.asarray(values))


class _Template:
    """The bytes of one alert of object `MARK`, and where its ids and times stand."""

    def __init__(self, survey: str, value: bytes, visits: int):
        self._survey = survey
        self._value = np.frombuffer(value, dtype=np.uint8)
        ids = [source_id(survey, MARK, visit) for visit in range(visits)]
        if survey == "lsst":
            ids += [each + FORCED_ID for each in ids]
            name = {0: long(FIRST_OBJECT + MARK)}
        else:
            name = {0: object_id(survey, MARK).encode()}
        self._object = _Places.of(value, name)
        self._sources = _Places.of(value, {each - MARK * IDS_PER_OBJECT: long(each) for each in ids})
        times = (visit_time(survey, visit) for visit in range(visits))
        self._times = _Places.of(value, {time: struct.pack("<d", time) for time in times})

    @property
    def places(self) -> tuple[int, int, int]:
        """How often object, sources and times stand in it."""
        return tuple(len(found.values) for found in (self._object, self._sources, self._times))

    def cast(self, number: int) -> bytes:
        """The alert as one of object `number`."""
        value = self._value.copy()
        name = (
            long(FIRST_OBJECT + number)
            if self._survey == "lsst"
            else object_id(self._survey, number).encode()
        )
        value[self._object.at] = np.frombuffer(name, dtype=np.uint8)
        value[self._sources.at] = _longs(self._sources.values + number * IDS_PER_OBJECT)
        times = self._times.values + shift_days(number)
        value[self._times.at] = times.astype("<f8").view(np.uint8).reshape(-1, 8)
        return value.tobytes()


class Moulds:
    """The alerts of one survey, for objects 0 up to 10^8, each with a first alert and MOST_REPEATS further ones."""

    def __init__(self, survey: str):
        self.survey = survey
        self.history: History = HISTORIES[survey]
        self.key = json.dumps(schema(survey), separators=(",", ":")).encode()
        self._objects = list(long_objects(survey, MOULDS, MARK))
        if len(self._objects) != MOULDS or PERIOD % MOULDS:
            raise RuntimeError("The simulation has too few objects for the benchmark.")
        self._made: dict[tuple[int, int], _Template] = {}

    @cached_property
    def _parsed(self) -> dict:
        return fastavro.parse_schema(schema(self.survey))

    def cast(self, number: int, repeat: int = 0) -> bytes:
        """The value of a message: alert `repeat` (0 is the first) of object `number`."""
        return self.template(number % MOULDS, repeat).cast(number)

    def template(self, mould: int, repeat: int) -> _Template:
        """The template of a mould; made at first use, which takes a tenth of a second for Rubin."""
        if (mould, repeat) not in self._made:
            buffer = io.BytesIO()
            fastavro.schemaless_writer(buffer, self._parsed, self._objects[mould].alert(repeat))
            visits = OWN_VISIT[self.survey] + repeat + 1
            self._made[mould, repeat] = _Template(self.survey, buffer.getvalue(), visits)
        return self._made[mould, repeat]
