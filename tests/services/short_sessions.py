"""`manage.py`, with readers whose death the broker notices after 6 s, its shortest time, instead of 45 s."""

import sys

from django.core.management import execute_from_command_line

from tom_fink.options import StreamOptions

SESSION = {"session.timeout.ms": 6000}

if __name__ == "__main__":
    kafka = StreamOptions.kafka
    StreamOptions.kafka = lambda self: kafka(self) | SESSION
    execute_from_command_line(["manage.py", *sys.argv[1:]])
