"""Objects that are known: each alert repeats its object's history and adds one or two points."""

from bench.cases.decode import fastavro_rate
from bench.lines import FASTAVRO, ORM
from bench.reading import Measured
from bench.run import Run, further_alerts, unique
from bench.sending import Alerts


def steady(run: Run) -> None:
    """Rubin and ZTF, each against fastavro alone and against the ORM."""
    for survey in ("lsst", "ztf"):
        case = f"steady {survey}"
        one_by_one = run.one_by_one(survey)  # of what the backlog left
        measured = read_known(run, survey)
        run.note(case, measured)
        rate = measured.alerts_per_s
        run.findings.add(case, "alerts/s", rate, FASTAVRO, fastavro_rate(run, survey))
        run.findings.add(case, "alerts/s", rate, ORM, one_by_one.repeats_per_s)


def read_known(run: Run, survey: str) -> Measured:
    """Further alerts of all objects that the run's site of the survey knows."""
    site, _ = run.known(survey)
    order = further_alerts(0, run.sizes.objects[survey])
    return run.drain(site, Alerts(unique(), run.moulds(survey), order))
