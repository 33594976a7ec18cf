"""The requests side of ``http.py``: an adapter that knows whether a connection ever stood, and what is made once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

from requests import Request
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_voice.phone import mask_numbers_in

if TYPE_CHECKING:
    from requests import PreparedRequest, Session
    from urllib3.poolmanager import PoolManager, ProxyManager


class OnceAdapter(HTTPAdapter):
    """An adapter for exactly one request, which can prove that the request never left.

    ``connected`` becomes true the moment a connection (TCP, a proxy's tunnel and TLS) stands. While it is false no
    byte of the request was written, whatever the exception's class says: urllib3 uses one class for a failed TLS
    handshake and for TLS breaking after the request was sent.
    """

    def __init__(self) -> None:
        self.connected = False
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool manager with connections that report to this adapter."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> ProxyManager:
        """Return the manager for a proxy, its connections reporting to this adapter too."""
        manager = cast("ProxyManager", super().proxy_manager_for(*args, **kwargs))
        self._watch(manager)
        return manager

    def _watch(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = {
            "http": self._watched(HTTPConnectionPool),
            "https": self._watched(HTTPSConnectionPool),
        }

    def _watched(self, pool_class: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
        adapter = self
        connection_class: Any = pool_class.ConnectionCls

        class WatchedConnection(connection_class):  # type: ignore[misc]  # a class known at run time
            def connect(self) -> None:
                """Connect, and say so when it worked."""
                super().connect()
                adapter.connected = True

        return type(f"Watched{pool_class.__name__}", (pool_class,), {"ConnectionCls": WatchedConnection})


class Prepared:
    """What is the same in every request, made once: a third of the time that requests itself takes for a page.

    A cookie that a vendor sets is not sent back with reads: they carry a token and need none.
    """

    def __init__(self) -> None:
        self._reads: dict[str, PreparedRequest] = {}
        self._environments: dict[tuple[str, str], Any] = {}

    def request(self, session: Session, method: str, url: str, params: Any, body: Any) -> PreparedRequest:
        """Return the request; of a read that was made before only the query is made anew.

        :param session: whose headers and credential it carries; reads are of one session.
        :param method: the method.
        :param url: the URL without query.
        :param params: the query; None values are left out.
        :param body: the JSON body, or None.
        """
        if method != "GET" or body is not None:
            return session.prepare_request(Request(method, url, params=params, json=body))
        if url not in self._reads:
            self._reads[url] = session.prepare_request(Request(method, url))
        request = self._reads[url].copy()
        query = urlencode([(name, value) for name, value in (params or {}).items() if value is not None])
        if query:
            request.url = f"{request.url}?{query}"
        return request

    def environment(self, session: Session, url: str) -> Any:
        """Return the proxies and the CA bundle that the environment names for the URL's host.

        ``Session.request`` reads the whole environment for every request.
        """
        host = urlsplit(url)[:2]
        if host not in self._environments:
            self._environments[host] = session.merge_environment_settings(url, {}, True, None, None)
        return self._environments[host]


class CredentialHeaders(AuthBase):
    """Sets the vendor's credential headers last.

    Given as ``auth``, because requests would otherwise replace an Authorization header with what ``~/.netrc`` holds.
    """

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Set the headers on one request."""
        request.headers.update(self._headers)
        return request

    def __repr__(self) -> str:
        return "CredentialHeaders(***)"


class _MaskNumbers(logging.Filter):
    """Masks phone numbers in the URLs that urllib3 logs at DEBUG; vendors take numbers in queries and paths."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the arguments of one record; never drop it."""
        if isinstance(record.args, tuple):
            record.args = tuple(mask_numbers_in(arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


def keep_numbers_out_of_urllib3_logs() -> None:
    """Install the filter once; urllib3 writes every request's path to its DEBUG log."""
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logger = logging.getLogger(name)
        if not any(isinstance(item, _MaskNumbers) for item in logger.filters):
            logger.addFilter(_MaskNumbers())
