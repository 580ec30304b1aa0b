"""The only writer. Tidy frames become rows in one transaction, and doing it twice changes nothing.

Order of work and of locks, the same for every reader: topics, objects (in the order of their keys,
held to the end), targets, alerts, lists, photometry, ledger, delays. Two readers that meet
the same object wait for each other at its row and never the other way round. Cutouts go into their file meanwhile.
"""

from tom_fink.store.batch import Fate, Outcome, reject, store_messages, store_records, store_tidy
from tom_fink.store.found import Stored, store_found, store_light_curve

__all__ = [
    "Fate",
    "Outcome",
    "Stored",
    "reject",
    "store_found",
    "store_light_curve",
    "store_messages",
    "store_records",
    "store_tidy",
]
