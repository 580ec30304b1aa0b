"""The cases by name; each is a function of a `bench.run.Run` that adds its figures."""

from bench.cases.backlog import backlog
from bench.cases.decode import decode
from bench.cases.growth import growth
from bench.cases.mixed import mixed
from bench.cases.scale_out import scale_out
from bench.cases.sqlite import sqlite
from bench.cases.steady import steady
from bench.cases.visit import visit

CASES = {
    "decode": decode,
    "backlog": backlog,
    "steady": steady,
    "mixed": mixed,
    "growth": growth,
    "scale-out": scale_out,
    "visit": visit,
    "sqlite": sqlite,
}
GATE_CASES = ("decode", "backlog", "steady")
