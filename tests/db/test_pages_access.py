"""Who sees which page, row, plot and cutout, for each kind of visitor and of target."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from guardian.shortcuts import assign_perm

from tests.db.pages import LEVELS, cutout_page, make_cutouts, make_object, make_topic
from tom_fink.models import TopicAlert

pytestmark = pytest.mark.django_db


SEES = {
    "anonymous": {"OPEN"},
    "ordinary": {"OPEN", "PUBLIC"},
    "permitted": {"OPEN", "PUBLIC", "PRIVATE"},
    "superuser": {"OPEN", "PUBLIC", "PRIVATE"},
}


@pytest.mark.parametrize("who", SEES)
class TestWhoSeesWhat:
    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize("page", ["target", "lightcurve", "cutout", "cutout-fits"])
    def test_pages_of_a_target(self, as_user, topic, who, level, page):
        made = make_object(topic, "ZTF1", level)
        cutout = make_cutouts(made.alerts.get())[0]
        address = (
            cutout_page(page, cutout) if "cutout" in page else reverse(f"fink:{page}", args=[made.target_id])
        )
        response = as_user(who).get(address)
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
            for page in ("target", "lightcurve"):
                assert client.get(reverse(f"fink:{page}", args=[pk])).status_code == 404
            for page in ("cutout", "cutout-fits"):
                assert client.get(reverse(f"fink:{page}", args=[pk, "science"])).status_code == 404
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
