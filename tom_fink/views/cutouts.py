"""One cutout, as a picture or as the FITS file that Fink sent."""

import re

from django.http import HttpResponse, HttpResponseNotFound
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views import View

from tom_fink.access import visible_cutouts
from tom_fink.errors import UnreadableCutout
from tom_fink.packing import fits_bytes
from tom_fink.stamps import stamp_png


class CutoutView(View):
    """What both have in common: access, and a one-line answer where the bytes cannot be read."""

    http_method_names = ["get", "head", "options"]

    def get(self, request, pk):
        cutout = get_object_or_404(visible_cutouts(request.user).select_related("alert__fink_object"), pk=pk)
        try:
            response = self.respond(cutout)
        except UnreadableCutout as error:
            response = HttpResponseNotFound(f"{error}\n", content_type="text/plain; charset=utf-8")
        # Private: the answer depends on who asks. A cutout is never changed, only exchanged for another.
        # The bytes are not ours: no browser is to guess that they are a page.
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, max-age=86400" if response.status_code == 200 else "private"
        return response

    def respond(self, cutout):
        raise NotImplementedError


class CutoutPngView(CutoutView):
    """The cutout as a grey PNG."""

    def respond(self, cutout):
        return HttpResponse(stamp_png(bytes(cutout.fits)), content_type="image/png")


class CutoutFitsView(CutoutView):
    """The stored FITS file, decompressed, to be saved."""

    def respond(self, cutout):
        name = f"{cutout.alert.fink_object.object_id}_{cutout.alert.alert_id}_{cutout.kind}"
        response = HttpResponse(fits_bytes(bytes(cutout.fits)), content_type="application/fits")
        response["Content-Disposition"] = content_disposition_header(
            True, re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".fits"
        )
        return response
