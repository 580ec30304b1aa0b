"""20,000 broken messages through the whole path into PostgreSQL: each is stored, a duplicate or rejected.

SEED=7 in the environment makes others, FUZZ=2000 fewer.
"""

import os
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice

import psutil
import pytest

from tests.conftest import SHARED_ALERTS
from tests.mutations import mutations
from tests.services.accounts import assert_nothing_twice, ledger_sums
from tests.services.hurried import HANG_S
from tom_fink.decoding import common
from tom_fink.decoding.decode import Message
from tom_fink.decoding.decoder import MEMORY_BYTES, Decoder
from tom_fink.files.avrofile import read_messages
from tom_fink.kafka.options import stream_options
from tom_fink.models import Alert, RejectedMessage
from tom_fink.store import Fate
from tom_fink.stream.batch import Batch
from tom_fink.stream.handlers import Handlers
from tom_fink.stream.reader import BATCH_MESSAGES
from tom_fink.stream.sink import DatabaseSink

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

SEED = int(os.environ.get("SEED") or 20261123)
MUTATIONS = int(os.environ.get("FUZZ") or 20_000)
GROUP = "fuzz"
WARM_UP = 0.2  # of the messages, before memory is looked at
MAY_GROW_BYTES = 150_000_000


@pytest.fixture
def messages(simulated_messages) -> list[Message]:
    """What is mutated: simulated alerts, and the real ones where they are."""
    now = datetime.now(UTC)
    files = sorted(SHARED_ALERTS.glob("*.avro")) if SHARED_ALERTS.is_dir() else []
    real = [Message("fink_real_alerts", 0, 0, *pair, now) for file in files for pair in read_messages(file)]
    return [*simulated_messages[:60], *real]


@pytest.fixture
def sink(site, monkeypatch):
    """The reader's way into the database, with a decoder that may not hang for long."""
    monkeypatch.setattr(common, "Decoder", partial(Decoder, timeout_s=HANG_S))
    options = stream_options({"URL": "127.0.0.1:9092", "GROUP_ID": GROUP, "TOPIC": "fink_*"})
    with closing(DatabaseSink(options, Handlers({}))) as made:
        yield made


def test_every_mutation_is_stored_or_rejected_and_memory_stays(sink, messages, figure, caplog):
    caplog.set_level("ERROR", "tom_fink")
    me, began = psutil.Process(), time.monotonic()
    fates: Counter = Counter()
    offsets: Counter = Counter()
    warm = most = 0
    childs_most = deaths = 0
    last_child = None
    mutated = mutations(messages, MUTATIONS, SEED)
    while found := list(islice(mutated, BATCH_MESSAGES)):
        batch = []
        for message in found:
            batch.append(replace(message, offset=offsets[message.topic]))
            offsets[message.topic] += 1
        outcome = sink.store(Batch(batch), sink.decode(batch))  # raises what nobody thought of
        assert sorted(outcome.fates) == list(range(len(batch))), "each has exactly one fate"
        fates += outcome.counts
        for child in me.children(recursive=True):
            if "tom_fink.decoding.child" in child.cmdline():
                childs_most = max(childs_most, child.memory_info().rss)
                deaths += last_child not in (None, child.pid)
                last_child = child.pid
        most = max(most, me.memory_info().rss)
        if fates.total() <= MUTATIONS * WARM_UP:
            warm = most
    took_s = time.monotonic() - began

    sums = ledger_sums(GROUP)
    assert sums.read == MUTATIONS == fates.total()
    assert (sums.stored, sums.duplicate, sums.rejected) == (
        fates[Fate.STORED],
        fates[Fate.DUPLICATE],
        fates[Fate.REJECTED],
    )
    assert (sums.handled, sums.replayed, sums.lost, sums.skipped) == (0, 0, 0, 0)
    assert sums.stored == Alert.objects.count() > 0
    assert sums.rejected == RejectedMessage.objects.count() > MUTATIONS // 3
    assert_nothing_twice(are_alerts_true=False)
    figure(
        f"fuzz, seed {SEED}: {MUTATIONS} mutations of {len(messages)} messages in {took_s:.0f} s: {sums.stored} "
        f"stored, {sums.duplicate} duplicate, {sums.rejected} rejected; the decoder was replaced {deaths} times; "
        f"at most {most / 1e6:.0f} MB here ({warm / 1e6:.0f} MB after the first fifth), {childs_most / 1e6:.0f} MB there"
    )
    assert most - warm < MAY_GROW_BYTES
    assert childs_most < MEMORY_BYTES
