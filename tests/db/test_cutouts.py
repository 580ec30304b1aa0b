"""Cutouts beside the database: what is shown goes with what is committed, and a fault of the file is told."""

import gzip
from importlib import import_module

import pytest
from django.core.management import call_command
from django.db import DataError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse

from tests.contents import shown_cutouts
from tests.db.pages import cutout_page, make_cutouts, make_object
from tests.db.test_store import of_object
from tom_fink import conf
from tom_fink.cutoutfile import KINDS
from tom_fink.cutouts import Cutout, CutoutKind, with_cutouts
from tom_fink.errors import ConfigurationError, StoreUnavailable
from tom_fink.models import Alert, FinkObject, RejectedMessage
from tom_fink.store import batch, store_messages

pytestmark = pytest.mark.django_db


def shown() -> list[str]:
    """The ids of the alerts whose cutouts pages show, in order of time."""
    return [alert.alert_id for alert, _ in with_cutouts(Alert.objects.all())]


@pytest.mark.parametrize("together", [1, 2])
def test_a_batch_that_is_taken_back_changes_no_page(simulated_messages, together):
    messages = of_object(simulated_messages)[: 2 + together]
    store_messages(messages[:2])
    before, images = shown(), shown_cutouts()
    with transaction.atomic():
        store_messages(messages[2:])
        assert shown() == [before[0], Alert.objects.order_by("observed_at").last().alert_id]
        transaction.set_rollback(True)
    assert (shown(), shown_cutouts()) == (before, images)
    store_messages(messages[2:])
    assert shown() == [before[0], Alert.objects.order_by("observed_at").last().alert_id]


def test_an_alert_that_the_database_refuses_takes_no_place(simulated_messages, monkeypatch):
    messages = of_object(simulated_messages)[:4]
    store_messages(messages[:2])
    before = shown()
    update = batch.update_objects

    def refuse(alerts, objects):
        if messages[2].offset in alerts["offset"]:
            raise DataError("value too long")
        update(alerts, objects)

    monkeypatch.setattr(batch, "update_objects", refuse)
    outcome = store_messages(messages[2:3])
    assert (outcome.stored, outcome.rejected, RejectedMessage.objects.count()) == (0, 1, 1)
    assert shown() == before
    outcome = store_messages(messages[2:])
    assert (outcome.stored, outcome.rejected) == (1, 1)
    assert shown() == [before[0], Alert.objects.order_by("observed_at").last().alert_id]


def test_a_file_that_cannot_be_written_stores_nothing(simulated_messages, row_counts, settings, tmp_path):
    counts = row_counts()
    (tmp_path / "file").touch()
    settings.FINK_CUTOUTS_FILE = str(tmp_path / "file" / "cutouts")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        store_messages(simulated_messages[:5])
    assert row_counts() == counts
    settings.FINK_CUTOUTS_FILE = str(tmp_path / "cutouts")
    assert store_messages(simulated_messages[:5]).stored == Alert.objects.count() > 0


def test_a_file_that_cannot_be_read_is_told_on_the_page(as_user, topic, caplog):
    made = make_object(topic, "ZTF1")
    cutout = make_cutouts(made.alerts.get())[0]
    path = conf.cutout_file().path
    path.write_bytes(b"damaged " * 10_000)
    client = as_user("anonymous")
    page = client.get(reverse("fink:target", args=[made.target_id]))
    assert page.status_code == 200
    assert "The cutouts cannot be read at the moment" in page.content.decode()
    for view in ("cutout", "cutout-fits"):
        answer = client.get(cutout_page(view, cutout))
        assert (answer.status_code, answer["Content-Type"]) == (503, "text/plain; charset=utf-8")
        assert answer["Cache-Control"] == "private"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert str(path) not in answer.content.decode()
    assert str(path) not in page.content.decode()
    assert str(path) in caplog.text


def test_kinds_that_there_are_not(as_user, topic):
    alert = make_object(topic, "ZTF1").alerts.get()
    make_cutouts(alert)
    for kind in ("fits", "science_", "id"):
        assert as_user("anonymous").get(f"/fink/alerts/{alert.pk}/{kind}.png").status_code == 404


def test_an_alert_without_cutouts_is_not_found(as_user, topic):
    alert = make_object(topic, "ZTF1").alerts.get()
    assert (
        as_user("superuser").get(cutout_page("cutout", Cutout(alert, CutoutKind.SCIENCE))).status_code == 404
    )


def test_only_the_ends_of_what_the_file_has_are_shown(as_user, topic):
    made = make_object(topic, "ZTF1", alerts=4)
    alerts = list(made.alerts.order_by("observed_at"))
    for alert in alerts:
        make_cutouts(alert)
    page = as_user("anonymous").get(reverse("fink:target", args=[made.target_id])).content.decode()
    assert page.count('class="fink-stamp"') == 6
    assert shown() == [alerts[0].alert_id, alerts[3].alert_id]


@pytest.mark.django_db(transaction=True)
def test_cutouts_go_with_their_object(topic):
    made, other = make_object(topic, "ZTF1"), make_object(topic, "ZTF2")
    for of in (made, other):
        make_cutouts(of.alerts.get())
    with transaction.atomic():
        made.delete()
        transaction.set_rollback(True)
    assert len(conf.cutout_file().entries([("ztf", "ZTF1")])) == 1
    FinkObject.objects.filter(object_id="ZTF1").delete()
    assert conf.cutout_file().entries([("ztf", "ZTF1")]) == []
    assert shown() == ["ZTF2-0"]


class TestWhere:
    def test_beside_an_sqlite_database_or_in_the_state(self, settings):
        settings.FINK_CUTOUTS_FILE = ""
        path, name = conf.cutout_file().path, connection.settings_dict["NAME"]
        if connection.vendor == "sqlite":
            assert str(path) == f"{name}.cutouts"
        else:
            assert path == settings.BASE_DIR / "state" / f"cutouts-{name}.sqlite3"

    def test_without_a_folder_it_has_to_be_said(self, settings, monkeypatch):
        settings.FINK_CUTOUTS_FILE = ""
        monkeypatch.setitem(connection.settings_dict, "NAME", "tom")
        del settings.BASE_DIR
        with pytest.raises(ConfigurationError, match="FINK_CUTOUTS_FILE"):
            conf.cutout_file()


@pytest.mark.django_db(transaction=True)
def test_migration_0008_moves_what_the_database_has(topic, monkeypatch):
    migration = import_module("tom_fink.migrations.0008_cutout_file")
    monkeypatch.setattr(migration, "AT_ONCE", 3)
    expected = {}
    try:
        call_command("migrate", "tom_fink", "0007", verbosity=0)
        former = MigrationExecutor(connection).loader.project_state([("tom_fink", "0007_less_upkeep")]).apps
        for number in range(4):
            for alert in make_object(topic, f"ZTF{number}", alerts=2).alerts.all():
                for kind in KINDS[: number or None]:
                    fits = gzip.compress(f"{kind} of {alert.alert_id}".encode())
                    former.get_model("tom_fink", "Cutout").objects.create(
                        alert_id=alert.pk, kind=kind, fits=fits
                    )
                    expected[alert.alert_id, kind] = fits
        with connection.schema_editor() as editor:  # interrupted: it had the images moved, and not the rest
            migration.into_the_file(former, editor)
    finally:
        call_command("migrate", "tom_fink", verbosity=0)
    found = {
        (alert.alert_id, cutout.kind.value): cutout.stored()
        for alert, cutouts in with_cutouts(Alert.objects.all())
        for cutout in cutouts
    }
    assert found == expected
    assert "tom_fink_cutout" not in connection.introspection.table_names()
