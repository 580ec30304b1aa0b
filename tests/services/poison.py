"""Messages that hold no alert, in every way that a broker, a bug or an enemy could send them."""

import copy
import io
import json
import random
from collections.abc import Callable

import fastavro

from tests.mutations import long
from tests.services.moulds import START, Cast, Mould
from tom_fink.simulate import SimulatedAlert, serialise, simulated_alerts
from tom_fink.simulate.schemas import SCHEMAS

Pair = tuple[bytes | None, bytes | None]
TOO_LONG = 11_000_000
HANGS = "a union of one that is counted to 2^60"


class Poison:
    """Makes poisoned messages of one simulation; a number is to be used once."""

    def __init__(self, seed: int, ztf: list[Mould], lsst: list[Mould]):
        self._chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._moulds = {"ztf": ztf, "lsst": lsst}
        self._alerts = {found.survey: found for found in simulated_alerts(seed, START, 60)}

    def kinds(self) -> list[str]:
        """The names of the ways that cost little; `HANGS` takes seconds, and `"too long"` 11 MB."""
        return list(KINDS)

    def make(self, kind: str, number: int) -> Pair:
        """(key, value) of a message."""
        return {**KINDS, **COSTLY}[kind](self, number)

    def good(self, number: int, survey: str = "ztf") -> Cast:
        """An alert that somebody could have read, before it was spoilt."""
        return self._chance.choice(self._moulds[survey]).cast(number)

    def changed(self, survey: str, number: int, change: Callable[[dict], object]) -> Pair:
        """An alert with one thing in its record changed, and serialised."""
        found = self._alerts[survey]
        alert = copy.deepcopy(found.alert)
        if survey == "ztf":
            alert["candid"] = alert["candidate"]["candid"] = number
        else:
            alert["diaSourceId"] = alert["diaSource"]["diaSourceId"] = number
        change(alert)
        return serialise(SimulatedAlert(found.topic, survey, alert))

    def flipped(self, number: int) -> Pair:
        """Bits flipped until Avro's own reader takes it for broken."""
        good = self.good(number)
        schema = fastavro.parse_schema(json.loads(good.key))
        while True:
            value = bytearray(good.value)
            for _ in range(8):
                value[self._chance.randrange(300)] ^= 1 << self._chance.randrange(8)
            buffer = io.BytesIO(value)
            try:
                fastavro.schemaless_reader(buffer, schema)
            except (EOFError, ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError):
                return good.key, bytes(value)

    def made_of(self, number: int, kind: object, value: bytes) -> Pair:
        """A record of two fields: the number, and one of this type."""
        fields = [{"name": "number", "type": "long"}, {"name": "x", "type": kind}]
        return _json({"type": "record", "name": "alert", "fields": fields}), long(number) + value

    def of_another_schema(self, number: int) -> Pair:
        """A ZTF alert under Rubin's schema."""
        return _json(SCHEMAS["lsst"]), self.good(number).value

    def bomb(self, number: int) -> Pair:
        """Thirty types, each of two of the one before: written out they are 2^30."""
        kind: dict = {"type": "record", "name": "r0", "fields": [{"name": "x", "type": "int"}]}
        fields = [{"name": "f0", "type": kind}]
        for depth in range(1, 31):
            parts = [{"name": side, "type": f"r{depth - 1}"} for side in ("a", "b")]
            fields.append(
                {"name": f"f{depth}", "type": {"type": "record", "name": f"r{depth}", "fields": parts}}
            )
        return _json({"type": "record", "name": "bomb", "fields": fields}), long(number)

    def nested(self, number: int) -> Pair:
        """Arrays of arrays, far deeper than any reader's stack."""
        depth = 15_000
        inner = '{"type":"array","items":' * depth + '"int"' + "}" * depth
        fields = f'[{{"name":"x","type":{inner}}}]'
        return f'{{"type":"record","name":"deep","fields":{fields}}}'.encode(), long(number)


def _json(schema: dict) -> bytes:
    return json.dumps(schema, separators=(",", ":")).encode()


def _candidate(**changes) -> Callable[[Poison, int], Pair]:
    return lambda poison, n: poison.changed("ztf", n, lambda alert: alert["candidate"].update(changes))


KINDS: dict[str, Callable[[Poison, int], Pair]] = {
    "empty value": lambda poison, n: (poison.good(n).key, b""),
    "null value": lambda poison, n: (poison.good(n).key, None),
    "no key": lambda poison, n: (None, poison.good(n).value),
    "key is no JSON": lambda poison, n: (b"1_1", poison.good(n).value),
    "key is no text": lambda poison, n: (b"\xff\xfe\0" + long(n), poison.good(n).value),
    "key is JSON but no schema": lambda poison, n: (_json({"n": n}), poison.good(n).value),
    "key of another schema": Poison.of_another_schema,
    "cut": lambda poison, n: (poison.good(n).key, poison.good(n).value[: 40 + n % 900]),
    "bits flipped": Poison.flipped,
    "bytes behind the record": lambda poison, n: (poison.good(n).key, poison.good(n).value + b"\0" * (1 + n % 9)),
    "NaN position": _candidate(ra=float("nan")),
    "declination of 91": _candidate(dec=91.0),
    "time out of range": _candidate(jd=1e9),
    "no id": lambda poison, n: poison.changed(
        "ztf", n, lambda alert: (alert.update(candid=None), alert["candidate"].update(candid=None))
    ),
    "no object": lambda poison, n: poison.changed("ztf", n, lambda alert: alert.update(objectId=None)),
    "NUL in the name": lambda poison, n: poison.changed(
        "ztf", n, lambda alert: alert.update(objectId="ZTF26\0aaaaaa")
    ),
    "markup for a name": lambda poison, n: poison.changed(
        "ztf", n, lambda alert: alert.update(objectId="<script>1</script>")
    ),
    "Rubin without a time": lambda poison, n: poison.changed(
        "lsst", n, lambda alert: alert["diaSource"].update(midpointMjdTai=None)
    ),
    "a counter of another family": lambda poison, n: poison.made_of(
        n, {"type": "map", "values": "long"}, long(1) + long(5) + b"ftest" + long(n) + b"\0"
    ),
    "an array that counts to 2^60": lambda poison, n: poison.made_of(
        n, {"type": "array", "items": "int"}, long(2**60) + b"\0" * 50
    ),
    "a text that is 2^60 long": lambda poison, n: poison.made_of(n, "string", long(2**60) + b"text"),
    "an array of nothing": lambda poison, n: poison.made_of(
        n, {"type": "array", "items": "null"}, long(2**60) + b"\0"
    ),
    "a schema that grows": Poison.bomb,
    "a schema that is too deep": Poison.nested,
}  # fmt: skip
COSTLY: dict[str, Callable[[Poison, int], Pair]] = {
    HANGS: lambda poison, n: poison.made_of(
        n, {"type": "array", "items": ["null"]}, long(2**60) + b"\0" * 50
    ),
    "too long": lambda poison, n: (poison.good(n).key, poison.good(n).value.ljust(TOO_LONG, b"\0")),
}
