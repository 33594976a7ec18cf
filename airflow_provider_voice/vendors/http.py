"""HTTP to a vendor, and the one place that decides which request may be sent twice.

Everything but a create only reads, also where it is a POST, and may be repeated. A create rings a phone:

| response to a create                                          | meaning              | sent again |
|---------------------------------------------------------------|----------------------|------------|
| no connection was ever established                            | nothing was sent     | yes        |
| 429, not an HTML page                                         | refused for now      | yes        |
| 100, 102, 103 and other 1xx but 101                           | interim, read over   | no         |
| 2xx with a call id and no error in the body                   | accepted             | no         |
| 2xx without a call id whose JSON body is an error             | refused              | no         |
| 400, 401, 402, 403, 404, 422 with an error in the API's form, | refused              | no         |
| which is a JSON object, plain text or no body at all          |                      |            |
| all else: 101, 3xx, 408, 409, 425, 499, 5xx, an HTML page,    | `CallOutcomeUnknown` | no         |
| a body that cannot be read, a lost or slow response           |                      |            |

The refusals are the statuses that the vendors' pages document (Talkover docs: make-call and list-calls; Talkstack docs:
make-phone-call; UnleashX docs: make-call). An error of status 5xx in the *body* of a 2xx is not a refusal either. The
vendor's file decides which error a refusal becomes; ``transport.py`` sends and reads the bytes.
"""

from __future__ import annotations

import json
import random
import re
import time
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
from airflow_provider_voice.vendors import transport
from airflow_provider_voice.vendors.rate_limit import Limiter, limiter_for, retry_after_of
from airflow_provider_voice.vendors.transport import Transport, UnusableResponse, new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_voice.vendors.vendor_settings import Settings

MAX_TRIES = 5
#: Seconds after which a read is not repeated any more.
MAX_RETRY_SECONDS = 120.0
_MAX_BACKOFF = 30.0
_TEXT_LIMIT = 200
_OK, _REDIRECT, _BAD_REQUEST, _TOO_MANY_REQUESTS = 200, 300, 400, 429
#: Statuses by which a vendor's documentation says that a create was refused.
REFUSALS = frozenset({400, 401, 402, 403, 404, 422})
# A Date header further from this machine's clock is ignored.
_MAX_CLOCK_OFFSET = timedelta(days=366)


@dataclass(frozen=True)
class ApiResponse:
    """A vendor's response.

    :param status: the HTTP status.
    :param headers: the headers, case-insensitive.
    :param body: the parsed JSON body; None when there is none.
    :param unreadable: why the body is not JSON, for messages; None when it is.
    :param text: the body as text when it is not JSON, cut to its beginning.
    :param is_empty: whether there is no body.
    :param received_at: this machine's time.
    """

    status: int
    headers: Mapping[str, str]
    body: Any = None
    unreadable: str | None = None
    text: str = ""
    is_empty: bool = False
    received_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def ok(self) -> bool:
        """Whether the status is a success; the body may still be an error."""
        return _OK <= self.status < _REDIRECT

    @property
    def is_page(self) -> bool:
        """Whether the body is an HTML page, which some server in front of the API wrote."""
        return "html" in self.headers.get("Content-Type", "").lower() or self.text.lstrip()[:1] == "<"

    @property
    def plain_text(self) -> str | None:
        """The body when it is text, which is how Talkstack may write its errors (no error body of it is documented).

        None for an HTML page, for other bodies and for characters that cannot be printed.
        """
        text = " ".join((self.body if isinstance(self.body, str) else self.text).split())
        return text if text and text.isprintable() and not self.is_page else None

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


class _AttemptFailed(Exception):
    """One attempt failed: the error to raise, whether another attempt is safe, and the seconds to wait before it."""

    def __init__(self, error: VoiceError, *, retry: bool, wait: float | None = None) -> None:
        super().__init__(type(error).__name__)
        self.error = error
        self.retry = retry
        self.wait = wait


class HttpClient:
    """Sends requests to one vendor with one credential.

    :param settings: the connection; its token is cut out of every text that leaves this class.
    :param title: the vendor's name in messages.
    :param vendor: the vendor's name in errors.
    :param credential_headers: the headers that carry it.
    :param explain: returns the error that a response means; None when it is a good response.
    :param limit_key: users of the same key share ``requests_per_minute`` in this process.
    :param sleep: waits between attempts; for tests.
    :raises InvalidRequest: when the token cannot be sent in a header.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        title: str,
        vendor: str,
        credential_headers: dict[str, str],
        explain: Callable[[ApiResponse, str], VoiceError | None],
        limit_key: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._token = settings.token
        if not isinstance(self._token, str) or not re.fullmatch(r"[\x21-\x7e]+", self._token):
            raise InvalidRequest("The token is empty or has characters that no HTTP header can carry.")
        transport.mask_numbers_in_urllib3_logs()
        self._title = title
        self._vendor = vendor
        self._credential_headers = credential_headers
        self._explain = explain
        #: Asked before every request; a campaign puts its own in place, which counts those of all workers.
        self.limiter: Limiter | None = limiter_for(limit_key, settings.requests_per_minute)
        self._timeout: Any = (settings.connect_timeout, settings.read_timeout)  # in seconds since they were checked
        self._session = new_session(credential_headers, Transport())
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, _AttemptFailed) and error.retry),
            stop=tenacity.stop_after_attempt(MAX_TRIES) | tenacity.stop_before_delay(MAX_RETRY_SECONDS),
            wait=_backoff,
            sleep=sleep,
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
            except (requests.RequestException, HTTPError, OSError, UnusableResponse) as failure:
                problem = failure
            else:
                return response if accept is not None and accept(response) else self._check_read(response, doing)
            # Raised out of the except block: the cause would carry the URL, and with it a phone number.
            text = f"{self._title} could not be read while asking for {doing}: {_reason(problem)}. Try again later."
            raise _AttemptFailed(VendorUnavailable(text, vendor=self._vendor), retry=_is_temporary(problem))

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
            with new_session(self._credential_headers, adapter) as session:
                session.headers["Connection"] = "close"
                try:
                    response = self._send(session, "POST", url, None, body)
                except (requests.RequestException, HTTPError, OSError, UnusableResponse) as failure:
                    problem = failure
                else:
                    return self._check_create(response, doing, call_id_in)
            if not adapter.connected and not isinstance(problem, UnusableResponse):
                text = f"{self._title} could not be reached for {doing}: {_reason(problem)}. Nothing was sent."
                raise _AttemptFailed(VendorUnavailable(text, vendor=self._vendor), retry=_is_temporary(problem))
            raise _AttemptFailed(self._unknown(doing, _reason(problem)), retry=False)

        return self._run(attempt, repeat=self.repeats_creates)

    def scrub(self, text: object, limit: int = _TEXT_LIMIT) -> str:
        """Return a vendor's text fit for a log: one short line, numbers masked, the token cut out.

        :param text: the text, of any type.
        :param limit: characters, default 200.
        :return: the text without line breaks.
        """
        shown = str(text).replace(self._token, "***")
        shown = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", shown).strip()
        return mask_numbers_in(shown)[:limit]

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _send(self, session: requests.Session, method: str, url: str, params: Any, body: Any) -> ApiResponse:
        if self.limiter is not None:
            self.limiter.acquire()
        self.sent += 1
        request = requests.Request(method, url, params=params, json=body)
        raw, content = transport.send(session, request, self._timeout)
        status, headers = raw.status_code, raw.headers
        try:
            response = ApiResponse(status, headers, body=_parse(content))
        except (ValueError, RecursionError):
            kind = self.scrub(headers.get("Content-Type", "no content type").split(";")[0], 40)
            unreadable = f"{len(content)} bytes of {kind}, which are not JSON" if content.strip() else "an empty body"
            text, is_empty = content[:500].decode(errors="replace"), not content.strip()
            response = ApiResponse(status, headers, unreadable=unreadable, text=text, is_empty=is_empty)
        if response.date is not None:
            self.clock_offset = (response.date - response.received_at).total_seconds()
        return response

    def _check_read(self, response: ApiResponse, doing: str) -> ApiResponse:
        """Return a good response; raise the error of another one."""
        if _REDIRECT <= response.status < _BAD_REQUEST:
            raise _AttemptFailed(self._redirected(response, doing), retry=False)
        error = self._explain(response, doing)
        if error is None and response.unreadable is None:
            return response
        if error is None:
            text = f"{self._title} answered {doing} with {response.unreadable}. Try again later."
            error = VendorUnavailable(text, vendor=self._vendor, **response.details)
        raise _AttemptFailed(error, retry=not error.permanent, wait=self._wait_before_retry(response, error))

    def _check_create(self, response: ApiResponse, doing: str, call_id_in: Callable[[Any], str | None]) -> ApiResponse:
        """Apply the table at the top of this file."""
        has_call_id = bool(call_id_in(response.body))
        error = self._explain(response, doing)
        if response.ok and error is None and has_call_id:
            return response
        if response.status == _TOO_MANY_REQUESTS and error is not None and not has_call_id and not response.is_page:
            raise _AttemptFailed(error, retry=True, wait=self._wait_before_retry(response, error))
        if error is not None and not has_call_id and self._is_refusal(response, error):
            raise _AttemptFailed(error, retry=False)
        if _REDIRECT <= response.status < _BAD_REQUEST:
            reason = f"{self._redirected(response, doing).message.rstrip('.')}"
        elif response.ok:
            reason = f"its response has no call id but {response.unreadable or 'other content'}"
        else:
            reason = f"it answered HTTP {response.status}"
        raise _AttemptFailed(self._unknown(doing, reason, response), retry=False)

    @staticmethod
    def _is_refusal(response: ApiResponse, error: VoiceError) -> bool:
        """Whether the API itself states that it did not place the call."""
        if not response.ok:
            is_stated = isinstance(response.body, dict) or response.plain_text is not None or response.is_empty
            return response.status in REFUSALS and is_stated and not response.is_page
        code = error.code or ""
        is_object = isinstance(response.body, dict) and not response.is_page
        return is_object and (not code.isdigit() or int(code) in REFUSALS)

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

    def _redirected(self, response: ApiResponse, doing: str) -> VoiceError:
        try:
            host = urlsplit(response.headers.get("Location", "")).netloc.rpartition("@")[2] or "nowhere"
        except ValueError:
            host = "an address that is not a URL"
        text = (
            f"{self._title} redirected {doing} to {self.scrub(host, 80)} (HTTP {response.status}); a credential is "
            "never sent after a redirect. Correct the host of the connection."
        )
        return RequestRejected(text, vendor=self._vendor, **response.details)

    def _unknown(self, doing: str, why: str, response: ApiResponse | None = None) -> CallOutcomeUnknown:
        text = (
            f"{self._title} may or may not have accepted {doing}: {why}. It is not sent again, because that could "
            "ring twice. Search for the call in the vendor's call history."
        )
        return CallOutcomeUnknown(text, vendor=self._vendor, **({} if response is None else response.details))


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


def _backoff(state: tenacity.RetryCallState) -> float:
    """Return seconds: exponential with full jitter, and never less than the vendor asked for."""
    failed = state.outcome.exception() if state.outcome else None
    asked = getattr(failed, "wait", None) or 0.0
    # random is right here: jitter spreads load, it guards nothing
    jitter = random.uniform(0, min(_MAX_BACKOFF, 2.0 ** (state.attempt_number - 1)))  # noqa: S311 - see above
    return float(max(asked, jitter))


def _is_temporary(problem: BaseException) -> bool:
    """Whether another attempt may succeed: not after an unusable response, nor with an invalid URL (a ValueError)."""
    return not isinstance(problem, (UnusableResponse, ValueError))


def _reason(problem: BaseException) -> str:
    """Describe a failure without the library's own text, which holds the URL."""
    if isinstance(problem, UnusableResponse):
        return str(problem)
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (requests.exceptions.ConnectTimeout, "no connection within the connect timeout"),
        (requests.exceptions.ReadTimeout, "no response within the read timeout"),
        (requests.exceptions.SSLError, "TLS failed"),
        (requests.exceptions.ProxyError, "the proxy failed"),
        (requests.exceptions.InvalidURL, "its address is not a valid URL"),
    )
    for kind, text in kinds:
        if isinstance(problem, kind):
            return text
    name = next((name for name in _CAUSES if name in repr(problem)), type(problem).__name__)
    return f"the connection failed ({name})"


_CAUSES = (
    "NameResolution", "NewConnection", "ConnectionReset", "RemoteDisconnected", "BrokenPipe", "IncompleteRead",
    "ReadTimeout",
)  # fmt: skip
