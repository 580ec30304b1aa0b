"""Fink's rows in Django's admin, to look at. Only the reader writes them."""

from django.contrib import admin

from tom_fink.models import Alert, FinkObject, RejectedMessage, Topic


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


@admin.register(RejectedMessage)
class RejectedMessageAdmin(ReadOnlyAdmin):
    list_display = ["topic", "partition", "offset", "error", "received_at"]
    ordering = ["-pk"]
    search_fields = ["topic", "error"]
    exclude = ["key", "value"]
    readonly_fields = ["key_bytes", "value_bytes"]

    def get_queryset(self, request):
        # A message has up to a megabyte; the list needs none of it.
        return super().get_queryset(request).defer("key", "value")

    @admin.display(description="Length of the key")
    def key_bytes(self, message):
        return _length(message.key)

    @admin.display(description="Length of the value")
    def value_bytes(self, message):
        return _length(message.value)


def _length(content) -> str:
    return "none" if content is None else f"{len(content)} bytes"
