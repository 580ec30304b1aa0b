"""One cutout, as a picture or as the FITS file that Fink sent."""

import logging
import re

from django.http import Http404, HttpResponse, HttpResponseNotFound
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views import View

from tom_fink.access import visible_alerts
from tom_fink.cutouts import Cutout, CutoutKind
from tom_fink.errors import StoreUnavailable, UnreadableCutout
from tom_fink.packing import fits_bytes
from tom_fink.stamps import stamp_png

logger = logging.getLogger(__name__)


class CutoutView(View):
    """What both have in common: access, and a one-line answer where the bytes cannot be read."""

    http_method_names = ["get", "head", "options"]

    def get(self, request, pk, kind):
        if kind not in CutoutKind.values:
            raise Http404
        alerts = visible_alerts(request.user).select_related("fink_object").defer("fink_values")
        cutout = Cutout(get_object_or_404(alerts, pk=pk), CutoutKind(kind))
        try:
            stored = cutout.stored()
            if stored is None:
                raise Http404
            response = self.respond(cutout, stored)
        except UnreadableCutout as error:
            response = HttpResponseNotFound(f"{error}\n", content_type="text/plain; charset=utf-8")
        except StoreUnavailable as error:
            logger.error("%s", error)
            response = HttpResponse(
                "Cutouts cannot be read at the moment; the site's log says why.\n",
                status=503,
                content_type="text/plain; charset=utf-8",
            )
        # Private: the answer depends on who asks. An alert's cutout is never changed.
        # The bytes are not ours: no browser is to guess that they are a page.
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, max-age=86400" if response.status_code == 200 else "private"
        return response

    def respond(self, cutout: Cutout, stored: bytes):
        raise NotImplementedError


class CutoutPngView(CutoutView):
    """The cutout as a grey PNG."""

    def respond(self, cutout: Cutout, stored: bytes):
        return HttpResponse(stamp_png(stored), content_type="image/png")


class CutoutFitsView(CutoutView):
    """The stored FITS file, decompressed, to be saved."""

    def respond(self, cutout: Cutout, stored: bytes):
        name = f"{cutout.alert.fink_object.object_id}_{cutout.alert.alert_id}_{cutout.kind.value}"
        response = HttpResponse(fits_bytes(stored), content_type="application/fits")
        response["Content-Disposition"] = content_disposition_header(
            True, re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".fits"
        )
        return response
