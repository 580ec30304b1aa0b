"""The benchmark's arithmetic: what is compared with what, and when the gate is down."""

import itertools
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from bench.alerts import HISTORIES
from bench.cases.visit import _drained
from bench.findings import Finding, Findings
from bench.lines import AT_LEAST, AT_MOST, BY_KEY, COPY, LINES, ORM, below_the_gate
from bench.run import FULL, GATE, first_alerts, further_alerts
from bench.sending import PARTITIONS, Alerts
from bench.table import number, table
from bench.usage import Cpu, Readers, _shared_files, of_tree


class NoMoulds:
    """All that `Alerts` asks of the moulds to count points."""

    history = HISTORIES["lsst"]


@pytest.fixture
def findings() -> Findings:
    """Two runs of a case: 0.4 and 0.6 of COPY, and a memory."""
    found = Findings()
    for rows, of, megabytes in ((16_000, 40_000, 500), (24_000, 40_000, 700)):
        found.add("backlog lsst", "rows/s", rows, COPY, of)
        found.add("backlog lsst", "peak memory, MB", megabytes)
    return found


def test_runs_of_one_figure_are_put_together(findings):
    found = findings["backlog lsst", "rows/s", COPY]
    assert found.ratios == [0.4, 0.6]
    assert found.ratio == 0.5
    assert found.value == 20_000
    assert len(list(findings)) == 2
    told = json.loads(json.dumps(found.as_json()))
    assert (told["ratio"], told["ratio_min"], told["ratios"]) == (0.5, 0.4, [0.4, 0.6])


def test_the_gate_names_the_ratio_its_value_and_its_line():
    line = BY_KEY["backlog lsst", "rows/s", COPY]
    for ratio, is_down in ((line.gate * 1.01, False), (line.gate * 0.99, True)):
        findings = Findings()
        findings.add("backlog lsst", "rows/s", ratio * 1000, COPY, 1000)
        findings.add("backlog lsst", "rows/s", 1e6, ORM, 1)
        said = below_the_gate(findings)
        assert bool(said) == is_down
        if is_down:
            assert said[0].startswith("backlog lsst, rows/s against COPY of all rows: the ratio is")
            assert f"{ratio:.3g}" in said[0]
            assert f"{line.gate:g}" in said[0]


def test_the_gate_misses_a_ratio_that_a_case_did_not_measure(findings):
    assert below_the_gate(findings) == ["backlog lsst, rows/s against ORM, one by one: was not measured."]


def test_the_gate_is_of_ratios_alone():
    """A time would fail on a slower machine."""
    assert all(line.of_ratio for line in LINES if line.gate is not None)
    assert {line.case.split()[0] for line in LINES if line.gate is not None} == {
        "decode",
        "backlog",
        "steady",
    }


def test_a_gate_s_line_is_not_above_the_goal():
    for line in LINES:
        if line.gate is not None and line.goal is not None:
            assert line.gate <= line.goal if line.side == AT_LEAST else line.gate >= line.goal
    assert {line.side for line in LINES} == {AT_LEAST, AT_MOST}


def test_the_table_has_the_median_the_worst_and_the_goal(findings):
    header, rows, memory = table(findings).splitlines()
    assert header.split()[:4] == ["case", "figure", "median", "worst"]
    told = "backlog lsst rows/s 20,000 16,000 COPY of all rows 40,000 0.5 0.4 >= 0.6 ratio MISSED"
    assert rows.split() == told.split()
    assert memory.split() == ["peak", "memory,", "MB", "600", "700", "<=", "600", "reached"], (
        "the largest is the worst"
    )
    assert f">= {BY_KEY['backlog lsst', 'rows/s', COPY].gate:g} ratio" in table(findings, with_gate=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (0.0123, "0.0123"),
        (1.234, "1.23"),
        (45.67, "45.7"),
        (1234.5, "1,234"),
        (2e-5, "2.0e-05"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize("sizes", [FULL, GATE, FULL.scaled(0.01)])
def test_an_object_comes_up_to_three_times_and_never_twice_within_200_alerts(sizes):
    for count in [*sizes.objects.values(), *sizes.growth_objects.values(), sizes.scale_objects]:
        assert count % PARTITIONS == 0, "else the alerts of an object change partitions"
        order = further_alerts(100, count)
        places: dict[int, list[int]] = {}
        for place, (found, repeat) in enumerate(order):
            assert repeat == len(places.setdefault(found, [])) + 1
            places[found].append(place)
        assert set(places) == set(range(100, 100 + count))
        assert {len(found) for found in places.values()} == {1, 2, 3}
        apart = [later - early for found in places.values() for early, later in itertools.pairwise(found)]
        assert min(apart) > 200
        assert all(distance % PARTITIONS == 0 for distance in apart)


def test_points_of_first_and_further_alerts():
    """A Rubin object has 300 detections, 440 forced points and its own; each further alert adds two."""
    assert Alerts("t", NoMoulds, first_alerts(5, 3)).points == 3 * 741
    assert Alerts("t", NoMoulds, [*first_alerts(0, 2), (0, 1), (0, 2), (1, 1)]).points == 2 * 741 + 3 * 2


def test_partitions_take_turns_or_are_drawn():
    alerts = Alerts("t", NoMoulds, first_alerts(0, 400))
    assert list(alerts.partitions())[:5] == [0, 1, 2, 3, 0]
    drawn = Alerts("t", NoMoulds, alerts.order, at_random=True)
    assert list(drawn.partitions()) == list(drawn.partitions()), "the same in each run"
    assert {list(drawn.partitions()).count(place) > 60 for place in range(PARTITIONS)} == {True}


def test_a_visit_is_drained_when_its_last_alert_is_read():
    """Visits of 100 at 10 s and 50 s: the first has 20 left at 50 s and takes 42 s, the second 30 s."""
    progress = [(10.0, 0), (30.0, 40), (49.9, 80), (52.0, 100), (80.0, 200), (95.0, 200)]
    assert _drained(progress, [10.0, 50.0], 100, 40.0) == ([42.0, 30.0], [20, 0])


def test_usage_of_a_process_and_its_children():
    readers = Readers([os.getpid()])
    others = {process.pid for process in psutil.Process().children()}  # what decodes for other tests
    with ThreadPoolExecutor(1) as pool:  # a child is its thread's, and a reader starts its own in one
        child = pool.submit(subprocess.Popen, ["sleep", "60"]).result()
        try:
            readers.note_peaks()
        finally:
            child.kill()
            child.wait()
    assert readers.peak_parent >= psutil.Process().memory_info().rss * 0.5
    assert readers.peaks.keys() - others == {os.getpid(), child.pid}
    shared = sum(_shared_files([os.getpid()]).values())  # what other tests of this process have open
    assert 0 < readers.peak_child < readers.peak <= readers.peak_parent + readers.peak_child + shared
    assert of_tree(psutil.Process()) > 0
    parent, child = readers.cpu()
    assert parent > 0
    assert child >= 0
    used = Cpu(3, 2, 5, 1) - Cpu(1, 1, 1, 1)
    assert (used.parent, used.child, used.postgresql, used.kafka, used.reader, used.all) == (2, 1, 4, 0, 3, 7)


def test_the_ratio_of_rounds_is_theirs_and_not_that_of_the_medians():
    """Rounds of 2/1, 9/3 and 4/4."""
    found = Finding("c", "f", [2, 9, 4], "b", [1, 3, 4], [2, 3, 1])
    assert found.ratio == 2


def test_a_file_in_memory_counts_once_though_two_processes_have_it_open():
    """What is written to it and not mapped is in no process's resident set."""
    shared = os.memfd_create("test")
    child = subprocess.Popen(["sleep", "600"], pass_fds=[shared])
    try:
        readers = Readers([os.getpid()])
        readers.note_peaks()
        before, megabytes = readers.peak, 64
        os.write(shared, bytes(megabytes * 1_000_000))
        readers.note_peaks()
        assert readers.peak - before == pytest.approx(megabytes * 1e6, rel=0.2)
    finally:
        child.kill()
        child.wait()
        os.close(shared)


def test_the_worst_of_what_has_no_goal_is_the_largest_but_for_rates():
    findings = Findings()
    for value in (1.0, 2.0, 3.0):
        findings.add("visit", "seconds to drain visit 1", value)
        findings.add("mixed", "alerts/s", value)
    _, drained, rate = table(findings).splitlines()
    assert drained.split()[-2:] == ["2", "3"]
    assert rate.split()[-2:] == ["2", "1"]
