"""HTTP to a vendor, and the one place that decides what may be sent twice.

A *request* may be repeated: reads, also those that are a POST. A *create* rings a phone: it is sent again only when it
provably never reached the vendor, or was provably refused with a 429. What an answer means is the vendor file's matter.
"""

from __future__ import annotations

import json
import random
import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import requests
import tenacity
from urllib3.exceptions import HTTPError

from airflow_provider_voice import __version__
from airflow_provider_voice.exceptions import (
    CallOutcomeUnknown,
    InvalidRequest,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import read_time
from airflow_provider_voice.phone import mask_numbers_in
from airflow_provider_voice.vendors.connections import (
    CredentialHeaders,
    OnceAdapter,
    Prepared,
    keep_numbers_out_of_urllib3_logs,
)
from airflow_provider_voice.vendors.rate_limit import limiter_for, retry_after_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_TRIES = 5
MAX_SECONDS = 120.0
MAX_BODY_BYTES = 32 * 1024 * 1024
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
_CHUNK = 256 * 1024
_MAX_BACKOFF = 30.0
_TEXT_LIMIT = 200
_HTTP_OK, _HTTP_REDIRECT, _HTTP_BAD = 200, 300, 400
_HTTP_REQUEST_TIMEOUT, _HTTP_TOO_MANY, _HTTP_SERVER_ERROR = 408, 429, 500


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers, the JSON body (``body``) or why there is none (``unreadable``)."""

    status: int
    headers: Mapping[str, str]
    body: Any = None
    unreadable: str | None = None
    received_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def ok(self) -> bool:
        """Whether the status says success; the body may still say otherwise."""
        return _HTTP_OK <= self.status < _HTTP_REDIRECT

    @property
    def server_time(self) -> datetime:
        """The vendor's clock (``Date`` header), or ours when it does not say."""
        return read_time(self.headers.get("Date")) or self.received_at

    @property
    def request_id(self) -> str | None:
        """The vendor's id of the request, where it sends one."""
        for name in ("X-Request-Id", "X-Correlation-Id", "Request-Id"):
            if self.headers.get(name):
                return re.sub(r"[^\w.\-:/=+]", "", self.headers[name])[:80]
        return None


class _Failed(Exception):
    """A try that did not end well: the error to raise, whether another try is safe, and how long to wait first."""

    def __init__(self, error: VoiceError, *, again: bool, wait: float | None = None) -> None:
        super().__init__(type(error).__name__)
        self.error = error
        self.again = again
        self.wait = wait


class HttpClient:
    """Sends requests to one vendor with one credential.

    :param title: the vendor's name in messages.
    :param vendor: the vendor's name in errors.
    :param token: the credential, which is cut out of every text that leaves this class.
    :param credential_headers: the headers that carry it.
    :param explain: turns an answer into the error it means; None when it is a good answer.
    :param limit_key: who shares ``requests_per_minute`` in this process.
    :param requests_per_minute: None: no limit.
    :param connect_timeout: seconds, default 10.
    :param read_timeout: seconds without a byte from the vendor, default 30.
    """

    def __init__(
        self,
        *,
        title: str,
        vendor: str,
        token: str,
        credential_headers: dict[str, str],
        explain: Callable[[Answer, str], VoiceError | None],
        limit_key: str,
        requests_per_minute: int | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise InvalidRequest("The token is empty or has signs that no HTTP header can carry. Check the connection.")
        keep_numbers_out_of_urllib3_logs()
        self._title = title
        self._vendor = vendor
        self._token = token
        self._auth = CredentialHeaders(credential_headers)
        self._explain = explain
        self._limiter = limiter_for(limit_key, requests_per_minute)
        self._timeout = (connect_timeout, read_timeout)
        self._session = self._new_session()
        self._prepared = Prepared()
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, _Failed) and error.again),
            stop=tenacity.stop_after_attempt(MAX_TRIES) | tenacity.stop_before_delay(MAX_SECONDS),
            wait=_backoff,
            sleep=sleep,
            reraise=True,
        )
        #: Whether a create that provably rang nobody (a 429, no connection) is sent again here. A campaign turns it off:
        #: it checks its lease and its pace before every single send.
        self.repeats_creates = True
        #: Requests sent so far, repeated ones included.
        self.sent = 0
        #: Seconds the vendor's clock is ahead of ours, by the ``Date`` of its last answer; None before the first.
        self.clock_offset: float | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        doing: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        accept: Callable[[Answer], bool] | None = None,
    ) -> Answer:
        """Send what may be repeated, and repeat it while that may help: at most 5 tries and 120 seconds.

        :param method: ``GET`` or, for vendors that read by POST, ``POST``.
        :param url: the full URL without query.
        :param doing: what is being done, for messages: ``"the list of calls"``.
        :param params: the query; None values are left out.
        :param body: the JSON body; None: no body.
        :param accept: says of an answer that it is good although its status is not; None: none is.
        :return: an answer with a JSON body that is no error.
        :raises VoiceError: what the vendor's answer means, :class:`RateLimited` or :class:`VendorUnavailable`.
        """

        def attempt() -> Answer:
            try:
                answer = self._send(self._session, method, url, params, body)
            except (requests.RequestException, HTTPError, OSError, _Unreadable) as failure:
                problem = failure
            else:
                if accept is not None and accept(answer):
                    return answer
                return self._judge(answer, doing)
            # Raised out of the except block: the cause would carry the URL, and with it a phone number.
            text = f"{self._title} could not be read while asking for {doing}: {_reason(problem)}. Try again later."
            raise _Failed(VendorUnavailable(text, vendor=self._vendor), again=_may_pass(problem))

        return self._repeat(attempt)

    def create(self, url: str, *, doing: str, body: Any) -> Answer:
        """Send what must be accepted at most once, on a connection of its own.

        A pooled connection that the vendor closed while it was idle breaks *after* the request was written, which looks
        the same as a lost answer; so a create never uses one.

        :param url: the full URL.
        :param doing: what is being done, for messages: ``"the call to +1415•••••71"``.
        :param body: the JSON body.
        :return: an answer with a JSON body that is no error.
        :raises CallOutcomeUnknown: when it was sent and what became of it is not known.
        :raises VendorUnavailable: when it could not be sent: nothing rang.
        :raises VoiceError: what the vendor's refusal means: nothing rang.
        """

        def attempt() -> Answer:
            adapter = OnceAdapter()
            with self._new_session(adapter) as session:
                try:
                    answer = self._send(session, "POST", url, None, body)
                except (requests.RequestException, HTTPError, OSError, _Unreadable) as failure:
                    problem = failure
                else:
                    return self._judge_create(answer, doing)
            if not adapter.connected and not isinstance(problem, _Unreadable):
                text = f"{self._title} could not be reached for {doing}: {_reason(problem)}. Nothing was sent."
                raise _Failed(VendorUnavailable(text, vendor=self._vendor), again=_may_pass(problem))
            raise _Failed(self._unknown(doing, _reason(problem)), again=False)

        return self._repeat(attempt) if self.repeats_creates else self._once(attempt)

    def scrub(self, text: object, limit: int = _TEXT_LIMIT) -> str:
        """Return a vendor's text fit for a log: one short line, numbers masked, the token cut out."""
        shown = str(text).replace(self._token, "***")
        shown = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", shown).strip()
        return mask_numbers_in(shown)[:limit]

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _new_session(self, adapter: OnceAdapter | None = None) -> requests.Session:
        session = requests.Session()
        session.headers["User-Agent"] = f"airflow-provider-voice/{__version__} requests/{requests.__version__}"
        session.headers["Accept"] = "application/json"
        session.auth = self._auth
        if adapter is not None:
            session.headers["Connection"] = "close"
            session.mount("https://", adapter)
            session.mount("http://", adapter)
        return session

    def _send(self, session: requests.Session, method: str, url: str, params: Any, body: Any) -> Answer:
        if self._limiter is not None:
            self._limiter.acquire()
        self.sent += 1
        request = self._prepared.request(session, method, url, params, body)
        environment = self._prepared.environment(session, url)
        with session.send(request, timeout=self._timeout, allow_redirects=False, **environment) as response:
            content = _read_body(response)
        status, headers = response.status_code, response.headers
        said = read_time(headers.get("Date"))
        if said is not None:
            self.clock_offset = (said - datetime.now(timezone.utc)).total_seconds()
        try:
            return Answer(status, headers, body=_parse(content))
        except (ValueError, RecursionError):
            kind = headers.get("Content-Type", "no content type").split(";")[0]
            what = f"{len(content)} bytes of {self.scrub(kind, 40)}, which are not JSON"
            return Answer(status, headers, unreadable=what)

    def _judge(self, answer: Answer, doing: str) -> Answer:
        """Return a good answer, raise what another one means."""
        if _HTTP_REDIRECT <= answer.status < _HTTP_BAD:
            raise _Failed(self._redirected(answer, doing), again=False)
        error = self._explain(answer, doing)
        if error is None and answer.unreadable is None:
            return answer
        if error is None:
            text = f"{self._title} answered {doing} with {answer.unreadable} (HTTP {answer.status}). Try again later."
            error = VendorUnavailable(
                text, vendor=self._vendor, status_code=answer.status, request_id=answer.request_id
            )
        raise _Failed(error, again=not error.permanent, wait=self._asked(answer, error))

    def _judge_create(self, answer: Answer, doing: str) -> Answer:
        if answer.status >= _HTTP_SERVER_ERROR or answer.status == _HTTP_REQUEST_TIMEOUT:
            raise _Failed(self._unknown(doing, f"it answered HTTP {answer.status}", answer), again=False)
        if answer.ok and answer.unreadable is not None:
            raise _Failed(self._unknown(doing, f"it answered {answer.unreadable}", answer), again=False)
        try:
            return self._judge(answer, doing)
        except _Failed as failed:
            if failed.again and answer.status != _HTTP_TOO_MANY:
                # A refusal that could be temporary, yet is none of those that prove that nothing rang.
                raise _Failed(self._unknown(doing, failed.error.message, answer), again=False) from None
            raise

    def _asked(self, answer: Answer, error: VoiceError) -> float | None:
        wait = retry_after_of(answer.headers, answer.body, now=answer.server_time)
        if isinstance(error, RateLimited) and error.retry_after is None:
            error.retry_after = error.details["retry_after"] = wait
        return wait

    @staticmethod
    def _once(attempt: Callable[[], Answer]) -> Answer:
        try:
            return attempt()
        except _Failed as failed:
            error = failed.error
        raise error

    def _repeat(self, attempt: Callable[[], Answer]) -> Answer:
        try:
            return self._retrying(attempt)
        except _Failed as failed:
            error = failed.error
        raise error

    def _redirected(self, answer: Answer, doing: str) -> VoiceError:
        try:
            host = urlsplit(answer.headers.get("Location", "")).netloc.rpartition("@")[2] or "nowhere"
        except ValueError:
            host = "a place that is no URL"
        text = (
            f"{self._title} redirected {doing} to {self.scrub(host, 80)} (HTTP {answer.status}); a credential is never "
            "sent after a redirect. Correct the host of the connection."
        )
        return RequestRejected(text, vendor=self._vendor, status_code=answer.status, request_id=answer.request_id)

    def _unknown(self, doing: str, why: str, answer: Answer | None = None) -> CallOutcomeUnknown:
        text = (
            f"{self._title} may or may not have accepted {doing}: {why}. It is not sent again, because that could "
            "ring twice. Look for the call in the vendor's call history."
        )
        return CallOutcomeUnknown(
            text,
            vendor=self._vendor,
            status_code=answer.status if answer else None,
            request_id=answer.request_id if answer else None,
        )


class _Unreadable(Exception):
    """The body is larger or slower than we are willing to read."""


def _read_body(response: requests.Response) -> bytes:
    """Read the body in pieces as they come, within a size and a time; a read timeout alone never ends a slow drip."""
    content = bytearray()
    deadline = time.monotonic() + MAX_SECONDS
    while True:
        piece = response.raw.read1(_CHUNK, decode_content=True)
        if not piece:
            return bytes(content)
        content += piece
        if len(content) > MAX_BODY_BYTES:
            raise _Unreadable(f"its answer is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB")
        if time.monotonic() > deadline:
            raise _Unreadable(f"its answer took longer than {MAX_SECONDS:.0f} s")


_ESCAPES_NOBODY_CAN_STORE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def _parse(content: bytes) -> Any:
    try:
        parsed = msgspec.json.decode(content)
    except msgspec.DecodeError:
        # NaN and Infinity are no JSON and no database takes them for it: they become null. Nor is a byte order mark.
        parsed = json.loads(content, parse_constant=lambda _: None)
    # Half a surrogate pair and NUL can not be encoded or stored; looked for only where the bytes hint at one.
    return _storable(parsed) if _ESCAPES_NOBODY_CAN_STORE.search(content) else parsed


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub("[\x00\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value


def _backoff(state: tenacity.RetryCallState) -> float:
    """Exponential with full jitter, and never less than the vendor asked for."""
    failed = state.outcome.exception() if state.outcome else None
    asked = getattr(failed, "wait", None) or 0.0
    # random is right here: jitter spreads load, it guards nothing
    jitter = random.uniform(0, min(_MAX_BACKOFF, 2.0 ** (state.attempt_number - 1)))  # noqa: S311 - see above
    return float(max(asked, jitter))


def _may_pass(problem: BaseException) -> bool:
    """Tell whether it may go away by itself: not a body too large, nor a URL that is none (a ValueError too)."""
    return not isinstance(problem, (_Unreadable, ValueError))


def _reason(problem: BaseException) -> str:
    """Say what broke without the library's own words, which hold the URL."""
    if isinstance(problem, _Unreadable):
        return str(problem)
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (requests.exceptions.ConnectTimeout, "no connection within the connect timeout"),
        (requests.exceptions.ReadTimeout, "no answer within the read timeout"),
        (requests.exceptions.SSLError, "TLS failed"),
        (requests.exceptions.ProxyError, "the proxy failed"),
        (requests.exceptions.InvalidURL, "its address is no valid URL"),
    )
    for kind, text in kinds:
        if isinstance(problem, kind):
            return text
    name = next((name for name in _BREAKS if name in repr(problem)), type(problem).__name__)
    return f"the connection failed ({name})"


_BREAKS = (
    "NameResolution", "NewConnection", "ConnectionReset", "RemoteDisconnected", "BrokenPipe", "IncompleteRead",
    "ReadTimeout",
)  # fmt: skip
