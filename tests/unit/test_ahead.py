"""A batch is decoded while the one before it is stored."""

import subprocess
import sys
import threading

import pytest
from polars.exceptions import PanicException

from tom_fink.errors import DecoderError
from tom_fink.stream.ahead import InHand
from tom_fink.stream.batch import Batch

DEADLINE_S = 30


def test_decoding_begins_at_once_and_holds_nobody_up():
    begun, may_end = threading.Event(), threading.Event()

    def decode(messages):
        begun.set()
        assert may_end.wait(DEADLINE_S)
        return [*messages, threading.current_thread().name]

    in_hand = InHand(Batch(["a", "b"]), decode)
    assert begun.wait(DEADLINE_S), "nobody has asked for it yet"
    may_end.set()
    assert in_hand.decoded() == ["a", "b", "decode"]
    assert in_hand.decoded() == ["a", "b", "decode"], "the store may be tried again"
    assert in_hand.batch.messages == ["a", "b"]


def test_it_is_decoded_once():
    calls = []
    in_hand = InHand(Batch(["a"]), calls.append)
    assert (in_hand.decoded(), in_hand.decoded()) == (None, None)
    assert calls == [["a"]]


@pytest.mark.parametrize(
    "error", [DecoderError("cannot be started"), PanicException("of Rust"), SystemExit(3)]
)
def test_what_decoding_raises_is_raised_to_who_asks(error):
    def decode(messages):
        raise error

    in_hand = InHand(Batch(["a"]), decode)
    for _ in range(2):
        with pytest.raises(type(error)) as raised:
            in_hand.decoded()
        assert raised.value is error


HANGS = """
import threading
from tom_fink.stream.ahead import InHand
from tom_fink.stream.batch import Batch
begun = threading.Event()
def decode(messages):
    begun.set()
    threading.Event().wait()
InHand(Batch(), decode)
begun.wait()
print("done")
"""


def test_a_decoder_that_hangs_keeps_no_process_from_ending():
    done = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    assert done.stdout == "done\n"
