"""The forms of searches: one box, and behind *Advanced* all that Fink can be asked for."""

from functools import cached_property

from django import forms
from tom_dataservices.forms import BaseQueryForm
from tom_dataservices.models import DataServiceQuery

from tom_fink.errors import BadQuery

UNITS = [("arcsec", "arc seconds"), ("arcmin", "arc minutes"), ("deg", "degrees")]
RESOLVERS = [("", "the one that fits"), ("tns", "TNS"), ("simbad", "SIMBAD"), ("ssodnet", "SsODNet")]
DATES_OF = [("alerts", "of an alert"), ("first", "of the first detection")]
BANDS = {"ztf": "gri", "lsst": "ugrizy"}
MAX_TEXT = 2000
DEFAULT_N, MAX_N = 100, 1000


def _text(label: str, help_text: str = "", example: str = "", **attributes: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"placeholder": example, "autocomplete": "off"} | attributes)
    return forms.CharField(
        label=label, help_text=help_text, required=False, max_length=MAX_TEXT, widget=widget
    )


def _number(label: str, help_text: str = "", example: str = "", **limits: float) -> forms.FloatField:
    return forms.FloatField(
        label=label,
        help_text=help_text,
        required=False,
        widget=forms.NumberInput(attrs={"step": "any", "placeholder": example}),
        **limits,
    )


class FinkForm(BaseQueryForm):
    """What can be asked of both surveys. Errors are at their fields; several criteria narrow each other."""

    surveys = ("ztf", "lsst")
    survey_names = "ZTF and Rubin"
    groups = (
        ("Place", ("object_ids", "ra", "dec", "radius", "radius_unit", "name", "resolver")),
        ("Dates", ("start", "stop", "dates_of")),
        (
            "Solar System and gravitational waves",
            ("body", "tracklet", "event", "credible_level", "days_before", "days_after"),
        ),
        ("Which of these", ("brightest_mag_ab", "faintest_mag_ab", "min_detections")),
    )

    # TOM Toolkit's own has no limit, and its column has one.
    query_name = forms.CharField(
        required=False,
        max_length=DataServiceQuery._meta.get_field("name").max_length,
        widget=BaseQueryForm.base_fields["query_name"].widget,
    )
    what = _text("Object, position or name", example="ZTF26aamcbly, 10:00:24 +02:12:36, SN 2026abc, Ceres")
    n = forms.IntegerField(
        label="Number of results",
        min_value=1,
        max_value=MAX_N,
        initial=DEFAULT_N,
        required=False,
        help_text=f"Up to {MAX_N:,}.",
    )
    object_ids = _text("Object ids", "Several with blanks or commas between.")
    ra = _text("Right ascension", "Degrees or hours; or the whole position.", "150.1 or 10:00:24")
    dec = _text("Declination", "Degrees.", "+2.21 or +02:12:36")
    radius = _number("Radius", "5 arc seconds if it is empty; up to 5 degrees.", "5", min_value=0)
    radius_unit = forms.ChoiceField(label="Unit", choices=UNITS, initial="arcsec", required=False)
    name = _text("Name", "Of anything that TNS, SIMBAD or SsODNet know.", "SN 2026abc, M 31")
    resolver = forms.ChoiceField(label="Resolver", choices=RESOLVERS, required=False)
    start = _text("From", "UTC. Or a Julian date, modified or not.", "2026-03-22 or 2026-03-22 04:30")
    stop = _text("Until", "UTC; a day, also as a whole MJD, is meant to its end.", "2026-03-24 or 61123.5")
    dates_of = forms.ChoiceField(label="Dates are", choices=DATES_OF, initial="alerts", required=False)
    body = _text("Solar System body", "Number, name or designation.", "8467, Ceres, C/2020 V2")
    event = _text("Gravitational-wave event", "Its name in GraceDB.", "S230518h")
    credible_level = _number("Credible level", "0.9 if it is empty.", "0.9", min_value=0.001, max_value=1)
    days_before = _number("Days before the event", "1 if it is empty.", "1", min_value=0, max_value=7)
    days_after = _number("Days after it", "6 if it is empty.", "6", min_value=0, max_value=14)
    brightest_mag_ab = _number("Not brighter than", "AB magnitude of the newest brightness.", "15")
    faintest_mag_ab = _number("Not fainter than", "AB magnitude of the newest brightness.", "19.5")
    min_detections = forms.IntegerField(
        label="Detected at least",
        min_value=0,
        max_value=10_000,
        required=False,
        help_text="Times.",
        widget=forms.NumberInput(attrs={"placeholder": "1"}),
    )

    def get_simple_form_partial(self):
        """The one box."""
        return "tom_fink/dataservices/simple_form.html"

    def get_advanced_form_partial(self):
        """All the rest, in groups."""
        return "tom_fink/dataservices/advanced_form.html"

    def field_groups(self):
        """Titles with the fields under each; a field that a form does not have is left out."""
        return [
            (title, [self[name] for name in names if name in self.fields]) for title, names in self.groups
        ]

    def advanced_errors(self):
        """Fields of the advanced part that have errors, which cannot be seen while it is closed."""
        return [self[name] for _, names in self.groups for name in names if name in self.errors]

    def is_open(self):
        """Whether the advanced part is shown from the start: something is in it, or wrong with it."""
        names = [name for _, names in self.groups for name in names if name in self.fields]
        return self.is_bound or any(
            self.initial.get(name) and self.initial[name] != self.fields[name].initial for name in names
        )

    @cached_property
    def labels(self):
        """What the field of classes or tags suggests, or None."""
        from tom_fink.dataservices.labels import FIELD, labels

        return labels(self.surveys[0]) if FIELD[self.surveys[0]] in self.fields else None

    def clean(self):
        """Try the search out, without asking; what is wrong is told at its field."""
        from tom_fink.dataservices.labels import FIELD, check
        from tom_fink.dataservices.parameters import searches

        found = super().clean()
        if self.errors:
            return found
        try:
            for survey, search in searches(found, self.surveys).items():
                check(survey, getattr(search, FIELD[survey]))
        except BadQuery as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))
        return found


class ZtfForm(FinkForm):
    """What can be asked of ZTF's alerts."""

    surveys = ("ztf",)
    survey_names = "ZTF"
    groups = (
        FinkForm.groups[0],
        ("Class", ("classes", "anomalies")),
        *FinkForm.groups[1:3],
        ("Which of these", (*FinkForm.groups[3][1], "bands")),
    )

    classes = _text(
        "Class",
        "Of Fink, TNS or SIMBAD; several with semicolons between.",
        "SN candidate",
        list="fink-labels",
    )
    anomalies = forms.BooleanField(label="The strangest alerts (anomaly score)", required=False)
    tracklet = _text("Tracklet", "An id, or a date.", "TRCK_20260322_072953_01")
    bands = forms.MultipleChoiceField(
        label="Bands",
        choices=[(band, band) for band in BANDS["ztf"]],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )


class RubinForm(FinkForm):
    """What can be asked of Rubin's alerts."""

    surveys = ("lsst",)
    survey_names = "Rubin"
    groups = (
        FinkForm.groups[0],
        ("Tag", ("tags",)),
        *FinkForm.groups[1:3],
        ("Which of these", (*FinkForm.groups[3][1], "bands")),
    )

    tags = _text(
        "Tag",
        "One of Fink's; several with semicolons between.",
        "extragalactic_new_candidate",
        list="fink-labels",
    )
    bands = forms.MultipleChoiceField(
        label="Bands",
        choices=[(band, band) for band in BANDS["lsst"]],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
