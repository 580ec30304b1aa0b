"""Plotly's own JavaScript file, under an address that changes with its version.

It has 4.5 MB. TOM Toolkit writes it into each page; from here the browser fetches it once. It comes
from the plotly package and not from the static files, so that a site needs no setting and no copy.
"""

import gzip
from functools import lru_cache

from django.http import Http404, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe
from plotly.offline import get_plotlyjs, get_plotlyjs_version

PLOTLY_VERSION = get_plotlyjs_version()


@require_safe
def plotly_js(request, version):
    """The file, to be kept for a year, gzipped where that is accepted; 404 for another version."""
    if version != PLOTLY_VERSION:
        raise Http404
    gzipped = _takes_gzip(request.headers.get("Accept-Encoding", ""))
    etag = f'"plotly-{version}{"-gzip" if gzipped else ""}"'
    content = _gzipped_script() if gzipped else get_plotlyjs().encode()
    response = HttpResponse(content, content_type="text/javascript; charset=utf-8")
    if gzipped:
        response["Content-Encoding"] = "gzip"
    response["ETag"] = etag
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    patch_vary_headers(response, ["Accept-Encoding"])
    return get_conditional_response(request, etag=etag, response=response)


@lru_cache(maxsize=1)
def _gzipped_script() -> bytes:
    return gzip.compress(get_plotlyjs().encode(), compresslevel=6, mtime=0)


def _takes_gzip(accept_encoding: str) -> bool:
    for offer in accept_encoding.lower().split(","):
        coding, _, quality = offer.partition(";")
        if coding.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
