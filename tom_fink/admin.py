"""Fink's rows in Django's admin, to look at. Only rejected messages can be acted upon."""

from itertools import islice

from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html

from tom_fink.errors import FinkError
from tom_fink.models import (
    Alert,
    DelayHour,
    FinkObject,
    PartitionLedger,
    Reader,
    RejectedMessage,
    Topic,
)

RETRY_AT_ONCE = 200  # more would take longer than a web server waits; the command knows no limit


class ReadOnlyAdmin(admin.ModelAdmin):
    """Lists and shows. No filter that reads all values of a column, no second count of all rows."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(Topic)
class TopicAdmin(ReadOnlyAdmin):
    list_display = ["name", "survey", "target_list", "created"]
    list_filter = ["survey"]
    list_select_related = ["target_list"]
    search_fields = ["name"]


@admin.register(FinkObject)
class FinkObjectAdmin(ReadOnlyAdmin):
    list_display = [
        "object_id",
        "survey",
        "target_id",
        "alert_count",
        "first_seen",
        "last_seen",
        "fink_class",
    ]
    list_filter = ["survey", "is_positive"]
    ordering = ["-last_seen"]
    search_fields = ["object_id__startswith"]
    search_help_text = "The beginning of an object id"


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = [
        "alert_id",
        "survey",
        "object_id",
        "target_id",
        "observed_at",
        "band",
        "mag_ab",
        "is_positive",
        "fink_class",
        "received_at",
    ]
    list_filter = ["survey", "is_positive"]
    ordering = ["-pk"]
    raw_id_fields = ["fink_object", "target"]
    search_fields = ["alert_id__exact", "object_id__startswith"]
    search_help_text = "A whole alert id, or the beginning of an object id"


class OpenFilter(admin.SimpleListFilter):
    """Open ones by default: those that somebody has to look at."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request, model_admin):
        return [("closed", "Closed"), ("all", "All")]

    def choices(self, changelist):
        _, *others = super().choices(changelist)
        yield {
            "selected": self.value() is None,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": "Open",
        }
        yield from others

    def queryset(self, request, queryset):
        if self.value() == "all":
            return queryset
        return queryset.filter(closed_at__isnull=self.value() != "closed")


@admin.register(RejectedMessage)
class RejectedMessageAdmin(ReadOnlyAdmin):
    """Who may change rejected messages can have them tried again, or discard them."""

    list_display = ["topic", "partition", "offset", "error", "received_at", "tries", "closed_as"]
    list_filter = [OpenFilter]
    ordering = ["-pk"]
    search_fields = ["topic", "error"]
    exclude = ["key", "value", "traceback"]
    readonly_fields = ["key_bytes", "value_bytes", "where_from"]
    actions = ["try_again", "discard"]

    def get_queryset(self, request):
        # A message has up to some megabytes; the list needs none of it.
        return super().get_queryset(request).defer("key", "value")

    def get_urls(self):
        part = self.admin_site.admin_view(self.download)
        return [
            path("<int:pk>/<str:part>.bin", part, name="tom_fink_rejectedmessage_part"),
            *super().get_urls(),
        ]

    def has_mend_permission(self, request):
        """Of the actions: Django's own permission to change, which the pages themselves never use."""
        return request.user.has_perm("tom_fink.change_rejectedmessage")

    @admin.action(description="Try again", permissions=["mend"])
    def try_again(self, request, queryset):
        # Imported here: a web worker has no use for what reads alerts, but for this.
        from tom_fink.store import Fate
        from tom_fink.stream.retry import retry

        keys = list(
            queryset.filter(closed_at=None).order_by("pk").values_list("pk", flat=True)[: RETRY_AT_ONCE + 1]
        )
        still = worked = 0
        try:
            for tried in retry(islice(keys, RETRY_AT_ONCE)):
                still += tried.fate == Fate.REJECTED
                worked += tried.fate != Fate.REJECTED
        except (FinkError, ImproperlyConfigured) as error:
            self.message_user(request, str(error), messages.ERROR)
        level = messages.WARNING if still else messages.SUCCESS
        self.message_user(request, f"{worked} closed, {still} still rejected.", level)
        if len(keys) > RETRY_AT_ONCE:
            self.message_user(
                request,
                f"Only {RETRY_AT_ONCE} are tried at once here; manage.py retry_rejected takes all.",
                messages.WARNING,
            )

    @admin.action(description="Discard: close without an alert", permissions=["mend"])
    def discard(self, request, queryset):
        from tom_fink.store.rejected import close_rejected, lock_rejected

        closed = 0
        for key in queryset.filter(closed_at=None).order_by("pk").values_list("pk", flat=True):
            with transaction.atomic():
                found = lock_rejected(key)
                if found is not None:
                    close_rejected(found, RejectedMessage.Closed.DISCARDED)
                    closed += 1
        self.message_user(request, f"{closed} discarded.", messages.SUCCESS)

    def download(self, request, pk, part):
        """The bytes of a message's key or value, for those who may see it here."""
        if part not in ("key", "value") or not self.has_view_permission(request):
            return HttpResponse(status=404)
        found = RejectedMessage.objects.filter(pk=pk).first()
        content = getattr(found, part, None)
        if content is None:
            return HttpResponse(status=404)
        return HttpResponse(
            bytes(content),
            content_type="application/octet-stream",
            headers={
                "Content-Disposition": f'attachment; filename="rejected-{pk}-{part}.bin"',
                "X-Content-Type-Options": "nosniff",
            },
        )

    @admin.display(description="Key")
    def key_bytes(self, message):
        return _link(message, "key")

    @admin.display(description="Value")
    def value_bytes(self, message):
        return _link(message, "value")

    @admin.display(description="Traceback")
    def where_from(self, message):
        return format_html("<pre>{}</pre>", message.traceback) if message.traceback else "-"


@admin.register(PartitionLedger)
class PartitionLedgerAdmin(ReadOnlyAdmin):
    list_display = [
        "topic",
        "partition",
        "group_id",
        "read",
        "stored",
        "duplicate",
        "rejected",
        "handled",
        "replayed",
        "lost",
        "skipped",
        "next_offset",
        "end_offset",
    ]
    search_fields = ["topic", "group_id__exact"]


@admin.register(DelayHour)
class DelayHourAdmin(ReadOnlyAdmin):
    list_display = ["topic", "partition", "hour"]
    ordering = ["-hour", "topic", "partition"]
    search_fields = ["topic"]


@admin.register(Reader)
class ReaderAdmin(ReadOnlyAdmin):
    list_display = ["host", "pid", "stream", "group_id", "started_at", "beat_at"]


def _link(message: RejectedMessage, part: str) -> str:
    content = getattr(message, part)
    if content is None:
        return "none"
    address = reverse("admin:tom_fink_rejectedmessage_part", args=[message.pk, part])
    return format_html('<a href="{}">{} bytes</a>', address, len(content))
