"""Half ZTF and half Rubin, half of each new and half known, through the two streams of one process."""

from bench.run import Run, first_alerts, unique
from bench.sending import Alerts


def mixed(run: Run) -> None:
    """As in a night of both surveys."""
    site, count = run.site(), run.sizes.mixed
    surveys = [run.moulds(survey) for survey in ("ztf", "lsst")]
    run.seed(site, *(Alerts(unique(), moulds, first_alerts(0, count)) for moulds in surveys))
    order = [pair for number in range(count) for pair in ((count + number, 0), (number, 1))]
    run.note("mixed", run.drain(site, *(Alerts(unique(), moulds, order) for moulds in surveys)))
