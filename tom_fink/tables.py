"""The table of a topic's objects. Every sort is done by the database."""

import django_tables2 as tables
from django.db.models import F, Value
from django.db.models.functions import Coalesce, NullIf
from django.utils.html import format_html
from tom_common.htmx_table import HTMXTable
from tom_targets.templatetags.targets_extras import deg_to_sexigesimal

from tom_fink.models import FinkObject
from tom_fink.templatetags.tom_fink_extras import signed_magnitude, utc_time


class FinkObjectTable(HTMXTable):
    """Columns of FinkObject and its target; rows come with `select_related("target")`."""

    name = tables.Column("Name", accessor="object_id")
    position = tables.Column("RA, Dec (deg)", accessor="ra_deg", default="–")
    brightness = tables.Column("Newest mag (AB)", accessor="mag_ab", default="–")
    alert_count = tables.Column("Alerts")
    fink_class = tables.Column("Class", default="–")
    first_seen = tables.Column("First seen (UTC)", default="–")
    last_seen = tables.Column("Last seen (UTC)", default="–")

    partial_template_name = "tom_fink/partials/object_table.html"

    class Meta(HTMXTable.Meta):
        model = FinkObject
        fields = ["name", "position", "brightness", "alert_count", "fink_class", "first_seen", "last_seen"]
        exclude = ["selection"]
        order_by = "-last_seen"

    def render_name(self, record):
        if record.target is None:
            return record.object_id
        # hx-boost off: TOM's table boosts its links, and would put the target's page inside itself.
        link = format_html(
            '<a href="{}" hx-boost="false">{}</a>', record.target.get_absolute_url(), record.target.name
        )
        if record.target.name == record.object_id:
            return link
        return format_html('{} <span class="text-body-secondary small">{}</span>', link, record.object_id)

    def render_position(self, record):
        """The target's position; of a moving body, which has none, where its newest alert saw it."""
        target, where = record.target, ""
        if target is not None and target.ra is not None and target.dec is not None:
            ra_deg, dec_deg = target.ra, target.dec
        else:
            ra_deg, dec_deg, where = record.ra_deg, record.dec_deg, f", at {utc_time(record.summary_at)} UTC"
        return format_html(
            '<span class="text-nowrap" title="{} {}{}">{} {}</span>',
            deg_to_sexigesimal(ra_deg, "hms"),
            deg_to_sexigesimal(dec_deg, "dms"),
            where,
            f"{ra_deg:.5f}",
            f"{dec_deg:+.5f}",
        )

    def render_brightness(self, record):
        return signed_magnitude(record)

    def render_first_seen(self, value):
        return _to_the_minute(value)

    def render_last_seen(self, value):
        return _to_the_minute(value)

    def order_name(self, queryset, is_descending):
        return _ordered(queryset, is_descending, "target__name", "object_id")

    def order_position(self, queryset, is_descending):
        return _ordered(
            queryset, is_descending, Coalesce("target__ra", "ra_deg"), Coalesce("target__dec", "dec_deg")
        )

    def order_brightness(self, queryset, is_descending):
        # A negative difference has the magnitude of its size: it comes after what has brightened, both ways.
        magnitude = F("mag_ab").desc(nulls_last=True) if is_descending else F("mag_ab").asc(nulls_last=True)
        return queryset.order_by(F("is_positive").desc(nulls_last=True), magnitude, "-pk"), True

    def order_alert_count(self, queryset, is_descending):
        return _ordered(queryset, is_descending, "alert_count")

    def order_fink_class(self, queryset, is_descending):
        return _ordered(queryset, is_descending, NullIf("fink_class", Value("")))

    def order_first_seen(self, queryset, is_descending):
        return _ordered(queryset, is_descending, "first_seen")

    def order_last_seen(self, queryset, is_descending):
        # No nulls_last here: the index that makes the first page cheap does not have them last.
        return queryset.order_by("-last_seen" if is_descending else "last_seen", "-pk"), True


def _to_the_minute(moment):
    return format_html(
        '<span class="text-nowrap" title="{0}">{1}</span>', utc_time(moment), utc_time(moment)[:16]
    )


def _ordered(queryset, is_descending, *fields):
    """Sorted by `fields`, unknown values last; the key settles ties, so that pages do not overlap."""
    values = [F(field) if isinstance(field, str) else field for field in fields]
    terms = [value.desc(nulls_last=True) if is_descending else value.asc(nulls_last=True) for value in values]
    return queryset.order_by(*terms, "-pk"), True
