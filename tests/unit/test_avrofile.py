"""Avro files read as livestream messages, and what is said of files that are not good."""

import io
import itertools
import json
from datetime import UTC, datetime

import fastavro
import pytest

from tom_fink.errors import AlertFileError
from tom_fink.files.avrofile import read_messages
from tom_fink.simulate import serialise, simulated_alerts
from tom_fink.simulate.schemas import ZTF_SCHEMA

START = datetime(2026, 3, 22, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def sent():
    alerts = (one for one in simulated_alerts(3, START) if one.survey == "ztf")
    return list(itertools.islice(alerts, 4))


@pytest.fixture
def alert_file(tmp_path, sent):
    path = tmp_path / "alerts.avro"
    with path.open("wb") as target:
        # A block per record, so that damage hits one record.
        fastavro.writer(target, ZTF_SCHEMA, [one.alert for one in sent], sync_interval=1)
    return path


def test_messages_are_those_of_the_stream(alert_file, sent):
    messages = list(read_messages(alert_file))
    assert [value for _, value in messages] == [serialise(one)[1] for one in sent]
    assert len({key for key, _ in messages}) == 1
    schema = json.loads(messages[0][0])
    assert b", " not in messages[0][0]
    alert = fastavro.schemaless_reader(io.BytesIO(messages[0][1]), fastavro.parse_schema(schema), None)
    assert alert["objectId"] == sent[0].alert["objectId"]


def test_compressed_files_are_read(tmp_path, sent):
    path = tmp_path / "deflated.avro"
    with path.open("wb") as target:
        fastavro.writer(target, ZTF_SCHEMA, [one.alert for one in sent], codec="deflate")
    assert [value for _, value in read_messages(str(path))] == [serialise(one)[1] for one in sent]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "not an Avro"), (b"not Avro\n" * 9, "not an Avro"), (b"Obj\x01\x04", "not an Avro")],
)
def test_other_files_are_refused(tmp_path, content, reason):
    path = tmp_path / "other.txt"
    path.write_bytes(content)
    with pytest.raises(AlertFileError, match=f"other.txt: {reason}") as caught:
        list(read_messages(path))
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(AlertFileError, match=r"none\.avro: No such file"):
        list(read_messages(tmp_path / "none.avro"))
    with pytest.raises(AlertFileError, match="Is a directory"):
        list(read_messages(tmp_path))


def test_container_without_records(tmp_path):
    path = tmp_path / "empty.avro"
    with path.open("wb") as target:
        fastavro.writer(target, ZTF_SCHEMA, [])
    with pytest.raises(AlertFileError, match=r"empty\.avro: holds no alert"):
        list(read_messages(path))


def test_container_of_something_else(tmp_path):
    path = tmp_path / "numbers.avro"
    with path.open("wb") as target:
        fastavro.writer(target, "int", [1, 2])
    with pytest.raises(AlertFileError, match=r"numbers\.avro: holds no alerts"):
        list(read_messages(path))


def test_cut_file_names_the_record_after_the_good_ones(alert_file):
    content = alert_file.read_bytes()
    alert_file.write_bytes(content[: len(content) - 3000])
    messages = []
    with pytest.raises(AlertFileError, match=r"alerts\.avro: record 4 cannot be read") as caught:
        messages.extend(read_messages(alert_file))
    assert "\n" not in str(caught.value)
    reader = read_messages(alert_file)
    assert len([next(reader) for _ in range(3)]) == 3


def test_damaged_record_is_named(alert_file):
    content = bytearray(alert_file.read_bytes())
    position = content.index(b"\x084.02")  # the first record's schemavsn, behind its length
    content[position] = 0xFF
    alert_file.write_bytes(content)
    with pytest.raises(AlertFileError, match="record 1 cannot be read"):
        list(read_messages(alert_file))
