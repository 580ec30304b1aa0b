"""What fills a catalogue: the visits of simulated skies, as their time comes.

One sky is that of the stream, of which the service knows every alert, also those that no filter sends. The
other one is never sent: what a search finds of it is new to whoever reads the stream.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from string import ascii_lowercase
from typing import Any

from tom_fink.simulate import lsst, mm, ztf
from tom_fink.simulate.observations import clock, mjd_of
from tom_fink.simulate.sky import Asteroid
from tom_fink.simulate.stream import detections

from .catalogue import Catalogue
from .events import Event

NIGHTS = 3
UNSENT_SEED = 1_000_003  # added to the stream's seed
# Rubin's ids are made of the second and the place in the sky's list: the unsent sky has other seconds.
UNSENT_LATE_S = 31
EVENT_SPREAD = 4  # detectors of gravitational waves locate so much worse than those of gamma rays


@dataclass(order=True, frozen=True)
class Visit:
    """A visit that saw its source, at `mjd` (UTC)."""

    mjd: float
    survey: str = field(compare=False)
    alert: dict[str, Any] = field(compare=False, repr=False)
    topics: list[str] = field(compare=False)
    body: Asteroid | None = field(compare=False, default=None)
    burst: mm.Burst | None = field(compare=False, default=None)


def visits(seed: int, start_mjd: float, nights: int) -> Iterator[Visit]:
    """Every alert of a sky, in the order of the visits; those of the stream are among them, and equal."""
    for track, burst in detections(seed, start_mjd, nights):
        survey = ztf if track.survey == "ztf" else lsst
        alert = survey.alert(track)
        body = track.source if isinstance(track.source, Asteroid) else None
        yield Visit(track.observations[-1].mjd, track.survey, alert, survey.topics(alert), body, burst)


class Feed:
    """Brings what was seen until some time into `catalogue`.

    `clock_now`, if given, says what the time is: the feed then knows what is past. Without, all nights are.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        seed: int,
        start: datetime,
        nights: int = NIGHTS,
        clock_now: Callable[[], datetime] | None = None,
    ):
        """Begin before the first visit of `start` (aware). Raises ValueError for a number of nights below 1."""
        if nights < 1:
            raise ValueError(f"the number of nights must be above 0, not {nights}")
        self.catalogue = catalogue
        self.clock_now = clock_now
        start_mjd = mjd_of(start)
        self._visits = heapq.merge(
            visits(seed, start_mjd, nights),
            visits(seed + UNSENT_SEED, start_mjd + UNSENT_LATE_S / 86_400, nights),
        )
        self._next: Visit | None = None
        self._letters: dict[str, Iterator[str]] = {}
        self._bursts: set[mm.Burst] = set()

    def advance(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Add what is past by now, until `is_stopped` says so."""
        now = mjd_of(self.clock_now()) if self.clock_now else float("inf")
        while not is_stopped():
            self._next = self._next or next(self._visits, None)
            if self._next is None or self._next.mjd > now:
                return
            self._add(self._next)
            self._next = None

    def _add(self, visit: Visit) -> None:
        if visit.body is not None:
            self.catalogue.bodies.add_asteroid(visit.body)
        self.catalogue.add(visit.survey, visit.alert, visit.topics)
        if visit.burst is not None and visit.burst not in self._bursts:
            self._bursts.add(visit.burst)
            self.catalogue.add_event(self._event(visit.burst))

    def _event(self, burst: mm.Burst) -> Event:
        """A gravitational-wave event at the burst's time and place, named as GraceDB does: S260322a.

        A sky has a burst every fourth night.
        """
        day = clock(burst.mjd)[2:10].replace("-", "")
        letters = self._letters.setdefault(day, iter(ascii_lowercase))
        name = f"S{day}{next(letters)}"
        return Event(name, burst.mjd, burst.ra, burst.dec, EVENT_SPREAD * burst.loc_error_arcmin / 60)
