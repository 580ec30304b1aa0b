"""The steady case on a database of a million targets, against the same on an empty one."""

from bench.clones import clone
from bench.lines import EMPTY
from bench.reading import Measured
from bench.run import Run, first_alerts, further_alerts, unique
from bench.sending import Alerts
from bench.site import PHOTOMETRY, TARGETS


def growth(run: Run) -> None:
    """Rubin and ZTF: CPU seconds of the reader and of PostgreSQL for 1,000 alerts."""
    surveys = ("lsst", "ztf")
    empty = {}
    for survey in surveys:
        site = run.site()
        run.seed(site, _first(run, survey))
        empty[survey] = run.drain(site, _further(run, survey))
    site = run.site()
    run.seed(site, *(_first(run, survey) for survey in surveys))
    known = sum(run.sizes.growth_objects.values())
    clone(site, run.sizes.grown_targets // known, run.sizes.grown_points)
    for survey in surveys:
        case, figure = f"growth {survey}", "CPU s per 1,000 alerts"
        measured = run.drain(site, _further(run, survey))
        run.note(case, measured)
        run.findings.add(case, figure, _cpu(measured), EMPTY, _cpu(empty[survey]))
        rate = empty[survey].alerts_per_s
        run.findings.add(case, "alerts/s", measured.alerts_per_s, EMPTY, rate)
    run.findings.add("growth", "targets", site.count(TARGETS))
    run.findings.add("growth", "points", site.count(PHOTOMETRY))


def _first(run: Run, survey: str) -> Alerts:
    count = run.sizes.growth_objects[survey]
    return Alerts(unique(), run.moulds(survey), first_alerts(0, count))


def _further(run: Run, survey: str) -> Alerts:
    count = run.sizes.growth_objects[survey]
    return Alerts(unique(), run.moulds(survey), further_alerts(0, count))


def _cpu(measured: Measured) -> float:
    return (measured.cpu.reader + measured.cpu.postgresql) / measured.alerts * 1000
