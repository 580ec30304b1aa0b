"""What the Fink templates show in a form of their own, and the context of the target tab."""

from datetime import UTC

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince

register = template.Library()


def target_tab(context):
    """The context of `partials/target_tab.html`, from that of TOM Toolkit's target page."""
    return {"target": context["object"]}


@register.filter
def utc_time(moment):
    """A time in UTC to the second, whatever the site's time zone; a dash for None."""
    return "–" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


@register.filter
def ago(moment):
    """How long ago a time was, in one unit; "just now" for less than a minute, and for the future."""
    now = timezone.now()
    if (now - moment).total_seconds() < 60:
        return "just now"
    return f"{timesince(moment, now, depth=1)} ago"


@register.filter
def web_address(address):
    """An address that may be linked, http or https; empty for any other, such as javascript:."""
    return address if address.lower().startswith(("http://", "https://")) else ""


@register.filter
def signed_magnitude(record):
    """AB magnitude, error and band of an Alert or a FinkObject, marked where the difference is negative."""
    if record.mag_ab is None:
        return "–" if record.is_positive is not False else _faded("▼")
    error = getattr(record, "mag_err", None)
    text = f"{record.mag_ab:.2f}" + ("" if error is None else f" ± {error:.2f}")
    text = f"{text} {record.band}".rstrip()
    return _faded(f"▼ {text}") if record.is_positive is False else text


def _faded(text):
    return format_html(
        '<span class="fink-negative" title="{}">{}</span>',
        "Negative difference: fainter than in the reference image. "
        "The magnitude is that of the size of the change.",
        text,
    )
