"""Searching Fink: what is wanted (`Search`), what came (`Found`), and objects whole (`Whole`). Without Django.

`recognise` reads one box of text, `run` asks and sums up, `fetch` gets objects with their light curves.
`tom_fink.store.found` stores what came.
"""

from tom_fink.search.counts import with_counts
from tom_fink.search.fetch import Whole, fetch, fetch_in_parts, light_curve, light_curves
from tom_fink.search.found import OBJECTS, Found
from tom_fink.search.identify import identify
from tom_fink.search.names import Place, look_up
from tom_fink.search.recognise import recognise
from tom_fink.search.run import run
from tom_fink.search.search import Search

__all__ = [
    "OBJECTS",
    "Found",
    "Place",
    "Search",
    "Whole",
    "fetch",
    "fetch_in_parts",
    "identify",
    "light_curve",
    "light_curves",
    "look_up",
    "recognise",
    "run",
    "with_counts",
]
