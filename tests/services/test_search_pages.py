"""Searching Fink in a real browser: form, results, target, refreshed light curve. Pictures go to PICTURES."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.urls import reverse
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import Target

from tests.services.chromium import Chromium, Page
from tom_fink.dataservices import labels
from tom_fink.simulate.service import simulated_service

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

STYLE = os.environ.get("STYLE", "")
PASSWORD = "a password for tests"
FORM = "document.querySelector('[name=what]').form"
MAKE = "document.querySelector('.fink-results input[type=submit]')"
BOXES = "[...document.querySelectorAll('[name=fink_chosen]')]"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """One browser for all tests."""
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def site(live_server, settings, monkeypatch):
    """The address of a site that asks the stand-in service."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    cache.clear()
    labels.forget()
    with simulated_service(3, datetime(2026, 3, 22, 4, tzinfo=UTC), nights=1) as service:
        settings.FINK_API_ZTF_URL, settings.FINK_API_LSST_URL = service.url("ztf"), service.url("lsst")
        yield live_server.url


@pytest.fixture
def page(chromium, site) -> Page:
    """A tab of a user who has logged in; it reaches the site and nothing else."""
    get_user_model().objects.create_user("observer", password=PASSWORD)
    page = chromium.page(lambda address: address.startswith((site, "data:", "blob:", STYLE or site)))
    page.open(f"{site}/accounts/login/")
    page.type("[name=login]", "observer")
    page.type("[name=password]", PASSWORD)
    page.follow("document.querySelector('[name=password]').form.requestSubmit()")
    return page


def take(page: Page, name: str) -> None:
    """A picture, if they are wanted, with the style sheet that the network would bring (STYLE, an address)."""
    if folder := os.environ.get("PICTURES"):
        if STYLE:
            page.evaluate(
                "new Promise(done => document.head.prepend(Object.assign(document.createElement('link'),"
                f"{{rel: 'stylesheet', href: '{STYLE}', onload: done, onerror: done}})))"
            )
        page.screenshot(Path(folder) / f"{name}.png", whole=True)


def text(page: Page) -> str:
    return page.evaluate("document.body.innerText")


def of_ours(page: Page) -> list[str]:
    """The errors that scripts of this app, or pages of the data services, have caused."""
    return [error for error in page.errors if "tom_fink" in error or "dataservices" in error]


def test_an_observer_searches_makes_targets_and_refreshes_one(page, site):
    page.open(f"{site}{reverse('dataservices:create')}?data_service=Fink")
    take(page, "simple")
    page.open(f"{site}{reverse('dataservices:create')}?data_service=Fink%20ZTF")
    take(page, "advanced")
    assert page.evaluate("document.querySelectorAll('#fink-labels option').length") > 50

    page.type("[name=ra]", "150.1")
    page.follow(f"{FORM}.querySelector('[type=submit]').click()")
    take(page, "errors")
    assert "A position has a right ascension and a declination." in text(page)
    page.evaluate("document.querySelector('[name=ra]').value = ''")
    page.type("[name=classes]", "SN candidate")
    page.follow(f"{FORM}.querySelector('[type=submit]').click()")
    take(page, "results")

    assert page.evaluate(f"{MAKE}.disabled") is True
    assert page.evaluate(f"{MAKE}.form.querySelectorAll('input[type=submit]').length") == 1
    rows = page.evaluate(f"{BOXES}.length")
    assert rows > 5
    page.evaluate("document.querySelector('#selectAll').click()")
    assert page.evaluate(f"{MAKE}.value") == f"Create {rows} Targets"
    page.evaluate("document.querySelector('#selectAll').click()")
    page.evaluate(f"{BOXES}[0].click()")
    assert page.evaluate("document.querySelector('#selectAll').indeterminate") is True
    name = page.evaluate(f"{BOXES}[0].getAttribute('aria-label')")
    cache.clear()  # as anybody's search does
    page.follow(f"{MAKE}.click()")
    take(page, "target")
    target = Target.objects.get()
    assert target.name == name
    assert f"/targets/{target.pk}/" in page.evaluate("location.href")
    assert "1 new target" in text(page)

    points = PhotometryReducedDatum.objects.filter(target=target)
    count = points.count()
    points.filter(pk__in=points.values("pk")[:5]).delete()
    page.evaluate("document.querySelector('[name=data_service]').value = 'Fink'")
    page.follow("document.querySelector('[name=data_service]').form.requestSubmit()")
    assert points.count() == count > 5
    take(page, "refreshed")
    page.open(f"{site}{reverse('dataservices:run')}")
    take(page, "results-again")
    assert (
        page.evaluate(f"document.querySelectorAll('.fink-results a[href*=\"/targets/{target.pk}/\"]').length")
        == 1
    )
    assert of_ours(page) == []
