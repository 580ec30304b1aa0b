"""The same rows from the stream, from the archive stored without Kafka, and from the archive sent again."""

import hashlib
import os
import runpy
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastavro
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction
from tom_targets.models import BaseTarget, TargetList

from tests.db.conftest import WRITTEN
from tom_fink.conf import archive_dir
from tom_fink.decoding.avro import read_record
from tom_fink.decoding.decode import Message
from tom_fink.decoding.decoder import Decoder
from tom_fink.errors import ConfigurationError
from tom_fink.files.archive import Archive
from tom_fink.kafka.producer import AlertProducer, mock_cluster
from tom_fink.management.commands import ingest_alerts
from tom_fink.management.commands._sending import stop_on_signals
from tom_fink.models import Alert, FinkObject, RejectedMessage, Topic
from tom_fink.simulate.schemas import ZTF_SCHEMA
from tom_fink.stream.handlers import Handlers

ROOT = Path(__file__).parents[2]
EVENING = datetime(2026, 3, 22, 23, tzinfo=UTC)
ZTF, LSST = "fink_sn_candidates_ztf", "fink_uniform_sample_lsst"
NAMES = ("alert_id", "object_id", "name")  # what a row is known by, where it is referred to
WHEN_STORED = {"created", "modified", "stored_at", "tried_at"}
OF_THE_MESSAGE = {"partition", "offset", "received_at"}

calls: list[str] = []


def counting(alert: dict, topic: str) -> None:
    """A handler of the user's."""
    calls.append(topic)


def rows(without: set[str] = frozenset()) -> dict[str, list[tuple]]:
    """Every column of every row that the writer writes, but keys and the time of writing."""
    found = {}
    for model in WRITTEN:
        columns = []
        for field in model._meta.concrete_fields:
            if field.primary_key or field.name in WHEN_STORED | without:
                continue
            related = field.related_model
            named = related and next((name for name in NAMES if hasattr(related, name)), None)
            columns.append(f"{field.name}__{named}" if named else field.name)
        values = model.objects.values_list(*columns)
        found[model._meta.label] = sorted((tuple(map(plain, row)) for row in values), key=str)
    return found


def plain(value):
    return hashlib.sha256(value).digest() if isinstance(value, bytes | memoryview) else value


def rows_after(store) -> dict[str, list[tuple]]:
    """The rows that `store` makes in an empty database, which is empty again afterwards."""
    assert not Alert.objects.exists()
    point = transaction.savepoint()
    store()
    found = rows()
    transaction.savepoint_rollback(point)
    return found


def stream(batches: list[list[Message]]) -> None:
    """Store batches as the reader does."""
    decoder, handlers = Decoder(), Handlers({})
    for batch in batches:
        handlers.store(handlers.decode(batch, decoder))
    decoder.close()


def empty() -> None:
    for model in (BaseTarget, Topic, TargetList, FinkObject, Alert, RejectedMessage):
        model.objects.all().delete()


def poisoned(good: Message) -> list[Message]:
    """Messages that hold no alert, in the topic of one that does."""
    changes = (
        {"value": None}, {"value": b""}, {"key": None}, {"key": b"", "value": b""}, {"key": b"{no schema"},
        {"value": good.value[: len(good.value) // 2]}, {"key": None, "value": None},
        {"key": b'{"type":"record","name":"other","fields":[]}', "value": b"\\0\\xff"},
    )  # fmt: skip
    return [replace(good, offset=10_000 + number, **change) for number, change in enumerate(changes)]


@pytest.fixture
def batches(simulated_messages) -> list[list[Message]]:
    """What a reader might have received: several topics, alerts in two of them or twice, poisoned ones."""
    ztf, lsst = (next(one for one in simulated_messages if one.topic == topic) for topic in (ZTF, LSST))
    messages = [*simulated_messages[:150], *simulated_messages[:20], *poisoned(lsst)]
    messages[40:40] = poisoned(ztf)
    return [
        [
            replace(one, received_at=EVENING + timedelta(hours=start / 7))
            for one in messages[start : start + 35]
        ]
        for start in range(0, len(messages), 35)
    ]


@pytest.fixture
def archived(tmp_path):
    """A function that archives batches; the paths of its files, in an order that means nothing."""

    def write(batches: list[list[Message]]) -> list[str]:
        archive = Archive(tmp_path / "archive", max_file_bytes=200_000)
        for batch in batches:
            archive.write(batch)
        archive.close()
        return sorted(map(str, (tmp_path / "archive").glob("*/*/*.avro")), reverse=True)

    return write


@pytest.fixture
def alert_file(tmp_path, simulated_messages):
    """A file of ten ZTF alerts, and one of records that are none."""
    alerts = [read_record(one.key, one.value) for one in simulated_messages if one.topic == ZTF][:10]
    with (tmp_path / "alerts.avro").open("wb") as target:
        fastavro.writer(target, ZTF_SCHEMA, alerts, sync_interval=1)
    with (tmp_path / "others.avro").open("wb") as target:
        schema = {"type": "record", "name": "other", "fields": [{"name": "number", "type": "int"}]}
        fastavro.writer(target, schema, [{"number": 1}, {"number": 2}])
    return tmp_path / "alerts.avro"


@pytest.mark.django_db
def test_the_archive_makes_the_rows_of_the_stream(batches, archived, capsys):
    paths = archived(batches)
    assert len(paths) > 9
    expected = rows_after(lambda: stream(batches))
    assert len(expected["tom_fink.Alert"]) > 100
    assert len(expected["tom_fink.RejectedMessage"]) == 16
    assert rows_after(lambda: call_command("ingest_alerts", *paths)) == expected
    fates = dict(part.split() for part in capsys.readouterr().out.strip().split(", "))
    assert (fates["rejected"], fates["handled"]) == ("16", "0")
    assert sum(map(int, fates.values())) == sum(map(len, batches))


@pytest.mark.django_db
def test_twice_is_once(batches, archived, alert_file, capsys):
    paths = archived(batches)
    others = [str(alert_file), str(alert_file.with_name("others.avro"))]
    call_command("ingest_alerts", *paths)
    call_command("ingest_alerts", *others, "--topic", ZTF)
    before = rows()
    capsys.readouterr()
    call_command("ingest_alerts", *paths, *paths)
    call_command("ingest_alerts", *others, topic=ZTF)
    total = sum(map(len, batches))
    assert capsys.readouterr().out == (
        f"stored 0, duplicate {total - 16}, rejected 16, handled 0\nstored 0, duplicate 10, rejected 2, handled 0\n"
    )
    assert rows() == before


@pytest.mark.django_db
def test_a_file_of_alerts_is_stored_as_of_a_topic(alert_file, capsys):
    call_command("ingest_alerts", str(alert_file), "--topic", "fink_kn_candidates_ztf", "--count", "7")
    assert capsys.readouterr().out == "stored 7, duplicate 0, rejected 0, handled 0\n"
    assert set(Alert.objects.values_list("topic", "partition", "offset")) == {
        ("fink_kn_candidates_ztf", None, None)
    }
    assert TargetList.objects.get(name="fink_kn_candidates_ztf").targets.exists()


@pytest.mark.django_db
def test_a_handler_of_one_s_own_gets_its_topic_as_from_the_stream(batches, archived, settings, capsys):
    settings.ALERT_STREAMS = [
        {
            "NAME": "tom_fink.alertstream.FinkAlertStream",
            "OPTIONS": {
                "URL": "127.0.0.1:1",
                "GROUP_ID": "group",
                "TOPIC": "fink_*",
                "TOPIC_HANDLERS": {ZTF: "tests.db.test_ingest.counting"},
            },
        }
    ]
    paths = archived(batches)
    calls.clear()
    call_command("ingest_alerts", *paths)
    wanted = sum(one.topic == ZTF for batch in batches for one in batch)
    assert 0 < len(calls) < wanted, "without the poisoned ones"
    assert set(calls) == {ZTF}
    assert capsys.readouterr().out.endswith(f"handled {len(calls)}\n")
    assert not Alert.objects.filter(topic=ZTF).exists()


def test_the_folder_s_setting(settings, monkeypatch):
    for unset in ("", None):
        settings.FINK_ARCHIVE_DIR = unset
        assert archive_dir() is None
    for whole in ("/srv/archive", Path("/srv/archive")):
        settings.FINK_ARCHIVE_DIR = whole
        assert archive_dir() == Path("/srv/archive")
    for other in ("archive", Path("archive"), 1):
        settings.FINK_ARCHIVE_DIR = other
        with pytest.raises(ConfigurationError, match=r"FINK_ARCHIVE_DIR='\w+' cannot be used"):
            archive_dir()

    monkeypatch.setenv("HOME", "/nonexistent")
    for text, folder in {
        "": "",
        "kept/a": ROOT / "kept/a",
        "/srv/a": Path("/srv/a"),
        "~/a": Path("/nonexistent/a"),
    }.items():
        monkeypatch.setenv("FINK_ARCHIVE_DIR", text)
        found = runpy.run_path(str(ROOT / "fink_tom_site" / "settings.py"))
        assert found["FINK_ARCHIVE_DIR"] == folder


# --- Faults -----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["alerts.avro"], r"alerts\.avro: does not say the topic .*--topic"),
        (["alerts.avro", "none.avro", "--topic", "t"], r"none\.avro: No such file"),
        (["alerts.avro", "text.avro", "--topic", "t"], r"text\.avro: not an Avro container"),
        (["alerts.avro", "--topic", "t", "--count", "0"], "--count must be above 0"),
    ],
)
def test_what_cannot_be_used_ends_the_command_before_anything_is_stored(alert_file, arguments, reason):
    alert_file.with_name("text.avro").write_text("no Avro")
    arguments = [str(alert_file.with_name(one)) if one.endswith(".avro") else one for one in arguments]
    with pytest.raises(CommandError, match=reason) as caught:
        call_command("ingest_alerts", *arguments)
    assert "\n" not in str(caught.value)
    assert not Alert.objects.exists()


@pytest.mark.django_db
def test_what_is_before_a_damaged_record_is_stored(alert_file):
    alert_file.write_bytes(alert_file.read_bytes()[:-3000])
    with pytest.raises(CommandError, match=r"alerts\.avro: record 10 .*\(stored 9, duplicate 0") as caught:
        call_command("ingest_alerts", str(alert_file), topic="t")
    assert "\n" not in str(caught.value)
    assert Alert.objects.count() == 9


@pytest.mark.django_db
def test_a_database_that_is_away_is_one_line(alert_file, monkeypatch):
    def fail(*_):
        raise OperationalError("the connection\nis lost")

    monkeypatch.setattr(ingest_alerts, "_store", fail)
    with pytest.raises(CommandError, match=r"database cannot be used: the connection is lost \(stored 0"):
        call_command("ingest_alerts", str(alert_file), topic="t")


@pytest.mark.django_db
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_batch_in_hand(alert_file, monkeypatch, capsys, number):
    store = ingest_alerts._store

    def interrupted(*arguments):
        os.kill(os.getpid(), number)
        return store(*arguments)

    monkeypatch.setattr(ingest_alerts, "BATCH_MESSAGES", 4)
    monkeypatch.setattr(ingest_alerts, "_store", interrupted)
    before = signal.getsignal(number)
    call_command("ingest_alerts", str(alert_file), topic="t")
    assert capsys.readouterr().out == "stored 4, duplicate 0, rejected 0, handled 0, then stopped\n"
    assert signal.getsignal(number) is before
    monkeypatch.setattr(ingest_alerts, "_store", store)
    call_command("ingest_alerts", str(alert_file), topic="t")
    assert capsys.readouterr().out == "stored 6, duplicate 4, rejected 0, handled 0\n"


def test_a_second_signal_is_not_held_back():
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_batches_fit_into_memory(monkeypatch):
    monkeypatch.setattr(ingest_alerts, "BATCH_BYTES", 1000)
    sizes = [10, 990, 5, 2000, 400, 400, 400, 1]
    messages = [Message("t", 0, n, b"", bytes(size), EVENING) for n, size in enumerate(sizes)]
    found = list(ingest_alerts._batches(iter(messages)))
    assert [[one.offset for one in batch] for batch in found] == [[0, 1], [2, 3], [4, 5, 6], [7]]


# --- By way of Kafka --------------------------------------------------------------------------


def test_files_of_alerts_are_not_sent_without_a_topic(alert_file, archived, batches):
    with pytest.raises(CommandError, match=r"alerts\.avro: does not say the topic .*--topic"):
        call_command("publish_alerts", *archived(batches), str(alert_file), "--bootstrap", "127.0.0.1:1")


def test_the_archive_may_be_sent_to_one_topic(archived, batches, capsys):
    with mock_cluster() as address:
        call_command("publish_alerts", *archived(batches), bootstrap=address, topic="trial", count=5)
    assert capsys.readouterr().out == "sent 5 alerts: trial 5\n"


@pytest.mark.django_db(transaction=True)
def test_stream_archive_and_archive_sent_again_agree(
    batches, published, short_sessions, settings, tmp_path, capsys
):
    """A reader writes its archive; what it stored, what the archive stores, and what is stored when it is sent."""
    settings.FINK_ARCHIVE_DIR = tmp_path / "archive"
    # Two topics without an object in common: the order of topics among each other is Kafka's to choose.
    messages = [one for batch in batches for one in batch if one.topic in (ZTF, LSST)]
    assert len({one.topic for one in messages}) == 2
    with mock_cluster() as address, AlertProducer(address) as producer:
        for one in messages:
            producer.send(one.topic, one.key, one.value)
        producer.close()
        published("fink_*", URL=address)
        call_command("readstreams", max_messages=len(messages))
    streamed, sent = rows(), rows(OF_THE_MESSAGE)
    assert len(streamed["tom_fink.RejectedMessage"]) > 5
    empty()

    settings.FINK_ARCHIVE_DIR = ""
    paths = [str(path) for path in Path(tmp_path).glob("archive/*/*/*.avro")]
    assert len(paths) >= 2
    assert not list(Path(tmp_path).glob("archive/*/*/*.part"))
    call_command("ingest_alerts", *paths)
    assert rows() == streamed
    empty()

    capsys.readouterr()
    with mock_cluster() as address:
        call_command("publish_alerts", *paths, "--bootstrap", address)
        counts = ", ".join(f"{topic} {sum(one.topic == topic for one in messages)}" for topic in (ZTF, LSST))
        assert capsys.readouterr().out == f"sent {len(messages)} alerts: {counts}\n"
        published("fink_*", URL=address)
        call_command("readstreams", max_messages=len(messages))
    assert rows(OF_THE_MESSAGE) == sent
