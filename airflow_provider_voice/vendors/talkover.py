"""Talkover (docs.talkover.ai): bearer token, paged call list, no request for one call, a request that ends a call."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.exceptions import AgentNotUsable, CallNotFound, InvalidPhoneNumber, RequestRejected
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, read_time
from airflow_provider_voice.vendors.base import TAG_KEY, HistoryQuery, Vendor
from airflow_provider_voice.vendors.date_filters import Span, span_of
from airflow_provider_voice.vendors.pagination import PAGE_SIZE, Page, search_pages
from airflow_provider_voice.vendors.parsing import as_int, as_object, as_rows, first_id, first_text, path_segment
from airflow_provider_voice.vendors.talkover_lookup import find_in_lists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Talkover(Vendor):
    """The Talkover API (Talkover docs: make-call, list-calls, end-call, list-agents); example: see :class:`Vendor`."""

    name = "talkover"
    title = "Talkover"
    default_base_url = "https://app.talkover.ai/api/v1"
    # Talkover docs: list-calls, with ringing, completed, failed, busy and no-answer, which are ours as well.
    statuses: ClassVar = {
        "initiated": CallStatus.QUEUED,
        "scheduled": CallStatus.QUEUED,  # Talkover docs: make-campaign-call, with queued
        "answered": CallStatus.IN_PROGRESS,  # first-call and openapi.json have in-progress
    }
    error_marks: ClassVar = {
        "invalid_phone_number": InvalidPhoneNumber,  # Talkover docs: make-call
        "missing_phone_number": InvalidPhoneNumber,
        "agent_inactive": AgentNotUsable,
        "agent_not_found": AgentNotUsable,
        "call not found": CallNotFound,  # Talkover docs: end-call
    }
    credential_header = ("Authorization", "Bearer {}")
    # Talkover docs: getting-started/authentication. ``/health`` does not look at the token.
    token_check = ("GET", "/agents", {"params": {"per_page": 1}})

    def check_request(self, request: CallRequest) -> None:
        """Refuse also an agent id that cannot be part of a path, so that a campaign finds out before its first call.

        :param request: the completed request.
        :raises InvalidRequest: naming the argument to change.
        """
        super().check_request(request)
        path_segment(request.agent_id)

    def _create(self, request: CallRequest) -> Call:
        fields = {
            "to": request.to,
            "payload": request.variables,
            "context": {**request.context, TAG_KEY: request.tag},
            "delay_seconds": request.delay_seconds,
            "is_testing": request.is_testing,
        }
        body = {name: value for name, value in fields.items() if value}
        url = f"{self.base_url}/agents/{path_segment(request.agent_id)}/call"
        more = {"is_testing": request.is_testing, "tag": request.tag}
        return self._send_create(request, url, body, "data", "id", "call_id", **more)

    def _find(self, ref: CallRef) -> Call | None:
        """Find one call in the list, by a search for its number: there is no request for a call by its id."""
        filters = {"agent_id": ref.agent_id, "search": ref.to}
        calls = search_pages(partial(self._read_page, f"call {ref}", filters, span_of([ref])))
        return next((call for call in calls if call.id == ref.id), None)

    def _find_in_list(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        days = span_of(wanted.values())
        agents = {ref.agent_id for ref in wanted.values()}
        filters = {
            "agent_id": agents.pop() if len(agents) == 1 else None,
            # Our tag is on calls we placed, and those are outbound.
            "direction": "outbound" if all(ref.tag for ref in wanted.values()) else None,
        }

        def read_page(status: str | None, number: int) -> Page:
            return self._read_page(f"{len(wanted)} calls", {**filters, "status": status}, days, number)

        return find_in_lists(wanted, read_page, self._find_each)

    def end_call(self, ref: CallRef) -> None:
        """Hang up an active call; the vendor does so a moment later.

        :param ref: the call.
        :raises CallNotFound: when the vendor has no such call.
        :raises RequestRejected: when the call is not active (``CALL_NOT_ACTIVE``): not yet, or no longer.
        """
        agent_id = ref.agent_id or getattr(self.find(ref), "agent_id", None) or self.settings.default_agent_id
        if not agent_id:
            text = f"Talkover does not show call {ref}, and its agent is needed to end it."
            raise CallNotFound(text, vendor=self.name)
        before = self.http.sent
        # The field is called call_sid but takes the id of make-call (Talkover docs: end-call); ending a call twice is
        # harmless, so this may be repeated.
        try:
            self.http.request(
                "POST",
                f"{self.base_url}/agents/{path_segment(agent_id)}/end-call",
                doing=f"the end of call {ref}",
                body={"call_sid": ref.id},
                accept=lambda response: response.ok and response.unreadable is not None,
            )
        except (CallNotFound, RequestRejected):
            if self.http.sent == before + 1:
                raise
            # Otherwise an earlier request, whose response was lost, may have ended it.

    def _history(self, query: HistoryQuery) -> Iterator[Call]:
        filters = {"agent_id": query.agent_id, "direction": query.direction, "search": query.to}
        return self._read_window(query, partial(self._read_page, "the call history", filters), timedelta(days=1))

    def _read_page(self, doing: str, filters: Mapping[str, str | None], span: Span, number: int) -> Page:
        first, last = (moment.date().isoformat() for moment in span)
        params = {**filters, "date_from": first, "date_to": last, "per_page": PAGE_SIZE, "page": number}
        response = self.http.request("GET", f"{self.base_url}/calls", doing=doing, params=params)
        body = as_object(response.body)
        rows = as_rows(body.get("data"))
        if rows is None:
            raise self._unreadable(response, doing, "a list of rows under 'data'")
        paging = as_object(body.get("pagination") or body.get("meta"))  # Talkover docs: list-calls, and openapi.json
        read_row = partial(self._call, read_at=time.monotonic())
        return Page(rows, read_row, as_int(paging.get("total")), as_int(paging.get("last_page")))

    def _call(self, row: Mapping[str, Any], read_at: float) -> Call:
        agent = as_object(row.get("agent"))
        is_testing = row.get("is_testing")
        return Call(
            id=first_id(row, "id") or "",
            vendor=self.name,
            **self.status_fields(first_text(row, "status")),
            to=first_text(row, "to"),
            from_=first_text(row, "from"),
            direction=first_text(row, "direction"),
            agent_id=first_text(agent, "id") or first_text(row, "agent_id"),
            agent_name=first_text(agent, "label", "name"),
            duration_seconds=as_int(row.get("duration")),
            is_testing=is_testing if isinstance(is_testing, bool) else None,
            created_at=read_time(first_text(row, *self.created_fields)),
            updated_at=read_time(row.get("updated_at")),
            ended_at=read_time(row.get("ended_at")),  # openapi.json only
            raw=row,
            read_at=read_at,
        )
