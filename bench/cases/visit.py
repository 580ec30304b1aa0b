"""A visit of Rubin: 10,000 alerts at once, every 39 seconds."""

import bisect
import json
import time

from bench import sending
from bench.errors import BenchError
from bench.reading import Measured, end, expect, start_reader, watch
from bench.run import Run, alerts_of_all, first_alerts, unique
from bench.sending import Alerts
from bench.site import Ledger, Site
from bench.usage import Readers
from tests.services.processes import Process

EVERY_S = 39.0
RUBIN_VISIT = 10_000  # a smaller visit comes sooner: the rate stays
WARM_UP = 50_000_000  # the first object of others than those measured
RETENTION = {"retention.bytes": "2000000000", "segment.bytes": "100000000"}  # of a partition


def visit(run: Run) -> None:
    """Visits to objects that are known: is each drained before the next, and how soon?"""
    alerts, visits = run.sizes.visit_alerts, run.sizes.visits
    every_s = EVERY_S * alerts / RUBIN_VISIT
    moulds = run.moulds("lsst")
    first = Alerts(unique(), moulds, first_alerts(0, alerts))
    known = run.lasting.get("visit", lambda site: run.seed(site, first))
    site, repeats = known.site, known.next(visits)
    sent = Alerts(unique(), moulds, alerts_of_all(alerts, repeats))
    with sending.topics(run.machine.kafka, sent.topic, **RETENTION):
        measured, progress, said = _read(run, site, sent, repeats, every_s)
    run.note("visit", measured)
    drained_s, waiting = _drained(progress, [line["began"] for line in said], alerts, every_s)
    for number, seconds in enumerate(drained_s, start=1):
        run.findings.add("visit", f"seconds to drain visit {number}", seconds)
    run.findings.add("visit", "alerts waiting at the next visit", max(waiting))
    run.findings.add("visit", "seconds between visits", every_s)
    run.findings.add("visit", "seconds to send, slowest", max(line["sent"] - line["began"] for line in said))
    run.findings.add("visit", "sender CPU s per 1,000 alerts", said[-1]["cpu"] / len(sent) * 1000)


def _read(
    run: Run, site: Site, sent: Alerts, repeats: range, every_s: float
) -> tuple[Measured, list[tuple[float, int]], list[dict]]:
    """What was measured, (time, alerts read) at each look, and what the sender says of each visit.

    The reader has its partitions, and has started what decodes, before the first visit.
    """
    machine, progress = run.machine, []
    first = Alerts(sent.topic, sent.moulds, first_alerts(WARM_UP + 1_000 * repeats.start, 100))
    reader = start_reader(machine, site, unique(), (sent,))
    try:
        readers = Readers([reader.popen.pid])
        sending.send(machine.kafka.address, first)
        expect(site, first)
        watch(site, readers, [reader])
        known = site.alerts
        before = machine.cpu(readers)
        sender = machine.processes.python(
            "-m", "bench.sender", machine.kafka.address, sent.topic, str(repeats.start),
            str(repeats.stop), str(run.sizes.visit_alerts), str(every_s),
        )  # fmt: skip
        expect(site, sent)

        def on_look(ledger: Ledger) -> None:
            progress.append((time.monotonic(), ledger.read - known))
            if sender.popen.poll():
                raise BenchError(
                    f"The sender ended with status {sender.popen.poll()}:\n{sender.said[-3000:]}"
                )

        watch(site, readers, [reader], on_look)
        ended, used = time.monotonic(), machine.cpu(readers) - before
        sender.popen.wait(sending.SENT_WITHIN_S)
        end(reader)
    finally:
        reader.kill()
    site.check()
    said = _lines(sender)
    took_s = ended - said[0]["began"]
    measured = Measured(len(sent), sent.points, took_s, used, readers)
    return measured, progress, said


def _lines(sender: Process) -> list[dict]:
    return [json.loads(line) for line in sender.said.splitlines() if line.startswith("{")]


def _drained(
    progress: list[tuple[float, int]], begins: list[float], alerts: int, every_s: float
) -> tuple[list[float], list[int]]:
    """For each visit the seconds until its last alert was read, and how many wait when the next one comes."""
    times = [at for at, _ in progress]
    seconds, waiting = [], []
    for number, began in enumerate(begins, start=1):
        due = number * alerts
        seconds.append(next(at for at, read in progress if read >= due) - began)
        place = bisect.bisect_right(times, began + every_s) - 1
        waiting.append(max(0, due - progress[place][1]))
    return seconds, waiting
