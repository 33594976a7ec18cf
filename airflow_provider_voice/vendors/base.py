"""The interface of a vendor, and the code that all vendors share.

A vendor's own module holds its paths, record shapes, error codes, statuses and paging.
"""

from __future__ import annotations

import logging
import uuid
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    CapabilityNotSupported,
    IncompleteHistory,
    InvalidPhoneNumber,
    InvalidRequest,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import (
    Call,
    CallRef,
    CallRequest,
    CallStatus,
    Direction,
    fold_status,
    read_time,
    statuses_of,
)
from airflow_provider_voice.phone import mask_number, may_be_same_number, parse_number, same_number, shown
from airflow_provider_voice.vendors.date_filters import Span, days_with_margin, split_span, time_doubt
from airflow_provider_voice.vendors.http import ApiResponse, HttpClient
from airflow_provider_voice.vendors.pagination import Page, PagedList
from airflow_provider_voice.vendors.parsing import as_object, as_text, first_id, first_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from airflow_provider_voice.vendors.vendor_settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HistoryQuery:
    """A window of the call history, with filters that a vendor may apply itself.

    :param start: aware instant, included.
    :param end: aware instant, not included.
    :param agent_id: only calls of this agent; None: of all.
    :param direction: ``inbound`` or ``outbound``; None: both.
    :param status: only calls with this status, or one of a collection of them; None: with any.
    :param to: only calls to this number; None: to any.
    :param page_concurrency: pages read at once where the vendor has page numbers.
    :raises InvalidRequest: when a bound or a filter makes no sense.
    """

    start: datetime
    end: datetime
    agent_id: str | None = None
    direction: Direction | None = None
    status: CallStatus | str | Collection[CallStatus | str] | None = None
    to: str | None = field(default=None, repr=False)
    page_concurrency: int = 1

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            moment = read_time(value) if isinstance(value, datetime) and value.tzinfo is not None else None
            if moment is None:
                raise InvalidRequest(f"{name} must be a datetime with a time zone, not at the ends of the calendar.")
            object.__setattr__(self, name, moment)
        if self.direction not in (None, *get_args(Direction)):
            raise InvalidRequest(f"direction must be 'inbound' or 'outbound', not {shown(self.direction)}.")
        object.__setattr__(self, "agent_id", None if self.agent_id is None else str(self.agent_id))
        object.__setattr__(self, "status", statuses_of(self.status))


# A vendor's "unknown" is not ours: it is logged as any other status without a meaning.
_OWN_STATUSES = {status.value: status for status in CallStatus if status is not CallStatus.UNKNOWN}
#: From so many calls on, a list of them is cheaper than one request for each.
LIST_FROM = 4
#: The field of ``context`` or ``metadata`` that carries our correlation text, where the vendor keeps one.
TAG_KEY = "airflow_call_tag"


class Vendor(ABC):
    """One vendor's API in the package's own vocabulary.

    Example::

        vendor = Talkover(Settings(token="talq_...", default_agent_id="agent_1"))
        call = vendor.create(CallRequest("+14155552671"))
        vendor.find(CallRef.of(call))

    :param settings: the connection.
    :raises InvalidRequest: when a setting makes no sense.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    default_base_url: ClassVar[str]
    #: The header that carries the token, and its value with the token as ``{}``.
    credential_header: ClassVar[tuple[str, str]]
    #: Method and path of a request that needs the token, costs nothing and changes nothing, and its query or body.
    token_check: ClassVar[tuple[Literal["GET", "POST"], str, dict[str, Any]]]
    #: Our status by the vendor's status, in the form of :func:`fold_status`, where the two are not the same word.
    statuses: ClassVar[Mapping[str, CallStatus]]
    #: Documented error codes and parts of error texts, in lower case, to our classes; see :func:`error_class`.
    error_marks: ClassVar[Mapping[str, type[VoiceError]]]
    #: Fields of a request that the vendor's create has no field for, and what to do instead.
    unsupported: ClassVar[Mapping[str, str]] = {}
    #: Requests a minute of the vendor's smallest plan, for callers that pace requests and know no limit.
    presumed_per_minute: ClassVar[int] = 100
    #: Names of the field of a row that has the creation time, the most likely one first.
    created_fields: ClassVar[tuple[str, ...]] = ("created_at",)
    #: Whether the time zone that it states is believed.
    states_zone: ClassVar[bool] = True
    #: Whether the call list shows our tag, so that a call without it was not placed here.
    keeps_tags: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.base_url = (settings.base_url or self.default_base_url).rstrip("/")
        overrides = {fold_status(text): status for text, status in settings.status_overrides.items()}
        self._statuses = {**_OWN_STATUSES, **self.statuses, **overrides}
        header, form = self.credential_header
        self.http = HttpClient(
            settings,
            title=self.title,
            vendor=self.name,
            credential_headers={header: form.format(settings.token)},
            error_marks=self.error_marks,
        )

    def check(self) -> str:
        """Send a request that needs the token, costs nothing and changes nothing.

        :return: a sentence for people.
        :raises VoiceError: for a refusal by the vendor, of the class that fits.
        """
        method, path, fields = self.token_check
        self.http.request(method, f"{self.base_url}{path}", doing="the token check", **fields)
        return f"{self.title} accepts the token."

    @abstractmethod
    def _find(self, ref: CallRef) -> Call | None:
        """Return one call, or None when the vendor does not show it (yet)."""

    @abstractmethod
    def _create(self, request: CallRequest) -> Call:
        """Send one create; ``request`` is complete and checked."""

    @abstractmethod
    def _history(self, query: HistoryQuery) -> Iterator[Call]:
        """Yield at least every call that the query asks for; the caller filters exactly."""

    def create(self, request: CallRequest) -> Call:
        """Place one call: exactly one create request is ever accepted by the vendor.

        :param request: the call; number, agent and tag are completed from the connection's defaults.
        :return: the call as the vendor's response shows it.
        :raises InvalidPhoneNumber, InvalidRequest, CapabilityNotSupported: before anything is sent.
        :raises CallOutcomeUnknown: when the phone may have rung.
        :raises VoiceError: for a refusal by the vendor, of the class that fits; nothing rang.
        """
        request = self.complete(request)
        self.check_request(request)
        return self._create(request)

    def complete(self, request: CallRequest) -> CallRequest:
        """Return the request with E.164 number, agent and tag.

        :param request: the call.
        :return: a copy that is ready to be sent.
        :raises InvalidPhoneNumber, InvalidRequest: when the number or the agent is missing or makes no sense.
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

    def check_request(self, request: CallRequest) -> None:
        """Refuse a request that this vendor cannot carry out, before anything is sent.

        :param request: the completed request.
        :raises InvalidRequest, CapabilityNotSupported: naming the argument to change.
        """
        for name, advice in self.unsupported.items():
            if getattr(request, name):
                raise CapabilityNotSupported(f"{self.title}'s calls have no {name}: {advice}.", vendor=self.name)
        if TAG_KEY in {**request.variables, **request.context}:
            raise InvalidRequest(f"variables and context must not hold {TAG_KEY!r}: the provider keeps its tag there.")

    def find(self, ref: CallRef) -> Call | None:
        """Return one call, or None when the vendor does not show it (yet).

        :param ref: the call; with number, time and agent the request is cheaper.
        :return: the call as the vendor shows it now, with the id of ``ref``.
        :raises VoiceError: for a refusal by the vendor, of the class that fits.
        """
        call = self._find(ref)
        return None if call is None else _with_ref(call, ref)

    def find_many(self, refs: Iterable[CallRef]) -> dict[str, Call]:
        """Return the calls by id, by the cheapest plan the vendor allows; those it does not show are absent.

        A call that moves in the vendor's list while the list is read may be absent once; the next search shows it.

        :param refs: the calls; with number, time and agent the plan is cheaper.
        :return: call id -> call.
        :raises VoiceError: for a refusal by the vendor, of the class that fits.
        """
        wanted: dict[str, CallRef] = {}
        for ref in refs:
            # Two tasks may wait for one call, and one of them may know no more than its id.
            wanted[ref.id] = wanted[ref.id].completed(ref) if ref.id in wanted else ref
        if not wanted:
            return {}
        before = self.http.sent
        found: dict[str, Call] = {}
        for group in self._of_one_age(wanted):
            calls = self._find_in_list(group) if len(group) >= LIST_FROM else self._find_each(group)
            found.update((key, _with_ref(call, group[key])) for key, call in calls.items())
        sent = self.http.sent - before
        log.info("Asked %s for %d call(s): %d found with %d request(s).", self.title, len(wanted), len(found), sent)
        return found

    def _of_one_age(self, wanted: Mapping[str, CallRef]) -> Iterable[dict[str, CallRef]]:
        """Return the calls that are searched for together: those of the same age in months, or of unknown age."""
        groups: dict[int | None, dict[str, CallRef]] = defaultdict(dict)
        today = self.http.now().date()
        for key, ref in wanted.items():
            groups[None if ref.placed_at is None else abs(today - ref.placed_at.date()) // _MONTH][key] = ref
        return groups.values()

    @abstractmethod
    def _find_in_list(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        """Find many calls, either all with a creation time or all without one."""

    def _find_each(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        """Find each call alone; one that the vendor rejects or fails at is absent, so that the others are still found.

        :raises VoiceError: for what is not of single calls: no response, or a server error for all or for many of them.
        """
        found: dict[str, Call] = {}
        failed = 0
        for number, ref in enumerate(wanted.values(), start=1):
            try:
                call = self.find(ref)
            except (RequestRejected, InvalidPhoneNumber, AgentNotUsable, VendorUnavailable) as error:
                failed += isinstance(error, VendorUnavailable)
                is_outage = failed > _MOST_FAILED or failed == number == len(wanted)
                if is_outage or error.status_code is None or error.status_code in _REDIRECTS:
                    raise  # not of this call: the vendor is down, or the address of the connection is wrong
                log.warning("One of %d calls cannot be found: %s", len(wanted), error.message)
                continue
            if call is not None:
                found[ref.id] = call
        return found

    def list_calls(self, query: HistoryQuery) -> Iterator[Call]:
        """Yield the calls of a window, in the vendor's order, each once.

        :param query: the window and the filters.
        :return: an iterator that reads page after page.
        :raises InvalidPhoneNumber: at once, before the first row, when the number makes no sense.
        :raises CapabilityNotSupported: when the vendor's rows do not have the field of a filter.
        :raises IncompleteHistory: when the vendor's list cannot be read completely.
        """
        if query.to is not None:
            query = replace(query, to=parse_number(query.to, self.settings.default_region))
        if query.start >= query.end:
            return iter(())
        return (
            call
            for call in self._history(query)
            if self._is_created_in(call, query)
            and self._has("agent", call.agent_id, query.agent_id)
            and self._has("direction", call.direction, query.direction)
            and (not query.status or call.status in query.status)
            and (query.to is None or same_number(call.to, query.to))
        )

    def candidates(self, start: datetime, end: datetime, *, to: str, tag: str | None) -> Iterator[Call]:
        """Yield every call created in ``[start, end)`` that may have been to a number.

        Unlike :meth:`list_calls` it keeps the calls whose number is missing or written in another form: a search for
        a lost call must not miss it.

        :param start: aware instant, included.
        :param end: aware instant, not included.
        :param to: the number, E.164.
        :param tag: the call's tag or its beginning; None: unknown.
        :return: an iterator that reads page after page.
        :raises IncompleteHistory: when the vendor's list cannot be read completely.
        """
        del tag
        query = HistoryQuery(start, end, to=to)
        rows = self._history(query)
        return (call for call in rows if self._is_created_in(call, query) and may_be_same_number(call.to, to))

    def time_doubt(self, call: Call) -> timedelta:
        """Return how far ``created_at`` of a call may be off, which a search for a lost call allows for.

        :param call: a call of :meth:`candidates`.
        :return: zero where the vendor's row names the time zone, otherwise 14 hours; 38 where it names a day only.
        """
        return time_doubt(first_text(call.raw, *self.created_fields), states_zone=self.states_zone)

    def end_call(self, ref: CallRef) -> None:
        """Hang up a call.

        :param ref: the call.
        :raises CapabilityNotSupported: where the vendor has no such request.
        """
        raise CapabilityNotSupported(
            f"{self.title} has no request that ends a call; call {ref} continues.", vendor=self.name
        )

    def now(self) -> datetime:
        """Return the time by the vendor's clock, by which its records are dated.

        Sends :meth:`check` when no response has shown the clock yet.

        :raises VoiceError: when the vendor does not respond to it.
        """
        if self.http.clock_offset is None:
            try:
                self.check()
            except VoiceError:
                # The response shows the clock even if the token may not do this; the caller's own request decides.
                if self.http.clock_offset is None:
                    raise
        return self.http.now()

    def close(self) -> None:
        """Close the vendor's connections."""
        self.http.close()

    def status_fields(self, vendor_status: str | None) -> dict[str, Any]:
        """Return the fields ``status`` and ``vendor_status`` of a call.

        :param vendor_status: the vendor's status; None: there is none.
        :return: the two fields by name. An unknown status is logged once per process, its numbers masked.
        """
        status = self._statuses.get(fold_status(vendor_status or ""))
        if vendor_status is not None and status is None:
            vendor_status = self.http.scrub(vendor_status, 60)
            _warn_of_unknown_status(self.title, fold_status(vendor_status))
        return {"status": status or CallStatus.UNKNOWN, "vendor_status": vendor_status}

    def _read_window(
        self, query: HistoryQuery, read_page: Callable[[Span, int], Page], smallest: timedelta
    ) -> Iterator[Call]:
        """Yield the calls of a window of a paged list.

        :param read_page: reads one page of the list of a span.
        :param smallest: a span of the vendor's filters that cannot be split.
        """
        listed = PagedList(
            f"{self.title}'s call list",
            read_page,
            split=lambda span: split_span(span, smallest),
            is_in_window=lambda call: self._is_created_in(call, query),
            # A Date header is up to a second behind.
            vendor_time=lambda moment: moment + timedelta(seconds=(self.http.clock_offset or 0.0) + 1.0),
            page_concurrency=query.page_concurrency,
        )
        return listed.calls_in(days_with_margin(query.start, query.end))

    def _is_created_in(self, call: Call, query: HistoryQuery) -> bool:
        if not call.id or call.created_at is None:
            odd = f"call {call.id} without a creation time" if call.id else "a call without an id"
            raise IncompleteHistory(
                f"{self.title} shows {odd}, so the window cannot be read completely. Nothing of it is used.",
                vendor=self.name,
            )
        return query.start <= call.created_at < query.end

    def _send_create(
        self, request: CallRequest, url: str, body: Any, envelope: str, *id_fields: str, **more: Any
    ) -> Call:
        """Send a create and return its call.

        :param envelope: the field of the response that holds the record of the call, unless the response is the record.
        :param id_fields: the fields of the record that may hold the id.
        :param more: further fields of the call.
        """

        def record_in(answer: Any) -> dict[str, Any]:
            return as_object(as_object(answer).get(envelope)) or as_object(answer)

        def call_id_in(answer: Any) -> str | None:
            return first_id(record_in(answer), *id_fields)

        doing = f"the call to {mask_number(request.to)}"
        response = self.http.create(url, doing=doing, body=body, call_id_in=call_id_in)
        record, now = record_in(response.body), response.server_time
        status, moment = first_text(record, "call_status", "status"), read_time(record.get("created_at"))
        return Call(
            id=call_id_in(response.body) or "",
            vendor=self.name,
            **(self.status_fields(status) if status else {"status": CallStatus.QUEUED}),
            to=request.to,
            from_=as_text(record.get("from")),
            direction="outbound",
            agent_id=request.agent_id,
            # A time that is not near the response's is a placeholder or a mistake.
            created_at=moment if moment is not None and abs(moment - now) <= _MAX_CREATE_OFFSET else now,
            raw=record,
            **more,
        )

    def _has(self, name: str, value: str | None, wanted: str | None) -> bool:
        if wanted is None:
            return True
        if value is None:
            raise CapabilityNotSupported(
                f"{self.title}'s call history does not state the {name} of a call, so it cannot be filtered by it. "
                f"Leave {name} out.",
                vendor=self.name,
            )
        return value == wanted

    def _unreadable(self, response: ApiResponse, doing: str, wanted: str) -> VendorUnavailable:
        return VendorUnavailable(
            f"{self.title} answered {doing} without {wanted} (HTTP {response.status}). Try again later; if it stays, "
            "the API has changed.",
            vendor=self.name,
            **response.details,
        )


_REDIRECTS = range(300, 400)
# So many calls of one search may be answered with a server error before it is taken for an outage.
_MOST_FAILED = 5
# The list of all days between two calls may be very long; UnleashX has none of more than three months (call-summary).
_MONTH = timedelta(days=30)
# More than a time that is written in another zone without saying so can be off.
_MAX_CREATE_OFFSET = timedelta(days=1)


def _with_ref(call: Call, ref: CallRef) -> Call:
    """Return a call that was found by a reference, with the facts of its create that the vendor does not show."""
    return replace(
        call,
        id=ref.id,  # UnleashX's list gives the call a number of its own
        to=(ref.to if ref.tag else None) or call.to or ref.to,  # with our tag it is the number that was rung, in E.164
        agent_id=call.agent_id or ref.agent_id,
        created_at=call.created_at or ref.placed_at,
        tag=call.tag or ref.tag,
    )


@lru_cache(maxsize=1000)  # so that each status is logged once
def _warn_of_unknown_status(title: str, status: str) -> None:
    log.warning(
        "%s reports the unknown call status %s; it counts as not ended. If you know its meaning, set status_overrides "
        "on the connection.",
        title,
        shown(status),
    )
