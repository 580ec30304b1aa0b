"""Numbers and time spans on the pages about the stream."""

from django import template
from django.utils.html import format_html_join

from tom_fink.status import standing
from tom_fink.text import printable

register = template.Library()


@register.filter
def grouped(number):
    """A whole number with commas between thousands; a dash for None."""
    return "–" if number is None else f"{number:,}"


@register.filter
def span(seconds):
    """A time span in one unit; a dash for None."""
    return "–" if seconds is None else standing.duration(seconds)


@register.filter
def age(moment, now):
    """How long before `now` a time was, in one unit; a dash for None."""
    return "–" if moment is None else standing.duration(max(0, round((now - moment).total_seconds())))


@register.filter
def breakable(name):
    """A name that may be broken behind each underscore, and is copied without a change."""
    parts = printable(str(name)).split("_")
    ends = ["_"] * (len(parts) - 1) + [""]
    return format_html_join("", "{}{}<wbr>", zip(parts, ends, strict=True))
