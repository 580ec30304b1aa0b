"""What the site is called and reads: site.toml, and the owner's settings."""

import runpy
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured

from fink_tom_site import local_settings
from fink_tom_site.site import Site, read_site

ROOT = Path(__file__).resolve().parents[2]
LINES = {"name": '"A TOM"', "contact": '"a@example.org"', "time_zone": '"UTC"', "surveys": '["lsst"]'}


def written(folder: Path, **changes: str) -> Path:
    file = folder / "site.toml"
    file.write_text("\n".join(f"{name} = {text}" for name, text in (LINES | changes).items() if text))
    return file


def site_settings(change: Callable[[dict], None] = lambda settings: None) -> dict:
    """The settings, with these changes of the owner's."""
    with (
        mock.patch("environ.Env.read_env"),  # a developer's .env
        mock.patch.object(local_settings, "change", change),
    ):
        return runpy.run_path(str(ROOT / "fink_tom_site" / "settings.py"))


def test_a_site_is_read(tmp_path):
    name = r'''"é \"quoted\" \\ 'x' {{ x }} <b>"'''
    site = read_site(written(tmp_path, name=name, surveys='["lsst", "ztf", "lsst"]'))
    assert site == Site("""é "quoted" \\ 'x' {{ x }} <b>""", "a@example.org", "UTC", ("lsst", "ztf"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "site.toml: name takes a text between quotes."),
        ({"name": '" "'}, "site.toml: name takes a text between quotes."),
        ({"contact": "7"}, "site.toml: contact takes a text between quotes."),
        ({"time_zone": '"Mars"'}, "site.toml: time_zone takes a name such as Europe/Paris."),
        ({"surveys": '"ztf"'}, "site.toml: surveys takes a list of one or more of ztf, lsst."),
        ({"surveys": "[]"}, "site.toml: surveys takes a list of one or more of ztf, lsst."),
        ({"surveys": '["sdss"]'}, "site.toml: surveys takes a list of one or more of ztf, lsst."),
        ({"name": "unquoted"}, "site.toml cannot be read: "),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path, changes, says):
    with pytest.raises(ImproperlyConfigured) as caught:
        read_site(written(tmp_path, **changes))
    assert str(caught.value).startswith(says)


def test_no_file_is_said(tmp_path):
    with pytest.raises(ImproperlyConfigured, match=r"^site.toml cannot be read: "):
        read_site(tmp_path / "site.toml")


def test_the_settings_take_what_no_variable_says(monkeypatch):
    site = read_site()
    found = site_settings()
    assert [found[name] for name in ("TOM_NAME", "DEFAULT_FROM_EMAIL", "TIME_ZONE")] == [
        site.name, site.contact, site.time_zone,
    ]  # fmt: skip
    assert tuple(stream["OPTIONS"]["SURVEY"] for stream in found["ALERT_STREAMS"]) == site.surveys
    for name, value in {
        "TOM_NAME": "Mine",
        "DEFAULT_FROM_EMAIL": "me@here",
        "TIME_ZONE": "Asia/Tokyo",
    }.items():
        monkeypatch.setenv(name, value)
        assert site_settings()[name] == value


@pytest.mark.parametrize("surveys", [("ztf",), ("lsst",), ("lsst", "ztf")])
def test_only_the_chosen_surveys_have_a_stream(surveys):
    site = Site("A", "a@b", "UTC", surveys)
    with mock.patch("fink_tom_site.site.read_site", return_value=site):
        streams = site_settings()["ALERT_STREAMS"]
    assert tuple(stream["OPTIONS"]["SURVEY"] for stream in streams) == surveys


def test_the_owner_s_settings_come_last():
    def change(settings):
        settings["TARGET_TYPE"] = "NON_SIDEREAL"
        settings["ALERT_STREAMS"][0]["OPTIONS"]["TOPIC"] = "mine"

    found = site_settings(change)
    assert (found["TARGET_TYPE"], found["ALERT_STREAMS"][0]["OPTIONS"]["TOPIC"]) == ("NON_SIDEREAL", "mine")
