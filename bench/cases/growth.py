"""The steady case on a database of a million targets, against the same on an empty one."""

from bench.clones import clone
from bench.lines import EMPTY
from bench.reading import Measured
from bench.run import Run, alerts_of_all, first_alerts, unique
from bench.sending import Alerts
from bench.site import PHOTOMETRY, TARGETS, Site

REPEATS = 2  # alerts of each object that a run brings


def growth(run: Run) -> None:
    """Rubin and ZTF: CPU seconds of the reader and of PostgreSQL for 1,000 alerts."""
    surveys = ("lsst", "ztf")

    def make_grown(site: Site) -> None:
        run.seed(site, *(_first(run, survey) for survey in surveys))
        known = sum(run.sizes.growth_objects.values())
        clone(site, run.sizes.grown_targets // known, run.sizes.grown_points)

    grown = run.lasting.get("growth", make_grown)
    repeats = grown.next(REPEATS)
    for survey in surveys:
        case, figure = f"growth {survey}", "CPU s per 1,000 alerts"
        first = _first(run, survey)
        empty = run.lasting.get(f"growth, {survey} alone", lambda site, first=first: run.seed(site, first))
        small = run.drain(empty.site, _further(run, survey, empty.next(REPEATS)))
        measured = run.drain(grown.site, _further(run, survey, repeats))
        run.note(case, measured)
        run.findings.add(case, figure, _cpu(measured), EMPTY, _cpu(small))
        run.findings.add(case, "alerts/s", measured.alerts_per_s, EMPTY, small.alerts_per_s)
    run.findings.add("growth", "targets", grown.site.count(TARGETS))
    run.findings.add("growth", "points", grown.site.count(PHOTOMETRY))


def _first(run: Run, survey: str) -> Alerts:
    count = run.sizes.growth_objects[survey]
    return Alerts(unique(), run.moulds(survey), first_alerts(0, count))


def _further(run: Run, survey: str, repeats: range) -> Alerts:
    count = run.sizes.growth_objects[survey]
    return Alerts(unique(), run.moulds(survey), alerts_of_all(count, repeats))


def _cpu(measured: Measured) -> float:
    return (measured.cpu.reader + measured.cpu.postgresql) / measured.alerts * 1000
