"""The Fink tab of a target: its content, and the figures that its script fetches."""

import logging

from django.conf import settings
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.cache import patch_cache_control
from django.views import View
from django.views.generic import TemplateView

from tom_fink.access import (
    visible_alerts,
    visible_photometry,
    visible_targets,
    visible_topics,
)
from tom_fink.cutouts import with_cutouts
from tom_fink.errors import StoreUnavailable
from tom_fink.lightcurve import figures
from tom_fink.models import TopicAlert
from tom_fink.views.assets import PLOTLY_VERSION

MAX_ALERTS = 100

logger = logging.getLogger(__name__)


class TargetView(TemplateView):
    """The content of the tab, a fragment of a page: light curve, cutouts, and the newest alerts."""

    template_name = "tom_fink/target_fragment.html"
    http_method_names = ["get", "head", "options"]

    def get_context_data(self, **kwargs):
        user = self.request.user
        target = get_object_or_404(visible_targets(user), pk=kwargs["pk"])
        alerts = visible_alerts(user, target)
        deliveries = TopicAlert.objects.filter(topic__in=visible_topics(user)).select_related("topic")
        newest = (
            alerts.select_related("fink_object")
            .defer("fink_values")
            .prefetch_related(Prefetch("deliveries", queryset=deliveries, to_attr="visible_deliveries"))
            .order_by("-observed_at", "-pk")[:MAX_ALERTS]
        )
        return super().get_context_data(
            **kwargs,
            target=target,
            alerts=newest,
            alert_count=alerts.count(),
            max_alerts=MAX_ALERTS,
            stamp_rows=_stamp_rows(alerts),
            plotly_version=PLOTLY_VERSION,
        )

    def render_to_response(self, context, **kwargs):
        response = super().render_to_response(context, **kwargs)
        patch_cache_control(response, private=True, no_cache=True)
        return response


class LightCurveView(View):
    """JSON of two Plotly figures, {"magnitude": {...}, "flux": {...}}."""

    http_method_names = ["get", "head", "options"]

    def get(self, request, pk):
        target = get_object_or_404(visible_targets(request.user), pk=pk)
        rows = visible_photometry(request.user, target).values(
            "timestamp", "instrument", "bandpass", "brightness", "brightness_error", "limit", "value"
        )
        both = figures(rows, dark=(getattr(settings, "CSS_THEME", None) or "").lower() == "dark")
        # Plotly's own encoder: it writes a number that JSON does not have as null, and escapes "<".
        content = ",".join(f'"{name}":{figure.to_json()}' for name, figure in both.items())
        response = HttpResponse(f"{{{content}}}", content_type="application/json")
        patch_cache_control(response, private=True, no_cache=True)
        return response


def _stamp_rows(alerts) -> list[dict] | None:
    """One dict per alert that shows cutouts, in order of time: alert, caption, cutouts. None if they cannot be read."""
    try:
        found = with_cutouts(alerts)
    except StoreUnavailable as error:
        logger.error("%s", error)
        return None
    return [{"alert": alert, "caption": _caption(alert), "cutouts": cutouts} for alert, cutouts in found]


def _caption(alert) -> str:
    is_first = alert.observed_at == alert.fink_object.first_seen
    is_latest = alert.observed_at == alert.fink_object.last_seen
    if is_first and is_latest:
        return "First and latest alert"
    if is_first:
        return "First alert"
    return "Latest alert" if is_latest else "Alert"
