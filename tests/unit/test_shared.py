"""Files that two processes share: what is written is read, and nothing of what was there before."""

import os
import pickle
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from tom_fink.decoding.container import BLOCK_BYTES, as_file, framing
from tom_fink.decoding.exchange import Files
from tom_fink.decoding.shared import SharedFile
from tom_fink.frames import ALERTS, DETECTIONS

VALUES = [b"first", None, b"", b"\0zero\0", "αβγ".encode(), b"x" * 100_000]
LENGTHS = [5, None, 0, 6, 6, 100_000]


@pytest.fixture(params=["memory", "disk"])
def shared(request, monkeypatch):
    """A shared file, in memory and as on systems that have no such files."""
    if request.param == "disk":
        monkeypatch.delattr(os, "memfd_create")
    with closing(SharedFile()) as file:
        yield file


def test_pieces_are_read_as_one(shared):
    assert shared.write([b"one ", memoryview(b"two"), b""]) == 7
    assert shared.view(7) == b"one two"
    assert shared.view(3) == b"one"


def test_no_pieces_are_nothing(shared):
    assert shared.write([]) == 0
    assert shared.view(0) == b""


def test_a_use_does_not_show_what_an_earlier_one_wrote(shared):
    shared.write([b"long and secret"])
    length = shared.write([b"short"])
    assert (length, shared.view(length)) == (5, b"short")
    assert Path(shared.path(length)).read_bytes() == b"short"
    assert shared.write([b"longer again"]) == 12
    assert Path(shared.path(12)).read_bytes() == b"longer again"


def test_a_view_is_no_copy(shared):
    shared.write([b"before"])
    view = shared.view(6)
    shared.write([b"behind"])
    assert view == b"behind"
    with pytest.raises(TypeError):
        view[0] = 0


def test_a_path_may_be_opened_twice(shared):
    path = shared.path(shared.write([b"content"]))
    with open(path, "rb") as one, open(path, "rb") as other:
        assert (one.read(3), other.read(), one.read()) == (b"con", b"content", b"tent")


def test_it_has_no_name_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(SharedFile()):
        assert list(tmp_path.iterdir()) == []


def test_to_close_it_leaves_the_other_end(shared):
    other = SharedFile(os.dup(shared.descriptor))
    other.write([b"said"])
    other.close()
    assert shared.view(4) == b"said"


def test_values_come_back_by_their_lengths():
    with closing(Files()) as files:
        for values, lengths in ((VALUES, LENGTHS), ([b"ab", None], [2, None]), ([], [])):
            files.write_values(values)
            found = files.values(lengths)
            assert [None if value is None else bytes(value) for value in found] == values


@pytest.mark.parametrize(
    "sizes", [[], [1], [3, 400, 2, 70_000], [BLOCK_BYTES // 3] * 10, [2 * BLOCK_BYTES, 1]]
)
def test_values_come_back_out_of_a_container(sizes):
    around, values = framing(b'"bytes"'), [os.urandom(size) for size in sizes]
    with closing(Files()) as files:
        files.write_values([b"longer than what comes next" * 500_000])
        files.write_values(values, around)
        assert [bytes(value) for value in files.values(sizes, around)] == values
        assert Path(files.container(sizes, around)).read_bytes() == b"".join(around.around(values))


def test_frames_come_back_though_larger_ones_were_there():
    large = pl.DataFrame({"text": ["α" * 1000, None] * 5000, "bytes": [b"\0" * 100, None] * 5000})
    small = pl.DataFrame({"other": [1.5, None]}, schema={"other": pl.Float64})
    with closing(Files()) as files:
        for alerts, detections in ((large, small), (small, large), (small.clear(), small), (small, small)):
            files.write_frames(alerts, detections)
            found = files.frames()
            assert found[0].equals(alerts)
            assert found[1].equals(detections)
            assert [frame.schema for frame in found] == [alerts.schema, detections.schema]


def test_frames_are_copies():
    """The next batch is written while this one is stored."""
    first, second = pl.DataFrame({"a": ["first"] * 1000}), pl.DataFrame({"a": ["other"] * 1000})
    with closing(Files()) as files:
        files.write_frames(first, first)
        alerts, detections = files.frames()
        files.write_frames(second, second)
        assert alerts.equals(first)
        assert detections.equals(first)


OTHER_PROCESS = """
import pickle, sys
import polars as pl
from tom_fink.decoding.exchange import Files
descriptors, lengths = pickle.load(sys.stdin.buffer)
files = Files(descriptors)
values = [None if value is None else bytes(value) for value in files.values(lengths)]
files.write_frames(pl.DataFrame({"value": values}, schema={"value": pl.Binary}), pl.DataFrame({"n": [len(values)]}))
"""


def test_another_process_reads_and_writes_the_same_files():
    with closing(Files()) as files:
        files.write_values(VALUES)
        subprocess.run(
            [sys.executable, "-c", OTHER_PROCESS],
            input=pickle.dumps((files.descriptors, LENGTHS)),
            pass_fds=files.descriptors,
            check=True,
            timeout=60,
        )
        alerts, detections = files.frames()
    assert alerts["value"].to_list() == VALUES
    assert detections["n"].to_list() == [len(VALUES)]


def test_closed_files_leave_no_descriptor_open():
    Files().close()  # what is opened once and for all is open now
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        files = Files()
        files.write_values(VALUES)
        files.write_frames(pl.DataFrame({"a": [1]}), pl.DataFrame())
        files.frames()
        files.close()
    assert len(os.listdir("/dev/fd")) == before


def test_containers_at_the_same_time_are_in_different_files():
    schema, long, short = b'"bytes"', [b"x" * 1000, b"y" * 2_000_000], [b"z"]
    with as_file(schema, long) as one, as_file(schema, short) as other:
        assert Path(one).read_bytes() == b"".join(framing(schema).around(long))
        assert Path(other).read_bytes() == b"".join(framing(schema).around(short))
    with as_file(schema, short) as again:
        assert again in (one, other), "used again"
        assert Path(again).read_bytes() == b"".join(framing(schema).around(short))


def test_a_container_s_file_is_given_back_after_an_error():
    with pytest.raises(ZeroDivisionError), as_file(b'"bytes"', [b"a"]) as path:
        raise ZeroDivisionError
    with as_file(b'"bytes"', [b"b"]) as again:
        assert again == path


FORKED = """
import os
from tom_fink.decoding import container
with container.as_file(b'"bytes"', [b"parent"]) as path:
    pass
child = os.fork()
if child == 0:
    os._exit(len(container._idle))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(container._idle))
"""


def test_a_forked_process_does_not_write_into_its_parent_s_files():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0 1\n", "")


def test_frames_come_back_as_they_were_empty_or_in_pieces_and_after_longer_ones():
    images = pl.DataFrame({"message": [1, 2], "image": [b"x" * 50_000, None], "names": [["a"], None]})
    in_pieces = pl.concat([images, images], rechunk=False)
    files = Files()
    try:
        for frames in ((in_pieces, images), (pl.DataFrame(schema=ALERTS), pl.DataFrame(schema=DETECTIONS))):
            files.write_frames(*frames)
            for found, written in zip(files.frames(), frames, strict=True):
                assert found.schema == written.schema
                assert found.equals(written)
    finally:
        files.close()
