"""`manage.py`, with readers whose death is noticed after 6 s, the broker's shortest time, instead of 45 s.

A stream that dies is started again at once instead of after seconds, and batches are small: a few hundred
messages are several.
"""

import sys

import django
from django.core.management import execute_from_command_line

from tom_fink.kafka.options import StreamOptions

SESSION = {"session.timeout.ms": 6000}

if __name__ == "__main__":
    kafka = StreamOptions.kafka
    StreamOptions.kafka = lambda self: kafka(self) | SESSION
    django.setup()
    from tom_fink.stream import reader, supervisor

    reader.BATCH_MESSAGES = 50
    supervisor.RESTART_WAITS_S = tuple(0.1 for _ in supervisor.RESTART_WAITS_S)
    execute_from_command_line(["manage.py", *sys.argv[1:]])
