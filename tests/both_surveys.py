"""The site's settings for the processes that tests and the benchmark start: the streams of both surveys.

A site may read one survey, or hand alerts to code of its owner's: what is tested with these processes is the app, which
is the same there.
"""

from fink_tom_site.settings import *  # noqa: F403
from fink_tom_site.settings import fink_stream

ALERT_STREAMS = [fink_stream("ztf"), fink_stream("lsst")]
