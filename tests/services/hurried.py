"""`manage.py` with a reader that is hurried, so that a test need not wait.

The broker notices its death after 6 s, its shortest time, instead of 45 s; what decodes may hang for 4 s
instead of 30 s; STUCK_AFTER_S in the environment is when a silent reader counts as stuck.
"""

import os
import sys

import django
from django.core.management import execute_from_command_line

from tom_fink.decoding.decoder import Decoder
from tom_fink.kafka.options import StreamOptions

SESSION = {"session.timeout.ms": 6000}
HANG_S = 4.0

if __name__ == "__main__":
    kafka, begin = StreamOptions.kafka, Decoder.__init__
    StreamOptions.kafka = lambda self: kafka(self) | SESSION
    Decoder.__init__ = lambda self: begin(self, timeout_s=HANG_S)
    if seconds := os.environ.get("STUCK_AFTER_S"):
        django.setup()
        from tom_fink.stream import check

        check.STUCK_AFTER_S = float(seconds)
    execute_from_command_line(["manage.py", *sys.argv[1:]])
