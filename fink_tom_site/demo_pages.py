"""What the demo asks of its own database and pages."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import requests

from fink_tom_site.site import read_site

TIMEOUT_S = 60


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


def look_at_pages(
    address: str, user: str, password: str, database: Path, fail: Callable[[str], None]
) -> Iterator[str]:
    """Log in and look at the topics, each topic, one target's page and tab, its light curve and a cutout.

    Yields a line for each kind of page; calls `fail` with what is wrong about the first page that is.
    """
    session = requests.Session()

    def get(path: str, *expected: str) -> requests.Response:
        response = session.get(address + path, timeout=TIMEOUT_S)
        if response.status_code != 200:
            fail(f"{path} answers with status {response.status_code}")
        for text in expected:
            if text not in response.text:
                fail(f"{path} does not show {text!r}")
        return response

    get("/accounts/login/")
    response = session.post(
        f"{address}/accounts/login/",
        {"login": user, "password": password, "csrfmiddlewaretoken": session.cookies["csrftoken"]},
        headers={"Referer": address},
        timeout=TIMEOUT_S,
    )
    if "sessionid" not in session.cookies:
        fail(f"the login is not accepted (status {response.status_code})")

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
    target, name, cutout = _rows(
        database,
        "SELECT b.id, b.name, min(c.id) FROM tom_targets_basetarget b JOIN tom_fink_alert a ON a.target_id = b.id "
        "JOIN tom_fink_cutout c ON c.alert_id = a.id WHERE b.type = 'SIDEREAL' GROUP BY b.id ORDER BY count(DISTINCT a.id) DESC, b.id LIMIT 1",
    )[0]
    get(f"/targets/{target}/", name, f"/fink/targets/{target}/")
    get(f"/fink/targets/{target}/", f"/fink/targets/{target}/lightcurve.json")
    figure = get(f"/fink/targets/{target}/lightcurve.json").json()
    points = sum(len(trace.get("x", ())) for trace in figure["magnitude"]["data"])
    if not points:
        fail(f"the light curve of {name} has no points")
    yield f"target {name}: its page, its Fink tab and a light curve of {points} points"
    png = get(f"/fink/cutouts/{cutout}.png")
    if not png.content.startswith(b"\x89PNG"):
        fail(f"cutout {cutout} is not a PNG")
    yield "its cutouts are images"


def ask_service(ztf_url: str, lsst_url: str, database: Path, fail: Callable[[str], None]) -> Iterator[str]:
    """Ask the simulated REST services for what is stored and for what no stream brought.

    Yields a line for each survey that the site reads; calls `fail` with what is wrong about the first answer that is.
    """
    asked = (
        ("ZTF", "ztf", f"{ztf_url}objects", "objectId", f"{ztf_url}latests", {"class": "SN candidate"}, "i:objectId"),
        ("Rubin", "lsst", f"{lsst_url}sources", "diaObjectId", f"{lsst_url}tags", {"tag": "hostless_candidate"}, "r:diaObjectId"),
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
