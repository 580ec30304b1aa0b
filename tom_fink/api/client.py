"""The client: the only place that speaks HTTP to Fink's REST APIs."""

import logging
import time
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Self, TypeVar

import requests
from urllib3.exceptions import MaxRetryError
from urllib3.util import Retry, Timeout

from tom_fink import __version__
from tom_fink.api import answers
from tom_fink.api.answers import Answer
from tom_fink.api.deadline import DeadlineAdapter
from tom_fink.api.options import SETTINGS, ApiOptions
from tom_fink.api.query import Query
from tom_fink.errors import BadAnswer, ServiceUnavailable, TooSlow
from tom_fink.text import printable

logger = logging.getLogger(__name__)

USER_AGENT = f"tom_fink/{__version__}"
HEADERS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
TRIED_AGAIN = (502, 503, 504)
BACKOFF_S = 0.5  # the second repetition waits 1 s, the third 2 s; the first does not wait
CHUNK_BYTES = 64 * 1024

Read = TypeVar("Read")


class FinkClient:
    """One session with Fink's services, for one thread at a time. Making one connects to nothing.

    `get` is `send` and then a function of `tom_fink.api.answers`.
    """

    def __init__(self, options: ApiOptions | None = None):
        """Take addresses and limits; without, those of Fink's public services."""
        self.options = options or ApiOptions()
        self._session = _session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, query: Query, read: Callable[[Query, Answer], Read] = answers.rows) -> Read:
        """What Fink answers, read by `read`. Raises what `send` and `read` do."""
        return read(query, self.send(query))

    def send(self, query: Query) -> Answer:
        """The answer as it came, of any status, within `timeout_s`.

        502, 503, 504, what cannot be connected to and what breaks off are tried again, after growing
        pauses. Raises `ServiceUnavailable` for what stays without an answer, and `BadAnswer` for one
        that is too large or damaged. A redirect is an answer: none is followed.
        """
        ends_at = time.monotonic() + self.options.timeout_s
        # Pauses that the service asks for are not kept: it could ask for a day.
        patience = Retry(self.options.retries, allowed_methods=None, backoff_factor=BACKOFF_S)
        while True:
            answer = fault = None
            try:
                answer = self._exchange(query, ends_at)
            except requests.exceptions.ContentDecodingError as error:
                raise self._bad(query, "and sent what cannot be unpacked") from error
            except requests.RequestException as error:
                fault = error
            if answer is not None and answer.status not in TRIED_AGAIN:
                return answer
            try:
                patience = patience.increment(error=fault)
            except MaxRetryError:
                break
            pause = patience.get_backoff_time()
            if time.monotonic() + pause >= ends_at:
                break
            time.sleep(pause)
        if answer is not None:
            return answer
        raise self._unavailable(query, fault, is_late=time.monotonic() >= ends_at) from fault

    def _exchange(self, query: Query, ends_at: float) -> Answer:
        """Ask once. Raises requests' exceptions, and `BadAnswer` for an answer that is too large."""
        started = time.monotonic()
        left_s = max(ends_at - started, 0.001)
        limit = min(self.options.max_bytes, query.max_bytes or self.options.max_bytes)
        with self._session.request(
            "POST" if query.payload else "GET",
            self.options.url(query.survey, query.endpoint),
            json=query.payload or None,
            # What connecting takes is off the time for reading.
            timeout=Timeout(total=left_s, connect=min(self.options.connect_timeout_s, left_s), read=left_s),
            allow_redirects=False,
            stream=True,
        ) as response:
            body = bytearray()
            for chunk in response.iter_content(CHUNK_BYTES):
                body += chunk
                if len(body) > limit:
                    raise self._bad(query, f"and sent more than {limit / 1e6:.0f} MB", query.less)
            answer = Answer(response.status_code, bytes(body), response.headers.get("Location", ""))
        logger.debug(
            "Fink's %s %s: status %s, %s bytes in %.2f s",
            query.survey, query.endpoint, answer.status, len(answer.body), time.monotonic() - started,
        )  # fmt: skip
        return answer

    def _unavailable(
        self, query: Query, fault: requests.RequestException, is_late: bool
    ) -> ServiceUnavailable:
        if is_late:
            happened = f"but did not answer within {self.options.timeout_s:g} s"
            # What it has looked up it keeps for a while, so that the same query gets further.
            return TooSlow(query.problem(happened, f"{query.less.rstrip('.')}, or ask the same again."))
        address = self.options.base(query.survey)
        happened = f"but cannot be reached at {address} ({printable(_cause(fault), 200)})"
        advice = f"Try again in some minutes. If it stays so, check {SETTINGS[query.survey]} and the network."
        return ServiceUnavailable(query.problem(happened, advice))

    def _bad(self, query: Query, happened: str, advice: str = "Try again in some minutes.") -> BadAnswer:
        return BadAnswer(query.problem(happened, advice))


class _Session(requests.Session):
    """A session for which no answer is a redirect.

    To one that is not to be followed requests still looks ahead: it reads the whole of it, however large, and
    fails on an address that is none. `tom_fink.api.answers` says where it leads.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _session() -> requests.Session:
    session = _Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, DeadlineAdapter())
    session.headers.clear()
    session.headers.update(HEADERS)
    # Proxies of the environment are used. A password from ~/.netrc is not sent, and cookies are not kept.
    session.auth = lambda request: request
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _cause(fault: BaseException) -> str:
    """What the system said of a connection, without urllib3's words around it."""
    inner: BaseException | None = fault
    while inner is not None:
        if isinstance(inner, OSError) and not isinstance(inner, requests.RequestException):
            return inner.strerror or str(inner)
        inner = inner.__cause__ or inner.__context__
    return "the answer broke off"
