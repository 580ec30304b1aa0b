"""Many alerts from a few: cast from the bytes of simulated ones, each with an id and a time of its own."""

import copy
import random
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.mutations import long
from tom_fink.simulate import SimulatedAlert, serialise, simulated_alerts
from tom_fink.simulate.observations import JD_MINUS_MJD, mjd_of

START = datetime(2026, 3, 22, 4, tzinfo=UTC)
# Behind all points of the simulated histories, and two seconds for each alert: no point is there twice
# with different brightness, of which the one that came first would stay.
FIRST_MJD = mjd_of(START) + 10
STEP_S = 2.003
FIRST_ID = {"ztf": 2_500_000_000_000_000_000, "lsst": 170_000_000_000_000_000}
MARK_ID, MARK_TIME = 1_234_567_890_123_456_789, 61234.123456789
SMALL_CUTOUT = 512  # bytes; what is in a cutout is nobody's business before it is shown


@dataclass(frozen=True)
class Cast:
    """One alert as (key, value), and what a test needs to know of it."""

    survey: str
    alert_id: str
    key: bytes
    value: bytes


class Mould:
    """One simulated alert whose id and time can be set."""

    def __init__(self, simulated: SimulatedAlert, is_small: bool):
        self.survey = simulated.survey
        self.topic = simulated.topic
        alert = copy.deepcopy(simulated.alert)
        if self.survey == "ztf":
            alert["candid"] = alert["candidate"]["candid"] = MARK_ID
            alert["candidate"]["jd"] = MARK_TIME + JD_MINUS_MJD
            self._time_marked, self._zero = MARK_TIME + JD_MINUS_MJD, FIRST_MJD + JD_MINUS_MJD
            cutouts = [alert[f"cutout{kind}"] for kind in ("Science", "Template", "Difference")]
            for cutout in cutouts:
                cutout["stampData"] = cutout["stampData"][: SMALL_CUTOUT if is_small else None]
        else:
            alert["diaSourceId"] = alert["diaSource"]["diaSourceId"] = MARK_ID
            alert["diaSource"]["midpointMjdTai"] = MARK_TIME
            self._time_marked, self._zero = MARK_TIME, FIRST_MJD
            for kind in ("Science", "Template", "Difference"):
                alert[f"cutout{kind}"] = alert[f"cutout{kind}"][: SMALL_CUTOUT if is_small else None]
        self.key, value = serialise(SimulatedAlert(simulated.topic, self.survey, alert))
        marks = long(MARK_ID), struct.pack("<d", self._time_marked)
        self._parts = re.split(b"(" + b"|".join(map(re.escape, marks)) + b")", value)
        self._is_id, self._is_time = (
            [place for place, part in enumerate(self._parts) if part == mark] for mark in marks
        )
        assert self._is_id, "the id is in it"
        assert len(self._is_time) == 1, "and the time, once"

    def cast(self, number: int) -> Cast:
        """Alert `number`; a number is to be used once."""
        alert_id = FIRST_ID[self.survey] + number
        parts = list(self._parts)
        for place in self._is_id:
            parts[place] = long(alert_id)
        for place in self._is_time:
            parts[place] = struct.pack("<d", self._zero + number * STEP_S / 86_400)
        return Cast(self.survey, str(alert_id), self.key, b"".join(parts))


def moulds(survey: str, number: int, seed: int = 1, small: float = 0.9) -> list[Mould]:
    """Moulds of one survey, of which the share `small` have next to no cutouts."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    made = []
    for simulated in simulated_alerts(seed, START):
        if simulated.survey == survey:
            made.append(Mould(simulated, chance.random() < small))
            if len(made) == number:
                return made
    raise AssertionError("the simulation has no end")
