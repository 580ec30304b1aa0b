"""`python -m bench.sender ADDRESS TOPIC VISITS ALERTS SECONDS`: visits of Rubin, in a process of its own.

Each visit sends the next alert of the objects 0 up to ALERTS, SECONDS after the one before. Prints a line of
JSON for each: when it began and when the broker had all (monotonic), and the CPU seconds used so far.
"""

import json
import sys
import time

from bench.messages import MOULDS, Moulds
from bench.sending import Alerts, send


def main(address: str, topic: str, visits: int, alerts: int, every_s: float) -> None:
    """Send."""
    moulds = Moulds("lsst")
    for mould in range(MOULDS):
        for repeat in range(1, visits + 1):
            moulds.template(mould, repeat)
    first, used = time.monotonic(), time.process_time()
    for visit in range(visits):
        time.sleep(max(0.0, first + visit * every_s - time.monotonic()))
        began = time.monotonic()
        send(address, Alerts(topic, moulds, [(number, visit + 1) for number in range(alerts)]))
        line = {"began": began, "sent": time.monotonic(), "cpu": time.process_time() - used}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
