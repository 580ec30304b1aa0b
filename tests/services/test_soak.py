"""A long night: alert after alert through one process, whose memory stays what it was.

SOAK=20000 in the environment is a shorter one.
"""

import os
import time
from statistics import median

import psutil
import pytest

from tests.services.accounts import ledger_sums
from tests.services.moulds import moulds
from tests.services.needs import wait_until
from tests.services.publishing import Sent, delete_topics, make_topics, publish
from tom_fink.models import Alert, PartitionLedger

pytestmark = [pytest.mark.services, pytest.mark.timeout(3000)]

ALERTS = int(os.environ.get("SOAK") or 100_000)
KNOWN = 0.4  # sent once more: a night has alerts in several topics
RUBIN = 0.05
PARTITIONS = 4
AHEAD = 8_000  # messages that may wait at the broker: as a stream, and not as one heap
EVERY_S = 0.5
MAY_GROW = 0.1
MAY_GROW_BYTES = 50_000_000


def test_memory_stays_flat(kafka, unique, command, figure, site):
    group = f"group-{unique}"
    make_topics(kafka, {unique: PARTITIONS}, **{"retention.bytes": "100000000", "segment.bytes": "20000000"})
    ztf, lsst = moulds("ztf", 300, small=0.97), moulds("lsst", 60, small=0.97)
    new = ALERTS - int(ALERTS * KNOWN)

    def message(number: int) -> Sent:
        number = number if number < new else number - new  # the second time
        of = lsst if number % 100 < RUBIN * 100 else ztf
        alert = of[number % len(of)].cast(number)
        return Sent(unique, number % PARTITIONS, alert.key, alert.value)

    order = sorted(range(ALERTS), key=lambda number: number if number < new else number - new + 3000)
    reader = command("readstreams", LOG_LEVEL="WARNING")
    process = psutil.Process(reader.popen.pid)
    sent, began, samples = 0, time.monotonic(), []

    def has_read() -> int:
        return sum(PartitionLedger.objects.filter(group_id=group).values_list("read", flat=True))

    while (read := has_read()) < ALERTS:
        if sent < ALERTS and sent - read < AHEAD:
            sent += len(publish(kafka, map(message, order[sent : sent + 2_000])))
        if read:
            samples.append((read, process.memory_info().rss, _childs_rss(process)))
        assert reader.popen.poll() is None, reader.said[-3000:]
        assert time.monotonic() - began < 2_700, f"{read} of {ALERTS}"
        time.sleep(EVERY_S)
    took_s = time.monotonic() - began
    assert reader.end() == 0
    wait_until(lambda: not psutil.pid_exists(process.pid), "its end")

    sums = ledger_sums(group)
    assert (sums.read, sums.stored, sums.duplicate) == (ALERTS, new, ALERTS - new)
    assert (sums.rejected, sums.lost, sums.skipped) == (0, 0, 0)
    assert Alert.objects.count() == new >= ALERTS // 2
    said = []
    for what, place in (("the reader", 1), ("what decodes", 2)):
        warm, late = (
            median(sample[place] for sample in samples if low * ALERTS < sample[0] <= high * ALERTS)
            for low, high in ((0.4, 0.6), (0.8, 1.0))
        )
        said.append(f"{what} had {warm / 1e6:.0f} MB half-way and {late / 1e6:.0f} MB in the end")
        assert late - warm < max(MAY_GROW * warm, MAY_GROW_BYTES), (
            f"{what} grows: {samples[:: len(samples) // 20]}"
        )
    figure(
        f"soak: {ALERTS} alerts ({new} new) in {took_s:.0f} s, {ALERTS / took_s:.0f} a second; {'; '.join(said)}; "
        f"at most {max(sample[1] for sample in samples) / 1e6:.0f} MB"
    )
    delete_topics(kafka, unique)


def _childs_rss(process: psutil.Process) -> int:
    return sum(child.memory_info().rss for child in process.children())
