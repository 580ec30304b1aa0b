"""The file of cutouts: what it keeps of each object, whatever the database does, and who may use it meanwhile."""

import sqlite3
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import permutations
from pathlib import Path

import polars as pl
import pytest

from tom_fink.cutoutfile import KINDS, PLACE, CutoutFile, Entry
from tom_fink.errors import StoreUnavailable

OBJECT = ("ztf", "ZTF26a")


@pytest.fixture
def file(tmp_path) -> CutoutFile:
    return CutoutFile(tmp_path / "folder" / "cutouts.sqlite3")


def alerts(*nights: int, of: tuple[str, str] = OBJECT, **images: bytes | None) -> pl.DataFrame:
    """An alert of each night, with images that tell its id."""
    rows = [
        (
            *of,
            night * 10**6,
            of[0],
            name(night, of),
            *(images.get(kind, content(night, kind)) for kind in KINDS),
        )
        for night in nights
    ]
    return pl.DataFrame(rows, schema=[*PLACE, *KINDS], orient="row")


def name(night: int, of: tuple[str, str] = OBJECT) -> str:
    return f"{of[1]}-{night}"


def content(night: int, kind: str) -> bytes:
    return f"{kind} of {night}".encode()


def keep(
    file: CutoutFile, frame: pl.DataFrame, has: Collection[int] = (), of: tuple[str, str] = OBJECT
) -> None:
    """Keep alerts, while the database has those of the nights `has`."""
    file.keep(frame, {of: (min(has) * 10**6, max(has) * 10**6)} if has else {})


def nights(file: CutoutFile, of: tuple[str, str] = OBJECT) -> list[int]:
    return [int(entry.alert_id.rpartition("-")[2]) for entry in file.entries([of])]


@pytest.mark.parametrize("order", list(permutations([1, 2, 3, 4])))
def test_the_first_and_the_newest_are_kept_in_any_order(file, order):
    for count, night in enumerate(order):
        before, after = order[:count], order[: count + 1]
        for _ in range(2):  # the batch comes again, as after a crash
            keep(file, alerts(night), before)
            # What the database has if it commits, and what it has if it does not
            ends = {min(after), max(after)} | ({min(before), max(before)} if before else set())
            assert set(nights(file)) == ends
    keep(file, alerts(9), order)
    assert nights(file) == [1, 4, 9]


def test_a_batch_with_several_alerts_of_an_object(file):
    keep(file, alerts(6, 8, 5, 7))
    assert nights(file) == [5, 8]
    keep(file, alerts(3, 4, 9, 10), has=(5, 8))
    assert nights(file) == [3, 5, 8, 10], "3 and 10 if the batch is committed, 5 and 8 if not"


def test_a_batch_that_comes_again_in_pieces(file):
    keep(file, alerts(1, 2))
    keep(file, alerts(3, 4), has=(1, 2))
    for _ in range(3):
        keep(file, alerts(3), has=(1, 2))
        assert nights(file) == [1, 2, 3]
    keep(file, alerts(4), has=(1, 3))
    assert nights(file) == [1, 3, 4]


def test_an_alert_that_the_database_refused_takes_no_place(file):
    keep(file, alerts(1, 2))
    keep(file, alerts(99), has=(1, 2))
    keep(file, alerts(0), has=(1, 2))
    assert nights(file) == [0, 1, 2]
    keep(file, alerts(3), has=(1, 2))
    assert nights(file) == [1, 2, 3]


def test_a_database_that_was_restored_has_its_alerts_again(file):
    for night in range(1, 6):
        keep(file, alerts(night), has=range(1, night))
    assert nights(file) == [1, 4, 5]
    keep(file, alerts(3), has=(1, 2))
    assert nights(file) == [1, 3]


def test_what_was_kept_comes_back_as_it_was(file):
    keep(file, alerts(1, science=b"\x00\xff", template=b"", difference=None))
    assert file.entries([OBJECT]) == [Entry("ztf", name(1), ("science", "template"))]
    images = {kind: file.image("ztf", name(1), kind, OBJECT) for kind in KINDS}
    assert images == {"science": b"\x00\xff", "template": b"", "difference": None}
    assert file.image("ztf", name(2), "science", OBJECT) is None
    assert file.image("ztf", name(1), "science", ("lsst", OBJECT[1])) is None


def test_an_alert_that_comes_again_is_passed_over(file):
    keep(file, alerts(1))
    keep(file, alerts(1, science=b"other"), has=(1,))
    assert nights(file) == [1]
    assert file.image("ztf", name(1), "science", OBJECT) == content(1, "science")


def test_objects_are_told_apart_by_survey_and_by_name(file):
    others = [("lsst", OBJECT[1]), ("ztf", 'ZTF "26" \\ é\u2028'), ("ztf", "ztf26A")]
    for of in others:
        keep(file, alerts(1, 2, of=of))
    keep(file, alerts(7))
    assert nights(file) == [7]
    for of in others:
        assert nights(file, of) == [1, 2]
    file.forget([others[1]])
    assert [len(file.entries([of])) for of in [OBJECT, *others]] == [1, 2, 0, 2]
    assert len(file.entries([OBJECT, *others])) == 5


def test_where_there_is_no_file_there_is_nothing(file):
    assert file.entries([OBJECT]) == []
    assert file.image("ztf", name(1), "science", OBJECT) is None
    file.forget([OBJECT])
    assert not file.path.parent.exists()


def test_the_folder_is_the_owners(file):
    keep(file, alerts(1))
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]


def test_room_is_used_again(file):
    def after(night: int) -> int:
        for number in range(50):
            of = ("ztf", f"ZTF{number}")
            images = dict.fromkeys(KINDS, bytes([night]) * 13_500)
            keep(file, alerts(night, of=of, **images), has=range(1, night), of=of)
        return file.path.stat().st_size

    sizes = [after(night) for night in range(1, 9)]
    assert sizes[-1] == sizes[4], "three alerts of each object, and the room of one that goes"


def test_unknown_kinds_are_refused(file):
    with pytest.raises(ValueError, match="no 'fits; --' cutout"):
        file.image("ztf", name(1), "fits; --", OBJECT)


def test_a_crash_within_leaves_what_was(file, monkeypatch):
    keep(file, alerts(1, 2))

    def power_cut(cutout):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr("tom_fink.cutoutfile.packed", power_cut)
        with pytest.raises(RuntimeError):
            keep(file, alerts(3), has=(1, 2))
    assert nights(file) == [1, 2]
    keep(file, alerts(3), has=(1, 2))
    assert nights(file) == [1, 2, 3]


@pytest.mark.parametrize("act", [
    lambda file: keep(file, alerts(1)), lambda file: file.entries([OBJECT]), lambda file: file.forget([OBJECT]),
    lambda file: file.image("ztf", name(1), "science", OBJECT),
])  # fmt: skip
def test_a_file_that_is_none_is_named(file, act):
    file.path.parent.mkdir()
    file.path.write_bytes(b"no database at all " * 1000)
    with pytest.raises(
        StoreUnavailable, match=r"cutouts\.sqlite3 cannot be (read|written): file is not a database"
    ):
        act(file)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        keep(CutoutFile(tmp_path / "file" / "cutouts"), alerts(1))


def test_a_full_disk_leaves_what_was(file, monkeypatch):
    keep(file, alerts(1, 2))
    connect = sqlite3.connect

    def small(*arguments, **named):
        connection = connect(*arguments, **named)
        connection.execute("PRAGMA max_page_count = 4")
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", small)
        with pytest.raises(StoreUnavailable, match="full"):
            keep(file, alerts(3, **dict.fromkeys(KINDS, b"x" * 100_000)), has=(1, 2))
    assert nights(file) == [1, 2]


def test_writers_that_start_together_make_one_file(tmp_path):
    """Each has an object of its own, as the database's locks have it."""
    path, writers = tmp_path / "cutouts.sqlite3", 6
    together = threading.Barrier(writers)

    def write(number: int) -> None:
        together.wait(10)
        for night in range(1, 6):
            of = ("ztf", f"ZTF{number}")
            keep(CutoutFile(path), alerts(night, of=of), has=range(1, night), of=of)

    with ThreadPoolExecutor(writers) as threads:
        list(threads.map(write, range(writers)))
    for number in range(writers):
        assert nights(CutoutFile(path), ("ztf", f"ZTF{number}")) == [1, 4, 5]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_pages_read_while_a_writer_is_at_work(file):
    keep(file, alerts(1))
    with closing(sqlite3.connect(file.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM cutout")
        assert nights(file) == [1]
        other.execute("ROLLBACK")


def test_plain_fits_files_are_packed(file):
    plain = b"SIMPLE  =                    T" + b" " * 5000
    keep(file, alerts(1, science=plain))
    assert file.path.stat().st_size < 5 * 16384
    stored = file.image("ztf", name(1), "science", OBJECT)
    assert len(stored) < len(plain) / 10
    assert stored.startswith(b"\x28\xb5\x2f\xfd")


def test_the_path_may_have_any_characters(tmp_path):
    file = CutoutFile(Path(tmp_path / "a?b#c%20é.sqlite3"))
    keep(file, alerts(1))
    assert nights(file) == [1]
    assert [path.name for path in tmp_path.iterdir()] == [file.path.name]
