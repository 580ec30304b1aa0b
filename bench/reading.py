"""One measured run of readers: from their first batch to their last full one."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.errors import BenchError
from bench.machine import Machine
from bench.messages import Moulds
from bench.sending import Alerts
from bench.site import Ledger, Site
from bench.usage import Cpu, Readers
from tests.services.processes import Process
from tom_fink.stream.reader import BATCH_BYTES, BATCH_MESSAGES

LOOK_EVERY_S = 0.05
STARTS_WITHIN_S = 60
ENDS_WITHIN_S = 30
STALLS_AFTER_S = 120  # without one message read


@dataclass(frozen=True)
class Measured:
    """What readers did in so many seconds."""

    alerts: int
    points: float
    seconds: float
    cpu: Cpu
    readers: Readers

    @property
    def alerts_per_s(self) -> float:
        """Alerts a second."""
        return self.alerts / self.seconds

    @property
    def points_per_s(self) -> float:
        """Rows of photometry a second."""
        return self.points / self.seconds


def start_reader(machine: Machine, site: Site, group: str, several: tuple[Alerts, ...]) -> Process:
    """`manage.py readstreams`, with a stream for each survey that there are alerts of."""
    topics: dict[str, list[str]] = {}
    for alerts in several:
        topics.setdefault(alerts.moulds.survey, []).append(alerts.topic)
    variables = {
        "DATABASE_URL": site.address,
        "FINK_CUTOUTS_FILE": str(site.cutouts),
        "LOG_LEVEL": "INFO",
    }
    for survey, names in topics.items():
        prefix = "FINK_LSST" if survey == "lsst" else "FINK"
        variables |= {
            f"{prefix}_CREDENTIAL_URL": machine.kafka.address,
            f"{prefix}_CREDENTIAL_GROUP_ID": group_of(group, survey),
            f"{prefix}_TOPIC": ",".join(names),
        }
    return machine.processes.manage("readstreams", **variables)


def batch_of(moulds: Moulds) -> int:
    """How many messages a reader takes at once."""
    return min(BATCH_MESSAGES, max(1, BATCH_BYTES // len(moulds.cast(0))))


def group_of(group: str, survey: str) -> str:
    """The consumer group of one survey's stream."""
    return f"{group}-{survey}"


def end(process: Process) -> None:
    """Ask a reader to end, and see that it does so well."""
    process.popen.terminate()
    if status := process.popen.wait(ENDS_WITHIN_S):
        raise BenchError(f"The reader ended with status {status}:\n{process.said[-3000:]}")


def wait_for(condition: Callable[[], bool], what: str, seconds: float, processes: list[Process]) -> None:
    """Look until `condition` holds. Raises `BenchError` past the deadline, or if a process ends."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"Not within {seconds:.0f} s: {what}.\n{_said(processes)}")
        if any(process.popen.poll() is not None for process in processes):
            raise BenchError(f"A process ended before this: {what}.\n{_said(processes)}")
        time.sleep(LOOK_EVERY_S)


def _said(processes: list[Process]) -> str:
    return "\n".join(process.said[-3000:] for process in processes)


def read_all(machine: Machine, site: Site, group: str, *several: Alerts) -> None:
    """Have one reader read what was sent, unmeasured. Raises `BenchError` if anything is missing."""
    process = start_reader(machine, site, group, several)
    try:
        expect(site, *several)
        _until(site, Readers([process.popen.pid]), [process], site.alerts)
        end(process)
    finally:
        process.kill()
    site.check()


def drain(machine: Machine, site: Site, group: str, *several: Alerts) -> Measured:
    """Have one reader read what was sent. Raises `BenchError` if anything is missing.

    Measured from the end of the first batch (of each survey) to the last full one: for what is left then
    a reader waits a second, in case there is more to come.
    """
    sent = sum(map(len, several))
    process = start_reader(machine, site, group, several)
    try:
        readers = Readers([process.popen.pid])
        expect(site, *several)
        surveys = len({alerts.moulds.survey for alerts in several})
        wait_for(
            lambda: site.groups_that_read(group) == surveys, "the first batch", STARTS_WITHIN_S, [process]
        )
        first, began, before = site.ledger().read, time.monotonic(), machine.cpu(readers)
        last_batch = max(batch_of(alerts.moulds) for alerts in several)
        last = _until(site, readers, [process], site.alerts - last_batch + 1)
        took_s, used = time.monotonic() - began, machine.cpu(readers) - before
        _until(site, readers, [process], site.alerts)
        readers.note_peaks()
        end(process)
    finally:
        process.kill()
    site.check()
    if last - first < sent / 3:
        raise BenchError(f"Of {sent} alerts only {last - first} came between the first batch and the last.")
    points = sum(found.points for found in several) * (last - first) / sent
    return Measured(last - first, points, took_s, used, readers)


def expect(site: Site, *several: Alerts) -> None:
    """Note what the site should have when these alerts are read."""
    site.alerts += sum(map(len, several))
    site.points += sum(alerts.points for alerts in several)


def _nothing(ledger: Ledger) -> None:
    """What `watch` does at a look by itself."""


def watch(
    site: Site, readers: Readers, processes: list[Process], on_look: Callable[[Ledger], None] = _nothing
) -> None:
    """Look on until all is read that is expected; `on_look` gets the ledger at each look."""
    _until(site, readers, processes, site.alerts, on_look)
    readers.note_peaks()


def _until(
    site: Site,
    readers: Readers,
    processes: list[Process],
    number: int,
    on_look: Callable[[Ledger], None] = _nothing,
) -> int:
    """Look until so many alerts are read; how many are."""
    seen, seen_at = Ledger(), time.monotonic()
    while True:
        ledger, now = site.ledger(), time.monotonic()
        on_look(ledger)
        if ledger.read >= number:
            return ledger.read
        if ledger != seen:
            seen, seen_at = ledger, now
        if now - seen_at > STALLS_AFTER_S or any(process.popen.poll() is not None for process in processes):
            raise BenchError(f"Stopped at {ledger.read} of {site.alerts} alerts:\n{_said(processes)}")
        readers.note_peaks()
        time.sleep(LOOK_EVERY_S)
