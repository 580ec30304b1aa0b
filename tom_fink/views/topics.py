"""The list of topics, and one topic's objects."""

from datetime import timedelta

from django.db.models import Count, Max, Q
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.functional import cached_property
from django.views.generic import TemplateView
from django_filters.views import FilterView
from tom_common.htmx_table import HTMXTableViewMixin

from tom_fink.access import sees_all_accounts, visible_deliveries, visible_objects, visible_topics
from tom_fink.filters import FinkObjectFilterSet
from tom_fink.models import FinkObject
from tom_fink.tables import FinkObjectTable
from tom_fink.views.status import account_of, notices


class TopicListView(TemplateView):
    """Every topic that the user may know of, with counts over the objects that they may see."""

    template_name = "tom_fink/topics.html"
    http_method_names = ["get", "head", "options"]

    def get_context_data(self, **kwargs):
        user = self.request.user
        topics = list(visible_topics(user).select_related("target_list").order_by("name"))
        counts = topic_counts(user, topics, timezone.now())
        for topic in topics:
            topic.counts = counts.get(topic.pk, {"objects": 0, "last_day": 0, "last_week": 0, "newest": None})
        return super().get_context_data(
            **kwargs,
            topics=topics,
            stream_notices=notices(user, [topic.name for topic in topics]),
            has_status=bool(topics) or sees_all_accounts(user),
        )

    def render_to_response(self, context, **kwargs):
        response = super().render_to_response(context, **kwargs)
        patch_cache_control(response, private=True)
        return response


def topic_counts(user, topics, now) -> dict[int, dict]:
    """What `user` may see in `topics`, visible ones, by topic id, in one query.

    objects: how many; last_day, last_week: alerts observed in that time before `now`; newest: the time of
    the newest observation. A topic of which the user sees no object is absent.
    """
    of_topic = (
        visible_deliveries(user, topics)
        .order_by()
        .values("topic")
        .annotate(
            objects=Count("fink_object", distinct=True),
            last_day=Count("pk", filter=Q(observed_at__gte=now - timedelta(days=1))),
            last_week=Count("pk", filter=Q(observed_at__gte=now - timedelta(days=7))),
            newest=Max("observed_at"),
        )
    )
    return {counts["topic"]: counts for counts in of_topic}


class TopicView(HTMXTableViewMixin, FilterView):
    """The objects of one topic: a table to sort and search. An HTMX request gets the table alone."""

    model = FinkObject
    template_name = "tom_fink/topic.html"
    table_class = FinkObjectTable
    table_pagination = {"per_page": 25}
    filterset_class = FinkObjectFilterSet
    http_method_names = ["get", "head", "options"]

    @cached_property
    def topic(self):
        # PostgreSQL refuses a NUL in a text, and raises.
        name = self.kwargs["topic"].replace("\x00", "\ufffd")
        return get_object_or_404(visible_topics(self.request.user).select_related("target_list"), name=name)

    @cached_property
    def account(self):
        """The topic's ledger, for the template of the whole page: an HTMX request does not ask."""
        return account_of(self.topic)

    def get_queryset(self):
        return visible_objects(self.request.user, self.topic).select_related("target")

    def get_context_data(self, **kwargs):
        # HTMXTableViewMixin counts the rows with ListView's paginator, which the table has already done,
        # and asks whether the model has any row at all, whoever may see it. Hence not its method.
        context = super(HTMXTableViewMixin, self).get_context_data(**kwargs)
        context["topic"] = self.topic
        context["record_count"] = context["table"].paginator.count
        context["searched"] = bool(self.request.GET.get("query"))
        return context

    def render_to_response(self, context, **kwargs):
        response = super().render_to_response(context, **kwargs)
        # Whole page and table share an address; without this, Back may show the table alone.
        patch_vary_headers(response, ["HX-Request"])
        patch_cache_control(response, private=True)
        return response
