"""The streams of a process have one decoder."""

import threading

import pytest

from tom_fink.decoding import common
from tom_fink.decoding.common import CommonDecoder

DEADLINE_S = 30


class Double:
    """A decoder that notes what is asked of it."""

    def __init__(self):
        self.asked, self.closed = [], 0

    def read(self, messages, as_records=()):
        self.asked.append((messages, as_records))
        return len(messages)

    def close(self):
        self.closed += 1


@pytest.fixture(autouse=True)
def made(monkeypatch):
    """The decoders that were made."""
    found = []

    def make():
        found.append(Double())
        return found[-1]

    monkeypatch.setattr(common, "Decoder", make)
    yield found
    assert not common._users
    assert common._decoder is None


def test_streams_read_with_the_same_process_and_the_last_one_ends_it(made):
    ztf, lsst = CommonDecoder(), CommonDecoder()
    assert (ztf.read(["a"], [0]), lsst.read(["b", "c"])) == (1, 2)
    assert [double.asked for double in made] == [[(["a"], [0]), (["b", "c"], ())]]
    assert ztf.users == 2
    ztf.close()
    assert (made[0].closed, lsst.users) == (0, 1)
    assert lsst.read(["d"]) == 1, "it goes on for the others"
    lsst.close()
    assert made[0].closed == 1


def test_a_stream_that_is_started_again_has_a_new_one(made):
    for _ in range(2):
        stream = CommonDecoder()
        stream.close()
        stream.close()
    assert [double.closed for double in made] == [1, 1]


def test_closing_twice_does_not_end_what_another_has(made):
    first = CommonDecoder()
    first.close()
    second = CommonDecoder()
    first.close()
    assert (made[1].closed, second.users) == (0, 1)
    second.close()


def test_streams_that_begin_and_end_together_are_counted(made):
    barrier = threading.Barrier(8)

    def run():
        barrier.wait(DEADLINE_S)
        for _ in range(50):
            stream = CommonDecoder()
            stream.read(["x"])
            stream.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert all(double.closed == 1 for double in made)
    assert sum(len(double.asked) for double in made) == 400
