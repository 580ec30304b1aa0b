"""`python -m bench.sender ADDRESS TOPIC FIRST END ALERTS SECONDS`: visits of Rubin, in a process of its own.

Visit FIRST up to END (exclusive) sends the alert of that number of the objects 0 up to ALERTS, SECONDS after the one
before. Prints a line of JSON for each: when it began and when the broker had all (monotonic), and the CPU seconds used so far.
"""

import json
import sys
import time

from bench.messages import MOULDS, Moulds
from bench.sending import Alerts, send


def main(address: str, topic: str, visits: range, alerts: int, every_s: float) -> None:
    """Send."""
    moulds = Moulds("lsst")
    for mould in range(MOULDS):
        for repeat in visits:
            moulds.template(mould, repeat)
    first, used = time.monotonic(), time.process_time()
    for place, visit in enumerate(visits):
        time.sleep(max(0.0, first + place * every_s - time.monotonic()))
        began = time.monotonic()
        send(address, Alerts(topic, moulds, [(number, visit) for number in range(alerts)]))
        line = {"began": began, "sent": time.monotonic(), "cpu": time.process_time() - used}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:3], range(*map(int, sys.argv[3:5])), int(sys.argv[5]), float(sys.argv[6]))
