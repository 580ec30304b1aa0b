"""The list of topics and a topic's table: sorting, searching, paging, and how many queries they take."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from tom_targets.models import Target, TargetName

from tests.db.pages import HTMX, LEVELS, make_cutouts, make_object, make_topic

pytestmark = pytest.mark.django_db


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


def test_a_moving_body_is_shown_where_it_was_seen_last(as_user, topic):
    """It has elements and no position; an observer wants to know where it was."""
    made = make_object(topic, "2004 JQ12")
    Target.objects.filter(pk=made.target_id).update(type="NON_SIDEREAL", ra=None, dec=None)
    text = as_user("ordinary").get(reverse("fink:topic", args=[topic.name])).content.decode()
    assert "150.10000 +2.20000" in text
    assert f"at {made.summary_at:%Y-%m-%d %H:%M:%S} UTC" in text


class TestQueries:
    """A page takes as many queries for fifty rows as for five. Session, user and permissions take most."""

    def test_topic_list(self, as_user, django_assert_max_num_queries):
        client = as_user("permitted")
        taken = {}
        for rows in (5, 50):
            for number in range(rows):
                make_object(make_topic(f"topic-{rows}-{number}"), f"ZTF{rows}-{number}", LEVELS[number % 3])
            with django_assert_max_num_queries(16) as queries:
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
            with django_assert_max_num_queries(16) as queries:
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
