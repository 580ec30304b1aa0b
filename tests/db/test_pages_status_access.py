"""Who sees what of the ledger on the page about the stream."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from tests.db.accounts import STATUS, account, delays, reader, reject, text_of
from tests.db.pages import make_topic

pytestmark = pytest.mark.django_db


def staff(*permissions):
    """A user who may enter the admin, with these permissions on the app's models."""
    user = User.objects.create_user("staff", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    return user


class TestWhoSeesWhat:
    @pytest.mark.parametrize("who", ["anonymous", "ordinary", "permitted", "superuser"])
    def test_topics(self, as_user, topic, who):
        make_topic("concealed", public=False)
        for name in (topic.name, "concealed", "poison_only"):
            account(name)
            delays(name)
            reject(name)
        reject("elsewhere")
        client = as_user(who)
        text = text_of(client.get(STATUS))
        assert topic.name in text
        for name in ("concealed", "poison_only", "elsewhere"):
            assert (name in text) is (who == "superuser")
            status = client.get(STATUS, {"topic": name}).status_code
            assert status == (200 if who == "superuser" else 404)
        assert client.get(STATUS, {"topic": topic.name}).status_code == 200

    @pytest.mark.parametrize("who", ["anonymous", "ordinary", "permitted", "superuser"])
    def test_groups_hosts_processes_and_the_admin(self, as_user, topic, who):
        account()
        reader()
        reject()
        client = as_user(who)
        for query in ({}, {"topic": topic.name}):
            content = client.get(STATUS, query).content.decode()
            for secret in ("secret-", "4711", "/admin/tom_fink"):
                assert (secret in content) is (who == "superuser"), secret
        for address in (reverse("fink:topics"), reverse("fink:topic", args=[topic.name])):
            assert "secret-" not in client.get(address).content.decode()

    def test_staff_see_what_the_admin_shows_them(self, client, topic):
        make_topic("concealed", public=False)
        account("concealed")
        account(topic.name)
        reader()
        reject(topic.name)
        client.force_login(staff())
        content = client.get(STATUS).content.decode()
        assert not any(word in content for word in ("concealed", "secret-", "/admin/tom_fink"))
        User.objects.all().filter(username="staff").delete()
        client.force_login(staff("view_partitionledger"))
        content = client.get(STATUS).content.decode()
        assert "concealed" in content
        assert "secret-" not in content
        User.objects.all().filter(username="staff").delete()
        client.force_login(staff("view_reader"))
        content = client.get(STATUS).content.decode()
        assert "secret-host" in content
        assert "concealed" not in content
        User.objects.all().filter(username="staff").delete()
        client.force_login(staff("view_rejectedmessage"))
        content = client.get(STATUS).content.decode()
        assert "/admin/tom_fink/rejectedmessage/" in content
        assert "secret-" not in content

    def test_permissions_without_staff_are_for_nothing(self, client, ordinary, topic):
        ordinary.user_permissions.set(Permission.objects.filter(content_type__app_label="tom_fink"))
        make_topic("concealed", public=False)
        account("concealed")
        account()
        reader()
        reject()
        client.force_login(ordinary)
        content = client.get(STATUS).content.decode()
        assert not any(word in content for word in ("concealed", "secret-", "/admin/tom_fink"))

    @pytest.mark.parametrize("who", ["anonymous", "ordinary", "permitted"])
    def test_where_nothing_may_be_seen(self, as_user, who):
        make_topic("concealed", public=False)
        account("concealed")
        client = as_user(who)
        assert client.get(STATUS).status_code == 404
        assert client.get(STATUS, {"topic": "concealed"}).status_code == 404
        assert STATUS not in client.get(reverse("fink:topics")).content.decode()

    def test_a_locked_site_shows_anonymous_visitors_nothing(self, as_user, topic, settings):
        settings.AUTH_STRATEGY = "LOCKED"
        settings.OPEN_URLS = ["/fink/*"]
        account()
        assert as_user("anonymous").get(STATUS).status_code == 404
        assert as_user("ordinary").get(STATUS).status_code == 200

    def test_readers_of_other_topics_are_not_counted(self, as_user, topic):
        """Whoever may not see a topic does not learn of its reader either."""
        make_topic("concealed", public=False)
        account()
        account("concealed", group="other")
        reader("other")
        assert "No reader is running" in text_of(as_user("ordinary").get(STATUS))
        reader(pid=2)
        assert "All is well: the reader" in text_of(as_user("ordinary").get(STATUS))

    @pytest.mark.parametrize("name", ["nothing", "\x00", "a\nb", "x" * 5000, "' OR 1=1 --"])
    def test_no_such_topic(self, as_user, topic, name):
        account()
        for who in ("ordinary", "superuser"):
            assert as_user(who).get(STATUS, {"topic": name}).status_code == 404

    def test_it_is_kept_by_no_shared_cache(self, as_user, topic):
        account()
        assert "private" in as_user("ordinary").get(STATUS)["Cache-Control"]

    @pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
    def test_it_is_only_read(self, as_user, topic, method):
        assert getattr(as_user("superuser"), method)(STATUS).status_code == 405
