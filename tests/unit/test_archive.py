"""The archive of raw messages: exact, whole after any crash, and shared by several readers."""

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import fastavro
import pytest

from tom_fink.decoding.decode import Message
from tom_fink.errors import AlertFileError, ArchiveError
from tom_fink.files import archivefile
from tom_fink.files.archive import Archive, folder_of, night_of
from tom_fink.files.archivefile import recover
from tom_fink.files.replay import read_files

ROOT = Path(__file__).parents[2]
EVENING = datetime(2026, 3, 22, 23, 4, 5, 678901, tzinfo=UTC)


def message(number: int, topic: str = "fink_kn_candidates_ztf", size: int = 200, **changes) -> Message:
    """A message whose value does not compress."""
    value = random.Random(number).randbytes(size)  # noqa: S311
    return replace(Message(topic, 0, number, b"key", value, EVENING), **changes)


def files(folder: Path, pattern: str = "*.avro") -> list[Path]:
    return sorted(folder.glob(f"*/*/{pattern}"))


def read_all(folder: Path) -> list[Message]:
    return list(read_files([str(path) for path in files(folder)]))


def by_offset(messages: list[Message]) -> list[Message]:
    return sorted(messages, key=lambda one: one.offset)


def abandon(archive: Archive) -> None:
    """Let go of the archive's files as the end of a process does."""
    for file in archive._open.values():
        os.close(file._fd)
    archive._open.clear()


# --- What is kept -----------------------------------------------------------------------------


def test_messages_come_back_exactly_and_in_order(tmp_path, simulated_messages):
    poisoned = [
        message(1, key=None),
        message(2, value=None),
        message(3, key=b"", value=b""),
        message(4, key=None, value=None, partition=None, offset=None),
        message(5, key=b"{not a schema", partition=2**31 - 1, offset=2**63 - 1),
        message(6, topic=simulated_messages[0].topic, value=bytes(range(256)) * 40),
        message(7, received_at=datetime(2026, 3, 23, 4, 4, 5, 678901, tzinfo=timezone(timedelta(hours=5)))),
    ]
    late = [replace(one, received_at=EVENING + timedelta(seconds=1)) for one in simulated_messages[120:]]
    early = [replace(one, received_at=EVENING) for one in [*simulated_messages[:120], *poisoned]]
    archive = Archive(tmp_path)
    archive.write(early)
    archive.write(late)
    archive.close()
    assert len(files(tmp_path)) == len({one.topic for one in [*early, *late]})
    assert read_all(tmp_path) == [*early, *late]


def test_messages_before_and_after_midday_are_of_two_nights(tmp_path):
    noon = datetime(2026, 3, 22, 12, tzinfo=UTC)
    with_zone = datetime(2026, 3, 22, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    microsecond = timedelta(microseconds=1)
    assert night_of(noon - microsecond) == night_of(with_zone) == "2026-03-21"
    assert night_of(noon) == night_of(noon + timedelta(days=1) - microsecond) == "2026-03-22"
    batch = [message(1, received_at=noon - microsecond), message(2, received_at=noon)]
    archive = Archive(tmp_path)
    archive.write(batch)
    archive.close()
    assert [path.parent.parent.name for path in files(tmp_path)] == ["2026-03-21", "2026-03-22"]
    assert read_all(tmp_path) == batch


def test_any_avro_reader_reads_it(tmp_path, simulated_messages):
    archive = Archive(tmp_path)
    archive.write(simulated_messages[:50])
    archive.close()
    for path in files(tmp_path):
        with path.open("rb") as source:
            reader = fastavro.reader(source)
            assert reader.writer_schema["name"] == "tom_fink.Message"
            assert reader.metadata["avro.codec"] == "zstandard"
            assert {record["topic"] for record in reader} == {path.parent.name}


def test_the_schema_in_each_key_takes_little_room(tmp_path, simulated_messages):
    batch = [one for one in simulated_messages if one.topic == "fink_sn_candidates_ztf"]
    assert len(batch) > 20
    for folder, key in (("with", batch[0].key), ("without", b"")):
        archive = Archive(tmp_path / folder)
        archive.write([replace(one, key=key) for one in batch])
        archive.close()
    sizes = {path.parents[2].name: path.stat().st_size for path in sorted(tmp_path.glob("*/*/*/*.avro"))}
    assert sizes["with"] - sizes["without"] < 0.1 * len(batch) * len(batch[0].key)  # with deflate 0.37


# --- Which file, and when it is finished ------------------------------------------------------


def test_a_file_that_grows_has_a_name_of_its_own(tmp_path):
    archive = Archive(tmp_path)
    archive.write([message(1)])
    assert files(tmp_path) == []
    [part] = files(tmp_path, "*")
    assert part.name.endswith(".avro.part")
    archive.write([message(2)])
    archive.close()
    assert files(tmp_path, "*") == files(tmp_path) == [part.with_suffix("")]
    assert read_all(tmp_path) == [message(1), message(2)]
    archive.close()


def test_a_new_night_finishes_the_last_one_of_every_topic(tmp_path):
    archive = Archive(tmp_path)
    archive.write([message(1, topic="idle"), message(2, topic="busy")])
    archive.write([message(3, topic="busy", received_at=EVENING + timedelta(days=1))])
    assert {path.parent.name for path in files(tmp_path)} == {"idle", "busy"}
    assert len(files(tmp_path, "*.part")) == 1
    archive.write([])  # the clock is behind March 2026
    assert files(tmp_path, "*.part") == []


def test_full_files_are_finished(tmp_path):
    archive = Archive(tmp_path, max_file_bytes=3000)
    for number in range(8):
        archive.write([message(number, size=1000)])
    archive.close()
    assert 2 <= len(files(tmp_path)) <= 4
    assert [one.offset for one in by_offset(read_all(tmp_path))] == list(range(8))


def test_the_number_of_open_files_is_bounded(tmp_path):
    archive = Archive(tmp_path, max_open_files=3)
    for number in range(10):
        archive.write([message(number, topic=f"topic{number}"), message(number, topic="busy")])
        assert len(files(tmp_path, "*.part")) <= 3
    assert files(tmp_path, "*.part")[0].parent.name == "busy", "the one in use stays open"
    archive.close()
    assert len(read_all(tmp_path)) == 20
    assert len(files(tmp_path)) == 11


@pytest.mark.parametrize(
    "topic", ["..", ".", "", "../../outside", "/outside", "a/b", "a\0b", "é", "x" * 300, "a\n", "x.avro.part"]
)
def test_no_topic_leads_out_of_the_folder(tmp_path, topic):
    folder = tmp_path / "archive"
    archive = Archive(folder)
    archive.write([message(1, topic=topic)])
    archive.close()
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    [path] = (path for path in folder.rglob("*") if path.is_file())
    assert path.relative_to(folder).parts == ("2026-03-22", folder_of(topic), path.name)
    Archive(folder)


# --- Crashes ----------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from tests.unit.test_archive import batch
from tom_fink.files.archive import Archive

archive = Archive(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 10_000):
    archive.write(batch(number))
    print(number, flush=True)
"""
TOPICS = ("fink_a", "fink_b", "fink_c")


def batch(number: int) -> list[Message]:
    """Several blocks and topics, so that a kill finds the writer at work."""
    return [
        message(place, TOPICS[place % 3], 150_000, offset=1000 * number + place, key=b"%d" % number)
        for place in range(30)
    ]


def test_whatever_was_written_outlives_sigkill(tmp_path):
    known = 0
    acknowledged: set[int] = set()
    for kill_after in (1, 4, 7):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(known)], cwd=ROOT, stdout=subprocess.PIPE
        ) as writer:
            for _ in range(kill_after):
                acknowledged.add(int(writer.stdout.readline()))
            growing = set(files(tmp_path, "*.part"))
            assert len(growing) == 3
            Archive(tmp_path)  # a second reader leaves alone what a living one writes
            assert set(files(tmp_path, "*.part")) == growing
            writer.kill()
            acknowledged |= {int(line) for line in writer.stdout.read().split()}
        assert writer.returncode == -signal.SIGKILL
        assert set(files(tmp_path, "*.part")) == growing
        Archive(tmp_path)
        assert files(tmp_path, "*.part") == []
        assert files(tmp_path, "*.damaged") == []
        known = max(acknowledged) + 2  # the batch after those may be there in part
    found: dict[int, list[Message]] = {}
    for one in read_all(tmp_path):
        found.setdefault(one.offset // 1000, []).append(one)
    assert acknowledged <= found.keys()
    for number, messages in found.items():
        expected = batch(number)
        assert all(one in expected for one in messages)
        if number in acknowledged:
            assert by_offset(messages) == expected


def torn(folder: Path) -> tuple[Path, bytes, int, int]:
    """A part with two batches: its path and content, and the bytes of its header and of its first batch."""
    archive = Archive(folder)
    archive.write([message(1, size=40)])
    [part] = files(folder, "*.part")
    first = part.stat().st_size
    archive.write([message(2, size=40)])
    abandon(archive)
    content = part.read_bytes()
    with part.open("rb") as source:
        block = next(iter(fastavro.block_reader(source)))
    return part, content, block.offset, first


def test_a_torn_end_is_cut_off_wherever_it_is_torn(tmp_path, caplog):
    part, content, header, first = torn(tmp_path)
    assert header < first < len(content)
    for length in [*range(0, first, 41), *range(first, len(content), 5), first - 1, len(content)]:
        part.write_bytes(content[:length])
        kept = recover(part)
        if length < first:
            assert kept is None
        else:
            assert kept.read_bytes() == content[: first if length < len(content) else length]
            messages = list(read_files([str(kept)]))
            assert messages == [message(1, size=40), message(2, size=40)][: 1 + (length == len(content))]
            kept.unlink()
        assert files(tmp_path, "*") == [], length
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_damage_before_whole_blocks_is_kept_and_told(tmp_path, caplog):
    part, content, _, first = torn(tmp_path)
    third = content + content[first:]
    damaged = bytearray(third)
    damaged[first + 1] ^= 0x02  # the length of the second block
    part.write_bytes(damaged)
    kept = recover(part)
    assert list(read_files([str(kept)])) == [message(1, size=40)]
    [rest] = files(tmp_path, "*.damaged")
    assert kept.read_bytes() + rest.read_bytes() == damaged
    assert f"{rest.name}" in caplog.text
    assert "ERROR" in caplog.text


def test_a_single_bit_that_changed_is_noticed(tmp_path):
    """zstd has no checksum of its own here: without ours most of these would be read as if they were true."""
    part, content, header, first = torn(tmp_path)
    path = recover(part)
    for position in range(header, first):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        read = []
        try:
            read.extend(read_files([str(path)]))
        except AlertFileError:
            continue
        assert read == [message(1, size=40), message(2, size=40)], f"byte {position - header}"


def test_a_part_is_recovered_once_and_only_when_nobody_holds_it(tmp_path):
    archive = Archive(tmp_path)
    archive.write([message(1)])
    [part] = files(tmp_path, "*.part")
    assert recover(part) is None
    assert part.exists()
    abandon(archive)
    assert recover(part) == part.with_suffix("")
    assert recover(part) is None
    assert read_all(tmp_path) == [message(1)]


def test_another_s_search_for_leftovers_at_the_moment_of_creation_does_no_harm(tmp_path, monkeypatch):
    flock, calls = archivefile.fcntl.flock, []

    def meddle(fd, operation):
        calls.append(fd)
        if len(calls) == 1:  # it has the lock
            raise BlockingIOError
        if len(calls) == 2:  # it had the lock, and removed the empty file
            files(tmp_path, "*.part")[-1].unlink()
            for left in files(tmp_path, "*.part"):
                left.unlink()
        return flock(fd, operation)

    monkeypatch.setattr(archivefile.fcntl, "flock", meddle)
    archive = Archive(tmp_path)
    archive.write([message(1)])
    archive.close()
    assert len(calls) == 3
    assert read_all(tmp_path) == [message(1)]


# --- Faults -----------------------------------------------------------------------------------


@contextmanager
def largest_file(size: int):
    """No file of this process may grow beyond so many bytes: what a full disk is, as far as one file goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_leaves_nothing_and_can_be_done_again(tmp_path):
    first = [message(number, topic) for number, topic in enumerate(TOPICS)]
    second = [message(10, "fink_a"), message(11, "fink_d"), message(12, "fink_b", 3_000_000)]
    archive = Archive(tmp_path)
    archive.write(first)
    for _ in range(3):
        with largest_file(1_500_000), pytest.raises(ArchiveError, match=r"fink_b/.*File too large.*larger"):
            archive.write(second)
        assert by_offset(read_all(tmp_path)) == first[:2]
    archive.write(second)
    archive.close()
    assert by_offset(read_all(tmp_path)) == [*first, *second]
    assert files(tmp_path, "*.part") == []


@pytest.mark.parametrize(
    ("name", "number", "remedy"),
    [("write", errno.ENOSPC, "make room"), ("fsync", errno.EIO, "see to the disk")],
)
def test_what_a_disk_says_is_passed_on_with_a_remedy(tmp_path, monkeypatch, name, number, remedy):
    archive = Archive(tmp_path)
    archive.write([message(1)])
    real, calls = getattr(os, name), []

    def fail(fd, *arguments):
        calls.append(fd)
        if len(calls) > 1:
            raise OSError(number, os.strerror(number))
        return real(fd, *(argument[:100] for argument in arguments))  # no more than a part is written

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(ArchiveError, match=remedy) as caught:
            archive.write([message(2), message(3, topic="another")])
    assert os.strerror(number) in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    archive.write([message(2)])
    archive.close()
    Archive(tmp_path)  # recovers what could not be cut while the disk failed
    assert files(tmp_path, "*") == files(tmp_path)
    assert by_offset(read_all(tmp_path)) == [message(1), message(2)]


def test_a_folder_that_goes_away_is_an_error_until_it_is_back(tmp_path):
    folder = tmp_path / "archive"
    archive = Archive(folder)
    archive.write([message(1)])
    shutil.rmtree(folder)
    for _ in range(2):
        with pytest.raises(ArchiveError, match="bring the folder back"):
            archive.write([message(2)])
        assert not folder.exists(), "a folder whose disk is not mounted is not made anew"
    folder.mkdir()
    archive.write([message(2)])
    archive.close()
    assert read_all(folder) == [message(2)]


def test_a_folder_without_permission_is_an_error_at_once(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir(mode=0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write anywhere
    try:
        with pytest.raises(ArchiveError, match=r"archive: Permission denied.*let the reader's user"):
            Archive(folder)
    finally:
        os.seteuid(user)


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveError, match=r"file: File exists.*move the file away"):
        Archive(tmp_path / "file")
    archive = Archive(tmp_path / "archive")
    (tmp_path / "archive" / "2026-03-22").touch()
    with pytest.raises(ArchiveError, match=r"2026-03-22.*move the file away"):
        archive.write([message(1)])


def test_closing_finishes_what_can_be_finished(tmp_path):
    archive = Archive(tmp_path)
    archive.write([message(1, "fink_a"), message(2, "fink_b")])
    shutil.rmtree(tmp_path / "2026-03-22" / "fink_a")
    with pytest.raises(ArchiveError, match="fink_a"):
        archive.close()
    assert read_all(tmp_path) == [message(2, "fink_b")]
    archive.close()


def test_a_leftover_that_cannot_be_recovered_does_not_keep_a_reader_from_starting(
    tmp_path, monkeypatch, caplog
):
    archive = Archive(tmp_path)
    archive.write([message(1, "fink_a"), message(2, "fink_b")])
    abandon(archive)

    def fail(source, target):
        if "fink_a" in str(source):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        os.replace(source, target)

    monkeypatch.setattr(archivefile.os, "rename", fail)
    Archive(tmp_path)
    assert "fink_a" in caplog.text
    assert "cannot be recovered: Permission denied" in caplog.text
    assert read_all(tmp_path) == [message(2, "fink_b")]
