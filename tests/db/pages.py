"""What the tests of pages make: topics, objects with alerts, cutouts."""

import io
from datetime import timedelta

import numpy as np
import polars as pl
from astropy.io import fits
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from guardian.shortcuts import assign_perm
from tom_targets.models import Target, TargetList

from tom_fink.conf import cutout_file
from tom_fink.cutoutfile import KINDS, PLACE
from tom_fink.cutouts import Cutout, CutoutKind
from tom_fink.models import Alert, FinkObject, Topic, TopicAlert

LEVELS = ["OPEN", "PUBLIC", "PRIVATE"]
EVIL = "</script><script>alert('x')</script>"
HTMX = {"HX-Request": "true"}
FITS_FILE = io.BytesIO()
fits.PrimaryHDU(np.arange(900, dtype=">f4").reshape(30, 30)).writeto(FITS_FILE)


def make_topic(name="fink_sn_ztf", *, public=True):
    target_list = TargetList.objects.create(name=name)
    if public:
        group, _ = Group.objects.get_or_create(name="Public")
        assign_perm("tom_targets.view_targetlist", group, target_list)
    return Topic.objects.create(name=name, survey="ztf", target_list=target_list)


def make_object(topic, name, permission="OPEN", *, alerts=1, target=True, newest=None, **summary):
    """An object with alerts a day apart, the newest an hour ago, all delivered in `topic`."""
    newest = newest or timezone.now() - timedelta(hours=1)
    if target:
        target = Target.objects.create(name=name, type="SIDEREAL", ra=150.1, dec=2.2, permissions=permission)
    summary = {"mag_ab": 18.25, "is_positive": True, "band": "r", "fink_class": "SN candidate"} | summary
    made = FinkObject.objects.create(
        survey="ztf",
        object_id=name,
        target=target or None,
        alert_count=alerts,
        first_seen=newest - timedelta(days=alerts - 1),
        last_seen=newest,
        summary_at=newest,
        ra_deg=150.1,
        dec_deg=2.2,
        **summary,
    )
    rows = Alert.objects.bulk_create(
        Alert(
            survey="ztf",
            alert_id=f"{name}-{number}",
            object_id=name,
            fink_object=made,
            target=target or None,
            observed_at=newest - timedelta(days=number),
            ra_deg=150.1,
            dec_deg=2.2,
            mag_err=0.05,
            topic=topic.name,
            received_at=newest,
            url=f"https://ztf.fink-portal.org/{name}",
            **summary,
        )
        for number in range(alerts)
    )
    TopicAlert.objects.bulk_create(
        TopicAlert(topic=topic, alert=alert, fink_object=made, observed_at=alert.observed_at)
        for alert in rows
    )
    return made


def make_cutouts(alert, content=None):
    """The three cutouts of an alert, which are kept from now on."""
    content = FITS_FILE.getvalue() if content is None else content
    of = alert.fink_object
    place = (
        of.survey,
        of.object_id,
        round(alert.observed_at.timestamp() * 1e6),
        alert.survey,
        alert.alert_id,
    )
    frame = pl.DataFrame([(*place, *[content] * len(KINDS))], schema=[*PLACE, *KINDS], orient="row")
    seen = (round(of.first_seen.timestamp() * 1e6), round(of.last_seen.timestamp() * 1e6))
    cutout_file().keep(frame, {place[:2]: seen})
    return [Cutout(alert, kind) for kind in CutoutKind]


def cutout_page(view, cutout):
    """The address of a cutout: `cutout` for its picture, `cutout-fits` for the file."""
    return reverse(f"fink:{view}", args=[cutout.alert.pk, cutout.kind.value])
