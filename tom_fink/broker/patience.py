"""How long the light curves of a request may take: the page makes the targets one by one, and tells of no request."""

import time
from typing import Any

from asgiref.local import Local
from django.core.signals import request_finished, request_started

OF_A_TARGET_S = 15.0
OF_A_REQUEST_S = 40.0  # gunicorn's workers are given up after 60 s

_request = Local()


def _begin(**_: Any) -> None:
    _request.ends_at = None
    _request.is_there = True


def _end(**_: Any) -> None:
    _request.is_there = False


def light_curve_s() -> float:
    """Seconds that there are for a target's light curve: of those that the request in hand has, if there is one.

    Its time begins with its first light curve. 0 if it is over.
    """
    if not getattr(_request, "is_there", False):
        return OF_A_TARGET_S
    now = time.monotonic()
    if _request.ends_at is None:
        _request.ends_at = now + OF_A_REQUEST_S
    return min(OF_A_TARGET_S, max(_request.ends_at - now, 0.0))


request_started.connect(_begin, dispatch_uid="tom_fink.broker.patience")
request_finished.connect(_end, dispatch_uid="tom_fink.broker.patience")
