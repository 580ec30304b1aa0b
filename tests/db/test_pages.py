"""The Fink pages as a browser gets them: who sees what, what is in them, and how many queries they take."""

import gzip
import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone
from guardian.shortcuts import assign_perm
from PIL import Image
from plotly.offline import get_plotlyjs, get_plotlyjs_version
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import Target, TargetList, TargetName

from tom_fink.models import Alert, Cutout, FinkObject, RejectedMessage, Topic, TopicAlert
from tom_fink.templatetags.tom_fink_extras import target_tab

pytestmark = pytest.mark.django_db

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
    return [
        Cutout.objects.create(
            alert=alert, kind=kind, fits=FITS_FILE.getvalue() if content is None else content
        )
        for kind in Cutout.Kind.values
    ]


@pytest.fixture
def ordinary():
    return User.objects.create_user("ordinary", password="x")


@pytest.fixture
def permitted(ordinary):
    """A user with view_target on every private target that a test makes before it logs in."""
    return User.objects.create_user("permitted", password="x")


@pytest.fixture
def superuser():
    return User.objects.create_superuser("root", password="x")


@pytest.fixture
def as_user(client, ordinary, permitted, superuser):
    """A function from a kind of visitor to a client that is logged in as one."""

    def log_in(who):
        client.logout()
        users = {"ordinary": ordinary, "permitted": permitted, "superuser": superuser}
        if who in users:
            client.force_login(users[who])
        if who == "permitted":
            for target in Target.objects.filter(permissions="PRIVATE"):
                assign_perm("tom_targets.view_target", permitted, target)
        return client

    return log_in


@pytest.fixture
def topic():
    return make_topic()


SEES = {
    "anonymous": {"OPEN"},
    "ordinary": {"OPEN", "PUBLIC"},
    "permitted": {"OPEN", "PUBLIC", "PRIVATE"},
    "superuser": {"OPEN", "PUBLIC", "PRIVATE"},
}
LEVELS = ["OPEN", "PUBLIC", "PRIVATE"]


@pytest.mark.parametrize("who", SEES)
class TestWhoSeesWhat:
    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize("page", ["target", "lightcurve", "cutout", "cutout-fits"])
    def test_pages_of_a_target(self, as_user, topic, who, level, page):
        made = make_object(topic, "ZTF1", level)
        cutout = make_cutouts(made.alerts.get())[0]
        response = as_user(who).get(
            reverse(f"fink:{page}", args=[cutout.pk if "cutout" in page else made.target_id])
        )
        assert response.status_code == (200 if level in SEES[who] else 404)
        if response.status_code == 200:
            assert "private" in response["Cache-Control"]
            assert response["X-Content-Type-Options"] == "nosniff"

    def test_rows_of_a_topic(self, as_user, topic, who):
        for level in LEVELS:
            make_object(topic, f"Is{level}", level)
        text = as_user(who).get(reverse("fink:topic", args=[topic.name])).content.decode()
        assert {level for level in LEVELS if f"Is{level}" in text} == SEES[who]
        assert f"{len(SEES[who])} object" in text

    def test_counts_of_the_topic_list(self, as_user, topic, who):
        for level in LEVELS:
            make_object(topic, f"Is{level}", level, alerts=10)
        response = as_user(who).get(reverse("fink:topics"))
        (listed,) = response.context["topics"]
        seen = len(SEES[who])
        assert listed.counts["objects"] == seen
        assert listed.counts["last_day"] == seen
        assert listed.counts["last_week"] == 7 * seen
        assert abs(listed.counts["newest"] - timezone.now()) < timedelta(hours=1, minutes=1)

    def test_a_list_without_a_permission_is_for_superusers(self, as_user, who):
        hidden = make_topic("hidden", public=False)
        make_object(hidden, "ZTF1")
        client = as_user(who)
        there = who == "superuser"
        assert (hidden in client.get(reverse("fink:topics")).context["topics"]) is there
        assert client.get(reverse("fink:topic", args=["hidden"])).status_code == (200 if there else 404)

    def test_other_topics_of_an_alert_are_named_only_where_visible(self, as_user, topic, who):
        hidden = make_topic("hidden", public=False)
        made = make_object(topic, "ZTF1")
        alert = made.alerts.get()
        TopicAlert.objects.create(topic=hidden, alert=alert, fink_object=made, observed_at=alert.observed_at)
        text = as_user(who).get(reverse("fink:target", args=[made.target_id])).content.decode()
        assert topic.name in text
        assert ("hidden" in text) is (who == "superuser")

    def test_what_is_not_there_looks_like_what_is_not_allowed(self, as_user, topic, who):
        client = as_user(who)
        for pk in (4_000_000, 10**30):
            for page in ("target", "lightcurve", "cutout", "cutout-fits"):
                assert client.get(reverse(f"fink:{page}", args=[pk])).status_code == 404
        assert client.get(reverse("fink:topic", args=["nothing"])).status_code == 404
        assert client.get("/fink/topics/%00/").status_code == 404
        assert client.get("/fink/topics/a/b/").status_code == 404


class TestTopicPermissions:
    @pytest.mark.parametrize("through", ["user", "group"])
    def test_guardian_permission_on_the_list(self, client, ordinary, through):
        hidden = make_topic("hidden", public=False)
        address = reverse("fink:topic", args=["hidden"])
        group = Group.objects.create(name="collaboration")
        ordinary.groups.add(group)
        client.force_login(ordinary)
        assert client.get(address).status_code == 404
        assign_perm(
            "tom_targets.view_targetlist", ordinary if through == "user" else group, hidden.target_list
        )
        assert client.get(address).status_code == 200

    def test_public_is_for_logged_in_users_who_are_not_in_the_group(self, as_user, topic, ordinary):
        assert not ordinary.groups.exists()
        assert topic in as_user("ordinary").get(reverse("fink:topics")).context["topics"]

    def test_locked_site_shows_anonymous_visitors_nothing(self, as_user, topic, settings):
        settings.AUTH_STRATEGY = "LOCKED"
        settings.OPEN_URLS = ["/fink/*"]
        client = as_user("anonymous")
        assert client.get(reverse("fink:topics")).context["topics"] == []
        assert client.get(reverse("fink:topic", args=[topic.name])).status_code == 404
        assert as_user("ordinary").get(reverse("fink:topic", args=[topic.name])).status_code == 200

    def test_without_the_group_public_there_is_nothing_for_everyone(self, as_user):
        make_topic("hidden", public=False)
        assert not Group.objects.filter(name="Public").exists()
        assert as_user("anonymous").get(reverse("fink:topics")).context["topics"] == []

    def test_topic_whose_list_was_deleted(self, as_user, topic):
        topic.target_list.delete()
        make_object(topic, "ZTF1")
        assert as_user("ordinary").get(reverse("fink:topic", args=[topic.name])).status_code == 404
        text = as_user("superuser").get(reverse("fink:topics")).content.decode()
        assert topic.name in text

    def test_object_whose_target_was_deleted_is_left_to_superusers(self, as_user, topic):
        make_object(topic, "ZTFgone", target=None)
        address = reverse("fink:topic", args=[topic.name])
        assert "ZTFgone" not in as_user("ordinary").get(address).content.decode()
        assert "ZTFgone" in as_user("superuser").get(address).content.decode()

    def test_empty_list_counts_zero(self, as_user, topic):
        make_object(topic, "ZTF1", "PRIVATE")
        response = as_user("ordinary").get(reverse("fink:topics"))
        assert response.context["topics"][0].counts["objects"] == 0
        text = as_user("ordinary").get(reverse("fink:topic", args=[topic.name])).content.decode()
        assert "no object that you may see" in text

    def test_no_topics_says_what_to_do(self, as_user):
        assert "readstreams" in as_user("ordinary").get(reverse("fink:topics")).content.decode()
        assert "log in" in as_user("anonymous").get(reverse("fink:topics")).content.decode()


def names(response) -> list[str]:
    return [row.record.object_id for row in response.context["table"].page]


class TestTopicTable:
    @pytest.fixture
    def page(self, as_user, topic):
        client = as_user("ordinary")

        def get(htmx=False, **query):
            address = reverse("fink:topic", args=[topic.name])
            return client.get(address, query, headers=HTMX if htmx else {})

        return get

    def test_newest_first(self, page, topic):
        for days, name in [(2, "old"), (0, "new"), (1, "middle")]:
            make_object(topic, name, newest=timezone.now() - timedelta(days=days))
        assert names(page()) == ["new", "middle", "old"]

    @pytest.mark.parametrize(
        ("column", "rising"),
        [
            ("name", ["a", "b", "c"]),
            ("position", ["b", "c", "a"]),
            ("brightness", ["b", "c", "a"]),
            ("alert_count", ["c", "b", "a"]),
            ("fink_class", ["b", "a", "c"]),
            ("first_seen", ["a", "b", "c"]),
            ("last_seen", ["c", "a", "b"]),
        ],
    )
    def test_sorting(self, page, topic, column, rising):
        """In `c` the class is unknown; `a` is a large negative difference, and so never the brightest."""
        now = timezone.now()
        a = make_object(topic, "a", alerts=5, mag_ab=15.0, is_positive=False, fink_class="Y", newest=now)
        b = make_object(topic, "b", alerts=3, mag_ab=17.0, fink_class="X", newest=now + timedelta(hours=1))
        c = make_object(topic, "c", alerts=1, mag_ab=19.0, fink_class="", newest=now - timedelta(hours=1))
        for made, ra_deg in ((a, 300.0), (b, 10.0), (c, 20.0)):
            Target.objects.filter(pk=made.target_id).update(ra=ra_deg)
        assert names(page(sort=column)) == rising
        falling = {"brightness": ["c", "b", "a"], "fink_class": ["a", "b", "c"]}.get(column, rising[::-1])
        assert names(page(sort=f"-{column}")) == falling

    def test_sorting_by_something_else_is_ignored(self, page, topic):
        make_object(topic, "a")
        assert names(page(sort="target__comment")) == ["a"]

    @pytest.mark.parametrize("query", ["TF21aa", "alias o", "rr lyr", "ztf21AA", "target n"])
    def test_search(self, page, topic, query):
        wanted = make_object(topic, "ZTF21aaaa", fink_class="RR Lyrae")
        Target.objects.filter(pk=wanted.target_id).update(name="Target name")
        for number in range(2):
            TargetName.objects.create(target_id=wanted.target_id, name=f"Alias of it {number}")
        make_object(topic, "ZTF99zzzz")
        response = page(query=query, htmx=True)
        assert names(response) == ["ZTF21aaaa"]
        assert "1 object found" in response.content.decode()

    def test_search_without_a_match_says_so(self, page, topic):
        make_object(topic, "ZTF1")
        for query in ("nothing like this", "\x00"):
            assert "matches this search" in page(query=query, htmx=True).content.decode()

    def test_pages(self, page, topic):
        for number in range(30):
            make_object(topic, f"ZTF{number:02}", newest=datetime(2026, 1, 1, tzinfo=UTC))
        first, second = names(page()), names(page(page=2))
        assert (len(first), len(second)) == (25, 5)
        assert len({*first, *second}) == 30
        assert names(page(page="x")) == first
        assert names(page(page=99)) == second

    def test_htmx_gets_the_table_alone(self, page, topic):
        make_object(topic, "ZTF1")
        whole, part = page(), page(htmx=True)
        assert "<html" in whole.content.decode()
        assert "<html" not in part.content.decode()
        assert part.content.decode().strip().startswith('<div class="table-container">')
        assert "HX-Request" in part["Vary"]

    def test_objects_of_other_topics_are_not_here(self, page, topic):
        make_object(topic, "here")
        make_object(make_topic("other"), "elsewhere")
        assert names(page()) == ["here"]

    def test_negative_difference_is_marked_and_explained(self, page, topic):
        make_object(topic, "ZTF1", mag_ab=18.21, is_positive=False)
        text = page().content.decode()
        assert "▼ 18.21 r" in text
        assert "fainter than in the reference image" in text

    def test_row(self, page, topic):
        made = make_object(topic, "ZTF1", newest=datetime(2026, 3, 22, 4, 5, 6, tzinfo=UTC))
        text = page().content.decode()
        assert f'href="/targets/{made.target_id}/" hx-boost="false"' in text
        assert 'title="10:00:24.000 +02:12:00.00"' in text
        assert "150.10000 +2.20000" in text
        assert "18.25 r" in text
        assert "2026-03-22 04:05:06" in text


class TestQueries:
    """A page takes as many queries for fifty rows as for five. Session, user and permissions take most."""

    def test_topic_list(self, as_user, django_assert_max_num_queries):
        client = as_user("permitted")
        taken = {}
        for rows in (5, 50):
            for number in range(rows):
                make_object(make_topic(f"topic-{rows}-{number}"), f"ZTF{rows}-{number}", LEVELS[number % 3])
            with django_assert_max_num_queries(14) as queries:
                client.get(reverse("fink:topics"))
            taken[rows] = len(queries)
        assert taken[5] == taken[50]

    @pytest.mark.parametrize("htmx", [True, False])
    def test_topic_page(self, as_user, topic, django_assert_max_num_queries, htmx):
        client = as_user("permitted")
        address = reverse("fink:topic", args=[topic.name])
        taken = {}
        for rows in (5, 50):
            for number in range(rows):
                make_object(topic, f"ZTF{rows}-{number}", LEVELS[number % 3])
            with django_assert_max_num_queries(14) as queries:
                client.get(address, {"sort": "position", "query": "ZTF"}, headers=HTMX if htmx else {})
            taken[rows] = len(queries)
        assert taken[5] == taken[50]

    def test_fragment(self, as_user, topic, django_assert_max_num_queries):
        client = as_user("ordinary")
        taken = []
        for number, alerts in enumerate((2, 60)):
            made = make_object(topic, f"ZTF{number}", alerts=alerts)
            for alert in made.alerts.all()[:2]:
                make_cutouts(alert)
            with django_assert_max_num_queries(24) as queries:
                client.get(reverse("fink:target", args=[made.target_id]))
            taken.append(len(queries))
        assert taken[0] == taken[1]


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

    def test_rubin_object_links_to_its_portal(self, as_user, topic):
        made = make_object(topic, "170424319673368579")
        FinkObject.objects.filter(pk=made.pk).update(survey="lsst")
        assert "https://lsst.fink-portal.org/170424319673368579" in fragment(as_user("ordinary"), made)


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
        response = as_user("anonymous").get(reverse("fink:cutout", args=[cutout.pk]))
        assert response["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(response.content)).size == (120, 120)

    def test_download_is_unpacked(self, as_user, topic):
        content = FITS_FILE.getvalue()
        made = make_object(topic, 'ZTF/1"\r\nX: y')
        cutout = make_cutouts(made.alerts.get(), gzip.compress(content))[0]
        response = as_user("anonymous").get(reverse("fink:cutout-fits", args=[cutout.pk]))
        assert response["Content-Type"] == "application/fits"
        assert response.content == content
        name = "ZTF_1___X__y_ZTF_1___X__y-0_science.fits"
        assert response["Content-Disposition"] == f'attachment; filename="{name}"'

    @pytest.mark.parametrize("content", [b"", b"not FITS", gzip.compress(b"\0" * 9_000_000)])
    def test_what_cannot_be_shown_is_a_line_of_text(self, as_user, topic, content):
        cutout = make_cutouts(make_object(topic, "ZTF1").alerts.get(), content)[0]
        response = as_user("anonymous").get(reverse("fink:cutout", args=[cutout.pk]))
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
