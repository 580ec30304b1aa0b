"""The form of a query on the older alert pages, and the search that it stands for."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crispy_forms.layout import Column, Fieldset, Layout, Row
from django import forms
from tom_alerts.alerts import GenericQueryForm

from tom_fink.errors import BadQuery
from tom_fink.text import printable

if TYPE_CHECKING:
    from tom_fink.search import Search

MAX_RESULTS = 100  # TOM Toolkit's page shows no more
MAX_TEXT = 2000
A_DAY = re.compile("[0-9]{4}-?[0-9]{2}-?[0-9]{2}")
OLDER = ("objectId", "conesearch", "classsearch", "classsearchdate", "ssosearch")  # fields of tom_fink 2.0.1

# Where the form shows what a search finds wrong with a field of its own
FIELD_OF = {
    "ra_deg": "position",
    "dec_deg": "position",
    "name": "position",
    "classes": "label",
    "tags": "label",
}


class FinkQueryForm(GenericQueryForm):
    """What is given narrows what is found. All is kept as text: TOM Toolkit saves it as JSON."""

    survey = forms.ChoiceField(choices=[("ztf", "ZTF"), ("lsst", "Rubin")])
    object_ids = forms.CharField(
        required=False,
        max_length=MAX_TEXT,
        label="Object id",
        help_text="One or several, with blanks between.",
    )
    position = forms.CharField(
        required=False,
        max_length=200,
        label="Position or name",
        help_text="Right ascension and declination in degrees or sexagesimal, or a name that TNS or SIMBAD know.",
    )
    radius_arcsec = forms.FloatField(
        required=False, label="Radius (arcsec)", help_text="Up to 18000 (5 degrees); 5 if it is empty."
    )
    label = forms.CharField(
        required=False,
        max_length=200,
        label="Class or tag",
        help_text="ZTF: one of Fink's classes, such as Early SN Ia candidate, (TNS) SN Ia or (SIMBAD) Blazar. "
        "Rubin: a tag, such as hostless_candidate.",
    )
    start = forms.CharField(
        required=False, max_length=40, label="Observed since", help_text="A date or an ISO time (UTC)."
    )
    stop = forms.CharField(
        required=False, max_length=40, label="Observed until", help_text="The same. A day is taken whole."
    )
    body = forms.CharField(
        required=False,
        max_length=100,
        label="Solar System body",
        help_text="A number, a name or a designation: 8467, Benoitcarry, 2004 JQ12.",
    )
    n = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_RESULTS, initial=MAX_RESULTS, label="Number of results"
    )

    def __init__(self, *args: Any, **kwargs: Any):
        """Lay the fields out."""
        super().__init__(*args, **kwargs)
        self.helper.layout = Layout(
            self.common_layout,
            "survey",
            Fieldset("Object", "object_ids", "body"),
            Fieldset("Place", Row(Column("position"), Column("radius_arcsec"))),
            Fieldset("Alerts", "label", Row(Column("start"), Column("stop"))),
            "n",
        )

    def clean(self) -> dict[str, Any]:
        """Have the search checked, and its errors shown at their fields."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                search_of(cleaned)
            except BadQuery as error:
                field = FIELD_OF.get(error.field, error.field)
                self.add_error(field if field in self.fields else None, str(error))
        return cleaned


def search_of(parameters: dict[str, Any]) -> "Search":
    """The search of a form or a saved query. Raises `BadQuery`."""
    from tom_fink.search import Search
    from tom_fink.search.coordinates import position

    texts = {name: str(value).strip() for name, value in parameters.items() if value not in (None, "")}
    texts = _as_now({name: value for name, value in texts.items() if value})
    survey, where = texts.get("survey", "ztf"), texts.get("position", "")
    place = position(where) if where else None
    label = (texts["label"],) if "label" in texts else ()
    return Search(
        survey,
        object_ids=tuple(texts.get("object_ids", "").replace(",", " ").split()),
        ra_deg=place[0] if place else None,
        dec_deg=place[1] if place else None,
        name="" if place else where,
        radius_arcsec=texts.get("radius_arcsec"),
        classes=label if survey == "ztf" else (),
        tags=label if survey != "ztf" else (),
        body=texts.get("body", ""),
        start=_moment(texts, "start"),
        stop=_moment(texts, "stop"),
        n=min(_number(texts.get("n", MAX_RESULTS)), MAX_RESULTS),
    )


def _as_now(texts: dict[str, str]) -> dict[str, str]:
    """What an earlier Fink module saved, in the words of this one. Raises `BadQuery` for what has none."""
    older = {name: texts[name] for name in OLDER if name in texts}
    if not older:
        return texts
    found = {"object_ids": older.pop("objectId", ""), "body": older.pop("ssosearch", "")}
    *place, radius = older.pop("conesearch", "").split(",")
    if len(place) == 2:
        found |= {"position": " ".join(place), "radius_arcsec": radius.strip()}
    elif place or radius:
        older["conesearch"] = ""
    if older:
        said = " and ".join(sorted(older))
        raise BadQuery(f"This query was saved for an earlier Fink module: write its {said} anew.")
    return {name: value for name, value in found.items() if value} | texts


def _moment(texts: dict[str, str], name: str) -> datetime | None:
    """A time, in UTC unless it says otherwise; a day alone is its start, and as the end its end."""
    if name not in texts:
        return None
    try:
        found = datetime.fromisoformat(texts[name])
        if name == "stop" and A_DAY.fullmatch(texts[name]):
            found += timedelta(days=1)
    except (ValueError, OverflowError):
        said = f"'{printable(texts[name], 60)}' is no time such as 2026-03-22 or 2026-03-22T04:00:00."
        raise BadQuery(said, name) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _number(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise BadQuery(f"'{printable(str(value), 60)}' is no number of results.", "n") from None
