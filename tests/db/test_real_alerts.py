"""Real alerts against values worked out by hand from the files' raw fields.

Times: JD 2461121.9631019 is 0.4631019 d = 40012.004 s after 2026-03-22T00:00; MJD 61105.093643487 (TAI)
is 8090.797 s after 2026-03-06T00:00, less 37 s. Magnitudes of Rubin: 31.4 - 2.5 log10(flux / nJy), errors
1.0857 times the relative error of the flux, limits those of five times the flux's error.
"""

from datetime import UTC, datetime

import pytest
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, TargetName

from tests.contents import shown_cutouts
from tom_fink.models import Alert, FinkObject, RejectedMessage
from tom_fink.store import store_messages

FILES = ("ztf-2026-03.avro", "ZTF19acihgng.avro", "lsst-2026-03.avro")
ALERTS = {"ztf-2026-03.avro": 18, "ZTF19acihgng.avro": 1, "lsst-2026-03.avro": 3}


def utc(*parts: int) -> datetime:
    """A time from year to second, and milliseconds."""
    *whole, ms = parts
    return datetime(*whole, ms * 1000, tzinfo=UTC)


def points(name: str, **wanted):
    return PhotometryReducedDatum.objects.filter(target__name=name, **wanted)


def values(row) -> tuple:
    return row.brightness, row.brightness_error, row.limit, row.bandpass


def check_stored_rows() -> None:
    """Three ZTF alerts and all Rubin ones, point by point where it matters, and the counts of all."""
    assert RejectedMessage.objects.count() == 0
    assert Alert.objects.count() == BaseTarget.objects.count() == FinkObject.objects.count() == 22
    # ZTF: 757 + 35 points of 18 + 1 alerts; Rubin: 345 + 395 + 1, 376 + 777 + 1, and 1
    assert PhotometryReducedDatum.objects.count() == 2688

    # A dip (isdiffpos f): no brightness, its limit and its negative flux, 10^((31.4 - 16.4493) / 2.5) = 955,608
    alert = Alert.objects.get(alert_id="3367463101415010117")
    assert (alert.object_id, alert.observed_at) == ("ZTF26aamcbly", utc(2026, 3, 22, 11, 6, 52, 4))
    assert (alert.mag_ab, alert.mag_err, alert.band, alert.is_positive) == (16.4493, 0.0905, "r", False)
    assert (alert.ra_deg, alert.dec_deg, alert.fink_class) == (267.0006792, -5.8633869, "Unknown")
    assert alert.broker_end_at == utc(2026, 3, 22, 13, 28, 18, 277)
    row = points("ZTF26aamcbly").get(timestamp=alert.observed_at)
    assert values(row) == (None, None, 16.8593, "r")
    assert row.value["flux_njy"] == pytest.approx(-955_608, abs=20)
    assert points("ZTF26aamcbly").count() == 9  # 7 limits, a dip before, this one
    assert not points("ZTF26aamcbly", brightness__isnull=False).exists()
    first = points("ZTF26aamcbly").earliest()
    # JD 2461095.0484375: 0.5484375 d = 47385.000 s
    assert (first.timestamp, values(first)) == (utc(2026, 2, 23, 13, 9, 45, 0), (None, None, 19.9593, "r"))
    assert first.value["kind"] == "limit"

    # A brightening (isdiffpos t)
    alert = Alert.objects.get(alert_id="3367149443615015021")
    assert (alert.object_id, alert.observed_at) == ("ZTF26aaklfaa", utc(2026, 3, 22, 3, 35, 11, 996))
    row = points("ZTF26aaklfaa").get(timestamp=alert.observed_at)
    assert values(row) == (18.7472, 0.1238, None, "r")
    assert (row.instrument, row.telescope, row.unit) == ("ZTF", "Palomar 48-inch", "AB mag")
    assert row.source_location == "https://ztf.fink-portal.org/ZTF26aaklfaa"
    assert points("ZTF26aaklfaa", brightness__isnull=False).count() == 12  # 11 in the history
    assert points("ZTF26aaklfaa", limit__isnull=False).count() == 43
    # The last of the history has the sign '1': JD 2461121.6397338 is 12073.0 s after 0 h
    row = points("ZTF26aaklfaa").get(timestamp=utc(2026, 3, 22, 3, 21, 13, 0))
    assert values(row) == (18.8633, 0.2344, None, "g")
    assert points("ZTF26aaklfaa", bandpass="i").exists()

    # A supernova that TNS has classified
    alert = Alert.objects.get(alert_id="3367380354215015001")
    assert (alert.object_id, alert.fink_class) == ("ZTF25acldfsf", "(TNS) SN Ia")
    row = points("ZTF25acldfsf").get(timestamp=utc(2026, 3, 22, 9, 7, 43, 0))
    assert values(row) == (18.9692, 0.1579, None, "g")
    assert points("ZTF25acldfsf", brightness__isnull=False).count() == 51
    assert points("ZTF25acldfsf", limit__isnull=False).count() == 5

    # 2019, before Fink added anything: JD 2458814.6358333 is 0.1358333 d = 11735.997 s after 0 h
    alert = Alert.objects.get(object_id="ZTF19acihgng")
    assert (alert.observed_at, alert.mag_ab) == (utc(2019, 11, 27, 3, 15, 35, 997), 18.6323)
    assert alert.fink_values == {
        "rb": pytest.approx(0.782857), "drb": pytest.approx(0.999931), "classtar": pytest.approx(0.911),
        "distnr": pytest.approx(0.620685), "magnr": pytest.approx(18.045), "ndethist": 58,
    }  # fmt: skip

    # Rubin, a negative flux: 31.4 - 2.5 log10(5 * 555.804) = 22.7903
    alert = Alert.objects.get(alert_id="170094456272322680")
    name = "170028485706776685"
    assert (alert.object_id, alert.observed_at) == (name, utc(2026, 3, 6, 2, 14, 13, 797))
    assert (alert.flux_njy, alert.flux_err_njy, alert.is_positive) == (-19549.395, 555.804, False)
    assert (alert.mag_ab, alert.mag_err, alert.fink_class) == (20.6722, 0.0309, "SN-like")
    detected, forced = points(name, reduction_version="difference"), points(name, reduction_version="forced")
    assert (detected.count(), forced.count()) == (346, 395)
    assert detected.filter(brightness__isnull=False).count() == 95  # the positive ones
    assert forced.filter(brightness__isnull=False).count() == 107  # positive, and above 3 sigma
    row = detected.get(timestamp=alert.observed_at)
    assert values(row) == (None, None, 22.7903, "i")
    # The same exposure by forced photometry, -18648.494 nJy: the history includes the current visit
    row = forced.get(timestamp=alert.observed_at)
    assert (row.value["kind"], row.value["flux_njy"], row.limit) == ("forced", -18648.494, 22.7461)
    # The first of the history: 9024.968 nJy is 21.5114, error 1.0857 * 474.599 / 9024.968 = 0.0571;
    # MJD 61090.047584129 is 4111.269 s after 0 h, less 37 s
    row = detected.earliest()
    assert (row.timestamp, values(row)) == (utc(2026, 2, 19, 1, 7, 54, 269), (21.5114, 0.0571, None, "i"))
    assert row.instrument == "LSSTCam"

    # Rubin, positive: 3285.53 nJy is 22.6085; forced 3999.251 nJy is 22.3951
    alert = Alert.objects.get(alert_id="170094456523456557")
    name = "170028513894596704"
    assert (alert.object_id, alert.observed_at) == (name, utc(2026, 3, 6, 2, 17, 20, 180))
    detected, forced = points(name, reduction_version="difference"), points(name, reduction_version="forced")
    assert (detected.count(), forced.count()) == (377, 777)
    assert detected.filter(brightness__isnull=False).count() == 326
    assert forced.filter(brightness__isnull=False).count() == 2
    assert values(detected.get(timestamp=alert.observed_at)) == (22.6085, 0.1837, None, "i")
    assert values(forced.get(timestamp=alert.observed_at)) == (22.3951, 0.1534, None, "i")
    assert set(forced.values_list("bandpass", flat=True)) == {"g", "r", "i", "z", "y"}

    # Rubin, an asteroid: no diaObject, an orbit from the MPC
    alert = Alert.objects.get(alert_id="170094456480989258")
    assert (alert.object_id, alert.fink_class) == ("2004 JQ12", "Solar System MPC")
    target = alert.fink_object.target
    assert (target.name, target.type, target.scheme) == ("2004 JQ12", "NON_SIDEREAL", "MPC_MINOR_PLANET")
    assert (target.semimajor_axis, target.eccentricity) == (2.7631964753383103, 0.293936430869032)
    assert (target.epoch_of_elements, target.abs_mag, target.slope) == (61000.0, 16.453, 0.15)
    assert set(TargetName.objects.values_list("name", flat=True)) == {
        "K04J12Q", "217301", "1991 VP16", "2000 SU334",
    }  # fmt: skip
    assert values(points("2004 JQ12").get()) == (20.9338, 0.0287, None, "i")

    assert shown_cutouts().total() == 3 * 22


@pytest.mark.django_db
def test_real_alerts(real_messages, row_counts):
    messages = real_messages(*FILES)
    assert len(messages) == sum(ALERTS.values())
    outcome = store_messages(messages)
    assert (outcome.stored, outcome.rejected, outcome.points) == (22, 0, 2688)
    check_stored_rows()
    counts = row_counts()
    assert store_messages(messages).duplicate == 22
    assert row_counts() == counts
