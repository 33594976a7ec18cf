"""Talkover (docs.talkover.ai): bearer token, paged call list, no look-up by id, a request that ends a call."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallNotFound,
    IncompleteHistory,
    InsufficientCredits,
    InvalidPhoneNumber,
    InvalidRequest,
    RequestRejected,
    VoiceError,
)
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, read_time
from airflow_provider_voice.vendors.base import TAG_KEY, Vendor
from airflow_provider_voice.vendors.date_filters import widened_days
from airflow_provider_voice.vendors.pagination import Page, walk
from airflow_provider_voice.vendors.parsing import as_int, as_text, first_of, quoted, rows_of
from airflow_provider_voice.vendors.talkover_listing import ACTIVE_WORDS, PER_PAGE, Listing, without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_voice.vendors.http import Answer

# The default page is 20 rows; a server may give fewer than asked for, but hardly fewer than that.
SMALLEST_PAGE = 20
# Without a creation time a call is looked for in ever older spans of days (first, last day ago), this far back.
_SPANS_BACK = ((0, 1), (2, 7), (8, 31))
# From so many calls on, reading the days' whole list is cheaper than one search a call.
_LIST_FROM = 4

_STATUSES = {
    "initiated": CallStatus.QUEUED,
    "queued": CallStatus.QUEUED,  # of a campaign call
    "scheduled": CallStatus.QUEUED,  # of a campaign call
    "ringing": CallStatus.RINGING,
    "answered": CallStatus.IN_PROGRESS,
    "in_progress": CallStatus.IN_PROGRESS,  # First call and openapi.json only
    "completed": CallStatus.COMPLETED,
    "failed": CallStatus.FAILED,
    "busy": CallStatus.BUSY,
    "no_answer": CallStatus.NO_ANSWER,
    "voicemail": CallStatus.VOICEMAIL,  # a campaign outcome and a webhook event, seen nowhere as a call status
    "canceled": CallStatus.CANCELED,
    "cancelled": CallStatus.CANCELED,
}

_CODES: dict[str, type[VoiceError]] = {
    "INVALID_PHONE_NUMBER": InvalidPhoneNumber,
    "MISSING_PHONE_NUMBER": InvalidPhoneNumber,
    "AGENT_INACTIVE": AgentNotUsable,
    "AGENT_NOT_FOUND": AgentNotUsable,
    "INSUFFICIENT_CREDITS": InsufficientCredits,
    "INVALID_TOKEN": AuthenticationFailed,
    "TOKEN_EXPIRED": AuthenticationFailed,
    "MISSING_TOKEN": AuthenticationFailed,
    "UNAUTHORIZED": AuthenticationFailed,
    "CALL_NOT_FOUND": CallNotFound,
}


class Talkover(Vendor):
    """The Talkover API; facts from docs.talkover.ai (Make call, List calls, End call, List agents)."""

    name = "talkover"
    title = "Talkover"
    default_base_url = "https://app.talkover.ai/api/v1"
    statuses = _STATUSES

    @staticmethod
    def credential_headers(token: str) -> dict[str, str]:
        """Return the bearer header."""
        return {"Authorization": f"Bearer {token}"}

    def check(self) -> str:
        """Ask for one agent, as the docs' authentication guide suggests."""
        doing = "the list of agents"
        answer = self.http.request("GET", f"{self.base_url}/agents", doing=doing, params={"per_page": 1})
        rows, pages = self._page_parts(answer, doing)
        total = as_int(pages.get("total"))
        return f"Talkover accepts the token; it shows {len(rows) if total is None else total} agent(s)."

    def check_request(self, request: CallRequest) -> None:
        """Refuse a context that uses the key of our own tag."""
        if TAG_KEY in request.context:
            raise InvalidRequest(f"context must not hold {TAG_KEY!r}: the provider's own tag is kept there.")

    def _create(self, request: CallRequest, doing: str) -> Call:
        body: dict[str, Any] = {"to": request.to, "context": {**request.context, TAG_KEY: request.tag}}
        if request.variables:
            body["payload"] = request.variables
        if request.delay_seconds:
            body["delay_seconds"] = request.delay_seconds
        if request.is_testing:
            body["is_testing"] = True
        answer = self.http.create(f"{self.base_url}/agents/{quoted(request.agent_id)}/call", doing=doing, body=body)
        # Three shapes are documented: {data: {id}}, a flat {call_id} and a bare call with its id.
        record = answer.body if isinstance(answer.body, dict) else {}
        if isinstance(record.get("data"), dict):
            record = record["data"]
        call_id = as_text(record.get("id")) or as_text(record.get("call_id"))
        if not call_id:
            raise self._without_id(answer, doing)
        word = as_text(record.get("status"))
        return Call(
            id=call_id,
            vendor=self.name,
            status=self.read_status(word) if word else CallStatus.QUEUED,
            vendor_status=word,
            to=request.to,
            direction="outbound",
            agent_id=request.agent_id,
            is_testing=request.is_testing,
            created_at=read_time(record.get("created_at")) or answer.server_time,
            tag=request.tag,
            raw=record,
        )

    def find(self, ref: CallRef) -> Call | None:
        """Find one call in the list: there is no request for a call by its id.

        With its number a search; without it, the lists of its days (or of the last month, nearest days first).
        """
        for first, last in self._days_of(ref):
            for call in self._search_each({ref.id: ref}, first, last).values():
                return self._with_ref(call, ref)
        return None

    def _find_many(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        """Find calls by the plan that costs the fewest requests.

        1. Fewer than four whose numbers are known: one search each.
        2. Otherwise the list of their days, as narrow as they have in common, until every one was seen.
        3. Where that list is long against what is wanted of it (other people's calls of the day): the lists of the
           active statuses, when few of ours have ended, and what is in none of them by 1 or 2.
        """
        found: dict[str, Call] = {}
        dated = {key: ref for key, ref in wanted.items() if ref.placed_at is not None}
        undated = {key: ref for key, ref in wanted.items() if ref.placed_at is None}
        for first, last in _joined_days([days for ref in dated.values() for days in self._days_of(ref)]):
            found.update(self._find_in_days(without(wanted, found), first, last))
        if without(undated, found):
            for first, last in self._days_of(CallRef("any")):
                found.update(self._find_in_days(without(undated, found), first, last))
        return {key: self._with_ref(call, wanted[key]) for key, call in found.items()}

    def _find_in_days(self, wanted: dict[str, CallRef], first: date, last: date) -> dict[str, Call]:
        if len(wanted) < _LIST_FROM:
            return self._search_each(wanted, first, last)
        listing = Listing(self, wanted, first, last)
        if listing.is_long and listing.active_ones_are_cheaper():
            for word in ACTIVE_WORDS:
                listing.read(word)
            if listing.searches_left < listing.pages:
                return {**listing.found, **self._search_each(listing.missing, first, last)}
        listing.read()
        if not listing.is_whole and listing.searches_left <= max(_LIST_FROM, listing.pages):
            return {**listing.found, **self._search_each(listing.missing, first, last)}
        return listing.found

    def _search_each(self, wanted: dict[str, CallRef], first: date, last: date) -> dict[str, Call]:
        found = {}
        for ref in wanted.values():
            calls = self.listed(first, last, agent_id=ref.agent_id, search=ref.to, doing=f"call {ref.id}")
            with suppress(IncompleteHistory):  # then it was not seen this time
                found.update(next(({ref.id: call} for call in calls if call.id == ref.id), {}))
        return found

    def end_call(self, ref: CallRef) -> None:
        """Hang up an active call; the vendor does so a moment later.

        :raises CallNotFound: when the vendor does not know the call.
        :raises RequestRejected: when the call is not active (``CALL_NOT_ACTIVE``): not yet, or no longer.
        """
        agent_id = ref.agent_id or getattr(self.find(ref), "agent_id", None) or self.settings.default_agent_id
        if not agent_id:
            text = f"Talkover does not show call {ref.id}, and its agent is needed to end it."
            raise CallNotFound(text, vendor=self.name)
        # The field is called call_sid but takes the id of make-call (End call); ending one call twice is harmless.
        self.http.request(
            "POST",
            f"{self.base_url}/agents/{quoted(agent_id)}/end-call",
            doing=f"the end of call {ref.id}",
            body={"call_sid": ref.id},
            accept=lambda answer: answer.ok and answer.unreadable is not None,
        )

    def _history(
        self, start: datetime, end: datetime, agent_id: str | None, direction: str | None, to: str | None
    ) -> Iterator[Call]:
        first, last = widened_days(start, end)
        return self.listed(
            first, last, agent_id=agent_id, direction=direction, search=to, doing="the call history", for_lookup=False
        )

    def listed(
        self,
        first: date,
        last: date,
        *,
        doing: str,
        agent_id: str | None = None,
        direction: str | None = None,
        search: str | None = None,
        status: str | None = None,
        for_lookup: bool = True,
        first_page: Page | None = None,
    ) -> Iterator[Call]:
        """Yield the calls of the call list, each once; see :func:`walk` for ``for_lookup``.

        :param first_page: the first page, where it was read already.
        """
        read_page = self.page_reader(
            {"agent_id": agent_id, "direction": direction, "search": search, "status": status}, first, last, doing
        )
        pages = [] if first_page is None else [first_page]
        return walk(
            lambda number: pages.pop() if number == 1 and pages else read_page(number),
            page_size=PER_PAGE,
            smallest_page_size=SMALLEST_PAGE,
            at_once=self.page_concurrency,
            what="Talkover's call list",
            for_lookup=for_lookup,
            began=None if for_lookup else self.from_now(),
        )

    def page_reader(
        self, filters: Mapping[str, str | None], first: date, last: date, doing: str
    ) -> Callable[[int], Page]:
        """Return what reads one page of the call list by its number."""
        params = {
            **filters,
            "date_from": first.isoformat(),
            "date_to": last.isoformat(),
            "per_page": PER_PAGE,
        }

        def read_page(number: int) -> Page:
            answer = self.http.request("GET", f"{self.base_url}/calls", doing=doing, params={**params, "page": number})
            self.pages_read += 1
            rows, pages = self._page_parts(answer, doing)
            calls = list(map(self.call_of, rows))
            page = Page(calls, total=as_int(pages.get("total")), last_page=as_int(pages.get("last_page")))
            self.pages_in_list = page.last_page
            return page

        return read_page

    def _page_parts(self, answer: Answer, doing: str) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
        body = answer.body if isinstance(answer.body, dict) else {}
        rows = rows_of(body.get("data"))
        if rows is None:
            raise self._unreadable(answer, doing, "a list of rows under 'data'")
        # Calls and campaigns have `pagination`, agents and openapi.json `meta`.
        pages = first_of(body, "pagination", "meta")
        return rows, pages if isinstance(pages, dict) else {}

    def call_of(self, row: Mapping[str, Any]) -> Call:
        """Return a row of the call list in our words."""
        get = row.get  # an export comes by here for every row
        agent = get("agent")
        agent = agent if isinstance(agent, dict) else {}
        context = get("context")
        is_testing = get("is_testing")
        word = as_text(get("status"))
        return Call.of_row(
            {
                "id": self._row_id(row, "id"),
                "vendor": self.name,
                "status": self.read_status(word),
                "vendor_status": word,
                "to": as_text(get("to")),
                "from_": as_text(get("from")),
                "direction": as_text(get("direction")),
                "agent_id": as_text(agent.get("id")) or as_text(get("agent_id")),
                "agent_name": as_text(agent.get("label")) or as_text(agent.get("name")),
                "duration_seconds": as_int(get("duration")),
                "is_testing": is_testing if isinstance(is_testing, bool) else None,
                "created_at": read_time(get("created_at")),
                "updated_at": read_time(get("updated_at")),
                "ended_at": read_time(get("ended_at")),
                "tag": as_text(context.get(TAG_KEY)) if isinstance(context, dict) else None,
                "raw": row,
            }
        )

    def _explain_code(self, code: str, text: str, answer: Answer) -> type[VoiceError] | None:
        if code in _CODES:
            return _CODES[code]
        if answer.status == 404 and "call" in text:  # noqa: PLR2004 - "Call not found for this agent"
            return CallNotFound
        if "unauthenticated" in text or "bearer token" in text:
            return AuthenticationFailed
        return AgentNotUsable if answer.status == 404 and "agent" in text else RequestRejected  # noqa: PLR2004 - HTTP's

    @staticmethod
    def _with_ref(call: Call, ref: CallRef) -> Call:
        # List rows carry no context, so the tag is known from the create alone.
        return call if call.tag or not ref.tag else Call(**{**vars(call), "tag": ref.tag})

    @staticmethod
    def _days_of(ref: CallRef) -> list[tuple[date, date]]:
        if ref.placed_at is not None:
            return [widened_days(ref.placed_at, ref.placed_at + timedelta(microseconds=1))]
        today = datetime.now(timezone.utc).date()
        days = [(today - timedelta(days=last), today - timedelta(days=first)) for first, last in _SPANS_BACK]
        return [(days[0][0], today + timedelta(days=1)), *days[1:]]


def _joined_days(spans: list[tuple[date, date]]) -> list[tuple[date, date]]:
    """Join overlapping and adjoining spans of days."""
    joined: list[tuple[date, date]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + timedelta(days=1):
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined
