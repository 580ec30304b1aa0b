"""The server of the simulated services: what comes over the wire does not end it, fill it or hold it up."""

import json
import logging
import random
import socket
import threading
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest

from tom_fink.simulate import simulated_alerts
from tom_fink.simulate.service import Catalogue, SimulatedService, server
from tom_fink.simulate.service.endpoints import ENDPOINTS

START = datetime(2026, 3, 22, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalogue():
    """The first alerts of a sky, without those of bursts."""
    found = Catalogue()
    for one in simulated_alerts(3, START, 120):
        if one.survey in found.tables:
            found.add(one.survey, one.alert, [one.topic])
    return found


@pytest.fixture
def service(catalogue):
    with SimulatedService(catalogue) as running:
        yield running


def connect(service) -> socket.socket:
    host, port = service.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def exchange(service, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to raw bytes; the server has to end the connection or say its length."""
    with closing(connect(service)) as connection:
        connection.sendall(request)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    with connection.makefile("rb") as lines:
        status = int(lines.readline().split()[1])
        headers = {}
        while line := lines.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return status, headers, lines.read(int(headers["Content-Length"]))


def post(body: bytes, *headers: str, path: str = "/ztf/api/v1/objects") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: here", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def well_formed(body: bytes, **more: str) -> bytes:
    return post(body, "Content-Type: application/json", f"Content-Length: {len(body)}", **more)


def still_answers(service) -> bool:
    status, _, body = exchange(service, b"GET /ztf/api/v1/classes HTTP/1.1\r\nHost: here\r\n\r\n")
    return status == 200 and "Fink classifiers" in json.loads(body)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (well_formed(b"not json"), 400),
        (well_formed(b"[1, 2]"), 400),
        (well_formed(b'"text"'), 400),
        (well_formed(b"null"), 400),
        (well_formed(b"\xff\xfe\x00"), 400),
        (well_formed(b"[" * 100_000), 400),
        (well_formed(b'{"objectId": ' + b"9" * 5000 + b"}"), 400),
        (post(b"{}", "Content-Type: text/plain", "Content-Length: 2"), 415),
        (post(b"{}", "Content-Length: 2"), 415),
        (post(b"", "Content-Type: application/json"), 411),
        (post(b"0\r\n\r\n", "Content-Type: application/json", "Transfer-Encoding: chunked"), 411),
        (post(b"", "Content-Type: application/json", "Content-Length: -5"), 400),
        (post(b"", "Content-Type: application/json", "Content-Length: many"), 400),
        (post(b"", "Content-Type: application/json", "Content-Length: ²"), 400),
        (post(b"", "Content-Type: application/json", f"Content-Length: {server.MAX_BODY_BYTES + 1}"), 413),
        (post(b"", "Content-Type: application/json", f"Content-Length: {'9' * 400}"), 413),
        (b"PUT /ztf/api/v1/objects HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}", 405),
        (b"DELETE /ztf/api/v1/objects HTTP/1.1\r\nHost: here\r\n\r\n", 405),
        (b"GET /ztf/api/v1/objects?" + b"a=1&" * 500 + b" HTTP/1.1\r\nHost: here\r\n\r\n", 400),
        (b"GET http://[::1/ztf HTTP/1.1\r\nHost: here\r\n\r\n", 400),
        (b"GET /ztf/api/v1/../../etc/passwd HTTP/1.1\r\nHost: here\r\n\r\n", 404),
        (b"GET //ztf//api/v1//objects HTTP/1.1\r\nHost: here\r\n\r\n", 404),
    ],
)  # fmt: skip
def test_requests_that_are_none(service, request_bytes, status):
    found, headers, body = exchange(service, request_bytes)
    assert found == status
    if status in (400, 405, 411, 413, 415):
        assert headers["Content-Type"] == "application/json"
        assert json.loads(body).keys() == {"message"}
    assert still_answers(service)


@pytest.mark.parametrize(
    "request_bytes", [b"\x16\x03\x01\x02\x00\x01\x00", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000 + b"\r\n\r\n"]
)  # fmt: skip
def test_what_is_no_http(service, request_bytes):
    with closing(connect(service)) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        try:
            while connection.recv(65536):
                pass
        except ConnectionError:
            pass  # closed with bytes unread
    assert still_answers(service)


def test_a_long_body_is_not_read(service):
    """The answer comes although the body never does."""
    head = post(b"", "Content-Type: application/json", "Content-Length: 90000000")
    status, headers, _ = exchange(service, head)
    assert status == 413
    assert headers["Connection"] == "close"


def test_a_client_that_hangs_up_or_sleeps(service, monkeypatch, caplog):
    monkeypatch.setattr(server._Handler, "timeout", 0.2)
    for request in (b"", b"POST /ztf/api", well_formed(b'{"objectId"')[:-3]):
        with closing(connect(service)) as connection:
            connection.sendall(request)
        with closing(connect(service)) as connection:
            connection.sendall(request)
            # Asleep: the server ends it. It closes with nothing unread, so the end is an orderly one.
            assert connection.recv(100) == b""
    assert still_answers(service)
    assert not caplog.records


def is_served(service) -> bool:
    try:
        return exchange(service, b"GET /ztf/ HTTP/1.1\r\nHost: here\r\n\r\n")[0] == 200
    except ConnectionError:
        return False  # refused, and closed before all was read


def test_many_connections(catalogue, monkeypatch):
    """Beyond the limit each is told so, and when the others end there is room again."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    with SimulatedService(catalogue) as service:
        held = [connect(service) for _ in range(2)]
        for connection in held:
            # An answer shows that the connection is taken; kept alive, it stays so.
            connection.sendall(b"GET /ztf/ HTTP/1.1\r\nHost: here\r\n\r\n")
            assert read_answer(connection)[0] == 200
        with closing(connect(service)) as refused:
            assert read_answer(refused)[0] == 503
        for connection in held:
            connection.close()
        deadline = time.monotonic() + 20
        while not is_served(service):
            assert time.monotonic() < deadline


def test_a_fault_of_the_service_is_a_500_and_is_logged(service, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(server, "answer", broken)
    status, _, body = exchange(service, well_formed(b'{"objectId": "ZTF26"}'))
    assert status == 500
    assert json.loads(body) == {"message": "Internal Server Error"}
    assert "by design" in caplog.text
    assert "by design" not in body.decode()


HOSTILE = [
    None, True, False, 0, -1, 3.5, 1e308, 10**30, "", " ", ",", ",,,", "\x00", "nan", "inf", "-inf", "1e400", "%", "*",
    "<script>", "'; --", "ü" * 300, "ZTF", "1", "-91", "91", "361", "2026-13-45", "0001-01-01", "9999-12-31 23:59:59",
    "2026-03-22", "TRCK", "All", "Science", "FITS", "array", "csv", "parquet", "votable", "tns", "simbad", "ssodnet",
    "rising", "low_state", "in_tns", "SN candidate", "i:jd", "r:diaObjectId", [], [1], {}, {"a": 1}, "９", "²", "1_0",
]  # fmt: skip
NAMES = [
    "objectId", "diaObjectId", "diaSourceId", "ra", "dec", "radius", "n", "startdate", "stopdate", "window", "class",
    "trend", "tag", "kind", "candid", "output-format", "columns", "withupperlim", "withcutouts", "cutout-kind", "n_or_d",
    "withEphem", "withResiduals", "resolver", "name", "name_or_id", "reverse", "nmax", "event_name", "credible_level",
    "n_day_before", "n_day_after", "date", "id", "start_date", "stop_date", "midpointMjdTai", "endpoint", "stretch",
    "pmin", "pmax", "color",
]  # fmt: skip


def test_no_parameter_is_a_fault_of_the_service(service, catalogue, caplog):
    """Whatever is given is answered as Fink would, never by an error that nobody foresaw."""
    caplog.set_level(logging.ERROR)
    rng = random.Random(8)  # noqa: S311 - no secret
    good = {
        "objectId": next(iter(catalogue.tables["ztf"].points)), "diaObjectId": next(iter(catalogue.tables["lsst"].points)),
        "diaSourceId": next(iter(catalogue.tables["lsst"].alerts)), "ra": 10, "dec": 20, "radius": 18000,
        "class": "SN candidate", "tag": "in_tns", "kind": "Science", "n_or_d": "8467", "resolver": "tns", "name": "SN",
        "name_or_id": "SN", "credible_level": 0.5, "event_name": "S260322a", "date": "2026", "endpoint": "/api/v1/fp",
    }  # fmt: skip
    statuses = set()
    for survey, endpoints in ENDPOINTS.items():
        for endpoint in endpoints:
            for _ in range(150):
                bad = {rng.choice(NAMES): rng.choice(HOSTILE) for _ in range(rng.randint(1, 3))}
                reply = service.answer(survey, endpoint, good | bad)
                statuses.add(reply.status)
                if reply.content_type == "application/json":
                    json.loads(reply.body, parse_constant=pytest.fail)
    assert statuses == {200, 400, 404, 500}
    assert not caplog.records


def test_requests_at_the_same_time(service, catalogue):
    ids = list(catalogue.tables["ztf"].points)[:20]
    found = {}

    def ask(object_id):
        body = json.dumps({"objectId": object_id, "columns": "i:objectId"}).encode()
        found[object_id] = json.loads(exchange(service, well_formed(body))[2])

    threads = [threading.Thread(target=ask, args=(one,)) for one in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for object_id in ids:
        assert {row["i:objectId"] for row in found[object_id]} == {object_id}


def test_it_is_on_this_machine_alone_and_ends(catalogue):
    with SimulatedService(catalogue) as running:
        assert running.url("ztf") == f"{running.address}/ztf/api/v1/"
        assert running.address.startswith("http://127.0.0.1:")
        idle = connect(running)
        idle.sendall(b"GET /ztf/ HTTP/1.1\r\nHost: here\r\n\r\n")
        assert read_answer(idle)[0] == 200
        begun = time.monotonic()
    assert time.monotonic() - begun < 5  # not held up by a connection that is kept alive
    with pytest.raises(ConnectionRefusedError):
        connect(running)
    idle.close()


def test_ipv6(catalogue):
    with SimulatedService(catalogue, host="::1") as running:
        assert running.address.startswith("http://[::1]:")
        with closing(socket.create_connection(("::1", running._http.server_port), timeout=20)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert read_answer(connection)[0] == 200
