"""The server: HTTP on this machine, with the survey's name before the path that Fink's service has."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from socketserver import TCPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from . import answers
from .answers import Answer
from .catalogue import Catalogue
from .endpoints import ENDPOINTS, answer
from .feed import NIGHTS, Feed

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024  # Fink takes 100 MB; nothing that can be asked here has a thousandth of this
MAX_FIELDS = 100  # of a URL
MAX_CONNECTIONS = 64
IDLE_S = 30.0  # that a connection may wait


class SimulatedService:
    """Both services over HTTP, from entry to exit of a `with`.

    Raises OSError on entry if the address cannot be used.
    """

    def __init__(
        self, catalogue: Catalogue, feed: Feed | None = None, host: str = "127.0.0.1", port: int = 0
    ):
        """Serve `catalogue`, which `feed` keeps up to date; port 0 is a free one."""
        self.catalogue = catalogue
        self.feed = feed
        self.lock = threading.Lock()
        self._address = (host, port)

    def __enter__(self) -> Self:
        host, _ = self._address
        kind = _Http6 if ":" in host else _Http
        self._http = kind(self._address, _Handler)
        self._http.service = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        host = self._address[0]
        return f"http://{f'[{host}]' if ':' in host else host}:{self._http.server_port}"

    def url(self, survey: str) -> str:
        """What FINK_API_ZTF_URL or FINK_API_LSST_URL takes."""
        return f"{self.address}/{survey}/api/v1/"

    def advance(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Let the feed bring all that is past, until `is_stopped`; requests wait meanwhile."""
        with self.lock:
            if self.feed is not None:
                self.feed.advance(is_stopped)

    def answer(self, survey: str, endpoint: str, given: dict[str, Any] | None) -> Answer:
        """What is sent for the parameters `given`; None is a GET without any. A fault of this code is a 500."""
        with self.lock:
            try:
                if self.feed is not None:
                    self.feed.advance()
                return answer(self.catalogue, survey, endpoint, given)
            except Exception:  # one request must not end the service, and its fault is logged
                logger.exception("%s %s cannot be answered", survey, endpoint)
                return answers.failed()


@contextmanager
def simulated_service(
    seed: int, start: datetime, nights: int = NIGHTS, host: str = "127.0.0.1", port: int = 0
) -> Iterator[SimulatedService]:
    """A service that knows all nights of a sky; for tests."""
    catalogue = Catalogue()
    with SimulatedService(catalogue, Feed(catalogue, seed, start, nights), host, port) as service:
        service.advance()
        yield service


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_CONNECTIONS
    address_family = AF_INET
    service: SimulatedService

    def __init__(self, *args: Any):
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(*args)

    def server_bind(self) -> None:
        # HTTPServer looks the host's name up, which may take long and is not used.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            with suppress(OSError):
                body = answers.page(503, "503 Service Unavailable").body
                head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
                request.sendall(head.encode() + b"Content-Type: text/html\r\n\r\n" + body)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.exception("A connection from %s failed", client_address[0])


class _Http6(_Http):
    address_family = AF_INET6


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's acknowledgement
    server_version, sys_version = "simulated-fink", ""

    def handle(self) -> None:
        # A client that hangs up or falls asleep is no fault.
        with suppress(ConnectionError, TimeoutError):
            super().handle()

    def do_GET(self) -> None:
        self._take(has_body=False)

    def do_POST(self) -> None:
        self._take(has_body=True)

    def _not_allowed(self) -> None:
        self.close_connection = True  # its body stays unread
        self._reply(answers.message(405, "The method is not allowed for the requested URL."))

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = _not_allowed  # noqa: N815 - http.server looks for these

    def _take(self, has_body: bool) -> None:
        body = b""
        if has_body:
            if (problem := self._problem_of_body()) is not None:
                self.close_connection = True  # the body stays unread
                self._reply(problem)
                return
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True
                return
        elif self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        try:
            parts = urlsplit(self.path)
            in_url = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            self._reply(_not_understood())
            return
        survey, _, rest = parts.path.strip("/").partition("/api/v1/")
        if parts.path in ("/", *(f"/{name}/" for name in ENDPOINTS)):
            self._reply(answers.page(200, "A simulated Fink service"))
            return
        if rest not in ENDPOINTS.get(survey, {}):
            self._reply(answers.page(404, "404 Not Found"))
            return
        if in_url or not has_body:
            # What the URL has counts alone, whatever the body says.
            self._reply(self.server.service.answer(survey, rest, in_url or None))
            return
        self._reply(self._answer_to(survey, rest, body))

    def _problem_of_body(self) -> Answer | None:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length:
            return answers.message(411, "A request needs a Content-Length.")
        if not length.isascii() or not length.isdecimal():
            return _not_understood()
        if len(length) > 12 or int(length) > MAX_BODY_BYTES:
            return answers.message(413, "The data value transmitted exceeds the capacity limit.")
        return None

    def _answer_to(self, survey: str, endpoint: str, body: bytes) -> Answer:
        if self.headers.get_content_type() != "application/json":
            text = "Did not attempt to load JSON data because the request Content-Type was not 'application/json'."
            return answers.message(415, text)
        try:
            given = json.loads(body)
        except (ValueError, RecursionError):
            return _not_understood()
        if not isinstance(given, dict):
            return _not_understood()
        return self.server.service.answer(survey, endpoint, given)

    def _reply(self, reply: Answer) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        # Fink's errors repeat what was asked, as HTML.
        self.send_header("Content-Security-Policy", "sandbox")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, template: str, *args: Any) -> None:
        """Into the log, at debug: a request's text is not ours to print."""
        logger.debug(template, *args)


def _not_understood() -> Answer:
    return answers.message(
        400, "The browser (or proxy) sent a request that this server could not understand."
    )
