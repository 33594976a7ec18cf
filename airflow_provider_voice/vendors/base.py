"""What every vendor must answer, and what all of them do alike.

A vendor file holds what is its own: paths, shapes, its error codes, its status words, its paging.
"""

from __future__ import annotations

import logging
import uuid
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallOutcomeUnknown,
    CapabilityNotSupported,
    IncompleteHistory,
    InsufficientCredits,
    InvalidPhoneNumber,
    InvalidRequest,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import (
    Call,
    CallRef,
    CallRequest,
    CallStatus,
    fold_word,
    read_status,
    status_of,
    statuses_of,
)
from airflow_provider_voice.phone import mask_number, parse_number, same_number
from airflow_provider_voice.vendors.http import Answer, HttpClient
from airflow_provider_voice.vendors.parsing import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_voice.vendors.vendor_settings import Settings

log = logging.getLogger(__name__)

TAG_KEY = "airflow_call_tag"


class Vendor(ABC):
    """One vendor's API in our words.

    :param settings: the connection.
    :param sleep: waits between tries; for tests.
    :raises InvalidRequest: when a setting makes no sense.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    default_base_url: ClassVar[str]
    statuses: ClassVar[Mapping[str, CallStatus]]
    #: Requests a minute of the vendor's smallest plan, for who paces requests and was not told the limit.
    presumed_per_minute: ClassVar[int] = 100
    #: Whether the call list shows our tag, so that a row without it is another one's call.
    keeps_tags: ClassVar[bool] = False

    def __init__(self, settings: Settings, *, sleep: Callable[[float], None] | None = None) -> None:
        self.settings = settings
        self.base_url = (settings.base_url or self.default_base_url).rstrip("/")
        overrides = {fold_word(word): status_of(status) for word, status in settings.status_overrides.items()}
        self._words = {**self.statuses, **overrides}
        # As the vendor writes them: folding a word costs more than all else there is to a status.
        self._read_words: dict[str, CallStatus] = {}
        #: Pages of one list that are read at once, where the vendor says how many there are.
        self.page_concurrency = 1
        #: List pages read so far.
        self.pages_read = 0
        #: How many pages the list that was read last has; None where the vendor does not say.
        self.pages_in_list: int | None = None
        self.http = HttpClient(
            title=self.title,
            vendor=self.name,
            token=settings.token,
            credential_headers=self.credential_headers(settings.token),
            explain=self.explain,
            limit_key=settings.limit_key or f"{self.name} {self.base_url}",
            requests_per_minute=settings.requests_per_minute,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            **({} if sleep is None else {"sleep": sleep}),
        )

    @staticmethod
    @abstractmethod
    def credential_headers(token: str) -> dict[str, str]:
        """Return the headers that carry the token."""

    @abstractmethod
    def check(self) -> str:
        """Ask something that needs the token, costs nothing and changes nothing; return what was found, for people."""

    @abstractmethod
    def find(self, ref: CallRef) -> Call | None:
        """Return one call, or None when the vendor does not show it (yet)."""

    @abstractmethod
    def _create(self, request: CallRequest, doing: str) -> Call:
        """Send one create; ``request`` is complete and checked."""

    @abstractmethod
    def _history(
        self, start: datetime, end: datetime, agent_id: str | None, direction: str | None, to: str | None
    ) -> Iterator[Call]:
        """Yield at least every call created in ``[start, end)``; the caller cuts and filters exactly."""

    @abstractmethod
    def _explain_code(self, code: str, text: str, answer: Answer) -> type[VoiceError] | None:
        """Return the error class of the vendor's own code or text; None: go by the HTTP status."""

    def create(self, request: CallRequest) -> Call:
        """Place one call: exactly one create request is ever accepted by the vendor.

        :param request: the call; number, agent and tag are completed from the connection's defaults.
        :return: the call as the vendor's answer shows it.
        :raises InvalidPhoneNumber, InvalidRequest, CapabilityNotSupported: before anything is sent.
        :raises CallOutcomeUnknown: when the answer was lost.
        :raises VoiceError: what the vendor's refusal means.
        """
        request = self.complete(request)
        self.check_request(request)
        return self._create(request, f"the call to {mask_number(request.to)}")

    def complete(self, request: CallRequest) -> CallRequest:
        """Return the request with E.164 number, agent and tag.

        :raises InvalidPhoneNumber, InvalidRequest: when one can not be had.
        """
        agent_id = request.agent_id or self.settings.default_agent_id
        if not agent_id:
            raise InvalidRequest(
                "No agent: give agent_id, or set default_agent_id on the connection.", vendor=self.name
            )
        return replace(
            request,
            to=parse_number(request.to, self.settings.default_region),
            agent_id=str(agent_id),
            tag=request.tag or f"afv-{uuid.uuid4().hex}",
        )

    def check_request(self, request: CallRequest) -> None:  # noqa: B027 - a vendor without limits needs none
        """Refuse what this vendor can not do, before anything is sent.

        :raises InvalidRequest, CapabilityNotSupported: with what to change.
        """

    def find_many(self, refs: Iterable[CallRef]) -> dict[str, Call]:
        """Return the calls by id, by the cheapest plan the vendor has; those it does not show are absent.

        :param refs: what is known of the calls; with number, time and agent the plan is cheaper.
        :raises VoiceError: what the vendor's refusal means.
        """
        wanted: dict[str, CallRef] = {}
        for ref in refs:
            # Of two references to one call the one with its number is worth more.
            wanted[ref.id] = ref if ref.to or ref.id not in wanted else wanted[ref.id]
        if not wanted:
            return {}
        requests, pages = self.http.sent, self.pages_read
        found = self._find_many(wanted)
        log.info(
            "%s was asked for %d call(s): %d found, by %d request(s), %d of them list pages.",
            self.title,
            len(wanted),
            len(found),
            self.http.sent - requests,
            self.pages_read - pages,
        )
        return found

    def _find_many(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        """Look every call up by itself; a vendor with a list knows better."""
        found = {ref.id: self.find(ref) for ref in wanted.values()}
        return {call_id: call for call_id, call in found.items() if call is not None}

    def list_calls(
        self,
        start: datetime,
        end: datetime,
        *,
        agent_id: str | None = None,
        direction: str | None = None,
        status: Any = None,
        to: str | None = None,
    ) -> Iterator[Call]:
        """Yield the calls created in ``[start, end)``, in the vendor's order, each once.

        :param start: aware instant, included.
        :param end: aware instant, not included.
        :param agent_id: only calls of this agent.
        :param direction: ``inbound`` or ``outbound``.
        :param status: one of our statuses or a collection of them.
        :param to: only calls to this number, E.164.
        :raises InvalidRequest: at once, before the first row, when a bound or filter makes no sense.
        :raises CapabilityNotSupported: when the vendor's rows do not say what the filter asks.
        :raises IncompleteHistory: when the vendor's list can not be read completely.
        """
        start, end = _aware("start", start), _aware("end", end)
        wanted = statuses_of(status)
        if direction not in (None, "inbound", "outbound"):
            raise InvalidRequest(f"direction must be 'inbound' or 'outbound', not {direction!r:.30}.")
        to = parse_number(to, self.settings.default_region) if to is not None else None
        agent_id = None if agent_id is None else str(agent_id)
        if start >= end:
            return iter(())
        rows = self._history(start, end, agent_id, direction, to)
        return (
            call
            for call in rows
            if self._created(call, start, end)
            and self._has("agent", call.agent_id, agent_id)
            and self._has("direction", call.direction, direction)
            and (not wanted or call.status in wanted)
            and (to is None or same_number(call.to, to))
        )

    def end_call(self, ref: CallRef) -> None:
        """Hang up a call.

        :raises CapabilityNotSupported: where the vendor has no such request.
        """
        raise CapabilityNotSupported(
            f"{self.title} has no request that ends a call; {ref.id} goes on.", vendor=self.name
        )

    def now(self) -> datetime:
        """Return the time by the vendor's clock, which is the one its records are dated by.

        Asks for it (:meth:`check`) when no answer has told it yet.
        """
        if self.http.clock_offset is None:
            self.check()
        return datetime.now(timezone.utc) + timedelta(seconds=self.http.clock_offset or 0.0)

    def from_now(self) -> Callable[[], datetime]:
        """Return what tells, once an answer has told the vendor's time, when this moment was by its clock."""
        began = datetime.now(timezone.utc)
        # A Date header is up to a second behind.
        return lambda: began + timedelta(seconds=(self.http.clock_offset or 0.0) + 1.0)

    def close(self) -> None:
        """Close the vendor's connections."""
        self.http.close()

    def read_status(self, word: object) -> CallStatus:
        """Translate one of this vendor's status words, with the connection's overrides."""
        status = self._read_words.get(word) if type(word) is str else None
        if status is None:
            status = read_status(word, self._words, vendor=self.title)
            if type(word) is str and len(self._read_words) < _MOST_WORDS:
                self._read_words[word] = status
        return status

    def knows_status(self, word: object) -> bool:
        """Whether the word is one of this vendor's call statuses (or an override)."""
        return isinstance(word, str) and fold_word(word) in self._words

    def explain(self, answer: Answer, doing: str) -> VoiceError | None:
        """Return the error an answer means, or None for a good one; a status of 200 does not make it good."""
        if answer.ok and not self.is_refusal(answer.body):
            return None
        text, code = self.error_text(answer.body)
        text, code = self.http.scrub(text or answer.unreadable or ""), self.http.scrub(code or "", 60)
        cls = self._error_class(answer, code, text)
        said = f": {text.rstrip('.')}" if text else ""
        marks = ", ".join(part for part in (code, f"HTTP {answer.status}") if part)
        verb = "could not handle" if cls is VendorUnavailable else "refused"
        message = f"{self.title} {verb} {doing}{said} ({marks}). {_HINTS.get(cls, 'Correct the request.')}"
        return cls(
            message, vendor=self.name, status_code=answer.status, code=code or None, request_id=answer.request_id
        )

    @staticmethod
    def is_refusal(body: Any) -> bool:
        """Whether the body of an answer with a good status says that it is an error."""
        if not isinstance(body, dict):
            return False
        error = body.get("error")
        return body.get("success") is False or error is True or (isinstance(error, dict) and bool(error))

    @staticmethod
    def error_text(body: Any) -> tuple[str | None, str | None]:
        """Return the text and the code of an error body of any of the shapes that vendors use."""
        if not isinstance(body, dict):
            return None, None
        error = body.get("error")
        inner = error if isinstance(error, dict) else {}
        message = as_text(inner.get("message")) or as_text(body.get("message")) or as_text(body.get("detail"))
        code = as_text(inner.get("code")) or as_text(body.get("code")) or (error if isinstance(error, str) else None)
        problems = body.get("errors")
        if isinstance(problems, dict) and problems:
            message = f"{message or 'invalid'} (fields: {', '.join(sorted(map(str, problems))[:5])})"
        return message, code

    def _error_class(self, answer: Answer, code: str, text: str) -> type[VoiceError]:
        if answer.status in _BY_STATUS and answer.status != _NOT_FOUND:
            return _BY_STATUS[answer.status]
        if answer.status >= _SERVER_ERROR:
            return VendorUnavailable
        return self._explain_code(code.upper(), text.lower(), answer) or _BY_STATUS.get(answer.status, RequestRejected)

    def _created(self, call: Call, start: datetime, end: datetime) -> bool:
        if call.created_at is None:
            raise IncompleteHistory(
                f"{self.title} shows call {call.id} without a creation time, so nobody can tell whether it belongs to "
                "the asked window. Nothing of it is used.",
                vendor=self.name,
            )
        return start <= call.created_at < end

    def _has(self, name: str, value: str | None, wanted: str | None) -> bool:
        if wanted is None:
            return True
        if value is None:
            raise CapabilityNotSupported(
                f"{self.title}'s call history does not say the {name} of a call, so it can not be filtered by it. "
                f"Leave {name} out.",
                vendor=self.name,
            )
        return value == wanted

    def _row_id(self, row: Mapping[str, Any], *names: str) -> str:
        for name in names:
            value = as_text(row.get(name))
            if value:
                return value
        raise IncompleteHistory(
            f"{self.title} shows a call without an id ({' or '.join(names)}), which can not be told from others. "
            "Nothing of the list is used.",
            vendor=self.name,
        )

    def _without_id(self, answer: Answer, doing: str) -> CallOutcomeUnknown:
        return CallOutcomeUnknown(
            f"{self.title} accepted {doing}, but its answer has no call id (HTTP {answer.status}). Look for the call "
            "in the vendor's call history.",
            vendor=self.name,
            status_code=answer.status,
            request_id=answer.request_id,
        )

    def _unreadable(self, answer: Answer, doing: str, wanted: str) -> VendorUnavailable:
        return VendorUnavailable(
            f"{self.title} answered {doing} without {wanted} (HTTP {answer.status}). Try again later; if it stays, the "
            "API has changed.",
            vendor=self.name,
            status_code=answer.status,
            request_id=answer.request_id,
        )


_MOST_WORDS = 1000
_NOT_FOUND, _SERVER_ERROR = 404, 500
_BY_STATUS: dict[int, type[VoiceError]] = {
    401: AuthenticationFailed,
    402: InsufficientCredits,
    403: AuthenticationFailed,
    404: RequestRejected,
    408: VendorUnavailable,
    429: RateLimited,
}
_HINTS: dict[type[VoiceError], str] = {
    AuthenticationFailed: "Check the token (password) of the connection.",
    InsufficientCredits: "Top up the vendor's account.",
    InvalidPhoneNumber: "Correct the number.",
    AgentNotUsable: "Check agent_id, and publish or activate the agent in the vendor's dashboard.",
    RateLimited: "Lower requests_per_minute on the connection, or try again later.",
    VendorUnavailable: "Try again later.",
}


def _aware(name: str, value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidRequest(f"{name} must be a datetime with a time zone.")
    return value.astimezone(timezone.utc)
