"""HTTP to a vendor, and the one place that decides which request may be sent twice.

Everything but a create only reads, also where it is a POST, and may be repeated. A create rings a phone:

| response to a create                                          | meaning              | sent again |
|---------------------------------------------------------------|----------------------|------------|
| no connection was ever established                            | nothing was sent     | yes        |
| 429, not an HTML page                                         | refused for now      | yes        |
| 100, 102, 103 and other 1xx but 101                           | interim, read over   | no         |
| 2xx with a call id and no error in the body                   | accepted             | no         |
| 2xx without a call id whose JSON body names a refusal: of the | refused              | no         |
| agent, the number, the token or for want of credit            |                      |            |
| 400, 401, 402, 403, 404, 422 with an error in the API's form, | refused              | no         |
| which is a JSON object, plain text or no body at all          |                      |            |
| all else: 101, 3xx, 408, 409, 425, 499, 5xx, an HTML page,    | `CallOutcomeUnknown` | no         |
| another error in a 2xx, a body that cannot be read,           |                      |            |
| a lost or slow response                                       |                      |            |

The refusals are the statuses that the vendors' pages document (Talkover docs: make-call and list-calls; Talkstack docs:
make-phone-call; UnleashX docs: make-call). An error of status 5xx in the *body* of a 2xx is not a refusal either.
``error_shapes.py`` reads the errors, each vendor's file maps its texts to errors, and ``transport.py`` sends and reads
the bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec
import requests
import tenacity
from urllib3.exceptions import HTTPError

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
from airflow_provider_voice.vendors import error_shapes, transport
from airflow_provider_voice.vendors.rate_limit import Limiter, limiter_for, retry_after_of
from airflow_provider_voice.vendors.transport import Transport, UnusableResponse, new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_voice.vendors.vendor_settings import Settings

MAX_TRIES = 5
#: Seconds after which a read is not repeated any more.
MAX_RETRY_SECONDS = 120.0
_TEXT_LIMIT = 200
_OK, _REDIRECT, _BAD_REQUEST, _UNAUTHORIZED, _TOO_MANY_REQUESTS = 200, 300, 400, 401, 429
_ERROR_STATUSES = frozenset(map(str, range(400, 600)))
# A Date header further from this machine's clock is ignored.
_MAX_CLOCK_OFFSET = timedelta(days=366)


@dataclass(frozen=True)
class ApiResponse:
    """A vendor's response.

    :param status: the HTTP status.
    :param headers: the headers, case-insensitive.
    :param body: the parsed JSON body; None when there is none.
    :param unreadable: why the body is not JSON, for messages; None when it is.
    :param text: the body as text when it is not JSON, cut to its beginning; empty when there is no body.
    :param received_at: this machine's time.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(default=None, repr=False)  # rows; debuggers and error trackers show the locals of a traceback
    unreadable: str | None = None
    text: str = field(default="", repr=False)
    received_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def ok(self) -> bool:
        """Whether the status is a success; the body may still be an error."""
        return _OK <= self.status < _REDIRECT

    @property
    def is_redirect(self) -> bool:
        """Whether the response names another address, or none."""
        return _REDIRECT <= self.status < _BAD_REQUEST

    @property
    def is_page(self) -> bool:
        """Whether the body is an HTML page, which some server in front of the API wrote."""
        return "html" in self.headers.get("Content-Type", "").lower() or self.text.startswith("<")

    @property
    def plain_text(self) -> str | None:
        """The body when it is text, which is how Talkstack may write its errors (no error body of it is documented).

        Empty when there is no body; None for an HTML page, for other bodies and for characters that cannot be printed.
        """
        if self.unreadable is None and not isinstance(self.body, str):
            return None
        text = " ".join((self.body or self.text).split())
        return text if text.isprintable() and not self.is_page else None

    @property
    def date(self) -> datetime | None:
        """The vendor's clock (``Date`` header); None when it is absent or absurd."""
        date = read_time(self.headers.get("Date"))
        return date if date is not None and abs(date - self.received_at) < _MAX_CLOCK_OFFSET else None

    @property
    def server_time(self) -> datetime:
        """The vendor's clock, or this machine's when the vendor sends none."""
        return self.date or self.received_at

    @property
    def details(self) -> dict[str, Any]:
        """The fields of an error: the status, and the id of the request, which no vendor documents but many send."""
        request_id = re.sub(r"[^\w.\-:/=+]", "", self.headers.get("X-Request-Id", ""))[:80]
        return {"status_code": self.status, "request_id": request_id or None}


class _NoResponse(Exception):
    """No usable response came: why, for messages, and whether another attempt may succeed.

    Unlike the library's error it does not hold the URL, and with it a phone number.
    """

    def __init__(self, problem: Exception) -> None:
        self.reason = _reason(problem)
        # Not after an unusable response, nor with an invalid URL (a ValueError).
        self.is_temporary = not isinstance(problem, (UnusableResponse, ValueError))
        super().__init__(self.reason)


class _AttemptFailed(Exception):
    """One attempt failed: the error to raise, whether another attempt is safe, and the seconds to wait before it."""

    def __init__(self, error: VoiceError, *, retry: bool, wait: float | None = None) -> None:
        super().__init__(type(error).__name__)
        self.error = error
        self.retry = retry
        self.wait = wait


@dataclass(eq=False, repr=False)
class HttpClient:
    """Sends requests to one vendor with one credential.

    :param settings: the connection; its token is cut out of every text that leaves this class.
    :param title: the vendor's name in messages.
    :param vendor: the vendor's name in errors.
    :param credential_headers: the headers that carry the token.
    :param error_marks: the vendor's codes and parts of texts, in lower case, to classes; see
        :func:`~airflow_provider_voice.vendors.error_shapes.error_class`.
    :raises InvalidRequest: when the token cannot be sent in a header.
    """

    settings: Settings
    title: str
    vendor: str
    credential_headers: dict[str, str]
    error_marks: Mapping[str, type[VoiceError]]

    def __post_init__(self) -> None:
        settings, token = self.settings, self.settings.token
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise InvalidRequest("The token is empty or has characters that no HTTP header can carry.")
        transport.mask_numbers_in_urllib3_logs()
        key = (self.vendor, settings.base_url, token)
        #: Asked before every request; a campaign puts its own in place, which counts those of all workers.
        self.limiter: Limiter | None = limiter_for(key, settings.requests_per_minute)
        self._timeout: Any = (settings.connect_timeout, settings.read_timeout)  # in seconds since they were checked
        self._session = new_session(self.credential_headers, Transport())
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, _AttemptFailed) and error.retry),
            stop=tenacity.stop_after_attempt(MAX_TRIES) | tenacity.stop_before_delay(MAX_RETRY_SECONDS),
            wait=_backoff,
            reraise=True,
        )
        #: Whether a create that provably rang no phone (a 429, no connection) is sent again here. A campaign turns it
        #: off: it checks its lease and its pace before every single send.
        self.repeats_creates = True
        #: Called when the connection of a create stands, right before its first byte; raises when it must not be sent.
        self.before_create: Callable[[], None] | None = None
        #: Requests sent so far, repeated ones included.
        self.sent = 0
        #: Seconds the vendor's clock is ahead of ours, by the ``Date`` of its last response; None before the first.
        self.clock_offset: float | None = None

    def request(
        self,
        method: Literal["GET", "POST"],
        url: str,
        *,
        doing: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        accept: Callable[[ApiResponse], bool] | None = None,
    ) -> ApiResponse:
        """Send a request that only reads, and repeat it while that may help: at most 5 attempts in 120 seconds.

        :param method: ``GET`` or, for vendors that read by POST, ``POST``.
        :param url: the full URL without query.
        :param doing: the purpose of the request, for messages: ``"the list of calls"``.
        :param params: the query; None values are left out.
        :param body: the JSON body; None: no body.
        :param accept: whether a response is good although its status is not; None: none is.
        :return: a response with a JSON body that is not an error.
        :raises VoiceError: for a refusal by the vendor, of the class that fits; :class:`RateLimited` or
            :class:`VendorUnavailable` when the attempts are used up.
        """

        def attempt() -> ApiResponse:
            try:
                response = self._send(self._session, method, url, params, body)
            except _NoResponse as failed:
                text = f"The request to {self.title} for {doing} failed: {failed.reason}. Check the host or try again."
                raise _AttemptFailed(VendorUnavailable(text, vendor=self.vendor), retry=failed.is_temporary) from None
            return response if accept is not None and accept(response) else self._check_read(response, doing)

        return self._run(attempt, repeat=True)

    def create(self, url: str, *, doing: str, body: Any, call_id_in: Callable[[Any], str | None]) -> ApiResponse:
        """Send a request that the vendor must accept at most once; see the table at the top of this file.

        It travels on a connection of its own: a pooled connection that the vendor closed while it was idle breaks
        *after* the request was written, which is indistinguishable from a lost response.

        :param url: the full URL.
        :param doing: the purpose of the request, for messages: ``"the call to +1415•••••71"``.
        :param body: the JSON body.
        :param call_id_in: returns the id of the new call in a JSON body; None when there is none.
        :return: a response with a call id.
        :raises CallOutcomeUnknown: when it was sent and its outcome is unknown.
        :raises VendorUnavailable: when it could not be sent: nothing rang.
        :raises VoiceError: for a refusal by the vendor, of the class that fits; nothing rang.
        """

        def attempt() -> ApiResponse:
            adapter = Transport(connections=1, before_write=self.before_create)
            with new_session(self.credential_headers, adapter) as session:
                session.headers["Connection"] = "close"
                try:
                    response = self._send(session, "POST", url, None, body)
                except _NoResponse as failed:
                    if adapter.connected:
                        raise _AttemptFailed(self._unknown(doing, failed.reason), retry=False) from None
                    text = f"{self.title} could not be reached for {doing}: {failed.reason}. Nothing was sent."
                    error = VendorUnavailable(text, vendor=self.vendor)
                    raise _AttemptFailed(error, retry=failed.is_temporary) from None
            return self._check_create(response, doing, call_id_in)

        return self._run(attempt, repeat=self.repeats_creates)

    def scrub(self, text: object, limit: int = _TEXT_LIMIT) -> str:
        """Return a vendor's text fit for a log: one short line, numbers masked, the token cut out.

        :param text: the text, of any type.
        :param limit: characters, default 200.
        :return: the text without line breaks.
        """
        shown = str(text).replace(self.settings.token, "***")
        shown = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", shown).strip()
        return mask_numbers_in(shown)[:limit]

    def now(self) -> datetime:
        """Return the time by the vendor's clock, or by this machine's before the first response."""
        return datetime.now(timezone.utc) + timedelta(seconds=self.clock_offset or 0.0)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _send(self, session: requests.Session, method: str, url: str, params: Any, body: Any) -> ApiResponse:
        if self.limiter is not None:
            self.limiter.acquire()
        self.sent += 1
        request = requests.Request(method, url, params=params, json=body)
        try:
            raw, content = transport.send(session, request, self._timeout)
        except (requests.RequestException, HTTPError, OSError, UnusableResponse) as failure:
            problem = failure
        else:
            if "X-Request-Id" in raw.headers:  # shown in errors; a server that echoes may put the token there
                raw.headers["X-Request-Id"] = raw.headers["X-Request-Id"].replace(self.settings.token, "***")
            return self._read(raw.status_code, raw.headers, content.strip())
        raise _NoResponse(problem)  # outside of the except block, which would add the library's error as the context

    def _read(self, status: int, headers: Mapping[str, str], content: bytes) -> ApiResponse:
        try:
            response = ApiResponse(status, headers, body=_parse(content))
        except (ValueError, RecursionError):
            kind = self.scrub(headers.get("Content-Type", "no content type").split(";")[0], 40)
            unreadable = f"{len(content)} bytes of {kind}, which are not JSON" if content else "an empty body"
            response = ApiResponse(status, headers, unreadable=unreadable, text=content[:500].decode(errors="replace"))
        if response.date is not None:
            self.clock_offset = (response.date - response.received_at).total_seconds()
        return response

    def _check_read(self, response: ApiResponse, doing: str) -> ApiResponse:
        """Return a good response; raise the error of another one."""
        error = self._explain(response, doing)
        if error is None:
            return response
        raise _AttemptFailed(error, retry=not error.permanent, wait=self._wait_before_retry(response, error))

    def _check_create(self, response: ApiResponse, doing: str, call_id_in: Callable[[Any], str | None]) -> ApiResponse:
        """Apply the table at the top of this file."""
        has_call_id = bool(call_id_in(response.body))
        error = self._explain(response, doing)
        if response.ok and error is None and has_call_id:
            return response
        if error is not None and not has_call_id:
            if response.status == _TOO_MANY_REQUESTS and not response.is_page:
                raise _AttemptFailed(error, retry=True, wait=self._wait_before_retry(response, error))
            if self._is_refusal(response, error):
                raise _AttemptFailed(error, retry=False)
        if error is not None and response.is_redirect:
            reason = error.message.rstrip(".")
        elif response.ok:
            content = response.unreadable or "other content"
            if error_shapes.states_error(response.body):
                content = f"an error ({self.scrub(error_shapes.error_text(response.body)[0] or 'without a text')})"
            reason = f"its response has {'a call id and' if has_call_id else 'no call id, only'} {content}"
        else:
            reason = f"it answered HTTP {response.status}"
        raise _AttemptFailed(self._unknown(doing, reason, response), retry=False)

    @staticmethod
    def _is_refusal(response: ApiResponse, error: VoiceError) -> bool:
        """Whether the API itself states that it did not place the call."""
        if not response.ok:
            is_stated = isinstance(response.body, dict) or response.plain_text is not None
            return response.status in error_shapes.REFUSALS and is_stated and not response.is_page
        code = error.code or ""
        is_named = isinstance(error, error_shapes.NAMED_REFUSALS) and not response.is_page
        return is_named and (not code.isdecimal() or int(code) in error_shapes.REFUSALS)

    def _wait_before_retry(self, response: ApiResponse, error: VoiceError) -> float | None:
        wait = retry_after_of(response.headers, response.body, now=response.server_time)
        if isinstance(error, RateLimited) and error.retry_after is None:
            error.retry_after = wait
        return wait

    def _run(self, attempt: Callable[[], ApiResponse], *, repeat: bool) -> ApiResponse:
        try:
            return self._retrying(attempt) if repeat else attempt()
        except _AttemptFailed as failed:
            error = failed.error
        raise error

    def _explain(self, response: ApiResponse, doing: str) -> VoiceError | None:
        """Return the error that a response means, or None for a good one; a status of 200 does not make it good."""
        if response.is_redirect:
            return self._redirected(response, doing)
        if response.ok and not error_shapes.states_error(response.body):
            if response.unreadable is None:
                return None
            message = f"{self.title} answered {doing} with {response.unreadable}. Try again later."
            return VendorUnavailable(message, vendor=self.vendor, **response.details)
        text, code = error_shapes.error_text(response.body)
        text = text or (response.unreadable if response.plain_text is None else response.plain_text)
        text, code = self.scrub(text or ""), self.scrub(code or "", 60)
        # The status of an error in a good response is the code of its body, where that is a status.
        status = int(code) if response.ok and code in _ERROR_STATUSES else response.status
        cls = error_shapes.error_class(status, code, text, self.error_marks, is_ok=response.ok)
        remedy = error_shapes.HINTS.get(cls, "Correct the request.")
        if response.is_page and response.unreadable is not None and cls is not RateLimited and status != _UNAUTHORIZED:
            cls = VendorUnavailable  # says a server in front of the API: another time the API itself may answer
            remedy = "Try again later. If this goes on, correct the host of the connection."
        detail = f": {text.rstrip('.')}" if text else ""
        marks = ", ".join(part for part in (code, f"HTTP {response.status}") if part)
        verb = "could not handle" if cls is VendorUnavailable else "refused"
        message = f"{self.title} {verb} {doing}{detail} ({marks}). {remedy}"
        return cls(message, vendor=self.vendor, code=code or None, **response.details)

    def _redirected(self, response: ApiResponse, doing: str) -> VoiceError:
        try:
            host = urlsplit(response.headers.get("Location", "")).netloc.rpartition("@")[2] or "nowhere"
        except ValueError:
            host = "an address that is not a URL"
        text = (
            f"{self.title} redirected {doing} to {self.scrub(host, 80)} (HTTP {response.status}); a credential is "
            "never sent after a redirect. Correct the host of the connection."
        )
        return RequestRejected(text, vendor=self.vendor, **response.details)

    def _unknown(self, doing: str, why: str, response: ApiResponse | None = None) -> CallOutcomeUnknown:
        text = (
            f"{self.title} may or may not have accepted {doing}: {why}. It is not sent again, because that could "
            "ring twice. Search for the call in the vendor's call history."
        )
        return CallOutcomeUnknown(text, vendor=self.vendor, **({} if response is None else response.details))


_ESCAPES_WITHOUT_A_CHARACTER = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def _parse(content: bytes) -> Any:
    try:
        parsed = msgspec.json.decode(content)
    except msgspec.DecodeError:
        # msgspec refuses half a surrogate pair, NaN and Infinity; the latter two cannot be stored and become null.
        parsed = json.loads(content, parse_constant=lambda _: None)
    # Half a surrogate pair and NUL cannot be encoded or stored; replaced only where the bytes hint at one.
    return _storable(parsed) if _ESCAPES_WITHOUT_A_CHARACTER.search(content) else parsed


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub("[\x00\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value


_full_jitter = tenacity.wait_random_exponential(max=30)


def _backoff(state: tenacity.RetryCallState) -> float:
    """Return seconds: exponential with full jitter, and never less than the vendor asked for."""
    failed = state.outcome.exception() if state.outcome else None
    return max(getattr(failed, "wait", None) or 0.0, _full_jitter(state))


# A failure by a part of its repr: the library's own text holds the URL.
_REASONS = {
    "ConnectTimeout": "no connection within the connect timeout",
    "ReadTimeout": "no response within the read timeout",
    "SSLError": "TLS failed",
    "ProxyError": "the proxy failed",
    "InvalidURL": "its address is not a valid URL",
    "NameResolution": "its host name cannot be resolved",
    "NewConnection": "the connection could not be established",
    "ConnectionReset": "it reset the connection",
    "RemoteDisconnected": "it closed the connection without a response",
    "BrokenPipe": "it closed the connection early",
    "IncompleteRead": "its response was cut",
}


def _reason(problem: Exception) -> str:
    if isinstance(problem, UnusableResponse):
        return str(problem)
    found = next((text for name, text in _REASONS.items() if name in repr(problem)), None)
    return found or f"the connection failed ({type(problem).__name__})"
