"""The client over real HTTP on this machine: what it sends, how patient it is, what it does not swallow."""

import gzip
import re
import socket
import time
import tracemalloc
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from tests import fink_server
from tests.fink_server import FinkServer, breaks_off, dribbles, floods, gzip_bomb, hangs_up, is_silent, says
from tom_fink import __version__
from tom_fink.api import answers, client, lsst, names, ztf
from tom_fink.api.client import FinkClient
from tom_fink.api.deadline import _Reader
from tom_fink.errors import BadAnswer, QueryRefused, ServiceUnavailable

pytestmark = pytest.mark.usefixtures("no_proxy")

ZTF_ID, RUBIN_ID = "ZTF26aamcbly", "170028485706776685"
ROW = {"i:objectId": ZTF_ID, "i:candid": 5, "i:jd": 2461121.5, "i:ra": 193.822, "i:dec": 2.8973}
OLDER = ROW | {"i:candid": 4, "i:jd": 2461120.5, "d:tag": "upperlim"}
RUBIN_ROW = {"r:diaObjectId": int(RUBIN_ID), "r:diaSourceId": 7, "r:ra": 10.0, "r:dec": -20.0, "r:extra": 1}
QUERY = ztf.alerts(ZTF_ID)


@pytest.fixture
def server():
    rows = {
        ("ztf", "objects"): [ROW, OLDER, ROW | {"i:objectId": "ZTF26aamcblyz", "i:candid": 6}],
        ("ztf", "conesearch"): [ROW, ROW | {"i:objectId": "ZTF26far", "i:dec": 2.9}],
        ("ztf", "latests"): [
            ROW | {"i:candid": number, "d:classification": "SN candidate"} for number in range(30, 0, -1)
        ],
        ("ztf", "sso"): [ROW | {"i:ssnamenr": "8467", "sso_name": "Benoitcarry", "sso_number": 8467}],
        ("ztf", "anomaly"): [ROW | {"d:anomaly_score": score, "i:candid": -int(score * 100)} for score in (-0.01, -0.2)],
        ("ztf", "resolver"): [{"d:fullname": "SN 2023vwy", "d:ra": 47.765951, "d:declination": 52.219894}],
        ("ztf", "tracklet"): [ROW],
        ("ztf", "statistics"): [{"key:key": "ztf_20211103", "basic:raw": "346644"}],
        ("lsst", "sources"): [RUBIN_ROW],
        ("lsst", "fp"): [{"r:diaObjectId": int(RUBIN_ID), "r:diaForcedSourceId": 8}],
        ("lsst", "objects"): [{"r:diaObjectId": int(RUBIN_ID), "r:nDiaSources": 2}],
        ("lsst", "tags"): [RUBIN_ROW],
        ("lsst", "conesearch"): [RUBIN_ROW],
        ("lsst", "sso"): [{"r:diaSourceId": 9, "f:sso_name": "1996 TC28"}],
        ("lsst", "skymap"): [RUBIN_ROW],
        ("lsst", "statistics"): [{"f:night": "20251102", "f:alerts": 1348}],
        ("lsst", "resolver"): [{"f:fullname": "SN 2023vwy", "f:ra": "47.765951", "f:declination": "52.219894"}],
    }  # fmt: skip
    lists = {
        ("ztf", "classes"): {"Fink classifiers": ["SN candidate"]},
        ("ztf", "schema"): {"ZTF original fields (i:)": {"jd": {"type": "double", "doc": "JD"}}},
        ("lsst", "tags"): {"in_tns": {"description": "in TNS", "API support": True}},
        ("lsst", "blocks"): {"b_good_quality": "good"},
        ("lsst", "/api/v1/fp"): {"Rubin (r:)": {"band": {"type": "string", "doc": "the band"}}},
    }
    with FinkServer(rows, lists, {ZTF_ID: b"SIMPLE  =", "7": b"SIMPLE  ="}) as running:
        yield running


@pytest.fixture
def fink(server):
    """A client that gives up after 5 s; a pause between tries is 10 ms, 20 ms, 40 ms."""
    with FinkClient(server.options(timeout_s=5.0)) as made:
        yield made


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client, "BACKOFF_S", 0.01)


# --- What is asked and what comes -----------------------------------------------------------------


def test_a_request_as_it_is_sent(server, fink):
    found = fink.get(QUERY)
    assert found.frame["candid"].to_list() == ["5"]
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/ztf/api/v1/objects")
    assert asked.payload == QUERY.payload
    assert asked.headers["User-Agent"] == f"tom_fink/{__version__}"
    assert asked.headers["Content-Type"] == "application/json"
    assert not {"Cookie", "Authorization"} & asked.headers.keys()


def test_every_endpoint_of_ztf(fink):
    assert fink.get(ztf.light_curve(ZTF_ID)).frame["tag"].to_list() == [None, "upperlim"]
    assert fink.get(ztf.around(193.822, 2.8973, 5)).frame["objectId"].to_list() == [ZTF_ID]
    latest = fink.get(ztf.latest("SN candidate", 20))  # without n it would be 10
    assert (latest.frame.height, latest.may_be_cut) == (20, True)
    assert fink.get(ztf.body("8467")).frame["sso_name"].to_list() == ["Benoitcarry"]
    assert fink.get(ztf.anomalies(1)).frame["anomaly_score"].to_list() == [-0.2]
    assert fink.get(ztf.tracklet("2021-10-22")).frame.height == 1
    assert fink.get(ztf.statistics("20211103")).frame["basic:raw"].to_list() == ["346644"]
    assert fink.get(ztf.resolve("tns", "SN 2023vwy"), names.resolved)["ra_deg"].to_list() == [47.765951]
    assert fink.get(ztf.classes(), answers.classes) == {"Fink classifiers": ["SN candidate"]}
    assert fink.get(ztf.schema(), answers.schema) == {"ZTF original fields (i:)": {"jd": "JD"}}
    assert fink.get(ztf.cutout(ZTF_ID, "Science"), answers.cutout) == b"SIMPLE  ="


def test_every_endpoint_of_rubin(server, fink):
    assert fink.get(lsst.alerts(RUBIN_ID)).frame["diaObjectId"].to_list() == [RUBIN_ID]
    assert server.asked[0].path == "/lsst/api/v1/sources"
    assert fink.get(lsst.forced(RUBIN_ID)).frame["diaForcedSourceId"].to_list() == ["8"]
    assert fink.get(lsst.summary(RUBIN_ID)).frame["nDiaSources"].to_list() == [2]
    tagged = fink.get(lsst.latest("in_tns"))
    assert "extra" not in tagged.frame.columns
    assert tagged.frame["diaSource"].struct.field("diaSourceId").to_list() == ["7"]
    near = fink.get(lsst.around(10, -20, 1)).frame
    assert near["separation_degree"].to_list() == [0.0]
    assert fink.get(lsst.body("1996 TC28")).frame["sso_name"].to_list() == ["1996 TC28"]
    assert fink.get(lsst.in_sky_map("S200219ac", 0.9)).frame.height == 1
    assert fink.get(lsst.statistics("20251102")).frame["alerts"].to_list() == [1348]
    assert fink.get(lsst.resolve("tns", "SN 2023vwy"), names.resolved)["dec_deg"].to_list() == [52.219894]
    assert fink.get(lsst.tags(), answers.tags)["in_tns"].is_searchable
    assert fink.get(lsst.blocks(), answers.blocks) == {"b_good_quality": "good"}
    assert fink.get(lsst.schema("fp"), answers.schema) == {"Rubin (r:)": {"band": "the band"}}
    assert fink.get(lsst.cutout("7", "Science"), answers.cutout) == b"SIMPLE  ="


def test_nothing_known(fink):
    for query in (ztf.alerts("ZTF99nope"), lsst.alerts("1234567890"), ztf.around(1, 2, 3)):
        assert fink.get(query).frame.is_empty()


@pytest.mark.parametrize(
    ("query", "read", "says"),
    [
        (replace(QUERY, payload={"columns": "i:jd"}), answers.rows, "“A value for `objectId` is required.”"),
        (
            replace(QUERY, payload=QUERY.payload | {"output-format": "xml"}),
            answers.rows,
            "`xml` is not supported",
        ),
        (
            replace(ztf.around(1, 2, 3), payload=ztf.around(1, 2, 3).payload | {"ra": "kfdlkj"}),
            answers.rows,
            "“could not convert string to float: 'kfdlkj'”",
        ),
        (
            replace(ztf.around(1, 2, 3), payload=ztf.around(1, 2, 3).payload | {"radius": "36000"}),
            answers.rows,
            "“`radius` cannot be bigger than 18,000 arcseconds (5 degrees).”",
        ),
        (
            replace(ztf.latest("a"), payload={"class": "SN candidate", "startdate": 2461120.5}),
            answers.rows,
            "failed (status 500): “Internal Server Error”",
        ),
        (
            lsst.latest("hostless"),
            answers.rows,
            "“hostless is not a valid tag. Here is the list of tags: ['in_tns']”",
        ),
        (
            ztf.body("kdflsjffld"),
            answers.rows,
            "“kdflsjffld is not a valid name or number according to quaero.”",
        ),
        (ztf.in_sky_map("S200219ac", 0.1), answers.rows, "and had none: “b'404 page not found'”"),
        (ztf.cutout("ZTF99nope", "Science"), answers.cutout, "failed (status 500)"),
        (lsst.cutout("1", "Science"), answers.cutout, "and has none"),
        (
            replace(QUERY, endpoint="explorer"),
            answers.rows,
            "“a page of HTML (404 Not Found)”. Check FINK_API_ZTF_URL",
        ),
    ],
)
def test_what_fink_refuses(server, fink, query, read, says):
    with pytest.raises(QueryRefused, match=re.escape(says)):
        fink.get(query, read)
    assert len(server.asked) == 1, "the same question again would not help"


def test_a_get_without_parameters_is_a_page(fink):
    with pytest.raises(BadAnswer, match="sent no JSON: “Retrieve data from the Fink database”"):
        fink.get(replace(QUERY, payload={}))


# --- Patience -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [says(502), says(503, b"<html>"), says(504), hangs_up, breaks_off],
    ids=["502", "503", "504", "hangs up", "breaks off"],
)
def test_what_passes_is_tried_again(server, fink, fault):
    server.faults[:] = [fault] * 3
    assert fink.get(QUERY).frame.height == 1
    assert [asked.payload for asked in server.asked] == [QUERY.payload] * 4


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (says(503), r"but is out of order \(status 503\). Try again in some minutes."),
        (hangs_up, r"but cannot be reached at http://127\.0\.0\.1:\d+/ztf/api/v1/ \(.+\)\. Try again"),
        (breaks_off, r"but cannot be reached at .+ \(the answer broke off\)\. Try again"),
    ],
)
def test_what_stays_is_said(server, fink, fault, says):
    server.faults[:] = [fault] * 5
    with pytest.raises(
        ServiceUnavailable, match=f"^Fink's ZTF service was asked for the alerts of {ZTF_ID} {says}"
    ):
        fink.get(QUERY)
    assert len(server.asked) == 4


def test_pauses_grow_and_the_service_does_not_set_them(server, fink, monkeypatch):
    pauses = []
    monkeypatch.setattr(client.time, "sleep", pauses.append)
    monkeypatch.setattr(client, "BACKOFF_S", 0.5)
    server.faults[:] = [says(503, Retry_After="86400")] * 3
    fink.get(QUERY)
    assert pauses == [0, 1, 2]


def test_no_pause_goes_beyond_the_time(server, monkeypatch):
    monkeypatch.setattr(client, "BACKOFF_S", 30)
    server.faults[:] = [says(503)] * 4
    started = time.monotonic()
    with (
        FinkClient(server.options(timeout_s=5.0)) as fink,
        pytest.raises(ServiceUnavailable, match="status 503"),
    ):
        fink.get(QUERY)
    assert time.monotonic() - started < 4
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_other_errors_are_not_tried_again(server, fink, status):
    server.faults[:] = [says(status)] * 2
    assert fink.send(QUERY).status == status
    assert len(server.asked) == 1


def test_nobody_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # a port on which nobody listens
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/api/v1/"
        options = fink_server.ApiOptions(address, address, timeout_s=5.0)
        with FinkClient(options) as fink, pytest.raises(ServiceUnavailable) as caught:
            fink.get(lsst.tags(), answers.tags)
    assert str(caught.value) == (
        f"Fink's Rubin service was asked for its tags but cannot be reached at {address} (Connection refused). "
        "Try again in some minutes. If it stays so, check FINK_API_LSST_URL and the network."
    )


@pytest.mark.parametrize(
    "fault",
    [
        is_silent,
        dribbles(b"HTTP/1.1 200 OK\r\n", b"X"),
        dribbles(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "),
        dribbles(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n[\r\n"),
        dribbles(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        dribbles(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\n", b" "),
    ],
    ids=["silent", "headers", "body", "chunks", "continue", "error"],
)
def test_a_slow_answer_ends_in_time(server, fault):
    """Each byte comes well within a read timeout; the answer never does."""
    server.faults[:] = [fault] * 4
    started = time.monotonic()
    with FinkClient(server.options(timeout_s=0.5)) as fink, pytest.raises(ServiceUnavailable) as caught:
        fink.get(QUERY)
    assert 0.4 < time.monotonic() - started < 2
    assert str(caught.value) == (
        f"Fink's ZTF service was asked for the alerts of {ZTF_ID} but did not answer within 0.5 s. "
        "Ask for less, or ask the same again."
    )
    assert len(server.asked) == 1


def test_a_wait_is_no_longer_than_the_time_left(server):
    """The last byte comes at 0.8 of 1 s, and then none."""

    def falls_silent(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        handler.fink.stopped.wait(0.8)
        handler.wfile.write(b"[")
        is_silent(handler)

    server.faults[:] = [falls_silent]
    started = time.monotonic()
    with (
        FinkClient(server.options(timeout_s=1.0)) as fink,
        pytest.raises(ServiceUnavailable, match="within 1 s"),
    ):
        fink.get(QUERY)
    assert time.monotonic() - started < 1.5


@pytest.fixture
def full():
    """The port of a server whose queue is full: connecting to it hangs."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.1)
            try:
                waiting.connect(("127.0.0.1", port))
            except TimeoutError:
                break
        yield port


@pytest.mark.parametrize("hanging", [1, 4])
def test_the_time_that_connecting_takes_is_counted(server, full, hanging, monkeypatch):
    """A service of several addresses, of which some hang and the last does not answer."""

    def of_name(host, port, *args):
        ends = [("127.0.0.1", one) for one in ([full] * hanging if host == "localhost" else []) + [port]]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", end) for end in ends]

    monkeypatch.setattr(socket, "getaddrinfo", of_name)
    server.faults[:] = [is_silent] * 4
    started = time.monotonic()
    address = f"{server.address}/ztf/api/v1/".replace("127.0.0.1", "localhost")
    options = fink_server.ApiOptions(address, address, timeout_s=1.0, connect_timeout_s=0.6)
    with FinkClient(options) as fink, pytest.raises(ServiceUnavailable, match="within 1 s"):
        fink.get(QUERY)
    assert len(server.asked) == 1, "the last address was come to"
    assert 0.9 < time.monotonic() - started < 1.35


def test_what_comes_late_is_not_read():
    """Though it has come: an answer that is worked off slowly ends too."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"late")
        with closing(_Reader(ours, time.monotonic() + 5)) as reader:
            assert reader.read(1) == b"l"
        with closing(_Reader(ours, time.monotonic())) as reader, pytest.raises(TimeoutError):
            reader.read(1)


def test_a_client_goes_on_after_a_slow_answer(server):
    server.faults[:] = [dribbles(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" ")]
    with FinkClient(server.options(timeout_s=0.5)) as fink:
        with pytest.raises(ServiceUnavailable):
            fink.get(QUERY)
        assert fink.get(QUERY).frame.height == 1


# --- What is not swallowed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [floods(50_000_000), floods(50_000_000, is_announced=True), gzip_bomb(50_000_000)],
    ids=["50 MB", "50 MB announced", "50 MB gzipped"],
)
def test_an_answer_that_is_too_large(server, fink, fault):
    server.faults[:] = [fault]
    with pytest.raises(BadAnswer, match=r"and sent more than 34 MB\. Ask for less\.$"):
        fink.get(QUERY)
    assert len(server.asked) == 1


def test_lists_and_cutouts_have_limits_of_their_own(server, fink):
    server.faults[:] = [says(200, b" " * 2_200_000), says(200, b"SIMPLE" + b" " * 4_200_000)]
    with pytest.raises(BadAnswer, match="more than 2 MB"):
        fink.get(ztf.classes(), answers.classes)
    with pytest.raises(BadAnswer, match="more than 4 MB"):
        fink.get(ztf.cutout(ZTF_ID, "Science"), answers.cutout)


def test_what_cannot_be_unpacked(server, fink):
    server.faults[:] = [says(200, b"no gzip", Content_Encoding="gzip")]
    with pytest.raises(BadAnswer, match="and sent what cannot be unpacked"):
        fink.get(QUERY)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(server, fink, status):
    """A question may lead to another service of the network, or take what was asked there."""
    with FinkServer() as elsewhere:
        server.faults[:] = [says(status, b" " * 10, Location=f"{elsewhere.address}/api/v1/objects")]
        with pytest.raises(
            BadAnswer, match=rf"sent us on to {elsewhere.address}/api/v1/objects, which is not followed"
        ):
            fink.get(QUERY)
        assert elsewhere.asked == []
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("location", "says"),
    [
        (b"http://[", r"sent us on to http://\[, which is not followed \(status 302\)"),
        (b"/caf\xe9", r"sent us on to /café, which is not followed \(status 302\)"),
    ],
)
def test_an_address_that_cannot_be_read_is_not_followed_either(server, fink, location, says):
    def sends_on(handler):
        handler.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")

    server.faults[:] = [sends_on]
    with pytest.raises(BadAnswer, match=says):
        fink.get(QUERY)


@pytest.mark.parametrize(
    "bomb", [b" " * 60_000_000, gzip.compress(b" " * 60_000_000)], ids=["60 MB", "gzipped"]
)
def test_a_redirect_is_no_larger_than_an_answer(server, fink, bomb):
    packed = {"Content_Encoding": "gzip"} if bomb[:1] == b"\x1f" else {}
    server.faults[:] = [says(302, bomb, Location="/elsewhere", **packed)]
    tracemalloc.start()
    try:
        with pytest.raises(BadAnswer, match="and sent more than 34 MB"):
            fink.get(QUERY)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 55_000_000, "one that is read whole takes more than the 60 MB it has"


def test_no_cookie_and_no_password_of_netrc_is_sent(server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login observer password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.faults[:] = [says(200, b"[]", "application/json", Set_Cookie="track=me")]
    with FinkClient(server.options()) as fink:
        fink.get(QUERY)
        fink.get(QUERY)
    assert not any({"Cookie", "Authorization"} & asked.headers.keys() for asked in server.asked)


def test_making_a_client_connects_to_nothing(server):
    FinkClient(server.options()).close()
    FinkClient().close()
    assert server.asked == []
