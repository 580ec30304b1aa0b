"""A server on this machine that answers as Fink's REST APIs do, with their quirks, and misbehaves when told to.

Both APIs are there, as /ztf/api/v1/ and /lsst/api/v1/. What they know is in `rows`, by survey and endpoint;
a fault in `faults` takes the next request. It is plain HTTP on 127.0.0.1.
"""

import gzip
import json
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tom_fink.api.options import ApiOptions

NEEDED = {
    "ztf": {
        "objects": ("objectId",), "conesearch": ("ra", "dec", "radius"), "latests": ("class",), "sso": ("n_or_d",),
        "resolver": ("resolver", "name"), "cutouts": ("objectId", "kind"), "skymap": ("credible_level",),
        "statistics": ("date",), "tracklet": (), "anomaly": (), "classes": (), "schema": (),
    },
    "lsst": {
        "sources": ("diaObjectId",), "objects": ("diaObjectId",), "fp": ("diaObjectId",),
        "conesearch": ("ra", "dec", "radius"), "tags": ("tag",), "sso": ("n_or_d",),
        "resolver": ("resolver", "name_or_id"), "cutouts": ("diaSourceId", "kind"), "skymap": ("credible_level",),
        "statistics": ("date",), "schema": ("endpoint",), "blocks": (),
    },
}  # fmt: skip
IDS = {"ztf": ("objectId", "i:objectId"), "lsst": ("diaObjectId", "r:diaObjectId")}
CAP = 10_000
Response = tuple[int, str, bytes]


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    payload: dict[str, Any] | None


@dataclass
class FinkServer:
    """The server; a context manager. `rows` are as served, newest first."""

    rows: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    lists: dict[tuple[str, str], Any] = field(default_factory=dict)
    cutouts: dict[str, bytes] = field(default_factory=dict)  # by object (ZTF) or alert (Rubin)
    faults: list[Callable[["Handler"], None]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.stopped = threading.Event()
        self.http = _Http(("127.0.0.1", 0), Handler)
        self.http.fink = self
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopped.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def options(self, **more: Any) -> ApiOptions:
        """Options of a client that asks this server."""
        return ApiOptions(f"{self.address}/ztf/api/v1/", f"{self.address}/lsst/api/v1", **more)

    def answer(self, survey: str, endpoint: str, payload: dict[str, Any]) -> Response:
        """What Fink answers to a payload."""
        needed = NEEDED.get(survey, {}).get(endpoint)
        if needed is None:
            return 404, "text/html", b"<!doctype html><html><title>404 Not Found</title></html>"
        if not payload:
            if (survey, endpoint) in self.lists:
                return _json(self.lists[survey, endpoint])
            return 200, "text/html; charset=utf-8", b"Retrieve data from the Fink database"
        for name in needed:
            if name not in payload:
                return _error(f"A value for `{name}` is required. See https://api.ztf.fink-portal.org \n")
        if endpoint == "cutouts":
            return self._cutout(survey, payload)
        if (output := payload.get("output-format", "json")) not in ("json", "csv", "votable", "parquet"):
            return _error(
                f"Output format `{output}` is not supported. Choose among json, csv, votable, or parquet\n"
            )
        found = self.rows.get((survey, endpoint), [])
        answer = getattr(self, f"_{endpoint}", lambda survey, payload, found: found[:CAP])(
            survey, payload, found
        )
        return answer if isinstance(answer, tuple) else _json(_with_columns(answer, payload))

    def _by_id(self, survey: str, payload: dict[str, Any], found: list) -> list:
        argument, column = IDS[survey]
        ids = payload[argument].split(",")
        # A scan is by the beginning of a key.
        return [row for one in ids for row in found if str(row[column]).startswith(one)][:CAP]

    def _objects(self, survey: str, payload: dict[str, Any], found: list) -> list:
        rows = self._by_id(survey, payload, found)
        with_limits = str(payload.get("withupperlim")) == "True"
        return [row for row in rows if with_limits or row.get("d:tag", "valid") == "valid"]

    _sources = _fp = _by_id

    def _newest(self, payload: dict[str, Any], found: list) -> Response | list:
        try:
            for name in ("startdate", "stopdate"):
                datetime.fromisoformat(payload.get(name, "2019-11-01 00:00:00"))
        except (TypeError, ValueError):
            return _failed()
        return found[: int(payload.get("n", 10))]

    def _latests(self, survey: str, payload: dict[str, Any], found: list) -> Response | list:
        return self._newest(payload, [row for row in found if row["d:classification"] == payload["class"]])

    def _tags(self, survey: str, payload: dict[str, Any], found: list) -> Response | list:
        tags = self.lists["lsst", "tags"]
        if payload["tag"] not in tags:
            text = f"\n        {payload['tag']} is not a valid tag. Here is the list of tags:\n        {list(tags)}\n"
            return 400, "text/html", text.encode()
        return self._newest(payload, found)

    def _conesearch(self, survey: str, payload: dict[str, Any], found: list) -> Response | list:
        if float(payload["radius"]) > 18000:
            return _error("`radius` cannot be bigger than 18,000 arcseconds (5 degrees).\n")
        try:
            ra, dec = math.radians(float(payload["ra"])), math.radians(float(payload["dec"]))
        except ValueError as error:
            return 400, "text/html", str({"status": "error", "text": error}).encode()
        prefix, near = IDS[survey][1][:2], []
        for row in found:
            its_ra, its_dec = math.radians(row[f"{prefix}ra"]), math.radians(row[f"{prefix}dec"])
            cosine = math.sin(dec) * math.sin(its_dec)
            cosine += math.cos(dec) * math.cos(its_dec) * math.cos(ra - its_ra)
            near.append(row | {"v:separation_degree": math.degrees(math.acos(min(cosine, 1.0)))})
        near.sort(key=lambda row: row["v:separation_degree"])
        return [row for row in near if row["v:separation_degree"] * 3600 <= float(payload["radius"])]

    def _sso(self, survey: str, payload: dict[str, Any], found: list) -> Response | list:
        body = payload["n_or_d"]
        rows = [
            row
            for row in found
            if body in (row.get("i:ssnamenr"), row.get("sso_name"), row.get("f:sso_name"))
        ]
        return rows or _error(f"{body} is not a valid name or number according to quaero.\n")

    def _resolver(self, survey: str, payload: dict[str, Any], found: list) -> list:
        asked = payload["name" if survey == "ztf" else "name_or_id"].lower()
        named = [row for row in found if any(str(value).lower().startswith(asked) for value in row.values())]
        return named[: payload.get("nmax", 10)]

    def _skymap(self, survey: str, payload: dict[str, Any], found: list) -> list:
        return found or [{"status": "b'404 page not found'"}]

    def _anomaly(self, survey: str, payload: dict[str, Any], found: list) -> list:
        return sorted(found, key=lambda row: row["d:anomaly_score"])[: payload.get("n", 10)]

    def _schema(self, survey: str, payload: dict[str, Any], found: list) -> Response:
        known = self.lists.get((survey, payload["endpoint"]))
        return (404, "text/html", b"unknown endpoint") if known is None else _json(known)

    def _cutout(self, survey: str, payload: dict[str, Any]) -> Response:
        found = self.cutouts.get(payload["objectId" if survey == "ztf" else "diaSourceId"])
        if found is None:
            return _failed() if survey == "ztf" else (200, "image/png", b"")
        return 200, "application/fits", found


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    fink: FinkServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is what many tests are about."""


class Handler(BaseHTTPRequestHandler):
    """One connection; `fink` is its server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's acknowledgement

    @property
    def fink(self) -> FinkServer:
        return self.server.fink

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self._take({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_json = self.headers.get("Content-Type", "") == "application/json"
        self._take(json.loads(body) if is_json else None)

    def _take(self, payload: dict[str, Any] | None) -> None:
        self.fink.asked.append(Asked(self.command, self.path, dict(self.headers), payload))
        if self.fink.faults:
            self.fink.faults.pop(0)(self)
            return
        if payload is None:
            self.reply(415, "application/json", b'{"message": "Did not attempt to load JSON data"}')
            return
        survey, _, rest = self.path.strip("/").partition("/")
        self.reply(*self.fink.answer(survey, rest.removeprefix("api/v1/"), payload))

    def reply(self, status: int, content_type: str, body: bytes, **headers: str) -> None:
        """Send a whole answer; _ in a header's name stands for -."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _json(found: Any) -> Response:
    return 200, "application/json", json.dumps(found, separators=(",", ":")).encode()


def _error(text: str) -> Response:
    return 400, "text/html; charset=utf-8", str({"status": "error", "text": text}).encode()


def _failed() -> Response:
    return 500, "application/json", b'{"message": "Internal Server Error"}'


def _with_columns(rows: list[dict[str, Any]], payload: dict[str, Any]) -> list[dict[str, Any]]:
    if "columns" not in payload:
        return rows
    wanted = payload["columns"].replace(" ", "").split(",")
    added = ("v:separation_degree", "sso_name", "sso_number", "f:sso_name", "status", "d:tag")
    return [{name: value for name, value in row.items() if name in wanted or name in added} for row in rows]


# --- Faults: each takes one request ----------------------------------------------------------------


def says(status: int, body: bytes = b"", content_type: str = "text/html", **headers: str) -> Callable:
    """Answer with this."""
    return lambda handler: handler.reply(status, content_type, body, **headers)


def hangs_up(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def breaks_off(handler: Handler) -> None:
    """Promise 100 bytes and send 10."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"[" * 10)
    handler.close_connection = True


def is_silent(handler: Handler) -> None:
    """Say nothing until the test ends."""
    handler.fink.stopped.wait()
    handler.close_connection = True


def dribbles(start: bytes, drop: bytes) -> Callable:
    """Send `start`, and then `drop` every 20 ms until the client hangs up or the test ends."""

    def fault(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(start)
        while not handler.fink.stopped.wait(0.02):
            handler.wfile.write(drop)

    return fault


def floods(number_of_bytes: int, *, is_announced: bool = False) -> Callable:
    """Send so many bytes, with or without a Content-Length."""

    def fault(handler: Handler) -> None:
        length = f"Content-Length: {number_of_bytes}\r\n" if is_announced else ""
        handler.wfile.write(f"HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n".encode())
        handler.close_connection = True
        for _ in range(number_of_bytes // 1000):
            handler.wfile.write(b" " * 1000)

    return fault


def gzip_bomb(number_of_bytes: int) -> Callable:
    """Send so many blanks, gzipped."""
    return says(200, gzip.compress(b" " * number_of_bytes), "application/json", Content_Encoding="gzip")
