"""The page about the stream: what it says, what other pages say of it, and how many queries it takes."""

import re
from datetime import timedelta

import pytest
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from tests.db.accounts import HISTOGRAM, STATUS, account, delays, reader, reject, text_of
from tests.db.pages import EVIL, HTMX, make_object, make_topic
from tom_fink.models import PartitionLedger, Reader

pytestmark = pytest.mark.django_db


def level(response) -> str:
    return re.search(r'data-fink-level="(\w+)"', response.content.decode())[1]


class TestWhatItSays:
    @pytest.fixture
    def page(self, as_user, topic):
        client = as_user("superuser")
        return lambda **query: client.get(STATUS, query)

    def test_all_is_well(self, page):
        account()
        reader()
        assert level(page()) == "ok"
        assert re.search(
            r"✔ Good All is well: the reader gave a sign of life \d s ago, nothing waits, nothing was lost\.",
            text_of(page()),
        )

    def test_lost(self, page):
        account(lost=17)
        reader()
        text = text_of(page())
        assert level(page()) == "fault"
        assert "✖ Fault Lost: 17 alerts of fink_sn_ztf were removed by the broker" in text
        assert "nothing was lost" not in text

    def test_no_reader(self, page):
        account(waiting=1234)
        text = text_of(page())
        assert level(page()) == "warning"
        assert "▲ Warning No reader is running" in text
        assert "At least 1,234 alerts of fink_sn_ztf wait" in text
        assert "not read now" in text

    def test_before_the_first_message(self, page):
        text = text_of(page())
        assert "No message has been read yet." in text
        assert "manage.py readstreams" in text

    def test_numbers_of_a_topic(self, page):
        account(waiting=3)
        account(partition=1, lost=2)
        PartitionLedger.objects.filter(partition=1).update(
            read=F("read") + 1234, duplicate=1234, next_offset=F("next_offset") + 1234
        )
        reader()
        content = page().content.decode()
        row = re.search(r"<tr>\s*<th scope=\"row\".*?</tr>", content, re.DOTALL)[0]
        cells = [
            " ".join(re.sub("<[^>]+>", " ", cell).split())
            for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)
        ]
        assert cells[:6] == ["1,254", "20", "1,234", "0", "0", "✖ 2"]
        assert re.fullmatch(r"3 \d s ago", cells[6])
        assert re.fullmatch(r"\d s ago", cells[7])
        assert len(cells) == 8

    def test_how_many_wait_is_not_known(self, page):
        account(end_offset=None, seen_at=None)
        assert page().status_code == 200

    def test_a_topic_that_was_left(self, page):
        account(group="old", seen_at=None, updated_at=timezone.now() - timedelta(days=3), waiting=9)
        account()
        reader()
        assert "no longer read" in text_of(page())
        assert level(page()) == "ok"

    def test_open_rejected_messages_lead_to_the_admin(self, page, client):
        account()
        reader()
        reject()
        reject("fink_sn_ztf_2")
        address = re.search(r'href="(/admin/tom_fink/rejectedmessage/[^"]*)"', page().content.decode())[1]
        listed = client.get(address)
        assert [found.topic for found in listed.context["cl"].result_list] == ["fink_sn_ztf"]

    def test_delays(self, page):
        account()
        delays(received_to_stored={"0": 100}, emitted_to_stored={"690": 90, "920": 10})
        text = text_of(page())
        assert "fink_sn_ztf 100" in text
        assert "0 s 90 %: 0 s · 99 %: 0 s" in text
        assert "16 min 90 %: 16 min · 99 %: 27 h" in text
        assert "Hour by hour" not in text

    def test_one_topic_by_hour(self, page):
        account()
        account("fink_other")
        reader()
        for hours in (0, 5, 23):
            delays(hours=hours)
            delays("fink_other", hours=hours)
        response = page(topic="fink_sn_ztf")
        content = response.content.decode()
        assert content.count("<svg") == 4
        assert content.count("<rect") == 12
        assert "fink_other" not in content
        assert "Replayed" in content
        assert f'href="{reverse("fink:topic", args=["fink_sn_ztf"])}"' in content
        now = timezone.now()
        assert f"{now - timedelta(hours=5):%Y-%m-%d %H}:00:00" in content

    def test_a_step_without_times_has_no_chart(self, page):
        account()
        delays(received_to_stored=HISTOGRAM, emitted_to_stored=HISTOGRAM)
        assert page(topic="fink_sn_ztf").content.decode().count("<svg") == 2

    def test_one_topic_without_any_delay(self, page):
        account()
        text = text_of(page(topic="fink_sn_ztf"))
        assert "How long alerts took" not in text
        assert "Hour by hour" not in text

    def test_a_topic_without_a_row_has_no_page_of_objects(self, page):
        account("poison_only")
        content = page(topic="poison_only").content.decode()
        assert "Objects of this topic" not in content

    def test_rejected_messages_of_files(self, page):
        reject("file_topic")
        assert "file_topic" in text_of(page())
        assert "file_topic" in text_of(page(topic="file_topic"))

    def test_every_heading_of_a_column_is_explained(self, page):
        account()
        delays()
        content = page(topic="fink_sn_ztf").content.decode()
        legends = re.findall(r"<dt>(.*?)</dt>", content)
        for heading in re.findall(r'<abbr title="[^"]+">(.*?)</abbr>', content):
            assert heading in [*legends, "Last batch"]
        for word in ("Duplicate", "Replayed", "Skipped", "Lost", "Handled"):
            assert word in legends

    def test_tables_have_names_and_scopes(self, page):
        account()
        delays()
        reader()
        content = page(topic="fink_sn_ztf").content.decode()
        assert content.count("<table") == 4
        ids = re.findall(r'<table [^>]*aria-labelledby="(\w+)"', content)
        assert len(ids) == 4
        for name in ids:
            assert f'id="{name}"' in content
        assert not re.search(r"<th(?![^>]*scope=)[ >]", content)

    def test_names_are_escaped(self, page):
        account(EVIL, group=EVIL)
        delays(EVIL)
        reject(EVIL)
        reject(f"{EVIL}?&#'\"")
        reader(EVIL)
        Reader.objects.update(host=EVIL)
        for query in ({}, {"topic": EVIL}):
            response = page(**query)
            assert response.status_code == 200
            assert "alert('x')" not in response.content.decode()
            assert "alert(&#x27;x&#x27;)" in response.content.decode()

    def test_a_link_leads_to_the_topic_whatever_its_name(self, page, client):
        name = "a b/c?d=1&e#f+%20\"'"
        account(name)
        delays(name)
        links = re.findall(r'href="(/fink/status/\?topic=[^"]*)"', page().content.decode())
        assert len(links) == 2
        for link in links:
            assert client.get(link.partition("#")[0]).context["topic"] == name


class TestListOfTopics:
    @pytest.fixture
    def page(self, as_user, topic):
        return lambda who: text_of(as_user(who).get(reverse("fink:topics")))

    @pytest.mark.parametrize("who", ["anonymous", "ordinary", "superuser"])
    def test_quiet_when_all_is_well(self, page, as_user, who):
        account()
        reader()
        text = page(who)
        assert "Stream : what became" in text
        assert not any(word in text for word in ("Good", "Note", "Warning", "Fault"))

    def test_quiet_where_nothing_was_ever_read(self, page):
        for who in ("ordinary", "superuser"):
            assert "No reader" not in page(who)

    def test_what_is_not_well(self, page):
        account(lost=3)
        for who in ("anonymous", "ordinary", "superuser"):
            text = page(who)
            assert "Fault Lost: 3 alerts of fink_sn_ztf" in text
            assert "Warning No reader is running" in text
            assert "Apart from that" not in text

    def test_of_a_concealed_topic_nothing_is_said(self, page):
        make_topic("concealed", public=False)
        account("concealed", lost=3)
        reject("concealed")
        assert "concealed" not in page("ordinary")
        assert "concealed" in page("superuser")

    def test_rejected_messages_are_for_those_who_can_look_at_them(self, page):
        account()
        reader()
        reject()
        assert "rejected" not in page("ordinary")
        assert "Note 1 rejected message of fink_sn_ztf is open" in page("superuser")

    def test_rejected_messages_without_any_account(self, page):
        reject("from_a_file")
        text = page("superuser")
        assert "1 rejected message of from_a_file is open" in text
        assert "No reader" not in text


class TestPageOfATopic:
    def test_its_line(self, as_user, topic):
        account(waiting=7, lost=2)
        make_object(topic, "ZTF1")
        address = reverse("fink:topic", args=[topic.name])
        text = text_of(as_user("ordinary").get(address))
        assert "From the stream: 10 read, 10 stored, ✖ 2 lost , 7 waiting (just now)" in text

    def test_of_the_group_that_reads_it_now(self, as_user, topic):
        account(group="old", lost=9, seen_at=None, updated_at=timezone.now() - timedelta(days=3))
        account(group="new", waiting=5)
        text = text_of(as_user("ordinary").get(reverse("fink:topic", args=[topic.name])))
        assert "none lost, 5 waiting" in text

    def test_without_an_account_it_says_nothing(self, as_user, topic):
        account("another")
        text = text_of(as_user("ordinary").get(reverse("fink:topic", args=[topic.name])))
        assert "From the stream" not in text

    def test_an_htmx_request_does_not_ask(self, as_user, topic, django_assert_max_num_queries):
        account()
        client = as_user("ordinary")
        with django_assert_max_num_queries(40) as queries:
            client.get(reverse("fink:topic", args=[topic.name]), headers=HTMX)
        assert not any("partitionledger" in query["sql"] for query in queries)


class TestQueries:
    @pytest.mark.parametrize("who", ["anonymous", "ordinary", "superuser"])
    @pytest.mark.parametrize("one", [True, False])
    def test_their_number_does_not_grow(self, as_user, who, one, django_assert_max_num_queries):
        client = as_user(who)
        taken = {}
        for topics in (1, 20):
            for number in range(topics):
                name = f"topic-{topics}-{number}"
                make_topic(name)
                for partition in range(2):
                    account(name, partition)
                    delays(name, partition)
                reader(pid=1000 * topics + number)
                reject(name)
            with django_assert_max_num_queries(14) as queries:
                client.get(STATUS, {"topic": name} if one else {})
            taken[topics] = len(queries)
        assert taken[1] == taken[20]
