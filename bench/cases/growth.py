"""The steady case on a database of a million targets, against the same on an empty one."""

from bench.alerts import PERIOD
from bench.clones import clone
from bench.lines import EMPTY
from bench.reading import Measured
from bench.run import Run, first_alerts, further_alerts, unique
from bench.sending import Alerts
from bench.site import Site

FIRST = 10_000_000  # behind all that is cloned


def growth(run: Run) -> None:
    """Rubin and ZTF: CPU seconds of the reader and of PostgreSQL for 1,000 alerts."""
    empty = {survey: _steady(run, run.site(), survey) for survey in ("lsst", "ztf")}
    site = run.site()
    half = PERIOD // 2
    run.seed(
        site, *(Alerts(unique(), run.moulds(survey), first_alerts(0, half)) for survey in ("lsst", "ztf"))
    )
    clone(site, run.sizes.grown_targets // PERIOD, run.sizes.grown_points)
    for survey in ("lsst", "ztf"):
        case, figure = f"growth {survey}", "CPU s per 1,000 alerts"
        measured = _steady(run, site, survey)
        run.note(case, measured)
        run.findings.add(case, figure, _cpu(measured), EMPTY, _cpu(empty[survey]))
        rate = empty[survey].alerts_per_s
        run.findings.add(case, "alerts/s", measured.alerts_per_s, EMPTY, rate)


def _steady(run: Run, site: Site, survey: str) -> Measured:
    count, moulds = run.sizes.growth_objects[survey], run.moulds(survey)
    run.seed(site, Alerts(unique(), moulds, first_alerts(FIRST, count)))
    return run.drain(site, Alerts(unique(), moulds, further_alerts(FIRST, count)))


def _cpu(measured: Measured) -> float:
    return (measured.cpu.reader + measured.cpu.postgresql) / measured.alerts * 1000
