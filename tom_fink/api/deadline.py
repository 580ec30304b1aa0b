"""Answers that end in time. A read timeout of requests is for each wait: a byte a second goes on for ever."""

import http.client
import io
import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family, create_connection


class DeadlineAdapter(HTTPAdapter):
    """An adapter whose timeouts are for the whole: of connecting, all addresses of the name; of reading, status,
    headers and body.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections that read so."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make those by way of a proxy; one that speaks SOCKS has connections of its own, which do not read so."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _Reader(io.RawIOBase):
    """What comes by a socket, until a moment of the monotonic clock."""

    def __init__(self, sock: socket.socket, ends_at: float):
        self._sock, self._ends_at = sock, ends_at
        # The socket is not closed before this is: http.client closes its own end early.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Connection:
    """A connection that connects and reads an answer within its timeout, which urllib3 sets to that for each."""

    def _new_conn(self) -> socket.socket:
        """A socket to one of the host's addresses. urllib3's own gives each of them the whole timeout."""
        ends_at = time.monotonic() + self.timeout
        fault: OSError = OSError("the name has no address")
        try:
            host = self._dns_host.strip("[]")
            found = socket.getaddrinfo(host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(self.host, self, error) from error
        for tried, (*_, address) in enumerate(found):
            share_s = max((ends_at - time.monotonic()) / (len(found) - tried), 0.001)
            try:
                sock = create_connection(address[:2], share_s, self.source_address, self.socket_options)
            except OSError as error:
                fault = error
                continue
            sock.settimeout(max(ends_at - time.monotonic(), 0.001))  # for the handshake of TLS
            return sock
        if isinstance(fault, TimeoutError):
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from fault
        raise NewConnectionError(self, f"Failed to establish a new connection: {fault}") from fault

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(sock, *args, **kwargs)
        response.fp.close()
        response.fp = io.BufferedReader(_Reader(sock, time.monotonic() + self.timeout))
        return response


class _Http(_Connection, HTTPConnection):
    pass


class _Https(_Connection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


_POOLS = {"http": _HttpPool, "https": _HttpsPool}
