"""Every alert a new object with its whole history."""

from bench.copied import copy_again
from bench.lines import COPY, COPY_AND_IMAGES, COPY_OF_POINTS, ORM
from bench.reading import batch_of
from bench.run import Run


def backlog(run: Run) -> None:
    """Rubin and ZTF, each against raw COPY of the very same rows and against the ORM.

    Rows are those of photometry; COPY writes the targets, alerts and all else that belongs to them too.
    """
    for survey in ("lsst", "ztf"):
        case = f"backlog {survey}"
        site, measured = run.known(survey)
        run.note(case, measured)
        batches = -(-run.sizes.objects[survey] // batch_of(run.moulds(survey)))
        copied = copy_again(run.machine, site, batches)
        run.findings.add(case, "rows/s", measured.points_per_s, COPY, copied.points_per_s)
        run.findings.add(case, "rows/s", measured.points_per_s, COPY_OF_POINTS, copied.points_alone_per_s)
        run.findings.add(
            case, "rows/s", measured.points_per_s, COPY_AND_IMAGES, copied.points_with_images_per_s
        )
        run.findings.add(
            case,
            "PostgreSQL CPU s per million rows",
            measured.cpu.postgresql / measured.points * 1e6,
            COPY,
            copied.cpu_s_per_million,
        )
        run.findings.add(case, "rows/s", measured.points_per_s, ORM, run.one_by_one(survey).rows_per_s)
