"""One pure module a survey: decoded frames in, tidy frames out. No Django, no I/O.

The survey is recognised from the alert itself, never from the topic's name or the broker's.
"""

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.errors import BadMessage
from tom_fink.frames import ALERTS, DETECTIONS, Tidy, with_an_alert
from tom_fink.surveys import lsst, mm, ztf

SURVEYS = (lsst, ztf, mm)


def normalise(frames: list[pl.DataFrame]) -> tuple[Tidy, dict[int, BadMessage]]:
    """The alerts and detections of decoded frames, and why the other messages hold no alert.

    Every message of `frames` is either a row of the alerts or a key of the errors.
    """
    alerts, detections, errors = [pl.DataFrame(schema=ALERTS)], [pl.DataFrame(schema=DETECTIONS)], {}
    for frame in frames:
        survey = next((survey for survey in SURVEYS if survey.recognises(frame.schema)), None)
        if survey is None:
            error = BadMessage(
                "Neither a ZTF, a Rubin nor a multi-messenger alert: its fields are of no known kind."
            )
            errors.update(dict.fromkeys(frame[MESSAGE], error))
            continue
        tidy = survey.tidy(frame)
        said = tidy.alerts.select(MESSAGE, "problem").drop_nulls()
        for index, problem in said.rows():
            errors[index] = BadMessage(f"A {survey.NAME} message without an alert: {problem}.")
        alerts.append(with_an_alert(tidy.alerts, tidy.alerts))
        detections.append(tidy.detections)
    return Tidy(pl.concat(alerts), pl.concat(detections)), errors
