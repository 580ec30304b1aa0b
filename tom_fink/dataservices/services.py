"""Fink's databases, as TOM Toolkit lists them."""

from tom_fink.dataservices.forms import FinkForm, RubinForm, ZtfForm
from tom_fink.dataservices.known import SOURCE, KnownTargets
from tom_fink.dataservices.making import Making


class FinkDataService(Making, KnownTargets):
    """Both surveys as one. The points that are stored have its name: by it TOM Toolkit knows whom to ask again."""

    name = SOURCE
    verbose_name = "Fink: alerts of ZTF and Rubin"
    info_url = "https://fink-portal.org"
    surveys = ("ztf", "lsst")
    form_class = FinkForm


class FinkZtfDataService(FinkDataService):
    """Fink's database of ZTF's alerts."""

    name = "Fink ZTF"
    verbose_name = "Fink: alerts of ZTF"
    info_url = "https://ztf.fink-portal.org"
    surveys = ("ztf",)
    form_class = ZtfForm


class FinkRubinDataService(FinkDataService):
    """Fink's database of Rubin's alerts."""

    name = "Fink Rubin"
    verbose_name = "Fink: alerts of Rubin"
    info_url = "https://lsst.fink-portal.org"
    surveys = ("lsst",)
    form_class = RubinForm
