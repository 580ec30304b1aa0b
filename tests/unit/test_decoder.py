"""The process that decodes: real ones, made to hang, to abort, to eat memory and to be orphaned."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import fastavro
import pytest

from tests.mutations import long
from tom_fink.decoding import decoder as decoder_module
from tom_fink.decoding.child import NICER
from tom_fink.decoding.decode import MAX_MESSAGE_BYTES, MESSAGE, Message, decode, decode_one
from tom_fink.decoding.decoder import Decoder
from tom_fink.decoding.exchange import Files
from tom_fink.errors import BadMessage, DecoderError
from tom_fink.surveys import normalise

NOW = datetime(2026, 3, 22, tzinfo=UTC)
DEADLINE_S = 30

# Faults that a word in a message calls forth, whichever way it is read: what no guard knows of yet.
FAULTS = """
import os, signal, sys, time
from pathlib import Path
from tom_fink import surveys
from tom_fink.decoding import child as decoderchild, decode

def fault(values):
    values = [bytes(value) for value in values]
    for value in values:
        if b"HANG" in value:
            while True:
                pass
        if b"ABORT" in value:
            print("memory allocated: none", file=sys.stderr)
            os.abort()
        if b"ONCE" in value and not Path(sys.argv[1]).exists():
            Path(sys.argv[1]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if b"BUG" in value:
            raise ZeroDivisionError("a bug of ours")
        if b"PRINT" in value:
            print("a library says hello")

def columns(key, values, path=None, real=decode.read_columns):
    fault(values)
    return real(key, values, path)

def record(key, value, real=decode.read_record):
    fault([value])
    return real(key, value)

decode.read_columns, decode.read_record = columns, record
decoderchild.main(2**30)
"""


def faulty(tmp_path: Path | None = None, **options) -> Decoder:
    return Decoder(
        command=(sys.executable, "-c", FAULTS, str(tmp_path / "once") if tmp_path else ""), **options
    )


def made_of(kind, value: bytes) -> Message:
    schema = {"type": "record", "name": "alert", "fields": [{"name": "x", "type": kind}]}
    return Message("topic", 0, 0, json.dumps(schema).encode(), value, NOW)


def word(text: str) -> Message:
    return made_of("string", long(len(text)) + text.encode())


def pid(decoder: Decoder) -> int | None:
    return decoder._process.pid if decoder._process else None


def has_ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(is_so, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def decoder():
    with closing(Decoder()) as made:
        yield made


@pytest.fixture
def good(simulated_messages) -> list[Message]:
    return simulated_messages[:12]


def assert_others_are_read(read, messages: list[Message], *culprits: int) -> None:
    assert sorted(read.errors) == sorted(culprits)
    assert sorted(read.tidy.alerts[MESSAGE]) == [n for n in range(len(messages)) if n not in culprits]


def test_it_reads_what_this_process_would_read(simulated_messages, decoder):
    bad = [word("no survey's"), made_of("int", b"\x02\x02"), Message("t", 0, 0, None, b"x", NOW)]
    messages = [*simulated_messages[:100], *bad, *simulated_messages[100:]]
    decoded = decode(messages)
    tidy, errors = normalise(decoded.frames)
    errors |= decoded.errors
    read = decoder.read(messages)
    assert read.tidy.alerts.equals(tidy.alerts)
    assert read.tidy.detections.equals(tidy.detections)
    assert read.records == {}
    assert {index: str(error) for index, error in read.errors.items()} == {
        index: str(error) for index, error in errors.items()
    }
    assert all(type(error) is BadMessage for error in read.errors.values())
    assert list(read.errors) == [100, 101, 102]


def test_some_are_read_as_dictionaries(simulated_messages, decoder):
    messages = [*simulated_messages[:20], word("cut short")]
    messages[20] = made_of("string", messages[20].value[:-1])
    as_records = [1, 7, 19, 20]
    read = decoder.read(messages, as_records)
    assert sorted(read.records) == [1, 7, 19]
    for index in read.records:
        assert repr(read.record(index)) == repr(decode_one(messages[index]))  # NaN differs from NaN
        assert read.record(index) is not read.record(index), "whoever changes it changes their own"
    assert sorted(read.tidy.alerts[MESSAGE]) == [n for n in range(20) if n not in as_records]
    assert list(read.errors) == [20]


def test_a_batch_in_pieces_is_one_batch(simulated_messages, decoder, monkeypatch):
    messages = [*simulated_messages[:40], word("none")]
    whole = decoder.read(messages, range(5))
    monkeypatch.setattr(decoder_module, "PIECE_BYTES", 300_000)
    assert 5 < len(list(decoder_module._pieces(messages))) < 41
    pieces = decoder.read(messages, range(5))
    assert pieces.tidy.alerts.sort(MESSAGE).equals(whole.tidy.alerts.sort(MESSAGE))
    by = [MESSAGE, "observed_at", "kind", "band", "source_id"]
    assert pieces.tidy.detections.sort(by).equals(whole.tidy.detections.sort(by))
    assert list(pieces.records) == list(whole.records) == list(range(5))
    assert list(pieces.errors) == list(whole.errors) == [40]


def test_messages_of_a_known_schema_stand_in_a_container_from_the_start(simulated_messages, monkeypatch):
    """Longer and shorter batches, with a broken, a too long, an empty message, of two schemas, as dictionaries."""
    framed, write_values = [], Files.write_values

    def spy(files, values, framing=None):
        framed.append(framing is not None)
        write_values(files, values, framing)

    monkeypatch.setattr(Files, "write_values", spy)
    of_one = [message for message in simulated_messages if message.key == simulated_messages[0].key]
    others = [message for message in simulated_messages if message.key != simulated_messages[0].key]
    broken = [*of_one[:5], replace(of_one[5], value=of_one[5].value[:-3]), *of_one[6:9]]
    too_long = [replace(of_one[0], value=bytes(MAX_MESSAGE_BYTES)), *of_one[1:3]]
    empty = [*of_one[:3], replace(of_one[3], value=b"")]
    assert len(of_one) > 20
    with closing(Decoder()) as decoder:
        decoder.read([])  # the process is started, by messages of its own
        for messages, as_records, is_framed in (
            (of_one[:10], (), False),
            (of_one, (), True),
            (of_one[:1], (), True),
            (broken, (), True),
            (too_long, (), True),
            (of_one[:4], (), True),
            (of_one[:4], (1,), False),
            ([*of_one[:4], *others[:2]], (), False),
            (empty, (), False),
            (of_one[4:], (), True),
        ):
            framed.clear()
            read = decoder.read(messages, as_records)
            decoded = decode(messages)
            tidy, errors = normalise(decoded.frames)
            told = [index not in as_records for index in tidy.alerts[MESSAGE]]
            assert read.tidy.alerts.equals(tidy.alerts.filter(told))
            assert {index: str(error) for index, error in read.errors.items()} == {
                index: str(error) for index, error in (errors | decoded.errors).items()
            }
            assert list(read.records) == list(as_records)
            assert framed[-1] == is_framed


def test_pieces_are_of_one_size_and_each_schema_goes_over_once(monkeypatch):
    """One more message than a piece holds is no piece by itself: what a piece costs would be its alone."""
    monkeypatch.setattr(decoder_module, "PIECE_BYTES", 1_000)

    def lengths(*sizes: int, key: bytes = b"k" * 500) -> list[int]:
        messages = [Message("t", 0, place, key, b"v" * size, NOW) for place, size in enumerate(sizes)]
        pieces = list(decoder_module._pieces(messages))
        assert [index for piece in pieces for index in piece] == list(range(len(sizes)))
        return [len(piece) for piece in pieces]

    assert lengths() == []
    assert lengths(*[0] * 3, key=b"") == [3]
    assert lengths(*[100] * 5) == [5], "500 bytes of values and one schema of 500"
    assert lengths(*[100] * 11, key=b"") == [6, 5]
    assert lengths(*[100] * 21, key=b"") == [7, 7, 7]
    assert lengths(5_000, key=b"") == [1]
    assert max(lengths(*[100] * 40, 5_000, *[100] * 40, key=b"")) <= 11


def test_nothing_is_read_of_nothing(decoder):
    read = decoder.read([])
    assert (read.tidy.alerts.height, read.records, read.errors) == (0, {}, {})


def test_one_process_serves_until_it_is_closed(good):
    with closing(Decoder()) as earlier:
        earlier.read(good)  # Polars opens files of its own at first use
    with closing(Decoder()) as unused:
        assert pid(unused) is None, "nothing is started before it is needed"
    decoder = Decoder()
    before = sorted(os.listdir("/proc/self/fd"))
    decoder.read(good)
    first = pid(decoder)
    decoder.read(good)
    assert pid(decoder) == first
    decoder.close()
    decoder.close()
    assert has_ended(first)
    with pytest.raises(DecoderError, match="closed"):
        decoder.read(good)  # as a batch may that was read ahead: nobody would end the process
    assert pid(decoder) is None
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_it_gives_way_to_the_process_that_stores(good):
    with closing(Decoder()) as decoder:
        decoder.read(good[:1])
        assert os.getpriority(os.PRIO_PROCESS, pid(decoder)) == min(
            19, os.getpriority(os.PRIO_PROCESS, 0) + NICER
        )


def test_it_loads_neither_django_nor_kafka(good):
    code = (
        "import sys, logging; from tom_fink import surveys; from tom_fink.decoding import child as decoderchild\n"
        "def normalise(frames, real=surveys.normalise):\n"
        "    found = {name.partition('.')[0] for name in sys.modules}\n"
        "    logging.getLogger('tom_fink.test').warning('%s', sorted(found & {'django', 'confluent_kafka', 'polars'}))\n"
        "    return real(frames)\n"
        "decoderchild.normalise = normalise\n"
        "decoderchild.main(2**30)\n"
    )
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append((record.name, record.levelname, record.getMessage()))
    logging.getLogger("tom_fink.test").addHandler(handler)
    try:
        with closing(Decoder(command=(sys.executable, "-c", code))) as decoder:
            decoder.read(good)
    finally:
        logging.getLogger("tom_fink.test").removeHandler(handler)
    assert logged == [("tom_fink.test", "WARNING", "['polars']")], "and what it logs is logged here"


def test_an_array_that_counts_to_2_60_aborts_the_process_and_costs_no_other_message(good, caplog):
    """jetliner 0.2.0 makes room for the items before it reads them, and Rust aborts. Fastavro then reads first."""
    culprit = made_of({"type": "array", "items": "int"}, long(2**60) + b"\0" * 50)
    messages = [*good[:5], culprit, *good[5:]]
    with closing(Decoder()) as decoder:
        decoder.read(good)
        first = pid(decoder)
        read = decoder.read(messages)
        assert pid(decoder) != first
    assert_others_are_read(read, messages, 5)
    assert "ends too early" in str(read.errors[5])
    assert "ended with signal 6 (memory allocation of 4611686018427387904 bytes failed)" in caplog.text


def test_a_union_of_one_that_is_counted_to_2_60_hangs_and_costs_no_other_message(good, caplog):
    """jetliner 0.2.0 has no end; a process that hangs is killed."""
    culprit = made_of({"type": "array", "items": ["null"]}, long(2**60) + b"\0" * 50)
    messages = [*good, culprit]
    with closing(Decoder(timeout_s=2)) as decoder:
        decoder.read(good)
        first = pid(decoder)
        read = decoder.read(messages)
        assert has_ended(first)
    assert_others_are_read(read, messages, len(good))
    assert "ends too early" in str(read.errors[len(good)])
    assert "Decoding did not end within 2 s" in caplog.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("HANG", r"^Decoding did not end within 2 s\.$"),
        ("ABORT", r"^The decoder ended with signal 6 \(memory allocated: none\)\.$"),
    ],
)
@pytest.mark.parametrize("as_records", [[], [2, 3]])
def test_a_message_that_no_reader_survives_gets_its_error(good, text, says, as_records):
    messages = [*good[:3], word(text), *good[3:]]
    with closing(faulty(timeout_s=2)) as decoder:
        read = decoder.read(messages, as_records)
    assert list(read.errors) == [3]
    assert sorted([*read.records, *read.tidy.alerts[MESSAGE]]) == [n for n in range(13) if n != 3]
    with pytest.raises(BadMessage, match=says):
        raise read.errors[3]


def test_a_batch_full_of_messages_that_hang_ends(good, monkeypatch):
    for name, value in (("CAREFUL_S", 1.0), ("ALONE_S", 1.5), ("ALONE_AFTER_MANY_S", 1.25), ("MANY", 2)):
        monkeypatch.setattr(decoder_module, name, value)
    messages = [word("HANG")] * 5 + good[:3]
    with closing(faulty(timeout_s=2)) as decoder:
        read = decoder.read(messages)
    assert_others_are_read(read, messages, 0, 1, 2, 3, 4)
    seconds = [str(error).split()[-2] for error in read.errors.values()]
    assert seconds == ["1.5", "1.5", "1.25", "1.25", "1.25"]


@pytest.mark.parametrize("as_records", [[], [1]])
def test_a_message_that_takes_all_memory_gets_its_error(good, as_records, monkeypatch):
    """A million items of one byte, each a dictionary of a hundred entries."""
    monkeypatch.setattr(
        decoder_module, "ALONE_S", 60.0
    )  # a slow machine needs more than the usual time for it
    monkeypatch.setattr(decoder_module, "CAREFUL_S", 60.0)
    fields = [{"name": "flag", "type": "boolean"}, *({"name": f"x{n}", "type": "null"} for n in range(100))]
    kind = {"type": "array", "items": {"type": "record", "name": "wide", "fields": fields}}
    culprit = made_of(kind, long(1_000_000) + b"\1" * 1_000_000 + b"\0")
    messages = [good[0], culprit, good[1]]
    with closing(Decoder(timeout_s=60, memory_bytes=500_000_000)) as decoder:
        read = decoder.read(messages, as_records)
    assert_others_are_read(read, messages, 1)
    assert str(read.errors[1]) == "Decoding needed more than 476 MB of memory."


def test_an_alert_that_is_far_larger_than_its_message_stays_where_it_is(good, decoder):
    """What the other process can bear is not yet what this one should be given."""
    fields = [{"name": "flag", "type": "boolean"}, *({"name": f"x{n}", "type": "null"} for n in range(30))]
    kind = {"type": "array", "items": {"type": "record", "name": "wide", "fields": fields}}
    culprit = made_of(kind, long(20_000) + b"\1" * 20_000 + b"\0")
    read = decoder.read([good[0], culprit, good[1]], [1])
    assert_others_are_read(read, [good[0], culprit, good[1]], 1)
    assert str(read.errors[1]) == "The alert is many times as large as its message."


def test_a_process_that_was_killed_between_two_batches_is_replaced(good):
    with closing(Decoder()) as decoder:
        decoder.read(good)
        first = pid(decoder)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: has_ended(first), "the death of the process")
        assert_others_are_read(decoder.read(good), good)
        assert pid(decoder) != first


def test_a_process_that_somebody_kills_in_the_middle_is_no_messages_fault(good, tmp_path):
    messages = [*good, word("ONCE")]
    with closing(faulty(tmp_path)) as decoder:
        read = decoder.read(messages)
    assert (tmp_path / "once").exists()
    assert_others_are_read(read, messages, len(good))
    assert "of no known kind" in str(read.errors[len(good)]), "it was read, and is no alert"


def test_ctrl_c_and_the_request_to_stop_are_for_the_parent(good):
    with closing(Decoder()) as decoder:
        decoder.read(good)
        first = pid(decoder)
        assert os.getpgid(first) != os.getpgid(0), "the terminal's Ctrl-C does not reach it"
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(first, number)
        assert_others_are_read(decoder.read(good), good)
        assert pid(decoder) == first


def test_what_a_library_prints_is_no_answer(good):
    messages = [*good, word("PRINT")]
    with closing(faulty()) as decoder:
        assert_others_are_read(decoder.read(messages), messages, len(good))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("/nonexistent/python",), "cannot be started.*No such file"),
        ((sys.executable, "-c", "raise SystemExit('no polars here')"), "status 1 .no polars here"),
        ((sys.executable, "-c", "import os; os.abort()"), "ended with signal 6"),
        ((sys.executable, "-m", "tom_fink.decoding.child", "20000000"), "cannot read a good message"),
    ],
)
def test_a_process_that_cannot_work_is_no_messages_fault(good, command, says):
    before = sorted(os.listdir("/proc/self/fd"))
    with closing(Decoder(command=command)) as decoder, pytest.raises(DecoderError, match=says):
        decoder.read(good)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_process_that_hangs_before_any_message_is_no_messages_fault(good, monkeypatch):
    monkeypatch.setattr(decoder_module, "START_S", 0.5)
    command = (sys.executable, "-c", "import sys; sys.stdin.buffer.read()")
    with closing(Decoder(command=command)) as decoder, pytest.raises(DecoderError, match=r"within 0\.5 s"):
        decoder.read(good)


def test_an_error_that_nobody_expected_is_raised_here(good):
    with closing(faulty()) as decoder:
        with pytest.raises(RuntimeError, match=r"(?s)Traceback.*ZeroDivisionError: a bug of ours"):
            decoder.read([*good, word("BUG")])
        assert_others_are_read(decoder.read(good), good)


@pytest.mark.parametrize("is_busy", [False, True])
def test_it_ends_with_its_parent(is_busy):
    """SIGKILL leaves the parent no time. A process that hangs then does not read that its input ended."""
    code = """if True:
        import os, signal, sys, threading, time
        from tests.unit.test_decoder import faulty, pid, word
        decoder = faulty(timeout_s=1)
        decoder.read([word("none")])
        child = pid(decoder)
        if sys.argv[1] == "True":
            threading.Thread(target=decoder.read, args=[[word("HANG")]], daemon=True).start()
            used = lambda: int(open(f"/proc/{child}/stat").read().rpartition(")")[2].split()[11])
            before = used()
            while used() < before + 10:  # a tenth of a second at work: it hangs
                time.sleep(0.01)
        print(child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", code, str(is_busy)], capture_output=True, text=True, cwd=root
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    child = int(ended.stdout)
    wait_until(lambda: has_ended(child), "the end of the process")


def test_each_thread_may_have_its_own(good):
    reads = {}

    def read(name: int) -> None:
        with closing(Decoder()) as decoder:
            for _ in range(3):
                reads.setdefault(name, []).append(decoder.read(good))

    threads = [threading.Thread(target=read, args=[name]) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reads) == [0, 1, 2]
    for done in reads.values():
        assert len(done) == 3
        for each in done:
            assert_others_are_read(each, good)


def test_a_schema_that_is_read_differently_is_logged_here(caplog):
    schema = {
        "type": "record",
        "name": "odd",
        "fields": [{"name": "x", "type": {"type": "map", "values": "int"}}],
    }
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, {"x": {"a": 1}})
    code = (
        "from tom_fink.decoding import avro, child as decoderchild\n"
        "avro._same = lambda column, record: 'x' not in record or record == {'x': 1}\n"
        "decoderchild.main(2**30)\n"
    )
    message = Message("t", 0, 0, json.dumps(schema).encode(), buffer.getvalue(), NOW)
    with closing(Decoder(command=(sys.executable, "-c", code))) as decoder:
        decoder.read([message])
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("tom_fink.decoding.avro", "WARNING")
    ]
    assert "jetliner and fastavro read odd differently" in caplog.text
