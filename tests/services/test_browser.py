"""The pages in a real browser: what the scripts do, which no test of the HTML can show.

Nothing but this site is reachable: Bootstrap, Alpine and Aladin, which TOM Toolkit takes from content
delivery networks, are missing as they are on a machine without them. Our scripts must do without.
"""

import pytest
from django.contrib.auth import get_user_model

from tests.services.chromium import Chromium, Page
from tom_fink.models import Alert, FinkObject
from tom_fink.store import store_messages

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

TOPIC = "fink_sn_candidates_ztf"
PASSWORD = "a password for tests"
# What Bootstrap's tabs come down to: a pane is there when its tab is active.
TABS = """document.addEventListener('DOMContentLoaded', () => {
    document.head.append(Object.assign(document.createElement('style'), {
        textContent: '.tab-content > .tab-pane {display: none} .tab-content > .active {display: block}',
    }));
})"""
TAB = "document.querySelector('[data-fink-tab]')"
SHOW_TAB = (
    "document.querySelectorAll('.tab-pane').forEach(pane => "
    f"pane.classList.toggle('active', pane.contains({TAB}))); {TAB}.scrollIntoView()"
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """One browser for all tests."""
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def site(live_server, simulated_messages):
    """The address of a site with simulated alerts of every topic."""
    assert store_messages(simulated_messages).stored > 100
    return live_server.url


@pytest.fixture
def page(chromium, site) -> Page:
    """A tab of a user who has logged in with the form; it reaches the site and nothing else."""

    get_user_model().objects.create_user("observer", password=PASSWORD)
    page = chromium.page(lambda address: address.startswith((site, "data:", "blob:")))
    page.call("Page.addScriptToEvaluateOnNewDocument", source=TABS)
    page.open(f"{site}/accounts/login/")
    page.type("[name=login]", "observer")
    page.type("[name=password]", PASSWORD)
    page.follow("document.querySelector('[name=password]').form.requestSubmit()")
    return page


@pytest.fixture
def seen_best() -> FinkObject:
    """The object of the topic that has the most alerts."""
    return FinkObject.objects.filter(deliveries__topic__name=TOPIC).order_by("-alert_count", "pk").first()


def of_ours(page: Page) -> list[str]:
    """The errors that scripts of this app, or requests to its pages, have caused."""
    return [error for error in page.errors if "/fink/" in error or "tom_fink" in error]


def shown_rows(page: Page) -> list[str]:
    """The names in a topic's table."""
    return page.evaluate("[...document.querySelectorAll('tbody tr a')].map(link => link.innerText)")


def test_a_user_logs_in_and_finds_every_topic(page, site, simulated_messages):
    assert page.evaluate("document.cookie") is not None
    assert page.evaluate("document.body.innerText").count("observer") >= 1
    page.open(f"{site}/fink/")
    listed = page.evaluate(
        "[...document.querySelectorAll('.fink tbody tr td:first-child')].map(c => c.innerText)"
    )
    assert listed == sorted({message.topic for message in simulated_messages})
    assert of_ours(page) == []


def test_the_search_of_a_topic_narrows_its_table_as_one_types(page, site, seen_best):
    page.open(f"{site}/fink/")
    page.follow(
        f"[...document.querySelectorAll('.fink a')].find(link => link.innerText == '{TOPIC}').click()"
    )
    before = shown_rows(page)
    assert len(before) > 5
    page.evaluate("window.isTheSamePage = true")
    page.type("[name=query]", seen_best.object_id)
    page.wait_for("document.querySelectorAll('.table-container tbody tr').length == 1")
    assert shown_rows(page) == [seen_best.target.name]
    assert "1 object found" in page.evaluate("document.querySelector('.table-container').innerText")
    page.type("[name=query]", "nothing is called this")
    page.wait_for("document.querySelector('.table-container').innerText.includes('0 objects found')")
    assert page.evaluate("document.querySelectorAll('.fink table').length") == 1
    page.evaluate("document.querySelector('[name=query]').select()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Delete", code="Delete", windowsVirtualKeyCode=46)
    page.wait_for(f"document.querySelectorAll('.table-container tbody tr').length == {len(before)}")
    assert page.evaluate("window.isTheSamePage") is True
    assert of_ours(page) == []


def test_a_column_sorts_and_a_row_leads_to_the_target(page, site):
    page.open(f"{site}/fink/topics/{TOPIC}/")
    page.evaluate("document.querySelector('.table-container th').click()")  # the name
    page.wait_for("document.querySelector('.table-container tbody a') != null")
    page.wait_for(
        "(names => names.length > 1 && names.join() == names.toSorted().join())"
        "([...document.querySelectorAll('.table-container tbody a')].map(link => link.innerText))"
    )
    name = shown_rows(page)[0]
    page.follow("document.querySelector('.table-container tbody a').click()")
    assert name in page.evaluate("document.title")
    assert page.evaluate("document.querySelectorAll('nav.navbar').length") == 1
    assert of_ours(page) == []


def test_the_tab_of_a_target_loads_when_it_is_shown_and_draws(page, site, seen_best):
    fragment = f"{site}/fink/targets/{seen_best.target_id}/"
    page.open(f"{site}/targets/{seen_best.target_id}/")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert fragment not in page.requested, "the target's page does not wait for the tab"
    page.evaluate(SHOW_TAB)
    page.wait_for(f"{TAB}.querySelector('.main-svg') != null")
    assert page.requested.count(fragment) == 1

    points = page.evaluate(f"{TAB}.querySelectorAll('.scatterlayer .points path').length")
    assert points >= seen_best.alert_count
    title = f"{TAB}.querySelector('.ytitle').textContent"
    magnitude_title = page.evaluate(title)
    page.evaluate(f"{TAB}.querySelector('[data-fink-figure=flux]').click()")
    page.wait_for(f"{title} != {magnitude_title!r}")
    assert page.evaluate(f"{TAB}.querySelector('[data-fink-figure=flux]').ariaPressed") == "true"

    page.evaluate(f"{TAB}.querySelectorAll('img.fink-stamp').forEach(image => image.loading = 'eager')")
    stamps = f"[...{TAB}.querySelectorAll('img.fink-stamp')]"
    page.wait_for(f"{stamps}.every(image => image.complete)")
    sizes = page.evaluate(f"{stamps}.map(image => image.naturalWidth)")
    assert len(sizes) == 3 * (2 if seen_best.alert_count > 1 else 1)
    assert min(sizes) > 0
    alerts = Alert.objects.filter(target=seen_best.target).count()
    assert page.evaluate(f"{TAB}.querySelectorAll('tbody tr').length") == alerts
    assert of_ours(page) == []


@pytest.mark.parametrize(("theme", "is_dark"), [(None, False), ("Dark", True)])
def test_the_light_curve_follows_the_theme(page, site, settings, seen_best, theme, is_dark):
    """In the dark theme nothing is written in dark letters on the page's dark ground."""
    settings.CSS_THEME = theme
    page.open(f"{site}/targets/{seen_best.target_id}/")
    page.evaluate(SHOW_TAB)
    page.wait_for(f"{TAB}.querySelector('.main-svg .xtitle') != null")
    brightness = """(element => {
        const [red, green, blue] = getComputedStyle(element)[PROPERTY].match(/[0-9.]+/g).map(Number);
        return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
    })"""
    ground = page.evaluate(f"{brightness}(document.body)".replace("PROPERTY", "'backgroundColor'"))
    letters = page.evaluate(f"{brightness}({TAB}.querySelector('.xtitle'))".replace("PROPERTY", "'fill'"))
    if is_dark:
        assert (ground < 0.3, letters > 0.6) == (True, True)
    else:
        assert letters < 0.5
    assert of_ours(page) == []


def test_a_server_that_fails_is_told_in_the_tab(page, site, seen_best):
    """What cannot be shown is said where it would have been, instead of "Loading" for ever."""
    page.open(f"{site}/targets/{seen_best.target_id}/")
    target = seen_best.target
    target.permissions = "PRIVATE"
    target.save()
    page.evaluate(SHOW_TAB)
    said = page.wait_for(f"{TAB}.querySelector('[role=alert]')?.innerText")
    assert "Fink's alerts cannot be shown: the server answered 404" in said
