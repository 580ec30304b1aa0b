"""Every alert a new object with its whole history."""

from bench import baselines
from bench.lines import COPY, ORM
from bench.run import Run


def backlog(run: Run) -> None:
    """Rubin and ZTF, each against raw COPY of the very same rows and against the ORM."""
    for survey in ("lsst", "ztf"):
        case = f"backlog {survey}"
        site, measured = run.known(survey)
        run.note(case, measured)
        copied = baselines.copy_again(run.machine, site)
        run.findings.add(case, "rows/s", measured.points_per_s, COPY, copied.rows_per_s)
        run.findings.add(
            case,
            "PostgreSQL CPU s per million rows",
            measured.cpu.postgresql / measured.points * 1e6,
            COPY,
            copied.cpu_s_per_million,
        )
        run.findings.add(case, "rows/s", measured.points_per_s, ORM, run.one_by_one(survey).rows_per_s)
