"""How this site writes its log."""

import logging
import time


class UtcFormatter(logging.Formatter):
    """`2026-03-22T11:06:52.004Z LEVEL name: message`, in UTC as everything else here is."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self):
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
