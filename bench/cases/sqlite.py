"""The backlog of ZTF on SQLite, the embedded default."""

from bench.run import Run, first_alerts, unique
from bench.sending import Alerts

SURVEY = "ztf"


def sqlite(run: Run) -> None:
    """Every alert a new object with its whole history."""
    alerts = Alerts(unique(), run.moulds(SURVEY), first_alerts(0, run.sizes.sqlite_objects))
    with run.machine.sqlite_site() as site:
        run.note(f"sqlite {SURVEY}", run.drain(site, alerts))
