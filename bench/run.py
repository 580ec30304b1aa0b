"""One run of the benchmark: the machine, the sizes, and what the cases share."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bench import baselines, reading, sending
from bench.findings import Findings
from bench.machine import Machine
from bench.messages import Moulds
from bench.reading import Measured
from bench.sending import Alerts
from bench.site import Site
from tom_fink.stream.reader import BATCH_MESSAGES

# Objects that are enough for more than two batches
LEAST = {"ztf": 2 * BATCH_MESSAGES + 100, "lsst": 400}


@dataclass(frozen=True)
class Sizes:
    """How much a case does. Numbers of objects are multiples of the partitions."""

    decode_rounds: int = 3
    fastavro_messages: int = 200  # of a batch, one by one
    objects: dict[str, int] = field(default_factory=lambda: {"lsst": 1_200, "ztf": 8_000})
    orm_objects: dict[str, int] = field(default_factory=lambda: {"lsst": 6, "ztf": 150})
    mixed: int = 1_000  # known objects of each survey, and as many new ones
    grown_targets: int = 1_000_000
    grown_points: int = 10
    growth_objects: dict[str, int] = field(default_factory=lambda: {"lsst": 800, "ztf": 4_000})
    scale_objects: int = 6_000
    visit_alerts: int = 10_000
    visits: int = 4
    sqlite_objects: int = 3_000

    def scaled(self, factor: float) -> "Sizes":
        """The same with `factor` times as many objects, as far as a case can do with them."""
        changed: dict[str, Any] = {}
        for each in fields(self):
            size = getattr(self, each.name)
            if each.name in ("objects", "growth_objects"):
                changed[each.name] = {
                    survey: _rounded(count * factor, LEAST[survey]) for survey, count in size.items()
                }
            elif each.name in ("mixed", "visit_alerts"):
                changed[each.name] = _rounded(size * factor, LEAST["lsst"])
            elif each.name in ("scale_objects", "sqlite_objects", "grown_targets"):
                changed[each.name] = _rounded(size * factor, LEAST["ztf"])
        return replace(self, **changed)


def _rounded(count: float, least: int) -> int:
    return max(least, int(count)) // sending.PARTITIONS * sending.PARTITIONS


FULL = Sizes()
GATE = Sizes(
    fastavro_messages=40,
    objects={"lsst": 800, "ztf": 4_000},
    orm_objects={"lsst": 4, "ztf": 100},
)


@dataclass
class Lasting:
    """A site that takes so long to make that all runs share it; each run brings it the next alerts of its objects."""

    site: Site
    repeats: int = 0  # alerts of each object that it has had, besides the first

    def next(self, count: int) -> range:
        """Which alerts of each object a run has to bring, so many."""
        self.repeats += count
        return range(self.repeats - count + 1, self.repeats + 1)


class LastingSites:
    """Such sites by name; leave the block to delete their databases."""

    def __init__(self, machine: Machine):
        self._machine, self._stack, self._sites = machine, ExitStack(), {}

    def __enter__(self) -> "LastingSites":
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def get(self, name: str, make: Callable[[Site], None]) -> Lasting:
        """The site of this name; at first use an empty one, for `make` to fill."""
        if name not in self._sites:
            site = self._stack.enter_context(self._machine.site())
            make(site)
            self._sites[name] = Lasting(site)
        return self._sites[name]


class Run:
    """What the cases of one run work with; leave the block to delete its databases."""

    def __init__(self, machine: Machine, sizes: Sizes, findings: Findings, lasting: LastingSites):
        self.machine, self.sizes, self.findings, self.lasting = machine, sizes, findings, lasting
        self._stack = ExitStack()
        self._moulds: dict[str, Moulds] = {}
        self._known: dict[str, tuple[Site, Measured]] = {}
        self._one_by_one: dict[str, baselines.OneByOne] = {}
        self.fastavro: dict[str, float] = {}  # alerts/s, as measured in this run

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def moulds(self, survey: str) -> Moulds:
        """The alerts of a survey."""
        if survey not in self._moulds:
            self._moulds[survey] = Moulds(survey)
        return self._moulds[survey]

    def site(self) -> Site:
        """An empty site, deleted at the end of the run."""
        return self._stack.enter_context(self.machine.site())

    def drain(self, site: Site, *several: Alerts) -> Measured:
        """Send alerts, then have one reader read them; see `reading.drain`."""
        with self._sent(site, *several):
            return reading.drain(self.machine, site, unique(), *several)

    def seed(self, site: Site, *several: Alerts) -> None:
        """The same, unmeasured."""
        with self._sent(site, *several):
            reading.read_all(self.machine, site, unique(), *several)

    @contextmanager
    def _sent(self, site: Site, *several: Alerts) -> Iterator[None]:
        with sending.topics(self.machine.kafka, *(alerts.topic for alerts in several)):
            sending.send(self.machine.kafka.address, *several)
            site.settle()
            yield

    def known(self, survey: str) -> tuple[Site, Measured]:
        """A site that knows `sizes.objects` objects, and how their backlog was read; made at first use."""
        if survey not in self._known:
            site, moulds = self.site(), self.moulds(survey)
            alerts = Alerts(unique(), moulds, first_alerts(0, self.sizes.objects[survey]))
            self._known[survey] = site, self.drain(site, alerts)
        return self._known[survey]

    def one_by_one(self, survey: str) -> baselines.OneByOne:
        """The ORM's figures; measured at first use."""
        if survey not in self._one_by_one:
            site, _ = self.known(survey)
            count = self.sizes.orm_objects[survey]
            self._one_by_one[survey] = baselines.ingest_one_by_one(self.machine, site, count)
        return self._one_by_one[survey]

    def note(self, case: str, measured: Measured) -> None:
        """The figures that every reading has."""
        add, alerts = self.findings.add, measured.alerts / 1000
        add(case, "alerts/s", measured.alerts_per_s)
        add(case, "rows/s", measured.points_per_s)
        add(case, "reader CPU s per 1,000 alerts", measured.cpu.parent / alerts)
        add(case, "decoder CPU s per 1,000 alerts", measured.cpu.child / alerts)
        add(case, "PostgreSQL CPU s per 1,000 alerts", measured.cpu.postgresql / alerts)
        add(case, "Kafka CPU s per 1,000 alerts", measured.cpu.kafka / alerts)
        add(case, "CPU s per 1,000 alerts", (measured.cpu.reader + measured.cpu.postgresql) / alerts)
        add(case, "cores busy with these", measured.cpu.all / measured.seconds)
        add(case, "peak memory, MB", measured.readers.peak / 1e6)
        add(case, "peak memory of the reader alone, MB", measured.readers.peak_parent / 1e6)
        add(case, "peak memory of the decoder alone, MB", measured.readers.peak_child / 1e6)


def unique() -> str:
    """A name that nothing else has, for topics and groups."""
    return f"bench-{uuid.uuid4().hex[:8]}"


def first_alerts(first: int, count: int) -> list[tuple[int, int]]:
    """The first alerts of `count` objects, from number `first` on."""
    return [(number, 0) for number in range(first, first + count)]


def alerts_of_all(count: int, repeats: range) -> list[tuple[int, int]]:
    """These alerts of the first `count` objects, one of each object after the other."""
    return [(number, repeat) for repeat in repeats for number in range(count)]


def further_alerts(first: int, count: int, begin: int = 1) -> list[tuple[int, int]]:
    """Alerts of known objects: one of each, then one of two thirds of them, then one of a third.

    The parts are multiples of the partitions, so that all alerts of an object go to one partition.
    """
    parts = [count, count * 2 // 3, count // 3]
    return [
        (number, begin + repeat)
        for repeat, part in enumerate(parts)
        for number in range(first, first + part - part % sending.PARTITIONS)
    ]
