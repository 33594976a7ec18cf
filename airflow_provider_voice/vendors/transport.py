"""Sends one HTTP request and reads one response within fixed limits of time and size.

``http.py`` decides what a response means and whether a request may be repeated.
"""

from __future__ import annotations

import http.client
import io
import logging
import time
import zlib
from typing import TYPE_CHECKING, Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HeaderParsingError

from airflow_provider_voice import __version__
from airflow_provider_voice.phone import mask_numbers_in

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from requests import PreparedRequest, Session
    from urllib3.poolmanager import ProxyManager

#: Seconds from the first byte waited for to the last byte of the body, interim responses and headers included.
MAX_SECONDS = 120.0
#: Bytes of a body, packed and unpacked.
MAX_BODY_BYTES = 32 * 1024 * 1024
_MAX_INTERIM_RESPONSES = 20
_READ_SIZE = 64 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class UnusableResponse(Exception):
    """A response that is too large, too slow or packed in a way this client did not ask for."""


class _LimitedReader(io.RawIOBase):
    """Reads a socket under one deadline, whatever part of a response is being read."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._socket = sock
        self._read_timeout = sock.gettimeout()
        self._deadline = time.monotonic() + MAX_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds_left = self._deadline - time.monotonic()
        if seconds_left <= 0:
            raise UnusableResponse(f"its response took longer than {MAX_SECONDS:.0f} s")
        timeout = self._read_timeout
        self._socket.settimeout(seconds_left if timeout is None else min(timeout, seconds_left))
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


class LimitedResponse(http.client.HTTPResponse):
    """A response read under limits, and read over every interim response (1xx) except 101.

    ``http.client`` reads over 100 alone: it takes ``103 Early Hints`` for the final response and leaves the final one
    unread.

    :param sock: the connection.
    :param args: the other arguments of ``http.client.HTTPResponse``.
    :param kwargs: the same, by name.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_LimitedReader(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MAX_INTERIM_RESPONSES):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:  # noqa: PLR2004 - HTTP's numbers
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise UnusableResponse(f"it sent more than {_MAX_INTERIM_RESPONSES} interim responses")


class Transport(HTTPAdapter):
    """A ``requests`` adapter with limited responses, which can prove that a request never left.

    :attr:`connected` becomes true the moment a connection (TCP, a proxy's tunnel and TLS) is established. While it is
    false no byte of the request was written, whatever the exception's class is: urllib3 uses one class for a failed
    TLS handshake and for TLS breaking after the request was sent.

    :param connections: connections kept open for reuse.
    :param before_write: called when a connection stands, before the first byte of the request; what it raises is passed
        on, and nothing is written.
    """

    def __init__(self, connections: int = 10, before_write: Callable[[], None] | None = None) -> None:
        self.connected = False
        self.before_write = before_write
        super().__init__(pool_connections=2, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool manager with this adapter's connections.

        :param args: the arguments of ``HTTPAdapter``.
        :param kwargs: the same, by name.
        """
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes()

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> ProxyManager:
        """Return the manager of a proxy, with this adapter's connections.

        :param args: the arguments of ``HTTPAdapter``.
        :param kwargs: the same, by name.
        :return: the manager.
        """
        manager = cast("ProxyManager", super().proxy_manager_for(*args, **kwargs))
        manager.pool_classes_by_scheme = self._pool_classes()
        return manager

    def _pool_classes(self) -> dict[str, type[HTTPConnectionPool]]:
        return {"http": self._pool_class(HTTPConnectionPool), "https": self._pool_class(HTTPSConnectionPool)}

    def _pool_class(self, pool_class: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
        adapter = self
        connection_class: Any = pool_class.ConnectionCls

        class ReportingConnection(connection_class):  # type: ignore[misc]  # a class known at run time
            response_class = LimitedResponse

            def connect(self) -> None:
                """Connect, and report that it worked."""
                super().connect()
                if adapter.before_write is not None:
                    adapter.before_write()
                adapter.connected = True

        return type(f"Reporting{pool_class.__name__}", (pool_class,), {"ConnectionCls": ReportingConnection})


def new_session(credential_headers: dict[str, str], transport: Transport) -> Session:
    """Return a session that names this package, asks for JSON and carries the credential.

    :param credential_headers: the headers that carry the token.
    :param transport: sends its requests.
    :return: the session; it keeps no cookies, because :func:`send` does not hand it any response.
    """

    def add_credential(request: PreparedRequest) -> PreparedRequest:
        request.headers.update(credential_headers)
        return request

    session = requests.Session()
    session.headers["User-Agent"] = f"airflow-provider-voice/{__version__} requests/{requests.__version__}"
    session.headers["Accept"] = "application/json"
    session.headers["Accept-Encoding"] = "gzip"
    # As ``auth``, because requests would otherwise set an Authorization header from ~/.netrc.
    session.auth = add_credential
    session.mount("https://", transport)
    session.mount("http://", transport)
    return session


def send(session: Session, request: requests.Request, timeout: tuple[float, float]) -> tuple[requests.Response, bytes]:
    """Send one request and read its response; a redirect is a response like any other.

    The adapter is called directly, because ``Session.send`` reads the body of a redirect into memory without a limit.

    :param session: from :func:`new_session`.
    :param request: the request.
    :param timeout: seconds to connect and seconds without a byte.
    :return: the response and its unpacked body.
    :raises UnusableResponse: when it exceeds a limit.
    :raises requests.RequestException, urllib3.exceptions.HTTPError, OSError: when the connection fails.
    """
    prepared = session.prepare_request(request)
    url = prepared.url or ""
    environment: Any = session.merge_environment_settings(url, {}, True, None, None)
    response = session.get_adapter(url).send(prepared, timeout=timeout, **environment)
    with response:
        return response, _read_body(response)


def _read_body(response: requests.Response) -> bytes:
    """Return the body, unpacked in steps so that a small packed body cannot fill the memory."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise UnusableResponse("its response is packed in a way that was not asked for")
    unpack = zlib.decompressobj(_GZIP_OR_ZLIB) if "gzip" in encoding or encoding == "deflate" else None
    body, received = bytearray(), 0
    while piece := response.raw.read(_READ_SIZE, decode_content=False):
        received += len(piece)
        try:
            body += piece if unpack is None else unpack.decompress(piece, MAX_BODY_BYTES + 1 - len(body))
        except zlib.error:
            raise UnusableResponse("its packed response is damaged") from None
        if max(received, len(body)) > MAX_BODY_BYTES:  # bytes after the end of a packed body are kept by zlib
            raise UnusableResponse(f"its response is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB")
    if unpack is not None and body and not unpack.eof:
        raise UnusableResponse("its packed response is cut")
    return bytes(body)


def _mask_arguments(record: logging.LogRecord) -> bool:
    """Mask phone numbers in the URLs that urllib3 logs; vendors take numbers in queries and paths.

    urllib3 logs every path at DEBUG. About a malformed header it warns with the whole URL and an error that quotes the
    response, which may hold a row.
    """
    if isinstance(record.args, tuple):
        if any(isinstance(arg, HeaderParsingError) for arg in record.args):
            record.args, record.exc_info = (*record.args[:-1], "malformed"), None
        record.args = tuple(mask_numbers_in(arg) if isinstance(arg, str) else arg for arg in record.args)
    return True  # so that the record is logged


def mask_numbers_in_urllib3_logs() -> None:
    """Install the filter on the loggers of urllib3 that write URLs."""
    for name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_mask_arguments)  # a logger takes the same filter once
