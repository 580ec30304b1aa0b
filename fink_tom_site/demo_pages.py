"""What the demo asks of its own database and pages."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import requests

from fink_tom_site.site import read_site

TIMEOUT_S = 60
PORTALS = {"ztf": "https://ztf.fink-portal.org/", "lsst": "https://lsst.fink-portal.org/"}


def _rows(database: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query).fetchall()


def counts(database: Path) -> tuple[int, int, int]:
    """How many alerts, targets and topics are stored."""
    return _rows(
        database,
        "SELECT (SELECT count(*) FROM tom_fink_alert), (SELECT count(*) FROM tom_targets_basetarget), "
        "(SELECT count(*) FROM tom_fink_topic)",
    )[0]


def log_in(address: str, user: str, password: str, fail: Callable[[str], None]) -> requests.Session:
    """A session of `user`; calls `fail` if there is none."""
    session = requests.Session()
    session.get(f"{address}/accounts/login/", timeout=TIMEOUT_S).raise_for_status()
    response = _post(session, address, "/accounts/login/", {"login": user, "password": password})
    if "sessionid" not in session.cookies:
        fail(f"the login is not accepted (status {response.status_code})")
    return session


def _post(session: requests.Session, address: str, path: str, values: dict[str, str]) -> requests.Response:
    token = {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
    return session.post(
        address + path, values | token, headers={"Referer": address + path}, timeout=TIMEOUT_S
    )


def look_at_pages(
    address: str, session: requests.Session, database: Path, fail: Callable[[str], None]
) -> Iterator[str]:
    """Look at the topics, each topic, one target's page and tab, its light curve and a cutout.

    Yields a line for each kind of page; calls `fail` with what is wrong about the first page that is.
    """

    def get(path: str, *expected: str) -> requests.Response:
        response = session.get(address + path, timeout=TIMEOUT_S)
        if response.status_code != 200:
            fail(f"{path} answers with status {response.status_code}")
        for text in expected:
            if text not in response.text:
                fail(f"{path} does not show {text!r}")
        return response

    topics = [name for (name,) in _rows(database, "SELECT name FROM tom_fink_topic ORDER BY name")]
    get("/fink/", *topics)
    yield f"/fink/ shows {len(topics)} topics"
    # A name in the page may be broken behind each underscore.
    get("/fink/status/", "nothing was lost", *(f"?topic={topic}" for topic in topics))
    get(f"/fink/status/?topic={topics[0]}", "Hour by hour")
    yield "/fink/status/ shows what became of every message"
    for topic in topics:
        newest = _rows(
            database,
            "SELECT o.object_id FROM tom_fink_finkobject o JOIN tom_fink_topicalert d ON d.fink_object_id = o.id "  # noqa: S608 - a name from our own table
            f"JOIN tom_fink_topic t ON t.id = d.topic_id WHERE t.name = '{topic}' ORDER BY d.observed_at LIMIT 1",
        )[0][0]
        get(f"/fink/topics/{topic}/?query={newest}", newest)
    yield "each topic's page shows its objects"
    target, name = _rows(
        database,
        "SELECT b.id, b.name FROM tom_targets_basetarget b JOIN tom_fink_alert a ON a.target_id = b.id "
        "WHERE b.type = 'SIDEREAL' GROUP BY b.id ORDER BY count(DISTINCT a.id) DESC, b.id LIMIT 1",
    )[0]
    get(f"/targets/{target}/", name, f"/fink/targets/{target}/")
    tab = get(f"/fink/targets/{target}/", f"/fink/targets/{target}/lightcurve.json").text
    figure = get(f"/fink/targets/{target}/lightcurve.json").json()
    points = sum(len(trace.get("x", ())) for trace in figure["magnitude"]["data"])
    if not points:
        fail(f"the light curve of {name} has no points")
    yield f"target {name}: its page, its Fink tab and a light curve of {points} points"
    pictures = re.findall(r'src="(/fink/alerts/[^"]+\.png)"', tab)
    for picture in pictures:
        if not get(picture).content.startswith(b"\x89PNG"):
            fail(f"{picture} is not a PNG")
    if not pictures:
        fail(f"the Fink tab of {name} shows no cutout")
    yield f"its {len(pictures)} cutouts are images"


def ask_service(
    address: str,
    session: requests.Session,
    urls: dict[str, str],
    database: Path,
    fail: Callable[[str], None],
) -> Iterator[str]:
    """Ask the simulated REST services for what is stored and for what no stream brought; find the latter by the site.

    urls: of the services, by survey. Yields a line for each survey that the site reads; calls `fail` with what is wrong about the first answer that is.
    """
    asked = (
        ("ZTF", "ztf", f"{urls['ztf']}objects", "objectId", f"{urls['ztf']}latests", {"class": "SN candidate"}, "i:objectId"),
        ("Rubin", "lsst", f"{urls['lsst']}sources", "diaObjectId", f"{urls['lsst']}tags", {"tag": "hostless_candidate"}, "r:diaObjectId"),
    )  # fmt: skip

    def rows(address: str, payload: dict[str, str]) -> list[dict]:
        response = requests.post(address, json=payload, timeout=TIMEOUT_S)
        if response.status_code != 200:
            fail(f"{address} answers {payload} with status {response.status_code}")
        return response.json()

    for name, survey, objects, argument, newest, search, column in asked:
        if survey not in read_site().surveys:
            continue
        stored = {
            object_id
            for (object_id,) in _rows(
                database,
                f"SELECT object_id FROM tom_fink_finkobject WHERE survey = '{survey}'",  # noqa: S608 - our own word
            )
        }
        # The objects of Rubin's bodies are designations, which this endpoint does not know.
        known = min(one for one in stored if one.startswith("ZTF") or (len(one) > 9 and one.isdecimal()))
        points = len(rows(objects, {argument: known, "columns": column}))
        if not points:
            fail(f"{objects} does not know {known}, which the stream brought")
        found = {str(row[column]) for row in rows(newest, search | {"n": "1000", "columns": column})}
        if not found - stored:
            fail(f"{newest} has nothing that the stream did not bring")
        yield f"{name}'s simulated service: {points} points of {known}, {len(found - stored)} objects that are new"
        # By the site's own page, so that a site that asks another service does not pass.
        new = min(found - stored)
        values = {"data_service": f"Fink {name}", "what": new, "n": "100"}
        response = _post(session, address, "/tom_dataservices/query/create/", values)
        if response.status_code != 200 or f"{PORTALS[survey]}{new}" not in response.text:
            fail(
                f"a search of the site's page Fink {name} does not find {new} (status {response.status_code})"
            )
        yield f"the site's page Fink {name} finds {new} there"
