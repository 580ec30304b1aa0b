"""`python -m bench`: measure, print a table, and with --gate fail when a ratio is under its line."""

import argparse
import json
import os
import secrets
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """The status that the process should end with."""
    _set_up()
    from bench.alerts import MOST_REPEATS
    from bench.cases import CASES, GATE_CASES
    from bench.errors import BenchError
    from bench.findings import Findings
    from bench.lines import below_the_gate
    from bench.machine import Machine
    from bench.run import FULL, GATE, LastingSites, Run
    from bench.table import table
    from tom_fink.stream.reader import BATCH_BYTES, BATCH_MESSAGES

    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; none means all")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="measure everything N times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument(
        "--gate", action="store_true", help="a small run that fails when a ratio is under its line"
    )
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="X times as many objects (1)")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    sizes = (GATE if options.gate else FULL).scaled(options.scale)
    most_runs = MOST_REPEATS // sizes.visits  # what the objects of lasting sites have alerts for
    if not 1 <= options.runs <= most_runs or options.scale <= 0:
        parser.error(f"--runs takes 1 to {most_runs}, --scale a number above 0")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the servers are to end too
    names = options.cases or (GATE_CASES if options.gate else list(CASES))
    findings, about, fault, began = Findings(), {}, None, time.monotonic()
    try:
        with Machine() as machine, LastingSites(machine) as lasting:
            machine.prepare()
            about = machine.describe() | {
                "a batch": f"{BATCH_MESSAGES} messages or {BATCH_BYTES / 1e6:g} MB",
                "runs": str(options.runs),
                "scale": f"{options.scale:g}",
            }
            say("; ".join(f"{name}: {value}" for name, value in about.items()))
            for number in range(options.runs):
                with Run(machine, sizes, findings, lasting) as run:
                    for name in names:
                        say(f"{time.monotonic() - began:5.0f} s  run {number + 1}: {name} …")
                        CASES[name](run)
    except BenchError as error:
        fault = error
    finally:  # whatever happened: what was measured until then took long
        took_s = time.monotonic() - began
        say(f"\n{table(findings, with_gate=options.gate)}")
        if options.json and len(findings):
            figures = [found.as_json() for found in findings]
            told = {"about": about, "seconds": took_s, "figures": figures}
            options.json.write_text(json.dumps(told, indent=1) + "\n")
    if fault is not None:
        say(f"\nbench: {fault}")
        return 2
    missed = below_the_gate(findings) if options.gate else []
    for text in missed:
        say(f"bench: {text}")
    say(f"\n{took_s:.0f} s")
    return 1 if missed else 0


def say(text: str) -> None:
    """Print at once: a case takes minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _set_up() -> None:
    """Django with the site's settings, both surveys' streams, and nothing of this machine's in them."""
    from fink_tom_site.environment import emptied

    os.environ.update(emptied(ROOT / ".env"))
    os.environ["SECRET_KEY"] = secrets.token_urlsafe(64)
    os.environ["LOG_LEVEL"] = "WARNING"
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.both_surveys"
    import django

    django.setup()


if __name__ == "__main__":
    sys.exit(main())
