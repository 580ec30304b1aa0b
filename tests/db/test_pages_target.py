"""The Fink tab of a target: light curve, cutouts, alerts, and hostile text in all of them."""

import gzip
import io
import json
from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone
from guardian.shortcuts import assign_perm
from PIL import Image
from plotly.offline import get_plotlyjs, get_plotlyjs_version
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import Target

from tests.db.pages import EVIL, FITS_FILE, cutout_page, make_cutouts, make_object, make_topic
from tom_fink.models import RejectedMessage, Topic
from tom_fink.templatetags.tom_fink_extras import target_tab

pytestmark = pytest.mark.django_db


def fragment(client, made) -> str:
    return client.get(reverse("fink:target", args=[made.target_id])).content.decode()


class TestTarget:
    def test_tab_is_fetched_when_it_comes_into_view(self, as_user, topic):
        made = make_object(topic, "ZTF1")
        text = as_user("superuser").get(reverse("targets:detail", args=[made.target_id])).content.decode()
        assert f'hx-get="/fink/targets/{made.target_id}/"' in text
        assert 'hx-trigger="intersect once"' in text
        assert "ZTF1-0" not in text
        assert target_tab({"object": made.target}) == {"target": made.target}

    def test_alert_and_cutouts(self, as_user, topic):
        made = make_object(topic, "ZTF1", alerts=3, mag_ab=18.21, is_positive=False)
        for alert in made.alerts.exclude(alert_id="ZTF1-1"):
            make_cutouts(alert)
        text = fragment(as_user("ordinary"), made)
        assert text.index("First alert") < text.index("Latest alert")
        assert text.count('class="fink-stamp"') == 6
        assert "▼ 18.21 ± 0.05 r" in text
        assert "https://ztf.fink-portal.org/ZTF1" in text
        assert "3 alerts." in text

    def test_only_the_newest_alerts_are_listed(self, as_user, topic):
        made = make_object(topic, "ZTF1", alerts=105)
        text = fragment(as_user("ordinary"), made)
        assert "The newest 100 of 105 alerts." in text
        assert "ZTF1-99<" in text
        assert "ZTF1-100<" not in text

    def test_target_without_alerts(self, as_user):
        target = Target.objects.create(name="M31", type="SIDEREAL", ra=10, dec=41, permissions="OPEN")
        text = as_user("anonymous").get(reverse("fink:target", args=[target.pk])).content.decode()
        assert "No Fink alert of this target" in text
        assert "data-fink-lightcurve" not in text

    def test_an_alert_without_an_address_is_no_link(self, as_user, topic):
        made = make_object(topic, "ZTF1")
        made.alerts.update(url="")
        text = fragment(as_user("ordinary"), made)
        assert "ZTF1-0" in text
        assert "fink-portal.org" not in text


class TestLightCurve:
    @pytest.fixture
    def made(self, topic):
        made = make_object(topic, "ZTF1")
        common = {
            "target_id": made.target_id,
            "bandpass": "g",
            "instrument": "ZTF",
            "source_name": "Fink",
            "unit": "AB mag",
            "reduction_version": "difference",
        }
        PhotometryReducedDatum.objects.bulk_create(
            [
                PhotometryReducedDatum(
                    **common,
                    timestamp=datetime(2026, 3, 2, tzinfo=UTC),
                    brightness=18.0,
                    brightness_error=0.1,
                    value={"kind": "detection", "flux_njy": 229086.8, "source_id": EVIL},
                ),
                PhotometryReducedDatum(
                    **common,
                    timestamp=datetime(2026, 3, 1, tzinfo=UTC),
                    limit=20.0,
                    value={"kind": "detection", "flux_njy": -321.0},
                ),
                PhotometryReducedDatum(
                    **common | {"source_name": "TNS"},
                    timestamp=datetime(2026, 3, 3, tzinfo=UTC),
                    brightness=12.0,
                ),
            ]
        )
        return made

    def test_figures(self, as_user, made):
        response = as_user("anonymous").get(reverse("fink:lightcurve", args=[made.target_id]))
        assert response["Content-Type"] == "application/json"
        assert b"<" not in response.content.replace(b"<br>", b"").replace(b"\\u003cbr\\u003e", b"")
        both = json.loads(response.content)
        magnitude = {trace["name"]: trace["y"] for trace in both["magnitude"]["data"]}
        assert magnitude == {"ZTF g": [18.0], "ZTF g upper limit": [20.0]}
        assert [trace["y"] for trace in both["flux"]["data"]] == [[-321.0, 229086.8]]

    def test_dark_theme(self, as_user, made, settings):
        settings.CSS_THEME = "Dark"
        both = as_user("anonymous").get(reverse("fink:lightcurve", args=[made.target_id])).json()
        assert both["flux"]["layout"]["template"]["layout"]["font"]["color"] == "#f2f5fa"

    def test_rows_with_permissions_of_their_own(self, as_user, made, settings, ordinary):
        settings.TARGET_PERMISSIONS_ONLY = False
        address = reverse("fink:lightcurve", args=[made.target_id])
        assert as_user("ordinary").get(address).json()["magnitude"]["data"] == []
        row = PhotometryReducedDatum.objects.get(brightness=18.0)
        assign_perm("tom_dataproducts.view_photometryreduceddatum", ordinary, row)
        assert [trace["y"] for trace in as_user("ordinary").get(address).json()["magnitude"]["data"]] == [
            [18.0]
        ]


class TestCutouts:
    def test_picture(self, as_user, topic):
        cutout = make_cutouts(make_object(topic, "ZTF1").alerts.get())[0]
        response = as_user("anonymous").get(cutout_page("cutout", cutout))
        assert response["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(response.content)).size == (120, 120)

    def test_download_is_unpacked(self, as_user, topic):
        content = FITS_FILE.getvalue()
        made = make_object(topic, 'ZTF/1"\r\nX: y')
        cutout = make_cutouts(made.alerts.get(), gzip.compress(content))[0]
        response = as_user("anonymous").get(cutout_page("cutout-fits", cutout))
        assert response["Content-Type"] == "application/fits"
        assert response.content == content
        name = "ZTF_1___X__y_ZTF_1___X__y-0_science.fits"
        assert response["Content-Disposition"] == f'attachment; filename="{name}"'

    @pytest.mark.parametrize("content", [b"", b"not FITS", gzip.compress(b"\0" * 9_000_000)])
    def test_what_cannot_be_shown_is_a_line_of_text(self, as_user, topic, content):
        cutout = make_cutouts(make_object(topic, "ZTF1").alerts.get(), content)[0]
        response = as_user("anonymous").get(cutout_page("cutout", cutout))
        assert response.status_code == 404
        assert response["Content-Type"].startswith("text/plain")
        assert response.content.decode().startswith(("The cutout", "No pixel"))
        assert response.content.count(b"\n") == 1


class TestPlotly:
    def get(self, client, **headers):
        return client.get(reverse("fink:plotly", args=[get_plotlyjs_version()]), headers=headers)

    def test_kept_for_a_year(self, client):
        response = self.get(client)
        assert response.content.decode() == get_plotlyjs()
        assert response["Content-Type"].startswith("text/javascript")
        assert "max-age=31536000" in response["Cache-Control"]
        assert "Accept-Encoding" in response["Vary"]

    def test_gzip_where_it_is_accepted(self, client):
        response = self.get(client, accept_encoding="br;q=1.0, gzip;q=0.8")
        assert response["Content-Encoding"] == "gzip"
        assert len(response.content) < 2_000_000
        assert gzip.decompress(response.content).decode() == get_plotlyjs()
        for refused in ("gzip;q=0", "br", "identity"):
            assert "Content-Encoding" not in self.get(client, accept_encoding=refused)

    def test_not_sent_again(self, client):
        etag = self.get(client, accept_encoding="gzip")["ETag"]
        again = self.get(client, accept_encoding="gzip", if_none_match=etag)
        assert (again.status_code, again.content) == (304, b"")
        assert self.get(client, if_none_match=etag).status_code == 200

    def test_another_version_is_not_there(self, client):
        assert client.get(reverse("fink:plotly", args=["0.0.1"])).status_code == 404


class TestHostileText:
    @pytest.fixture
    def made(self):
        topic = make_topic(EVIL)
        made = make_object(topic, EVIL, fink_class=EVIL, band="<b>")
        make_cutouts(made.alerts.get())
        return made

    def test_pages(self, as_user, made):
        client = as_user("superuser")
        addresses = [
            reverse("fink:topics"),
            reverse("fink:topic", args=[EVIL]),
            reverse("fink:topic", args=[EVIL]) + "?query=%3Cscript%3Ealert('x')",
            reverse("fink:target", args=[made.target_id]),
        ]
        for address in addresses:
            response = client.get(address)
            assert response.status_code == 200
            text = response.content.decode()
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert" in text
            assert "<b>" not in text

    def test_admin(self, as_user, made):
        rejected = RejectedMessage.objects.create(
            topic=EVIL,
            partition=0,
            offset=1,
            digest="0",
            key=None,
            value=EVIL.encode(),
            error=EVIL,
            received_at=timezone.now(),
        )
        client = as_user("superuser")
        for row in (made, made.alerts.get(), Topic.objects.get(), rejected):
            model = row._meta.model_name
            lists = client.get(reverse(f"admin:tom_fink_{model}_changelist"), {"q": EVIL[:5]})
            detail = client.get(reverse(f"admin:tom_fink_{model}_change", args=[row.pk]))
            for response in (lists, detail):
                assert response.status_code == 200
                assert "<script>alert" not in response.content.decode()
            assert 'name="_save"' not in detail.content.decode()
        assert f"{len(EVIL)} bytes" in detail.content.decode()

    def test_navigation_bar_leads_here(self, as_user):
        assert 'href="/fink/"' in as_user("anonymous").get("/").content.decode()
