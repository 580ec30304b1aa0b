"""Files of the archive and of alerts, read together."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastavro
import pytest

from tom_fink.decoding.decode import Message
from tom_fink.errors import AlertFileError
from tom_fink.files.archive import Archive
from tom_fink.files.avrofile import is_archive, read_archive, read_messages
from tom_fink.files.envelope import SCHEMA, record_of
from tom_fink.files.replay import read_files

EVENING = datetime(2026, 3, 22, 23, tzinfo=UTC)
ALERT = {"type": "record", "name": "alert", "fields": [{"name": "number", "type": "int"}]}


def message(number: int, topic: str = "fink_a", minutes: float = 0) -> Message:
    return Message(topic, 1, number, b"key", b"%d" % number, EVENING + timedelta(minutes=minutes))


def archived(folder: Path, *batches: list[Message], **limits) -> list[str]:
    archive = Archive(folder, **limits)
    for batch in batches:
        archive.write(batch)
    archive.close()
    return [str(path) for path in folder.glob("*/*/*.avro")]


@pytest.fixture
def alert_file(tmp_path):
    path = tmp_path / "alerts.avro"
    with path.open("wb") as target:
        fastavro.writer(target, ALERT, [{"number": 1}, {"number": 2}])
    return str(path)


def test_files_of_several_topics_and_nights_give_the_order_of_receipt(tmp_path):
    topics = ("fink_c", "fink_a", "fink_b")
    batches = [
        [
            message(100 * night + 10 * turn + place, topics[place % 3], 1440 * night + turn)
            for place in range(7)
        ]
        for night in range(3)
        for turn in range(4)
    ]
    paths = archived(tmp_path, *batches, max_file_bytes=1)
    assert len(paths) == 36
    expected = [one for batch in batches for one in batch]
    for given in (paths, sorted(paths), sorted(paths, reverse=True), paths * 2):
        assert list(read_files(given)) == expected


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts the open files in /proc")
def test_only_files_of_the_same_time_are_open_together(tmp_path):
    batches = [
        [message(10 * night + place, f"fink_{place}", 1440 * night) for place in range(3)]
        for night in range(9)
    ]
    paths = archived(tmp_path, *batches)
    messages = read_files(paths)
    most = 0
    for _ in messages:
        inside = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        most = max(most, sum(path.startswith(str(tmp_path)) for path in inside))
    assert 1 <= most <= 4


def test_a_topic_of_one_s_own_takes_the_place_with_it(tmp_path):
    paths = archived(tmp_path, [message(1), message(2, "fink_b")])
    assert list(read_files(paths, "trial")) == [
        replace(one, topic="trial", partition=None, offset=None) for one in (message(1), message(2, "fink_b"))
    ]


def test_files_of_alerts_come_behind_and_need_a_topic(tmp_path, alert_file):
    paths = archived(tmp_path / "archive", [message(1)])
    with pytest.raises(AlertFileError, match=r"alerts\.avro: does not say the topic .* --topic"):
        read_files([*paths, alert_file])
    before = datetime.now(UTC)
    found = list(read_files([alert_file, *paths], "trial"))
    assert [(one.topic, one.partition, one.offset) for one in found] == [("trial", None, None)] * 3
    assert found[0].value == b"1"
    assert [(one.key, one.value) for one in found[1:]] == list(read_messages(alert_file))
    assert before <= found[1].received_at == found[2].received_at <= datetime.now(UTC)


def test_every_file_is_opened_before_the_first_message(tmp_path, alert_file):
    paths = archived(tmp_path / "archive", [message(1)])
    with pytest.raises(AlertFileError, match="No such file"):
        read_files([*paths, str(tmp_path / "none.avro")])


def test_each_kind_of_file_is_told_from_the_other(tmp_path, alert_file):
    [path] = archived(tmp_path / "archive", [message(1)])
    assert (is_archive(path), is_archive(alert_file)) == (True, False)
    assert list(read_archive(path)) == [(0, message(1))]
    with pytest.raises(AlertFileError, match="holds messages of the archive"):
        list(read_messages(path))
    with pytest.raises(AlertFileError, match="not a file of the archive"):
        list(read_archive(alert_file))


def test_what_is_before_a_damaged_record_is_given(tmp_path):
    [path] = archived(tmp_path, [message(1)], [message(2)])
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:-20])
    messages = read_files([path])
    assert next(messages) == message(1)
    with pytest.raises(AlertFileError, match="record 2 cannot be read") as caught:
        next(messages)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"topic": ""}, {"topic": "x" * 250}, {"topic": "a\0b"}, {"crc32": 1}, {"value": b"2"}, {"offset": 2}, {"key": None}],
    ids=str,
)  # fmt: skip
def test_records_that_the_archive_has_not_made_are_refused(tmp_path, change):
    path = tmp_path / "made.avro"
    with path.open("wb") as target:
        fastavro.writer(target, SCHEMA, [record_of(message(1), 0) | change])
    with pytest.raises(AlertFileError, match="record 1 cannot be read"):
        list(read_archive(path))


@pytest.mark.parametrize(
    "field",
    [{"name": "topic", "type": "int"}, {"name": "received_at", "type": "long"}, {"name": "x", "type": "int"}],
)
def test_other_records_of_the_same_name_are_refused(tmp_path, field):
    fields = {one["name"]: one for one in SCHEMA["fields"]} | {field["name"]: field}
    if field["name"] == "x":
        fields = {"x": field}
    path = tmp_path / "other.avro"
    with path.open("wb") as target:
        schema = {"type": "record", "name": "tom_fink.Message", "fields": list(fields.values())}
        fastavro.writer(target, schema, [record_of(message(1), 0) | {field["name"]: 5}])
    with pytest.raises(AlertFileError, match="record 1 cannot be read"):
        list(read_archive(path))
