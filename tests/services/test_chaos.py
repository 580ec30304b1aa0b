"""20,000 alerts while readers, database and broker are killed: each ends stored, rejected or duplicate, and once.

SEED=7 in the environment plays another run of it, ALERTS=2000 a shorter one.
"""

import os
import random
import time
import uuid
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from django.db import OperationalError, connection, transaction

from tests.contents import assert_same, contents
from tests.services import hurried
from tests.services.accounts import (
    assert_nothing_twice,
    broker_ends,
    group_offsets,
    ledger_sums,
    next_offsets,
)
from tests.services.moulds import moulds
from tests.services.needs import wait_until
from tests.services.poison import HANGS, Poison
from tests.services.postgres import TEMPLATE, as_default
from tests.services.publishing import Sent, delete_topics, make_topics, publish
from tom_fink.decoding.decode import Message
from tom_fink.decoding.decoder import Decoder
from tom_fink.models import Alert, DelayHour, RejectedMessage, Topic, TopicAlert
from tom_fink.stream.handlers import Handlers

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

SEED = int(os.environ.get("SEED") or 20261123)
ALERTS = int(os.environ.get("ALERTS") or 20_000)
RUBIN, POISONED, TWICE, IN_TWO_TOPICS = 0.1, 0.01, 0.05, 0.05
KILLS, OUTAGES, VISITS = 10, 3, 2
STALLED_S = 120.0  # without any progress

# By the end of the topic's name: partitions
ZTF_TOPICS = {"sn_ztf": 4, "agn_ztf": 4, "early_ztf": 6}
LSST_TOPICS = {"hosted_lsst": 4, "sample_lsst": 5}


class Night:
    """What is sent, and what has to be there in the end. All of it follows from the seed."""

    def __init__(self, name: str, chance: random.Random):
        self.name = name
        self.ztf, self.lsst = ([f"{name}_{end}" for end in topics] for topics in (ZTF_TOPICS, LSST_TOPICS))
        self.partitions = {f"{name}_{end}": n for end, n in (ZTF_TOPICS | LSST_TOPICS).items()}
        made = {"ztf": moulds("ztf", 400), "lsst": moulds("lsst", 120)}
        poison = Poison(SEED, made["ztf"], made["lsst"])
        self.messages: list[Sent] = []
        self.deliveries: dict[str, set[str]] = {topic: set() for topic in self.partitions}
        for number in range(ALERTS):
            survey = "lsst" if chance.random() < RUBIN else "ztf"
            alert = chance.choice(made[survey]).cast(number)
            topics = chance.sample(
                self.ztf if survey == "ztf" else self.lsst, 1 + (chance.random() < IN_TWO_TOPICS)
            )
            if chance.random() < TWICE:
                topics.append(topics[0])
            for topic in topics:
                self._add(chance, topic, alert.key, alert.value, "")
                self.deliveries[topic].add(alert.alert_id)
        kinds = poison.kinds()
        for number in range(int(ALERTS * POISONED)):
            kind = HANGS if number == 0 else "too long" if number == 1 else kinds[number % len(kinds)]
            topic = chance.choice([*self.ztf, *self.lsst])
            self._add(chance, topic, *poison.make(kind, ALERTS + number), kind)
        chance.shuffle(self.messages)

    def _add(
        self, chance: random.Random, topic: str, key: bytes | None, value: bytes | None, what: str
    ) -> None:
        self.messages.append(Sent(topic, chance.randrange(self.partitions[topic]), key, value, what))

    @property
    def poisoned(self) -> list[Sent]:
        return [message for message in self.messages if message.what]


class Trouble:
    """The readers, and what happens to them."""

    def __init__(self, night: Night, chance: random.Random, kafka, postgres, start):
        self.night, self.chance, self.kafka, self.postgres = night, chance, kafka, postgres
        self._start = start
        self.readers = {}
        self.ended = []
        self.counts = Counter()
        self.children: set[int] = set()
        self._progress, self._at = 0, time.monotonic()

    def progress(self) -> int:
        """How many alerts are stored; what it was at last while the database is away."""
        try:
            found = Alert.objects.count()
        except OperationalError:
            connection.close()
            return self._progress
        if found > self._progress:
            self._progress, self._at = found, time.monotonic()
        assert time.monotonic() - self._at < STALLED_S, f"no progress at {found}:\n{self.last_words()}"
        return found

    def last_words(self) -> str:
        return "\n\n".join(f"{role}: {reader.said[-2500:]}" for role, reader in self.readers.items())

    def wait_for(self, alerts: int) -> None:
        """Wait until so many alerts are stored, and then for any moment of a batch."""
        wait_until(lambda: self.progress() >= alerts, lambda: self.last_words(), 600)
        time.sleep(self.chance.uniform(0, 0.7))

    def come(self, role: str) -> None:
        self.readers[role] = self._start()

    def go(self, role: str) -> None:
        """One leaves as it should."""
        self.readers[role].until_it_says("opening stream")  # before, a signal ends it as any program
        self._note_children(self.readers[role])
        reader = self.readers.pop(role)
        status = reader.end()
        assert status == 0, reader.said[-3000:]
        self.ended.append(reader)

    def kill(self) -> None:
        """One is killed and started again, as a supervisor would."""
        role = self.chance.choice(sorted(self.readers))
        reader = self.readers[role]
        self._note_children(reader)
        assert reader.popen.poll() is None, reader.said[-3000:]
        reader.kill()
        self.ended.append(reader)
        self.counts["kills"] += 1
        self.come(role)

    def outage(self) -> None:
        """The database is gone until a reader has noticed; another is killed meanwhile, or not."""
        before = self._said("is kept; tried again")
        with self.postgres.crashed():
            wait_until(lambda: self._said("is kept; tried again") > before, self.last_words)
            if self.counts["outages"] == 1:
                self.kill()
        self.counts["outages"] += 1

    def broker_restarts(self) -> None:
        self.kafka.restart()
        self.counts["broker restarts"] += 1

    def broker_crashes(self) -> None:
        self.kafka.kill()
        self.kill()
        self.kafka.start()
        self.counts["broker crashes"] += 1

    def _said(self, text: str) -> int:
        return sum(reader.said.count(text) for reader in [*self.readers.values(), *self.ended])

    def _note_children(self, reader) -> None:
        self.children |= {child.pid for child in psutil.Process(reader.popen.pid).children(recursive=True)}

    def plan(self) -> list[tuple[float, str, tuple]]:
        """(share of the alerts, what happens, to whom), in order. One kill each is in an outage and a crash."""
        events = [(self.chance.uniform(0.02, 0.9), "kill", ()) for _ in range(KILLS - 2)]
        events += [(self.chance.uniform(0.05, 0.9), "outage", ()) for _ in range(OUTAGES)]
        events += [(self.chance.uniform(0.1, 0.5), "broker_restarts", ())]
        events += [(self.chance.uniform(0.5, 0.85), "broker_crashes", ())]
        for visit in range(VISITS):
            role = f"visitor {visit + 1}"
            came, left = sorted(self.chance.uniform(0.05 + 0.3 * visit, 0.6 + 0.3 * visit) for _ in range(2))
            events += [(came, "come", (role,)), (left, "go", (role,))]
        return sorted(events)


def test_whatever_dies_every_alert_is_stored_once(kafka, postgres, site, processes, figure, caplog):
    caplog.set_level("ERROR", "tom_fink")  # of what one writer says in peace
    began = time.monotonic()
    name = f"chaos{uuid.uuid4().hex[:6]}"
    group = f"group-{name}"
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    night = Night(name, chance)
    make_topics(kafka, night.partitions)
    publish(kafka, night.messages)
    sent_s = time.monotonic() - began

    def start():
        return processes.python(
            hurried.__file__,
            "readstreams",
            DATABASE_URL=site,
            FINK_CREDENTIAL_URL=kafka.sasl_address,
            FINK_CREDENTIAL_USERNAME=kafka.user,
            FINK_CREDENTIAL_PASSWORD=kafka.password,
            FINK_CREDENTIAL_GROUP_ID=group,
            FINK_TOPIC=f"{name}_*_ztf",
            FINK_LSST_CREDENTIAL_URL=kafka.sasl_address,
            FINK_LSST_TOPIC=f"{name}_*_lsst",
        )

    trouble = Trouble(night, chance, kafka, postgres, start)
    trouble.come("reader")
    for share, event, whom in trouble.plan():
        trouble.wait_for(int(share * ALERTS))
        getattr(trouble, event)(*whom)
    ends = broker_ends(kafka.address, *night.partitions)
    wait_until(lambda: trouble.progress() and next_offsets(group) == ends, trouble.last_words, 600)
    wait_until(lambda: group_offsets(kafka.address, group, *night.partitions) == ends, "the last commits")
    for role in list(trouble.readers):
        trouble.go(role)
    read_s = time.monotonic() - began - sent_s
    wait_until(lambda: not any(_lives(pid) for pid in trouble.children), "the end of what decodes")
    said = "".join(reader.said for reader in trouble.ended)
    assert "Traceback" not in said, _around(said, "Traceback")
    assert "CRITICAL" not in said, _around(said, "CRITICAL")
    assert kafka.password not in said

    check_the_numbers(night, group, ends)
    found = contents()
    expected = in_peace(night, postgres)
    assert_same(found, expected)

    sums = ledger_sums(group)
    figure(
        f"chaos, seed {SEED}: {ALERTS} alerts in {len(night.messages)} messages of {len(ends)} partitions, "
        f"{len(night.poisoned)} poisoned in {len({m.what for m in night.poisoned})} ways; {dict(trouble.counts)}, "
        f"{said.count('is back after')} waits of batches, {sums.replayed} messages replayed, "
        f"{sums.duplicate} duplicates; sent in {sent_s:.0f} s, read in {read_s:.0f} s, "
        f"checked in {time.monotonic() - began - sent_s - read_s:.0f} s"
    )
    delete_topics(kafka, *night.partitions)


def check_the_numbers(night: Night, group: str, ends: dict[tuple[str, int], int]) -> None:
    """Rows and ledger against what was sent."""
    sums = ledger_sums(group)
    offsets = sum(ends.values())
    assert offsets == len(night.messages)
    assert sums.read - sums.replayed == offsets
    assert (sums.lost, sums.skipped, sums.handled) == (0, 0, 0)
    assert Alert.objects.count() == ALERTS
    assert sums.stored == ALERTS, "each alert was stored by one message only"

    kept = {
        (row.topic, row.partition, row.offset, row.digest): (row.key, row.value)
        for row in RejectedMessage.objects.filter(closed_at=None)
    }
    wanted = {
        (m.topic, m.partition, m.offset, _as_message(m).digest): (m.key, m.value) for m in night.poisoned
    }
    assert kept.keys() == wanted.keys()
    for place, (key, value) in wanted.items():
        assert (_bytes(kept[place][0]), _bytes(kept[place][1])) == (key, value), "kept whole"
    assert len({message.what for message in night.poisoned}) >= 12

    for topic, alerts in night.deliveries.items():
        listed = TopicAlert.objects.filter(topic__name=topic)
        assert set(listed.values_list("alert__alert_id", flat=True)) == alerts
        targets = set(listed.values_list("alert__target__name", flat=True))
        members = Topic.objects.get(name=topic).target_list.targets
        assert set(members.values_list("name", flat=True)) == targets

    timed = Counter()
    for row in DelayHour.objects.all():
        timed[row.topic, row.partition] += sum(row.received_to_stored.values())
    good = Counter((m.topic, m.partition) for m in night.messages if not m.what)
    assert timed == good, "each message's delay is counted once, however often it was read"
    assert_nothing_twice()


def in_peace(night: Night, postgres) -> dict[str, Counter]:
    """What one writer makes of the same messages, batch by batch, in a database of its own."""
    postgres.create("peace", TEMPLATE)
    try:
        with as_default(postgres.address("peace")), closing(Decoder(timeout_s=hurried.HANG_S)) as decoder:
            messages = [_as_message(message) for message in night.messages]
            handlers = Handlers({})
            for start in range(0, len(messages), 500):
                decoded = handlers.decode(messages[start : start + 500], decoder)
                with transaction.atomic():
                    handlers.store(decoded)
            return contents()
    finally:
        postgres.drop("peace")


def _as_message(sent: Sent) -> Message:
    return Message(sent.topic, sent.partition, sent.offset, sent.key, sent.value, datetime.now(UTC))


def _bytes(content) -> bytes | None:
    return None if content is None else bytes(content)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _around(text: str, word: str) -> str:
    place = text.find(word)
    return text[max(0, place - 1500) : place + 2500]
