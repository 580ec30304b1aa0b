"""FinkBroker on the pages of tom_alerts. `test_broker.py` runs this in a site that has tom_alerts installed."""

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.urls import reverse
from guardian.shortcuts import get_objects_for_user
from tom_alerts.alerts import get_service_classes
from tom_alerts.models import BrokerQuery
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, Target, TargetName

from tests.db.pages import EVIL
from tests.fink_server import FinkServer, dribbles, says
from tests.unit.test_search_run import OTHER_ID, RUBIN_ID, ZTF_ID, rubin, ztf
from tom_fink.broker import patience
from tom_fink.fink import FinkBroker
from tom_fink.models import Alert, FinkObject

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_proxy")]
GIVEN = {"query_name": "mine", "broker": "Fink", "survey": "ztf"}


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def server(settings):
    limit = {"i:candid": -1, "i:jd": 2461110.5, "i:fid": 2, "i:diffmaglim": 19.5, "i:magpsf": None}
    with FinkServer() as found:
        options = found.options()
        settings.FINK_API_ZTF_URL, settings.FINK_API_LSST_URL = options.ztf_url, options.lsst_url
        found.rows["ztf", "objects"] = [
            ztf(2, days=1), ztf(1), limit | {"i:objectId": ZTF_ID, "d:tag": "upperlim"}, ztf(9, OTHER_ID),
        ]  # fmt: skip
        found.rows["ztf", "conesearch"] = found.rows["ztf", "latests"] = [ztf(2, days=1), ztf(9, OTHER_ID)]
        found.rows["ztf", "sso"] = [
            ztf(
                3,
                "ZTF26aaaaaaa",
                **{"i:ssnamenr": "8467", "d:roid": 3, "sso_name": "Benoitcarry", "sso_number": 8467},
            )
        ]
        found.rows["lsst", "sources"] = [rubin(7, days=1), rubin(6)]
        found.lists["lsst", "tags"] = {"hostless_candidate": {"description": "", "API support": True}}
        found.rows["lsst", "tags"] = [rubin(7, days=1)]
        yield found


@pytest.fixture
def observer(client):
    user = User.objects.create_user("observer", password="x")
    user.groups.add(Group.objects.create(name="observers"))
    client.force_login(user)
    return user


def saved(client, **given) -> BrokerQuery:
    answer = client.post(reverse("tom_alerts:create"), GIVEN | given)
    assert answer.status_code == 302, answer.context["form"].errors
    return BrokerQuery.objects.latest("pk")


def results(client, query) -> str:
    answer = client.get(reverse("tom_alerts:run", kwargs={"pk": query.pk}))
    assert answer.status_code == 200
    return answer.content.decode()


def create(client, query, *ids):
    return client.post(
        reverse("tom_alerts:create-target"),
        {
            "query_id": query.pk,
            "broker": "Fink",
            "alerts": [one if ":" in one else f"ztf:{one}" for one in ids],
        },
        follow=True,
    )


def test_it_is_listed_and_has_a_form(client, observer):
    assert get_service_classes()["Fink"] is FinkBroker
    assert "Fink" in client.get(reverse("tom_alerts:list")).content.decode()
    page = client.get(reverse("tom_alerts:create"), {"broker": "Fink"}).content.decode()
    for name in ("query_name", "survey", "object_ids", "position", "radius_arcsec", "label", "start", "body"):
        assert f'name="{name}"' in page


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"object_ids": f"{ZTF_ID} {OTHER_ID}"}, [ZTF_ID, OTHER_ID]),
        ({"position": "150.1 +2.21", "radius_arcsec": "7"}, [ZTF_ID, OTHER_ID]),
        ({"position": "10:00:24 +02:12:36"}, [ZTF_ID, OTHER_ID]),
        ({"label": "SN candidate", "start": "2026-03-22", "stop": "2026-03-24T00:00"}, [ZTF_ID, OTHER_ID]),
        ({"start": "2026-03-22", "n": "1"}, [ZTF_ID]),
        ({"body": "8467"}, ["8467"]),
        ({"survey": "lsst", "object_ids": RUBIN_ID}, [RUBIN_ID]),
        ({"survey": "lsst", "label": "hostless_candidate"}, [RUBIN_ID]),
    ],
)
def test_every_search_is_saved_run_and_edited(client, observer, server, given, found):
    query = saved(client, **given)
    page = results(client, query)
    assert [name for name in (ZTF_ID, OTHER_ID, RUBIN_ID, "8467") if f">{name}</a>" in page] == found
    page = client.get(reverse("tom_alerts:update", kwargs={"pk": query.pk})).content.decode()
    for value in given.values():
        assert value in page


def test_a_result_says_what_its_newest_alert_does(client, observer, server):
    query = saved(client, object_ids=ZTF_ID)
    page = results(client, query)
    assert f'<a href="https://ztf.fink-portal.org/{ZTF_ID}" target="_blank"' in page
    for text in ("150.100", "2.210", "18.000", "2.000", "2026-03-23 00:00:00", f'value="ztf:{ZTF_ID}"'):
        assert text in page


def test_targets_are_made_with_their_light_curves(client, observer, server):
    query = saved(client, object_ids=f"{ZTF_ID} {OTHER_ID}")
    results(client, query)
    assert not BaseTarget.objects.exists()
    create(client, query, ZTF_ID, OTHER_ID)
    targets = {target.name: target for target in Target.objects.all()}
    assert set(targets) == {ZTF_ID, OTHER_ID}
    assert PhotometryReducedDatum.objects.filter(target=targets[ZTF_ID]).count() == 3
    assert set(FinkObject.objects.values_list("object_id", "target")) == {
        (name, target.pk) for name, target in targets.items()
    }
    assert Alert.objects.count() == 3
    assert (targets[ZTF_ID].ra, targets[ZTF_ID].type) == (150.1, "SIDEREAL")
    assert observer.has_perm("tom_targets.change_target", BaseTarget.objects.get(name=ZTF_ID))


def test_a_target_has_the_permission_of_what_a_user_makes(client, observer, server, settings):
    settings.TARGET_DEFAULT_PERMISSION = "OPEN"  # FINK_TARGET_PERMISSION is for what no user makes
    query = saved(client, object_ids=ZTF_ID)
    results(client, query)
    create(client, query, ZTF_ID)
    assert Target.objects.get().permissions == "OPEN"
    assert observer.has_perm("tom_targets.view_target", BaseTarget.objects.get())


def test_a_body_becomes_a_target_that_moves(client, observer, server):
    query = saved(client, body="8467")
    results(client, query)
    create(client, query, "8467")
    target = Target.objects.get()
    assert (target.name, target.type, target.ra) == ("8467", "NON_SIDEREAL", None)
    assert TargetName.objects.get().name == "Benoitcarry"


@pytest.mark.parametrize("is_alias", [False, True])
def test_a_target_that_is_there_is_not_handed_over(client, observer, server, is_alias):
    """Whoever finds its object gets neither a right to it nor a second one."""
    theirs = Target.objects.create(
        name="theirs" if is_alias else ZTF_ID, ra=1, dec=1, type="SIDEREAL", permissions="PRIVATE"
    )
    if is_alias:
        TargetName.objects.create(target=theirs, name=ZTF_ID)
    query = saved(client, object_ids=ZTF_ID)
    results(client, query)
    page = create(client, query, ZTF_ID).content.decode()
    assert f"Unable to save {ZTF_ID}, target with that name already exists." in page
    assert "theirs" not in page
    assert BaseTarget.objects.count() == 1
    assert not get_objects_for_user(observer, "tom_targets.view_target", BaseTarget).exists()
    assert not PhotometryReducedDatum.objects.exists()


def test_a_light_curve_that_does_not_come_leaves_the_target_with_its_newest_alert(
    client, observer, server, caplog
):
    query = saved(client, object_ids=ZTF_ID)
    results(client, query)
    server.faults = [says(500)]
    create(client, query, ZTF_ID)
    assert PhotometryReducedDatum.objects.filter(target__name=ZTF_ID).count() == 1
    assert "is not complete: Fink's ZTF service was asked for the alerts" in caplog.text


def test_hostile_words_are_shown_as_they_are(client, observer, server):
    server.faults = [says(400, str({"status": "error", "text": EVIL}).encode())] * 2
    query = saved(client, object_ids=ZTF_ID)
    page = results(client, query)
    assert "&lt;script&gt;alert(" in page
    assert EVIL not in page
    assert "<script>alert" not in page
    assert "<script>alert" not in results(client, saved(client, position=EVIL[:60]))


@pytest.mark.parametrize(
    "fault", [says(503), says(500), says(200, b"<html>"), says(302, Location="http://elsewhere.example/")]
)
def test_a_fault_is_a_sentence(client, observer, server, fault):
    query = saved(client, object_ids=ZTF_ID)
    server.faults = [fault] * 9
    assert "Fink&#x27;s ZTF service was asked for the alerts of" in results(client, query)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "__all__"),
        ({"object_ids": RUBIN_ID}, "object_ids"),
        ({"position": "150.1 +99"}, "position"),
        ({"position": "150.1 +2", "radius_arcsec": "99999"}, "radius_arcsec"),
        ({"survey": "lsst", "label": "no such tag!"}, "label"),
        ({"label": "SN candidate", "start": "yesterday"}, "start"),
        ({"label": "SN candidate", "start": "2026-03-22", "stop": "2026-03-21"}, "stop"),
        ({"object_ids": ZTF_ID, "n": "0"}, "n"),
        ({"survey": "x", "object_ids": ZTF_ID}, "survey"),
    ],
)
def test_bad_input_is_shown_at_its_field(client, observer, given, field):
    answer = client.post(reverse("tom_alerts:create"), GIVEN | given)
    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert not BrokerQuery.objects.exists()


@pytest.mark.parametrize(
    "parameters", [{}, {"survey": "x", "n": "many"}, {"n": [1], "label": 5}, {"conesearch": "150.1, 2.21"}]
)
def test_a_saved_query_that_fits_no_longer_says_so(client, observer, parameters):
    query = BrokerQuery.objects.create(name="old", broker="Fink", parameters=parameters)
    assert '<div class="alert alert-danger" role="alert">' in results(client, query)


OLD = dict.fromkeys(("objectId", "conesearch", "classsearch", "classsearchdate", "ssosearch"), "")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"objectId": ZTF_ID}, ZTF_ID),
        ({"conesearch": "150.1, 2.21, 5"}, ZTF_ID),
        ({"conesearch": "10 00 24, +02 12 36, 5"}, ZTF_ID),
        ({"ssosearch": "8467"}, "8467"),
    ],
)
def test_a_query_that_was_saved_for_the_earlier_module(client, observer, server, given, found):
    query = BrokerQuery.objects.create(name="old", broker="Fink", parameters=OLD | given)
    assert f">{found}</a>" in results(client, query)


def test_an_earlier_query_by_class_has_to_be_written_anew(client, observer):
    query = BrokerQuery.objects.create(
        name="old", broker="Fink", parameters=OLD | {"objectId": ZTF_ID, "classsearchdate": "Early SN, 5"}
    )
    said = "This query was saved for an earlier Fink module: write its classsearchdate anew."
    assert said in results(client, query)


def test_a_day_is_taken_whole(client, observer, server):
    query = saved(client, label="SN candidate", start="2026-03-22", stop="2026-03-22")
    results(client, query)
    asked = server.asked[-1].payload
    assert (asked["startdate"], asked["stopdate"]) == ("2026-03-22 00:00:00", "2026-03-23 00:00:00")
    query = saved(client, label="SN candidate", start="2026-03-22", stop="2026-03-22T04:00")
    results(client, query)
    assert server.asked[-1].payload["stopdate"] == "2026-03-22 04:00:00"


def test_all_light_curves_of_a_page_have_one_time(client, observer, server, monkeypatch, caplog):
    """A service that dribbles holds a page up once, and not for every target."""
    ids = [f"ZTF26aaaaaa{letter}" for letter in "abcdefgh"]
    server.rows["ztf", "objects"] = [ztf(at, one, **{"i:ra": 10.0 + at}) for at, one in enumerate(ids, 1)]
    query = saved(client, object_ids=" ".join(ids))
    results(client, query)
    monkeypatch.setattr(patience, "OF_A_REQUEST_S", 1.0)
    monkeypatch.setattr(patience, "OF_A_TARGET_S", 0.4)
    server.faults = [dribbles(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" ")] * 99
    create(client, query, *ids)
    assert len(server.asked) <= 1 + 4
    assert BaseTarget.objects.count() == 8
    assert caplog.text.count("is not complete") == 8
    assert "the time that a page may take was over" in caplog.text


def test_another_request_has_its_own_time(monkeypatch):
    monkeypatch.setattr(patience, "OF_A_REQUEST_S", 0.0)
    assert patience.light_curve_s() == patience.OF_A_TARGET_S, "without a request"
    request_started.send(None)
    assert patience.light_curve_s() == 0
    monkeypatch.setattr(patience, "OF_A_REQUEST_S", 10.0)
    assert patience.light_curve_s() == 0
    request_started.send(None)
    assert 9 < patience.light_curve_s() <= 10
    request_finished.send(None)


def test_a_body_is_not_looked_for_at_a_place(server):
    body = Target.objects.create(name="my comet", type="NON_SIDEREAL", ra=150.1, dec=2.21)
    FinkBroker().process_reduced_data(body)
    assert server.asked == []
    assert not PhotometryReducedDatum.objects.exists()


def test_a_right_ascension_beyond_the_circle(server):
    server.rows["ztf", "conesearch"] = [ztf(2, days=1)]
    mine = Target.objects.create(name="mine", type="SIDEREAL", ra=150.1 - 360, dec=2.21)
    FinkBroker().process_reduced_data(mine)
    assert PhotometryReducedDatum.objects.filter(target=mine).count() == 3


def test_nothing_found(client, observer, server):
    page = results(client, saved(client, object_ids="ZTF26zzzzzzz"))
    assert "Nothing was found." in page


def run_command(capsys) -> str:
    call_command("runbrokerquery", "mine")
    return capsys.readouterr().out


@pytest.mark.parametrize("given", [{"object_ids": f"{ZTF_ID} {OTHER_ID}"}, {"body": "8467"}])
def test_the_command_of_tom_alerts(client, observer, server, capsys, given):
    query = saved(client, **given)
    said = run_command(capsys)
    names = set(BaseTarget.objects.values_list("name", flat=True))
    assert names == set(given.get("body", given.get("object_ids")).split())
    for name in names:
        assert f"Created target: {name}" in said
    assert said.endswith("Finished creating targets\n")
    said = run_command(capsys)
    for name in names:
        assert f"WARNING for {name}: " in said
        assert f"There is a target with the name or alias {name} already." in said
    assert BaseTarget.objects.count() == len(names)
    assert query.parameters["survey"] == "ztf"


def test_the_command_says_what_went_wrong(client, observer, server, capsys, caplog):
    saved(client, object_ids=ZTF_ID)
    server.faults = [says(500)] * 9
    assert run_command(capsys) == "Finished creating targets\n"
    assert "Fink's ZTF service was asked for the alerts of" in caplog.text


def test_all_of_a_query_are_saved_at_once(server):
    targets = FinkBroker().fetch_and_save_all({"survey": "ztf", "object_ids": f"{ZTF_ID} {OTHER_ID}"})
    assert {target.name for target in targets} == {ZTF_ID, OTHER_ID}


def test_without_the_pages(server):
    """What else of TOM Toolkit may call."""
    broker = FinkBroker()
    (alert,) = broker.fetch_alerts({"survey": "ztf", "object_ids": ZTF_ID})
    assert broker.get_broker_context_data() == {"broker_feedback": ""}
    assert broker.fetch_alert(broker.to_generic_alert(alert).id)["object"] == alert["object"]
    assert broker.fetch_alert("ztf:8467")["object"]["object_key"] == "8467"
    assert broker.fetch_alert("ztf:ZTF26zzzzzzz") is None
    assert broker.fetch_alert("x") is None
    target = broker.to_target(alert)
    assert (target.name, target.pk) == (ZTF_ID, BaseTarget.objects.get().pk)
    broker.process_reduced_data(target)
    assert PhotometryReducedDatum.objects.filter(target=target).count() == 3
    mine = Target.objects.create(name="mine", ra=150.1, dec=2.21, type="SIDEREAL")
    broker.process_reduced_data(mine, alert)
    broker.process_reduced_data(mine)
    assert PhotometryReducedDatum.objects.filter(target=mine).count() == 3
    assert FinkObject.objects.get().target_id == target.pk
