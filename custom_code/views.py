"""An example of a page: the brightest objects of the last 24 hours."""

from datetime import timedelta

from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.generic import ListView

from tom_fink.access import visible_objects

LENGTH = 50


class LastNightView(ListView):
    """Objects seen in the last 24 hours, the brightest first; only those that the user may see."""

    template_name = "custom_code/last_night.html"
    context_object_name = "objects"
    http_method_names = ["get", "head", "options"]

    def get_queryset(self):
        """At most `LENGTH` rows of `FinkObject`, with their targets."""
        since = timezone.now() - timedelta(days=1)
        seen = visible_objects(self.request.user).filter(last_seen__gte=since, mag_ab__isnull=False)
        return seen.select_related("target").order_by("mag_ab", "pk")[:LENGTH]

    def render_to_response(self, context, **kwargs):
        """Each user's page is their own: no cache may share it."""
        response = super().render_to_response(context, **kwargs)
        patch_cache_control(response, private=True)
        return response
