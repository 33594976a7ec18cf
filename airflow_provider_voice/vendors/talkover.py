"""Talkover (docs.talkover.ai): bearer token, paged call list, no request for one call, a request that ends a call."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    CallNotFound,
    InvalidPhoneNumber,
    InvalidRequest,
    VoiceError,
)
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, read_time
from airflow_provider_voice.vendors.base import TAG_KEY, HistoryQuery, Vendor, describe
from airflow_provider_voice.vendors.date_filters import Span, spans_of
from airflow_provider_voice.vendors.pagination import PAGE_SIZE, Page
from airflow_provider_voice.vendors.parsing import as_int, as_object, as_rows, as_text, first_text, path_segment
from airflow_provider_voice.vendors.talkover_lookup import find_in_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_voice.vendors.http import ApiResponse

# A call without a creation time is searched for in older and older spans: days back, from and to.
_DAYS_BACK = ((1, 0), (7, 2), (31, 8))

_STATUSES = {
    "initiated": CallStatus.QUEUED,  # Talkover docs: list-calls, as all without a remark
    "queued": CallStatus.QUEUED,  # Talkover docs: make-campaign-call
    "scheduled": CallStatus.QUEUED,  # Talkover docs: make-campaign-call
    "ringing": CallStatus.RINGING,
    "answered": CallStatus.IN_PROGRESS,
    "in_progress": CallStatus.IN_PROGRESS,  # Talkover docs: first-call, and openapi.json
    "completed": CallStatus.COMPLETED,
    "failed": CallStatus.FAILED,
    "busy": CallStatus.BUSY,
    "no_answer": CallStatus.NO_ANSWER,
    "voicemail": CallStatus.VOICEMAIL,  # Talkover docs: create-campaign (an outcome); no page has it as a call status
}

_ERRORS: dict[str, type[VoiceError]] = {
    "invalid_phone_number": InvalidPhoneNumber,  # Talkover docs: make-call
    "missing_phone_number": InvalidPhoneNumber,
    "agent_inactive": AgentNotUsable,
    "agent_not_found": AgentNotUsable,
    "call not found": CallNotFound,  # Talkover docs: end-call
}


class Talkover(Vendor):
    """The Talkover API (Talkover docs: make-call, list-calls, end-call, list-agents); example: see :class:`Vendor`."""

    name = "talkover"
    title = "Talkover"
    default_base_url = "https://app.talkover.ai/api/v1"
    statuses = _STATUSES
    error_marks = _ERRORS

    @staticmethod
    def credential_headers(token: str) -> dict[str, str]:
        """Return the bearer header.

        :param token: the credential.
        :return: header name -> value.
        """
        return {"Authorization": f"Bearer {token}"}

    def check(self) -> str:
        """Ask for one agent (Talkover docs: getting-started/authentication).

        :return: a sentence for people.
        :raises VoiceError: for a refusal by the vendor, of the class that fits.
        """
        doing = "the list of agents"
        response = self.http.request("GET", f"{self.base_url}/agents", doing=doing, params={"per_page": 1})
        rows, paging = self._page_parts(response, doing)
        total = as_int(paging.get("total"))
        return f"Talkover accepts the token; it shows {len(rows) if total is None else total} agent(s)."

    def check_request(self, request: CallRequest) -> None:
        """Refuse a context that uses the key of our own tag, and an agent id that cannot be part of a path.

        :param request: the completed request.
        :raises InvalidRequest: naming the argument to change.
        """
        path_segment(request.agent_id)
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
        url = f"{self.base_url}/agents/{path_segment(request.agent_id)}/call"
        more = {"is_testing": request.is_testing, "tag": request.tag}
        return self._send_create(request, doing, url, body, "data", "id", "call_id", **more)

    def find(self, ref: CallRef) -> Call | None:
        """Find one call in the list: there is no request for a call by its id.

        By a search for its number; without a number, in the lists of its days (or of the last month, newest first).

        :param ref: the call.
        :return: the call; None when the vendor does not show it.
        :raises VoiceError: for a refusal by the vendor, of the class that fits.
        """
        for days in spans_of([ref], _DAYS_BACK):
            call = self._search(ref, days)
            if call is not None:
                return _with_ref(call, ref)
        return None

    def _find_in_list(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        found: dict[str, Call] = {}
        for days in spans_of(wanted.values(), _DAYS_BACK):
            missing = {key: ref for key, ref in wanted.items() if key not in found}
            if missing:
                found.update(self._find_in_days(missing, days))
        return {key: _with_ref(call, wanted[key]) for key, call in found.items()}

    def _find_in_days(self, wanted: Mapping[str, CallRef], days: Span) -> dict[str, Call]:
        agents = {ref.agent_id for ref in wanted.values()}
        filters = {
            "agent_id": agents.pop() if len(agents) == 1 else None,
            # Our tag is on calls we placed, and those are outbound.
            "direction": "outbound" if all(ref.tag for ref in wanted.values()) else None,
        }

        def read_page(status: str | None, number: int) -> Page:
            return self._page_reader(days, f"{len(wanted)} calls", strict=False, status=status, **filters)(number)

        return find_in_lists(wanted, read_page, lambda ref: self._search(ref, days), self._sleep)

    def _search(self, ref: CallRef, days: Span) -> Call | None:
        read_page = self._page_reader(days, describe(ref), strict=False, agent_id=ref.agent_id, search=ref.to)
        calls = self._search_pages(read_page, passes=2)
        return next((call for call in calls if call.id == ref.id), None)

    def end_call(self, ref: CallRef) -> None:
        """Hang up an active call; the vendor does so a moment later.

        :param ref: the call.
        :raises CallNotFound: when the vendor has no such call.
        :raises RequestRejected: when the call is not active (``CALL_NOT_ACTIVE``): not yet, or no longer.
        """
        agent_id = ref.agent_id or getattr(self.find(ref), "agent_id", None) or self.settings.default_agent_id
        if not agent_id:
            text = f"Talkover does not show {describe(ref)}, and its agent is needed to end it."
            raise CallNotFound(text, vendor=self.name)
        # The field is called call_sid but takes the id of make-call (Talkover docs: end-call); ending a call twice is
        # harmless, so this may be repeated.
        self.http.request(
            "POST",
            f"{self.base_url}/agents/{path_segment(agent_id)}/end-call",
            doing=f"the end of {describe(ref)}",
            body={"call_sid": ref.id},
            accept=lambda response: response.ok and response.unreadable is not None,
        )

    def _history(self, query: HistoryQuery) -> Iterator[Call]:
        filters = {"agent_id": query.agent_id, "direction": query.direction, "search": query.to}
        return self._read_window(
            query, lambda days: self._page_reader(days, "the call history", strict=True, **filters), timedelta(days=1)
        )

    def _page_reader(self, days: Span, doing: str, *, strict: bool, **filters: str | None) -> Callable[[int], Page]:
        """Return a callable that reads one page of the call list; ``strict``: a row without an id is an error."""
        first, last = (moment.date().isoformat() for moment in days)
        params = {**filters, "date_from": first, "date_to": last, "per_page": PAGE_SIZE}

        def read_page(number: int) -> Page:
            response = self.http.request(
                "GET", f"{self.base_url}/calls", doing=doing, params={**params, "page": number}
            )
            rows, paging = self._page_parts(response, doing)
            calls = [self._call(row) for row in rows if strict or as_text(row.get("id"))]
            return Page(calls, *(as_int(paging.get(name)) for name in ("total", "last_page", "per_page")))

        return read_page

    def _page_parts(self, response: ApiResponse, doing: str) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
        body = as_object(response.body)
        rows = as_rows(body.get("data"))
        if rows is None:
            raise self._unreadable(response, doing, "a list of rows under 'data'")
        # Calls have `pagination` (Talkover docs: list-calls), agents and openapi.json `meta` (list-agents).
        return rows, as_object(body.get("pagination") or body.get("meta"))

    def _call(self, row: Mapping[str, Any]) -> Call:
        agent, context = as_object(row.get("agent")), as_object(row.get("context"))
        is_testing = row.get("is_testing")
        return Call(
            id=self._row_id(row, "id"),
            vendor=self.name,
            **self.status_fields(as_text(row.get("status"))),
            to=as_text(row.get("to")),
            from_=as_text(row.get("from")),
            direction=as_text(row.get("direction")),
            agent_id=as_text(agent.get("id")) or as_text(row.get("agent_id")),
            agent_name=first_text(agent, "label", "name"),
            duration_seconds=as_int(row.get("duration")),
            is_testing=is_testing if isinstance(is_testing, bool) else None,
            created_at=read_time(row.get("created_at")),
            updated_at=read_time(row.get("updated_at")),
            ended_at=read_time(row.get("ended_at")),  # openapi.json only
            tag=as_text(context.get(TAG_KEY)),
            raw=row,
            read_at=time.monotonic(),
        )


def _with_ref(call: Call, ref: CallRef) -> Call:
    # List rows carry no context, so the tag is known from the create alone.
    return call if call.tag or not ref.tag else replace(call, tag=ref.tag)
