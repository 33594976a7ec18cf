"""Talkover (docs.talkover.ai): bearer token, paged call list, no request for one call, a request that ends a call."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.exceptions import AgentNotUsable, CallNotFound, InvalidPhoneNumber
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, read_time
from airflow_provider_voice.vendors.base import TAG_KEY, HistoryQuery, Vendor
from airflow_provider_voice.vendors.date_filters import Span, span_of
from airflow_provider_voice.vendors.pagination import PAGE_SIZE, Page, search_pages
from airflow_provider_voice.vendors.parsing import as_int, as_object, as_rows, as_text, first_text, path_segment
from airflow_provider_voice.vendors.talkover_lookup import find_in_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_voice.vendors.http import ApiResponse


class Talkover(Vendor):
    """The Talkover API (Talkover docs: make-call, list-calls, end-call, list-agents); example: see :class:`Vendor`."""

    name = "talkover"
    title = "Talkover"
    default_base_url = "https://app.talkover.ai/api/v1"
    statuses: ClassVar = {
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
        "voicemail": CallStatus.VOICEMAIL,  # Talkover docs: create-campaign, as an outcome; on no page as a call status
    }
    error_marks: ClassVar = {
        "invalid_phone_number": InvalidPhoneNumber,  # Talkover docs: make-call
        "missing_phone_number": InvalidPhoneNumber,
        "agent_inactive": AgentNotUsable,
        "agent_not_found": AgentNotUsable,
        "call not found": CallNotFound,  # Talkover docs: end-call
    }
    credential_header = ("Authorization", "Bearer {}")

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
        """Refuse also an agent id that cannot be part of a path, so that a campaign finds out before its first call.

        :param request: the completed request.
        :raises InvalidRequest: naming the argument to change.
        """
        super().check_request(request)
        path_segment(request.agent_id)

    def _create(self, request: CallRequest) -> Call:
        optional = {
            "payload": request.variables,
            "delay_seconds": request.delay_seconds,
            "is_testing": request.is_testing,
        }
        body = {
            "to": request.to,
            "context": {**request.context, TAG_KEY: request.tag},
            **{name: value for name, value in optional.items() if value},
        }
        url = f"{self.base_url}/agents/{path_segment(request.agent_id)}/call"
        more = {"is_testing": request.is_testing, "tag": request.tag}
        return self._send_create(request, url, body, "data", "id", "call_id", **more)

    def _find(self, ref: CallRef) -> Call | None:
        """Find one call in the list, by a search for its number: there is no request for a call by its id."""
        reader = self._page_reader(span_of([ref]), f"call {ref}", strict=False, agent_id=ref.agent_id, search=ref.to)
        return next((call for call in search_pages(reader) if call.id == ref.id), None)

    def _find_in_list(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        days = span_of(wanted.values())
        agents = {ref.agent_id for ref in wanted.values()}
        filters = {
            "agent_id": agents.pop() if len(agents) == 1 else None,
            # Our tag is on calls we placed, and those are outbound.
            "direction": "outbound" if all(ref.tag for ref in wanted.values()) else None,
        }

        def read_page(status: str | None, number: int) -> Page:
            return self._page_reader(days, f"{len(wanted)} calls", strict=False, status=status, **filters)(number)

        return find_in_lists(wanted, read_page, self._find)

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
        # The field is called call_sid but takes the id of make-call (Talkover docs: end-call); ending a call twice is
        # harmless, so this may be repeated.
        self.http.request(
            "POST",
            f"{self.base_url}/agents/{path_segment(agent_id)}/end-call",
            doing=f"the end of call {ref}",
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
                "GET",
                f"{self.base_url}/calls",
                doing=doing,
                params={**params, "page": number},
                accept=lambda one: one.is_not_found and number > 1,
            )
            # There is no such page: it ends a list of which no page was short.
            rows, paging = ([], {}) if response.is_not_found else self._page_parts(response, doing)
            identified = rows if strict else [row for row in rows if as_text(row.get("id"))]
            read_row = partial(self._call, read_at=time.monotonic())
            return Page(identified, read_row, *(as_int(paging.get(name)) for name in ("total", "last_page")))

        return read_page

    def _page_parts(self, response: ApiResponse, doing: str) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
        body = as_object(response.body)
        rows = as_rows(body.get("data"))
        if rows is None:
            raise self._unreadable(response, doing, "a list of rows under 'data'")
        # Calls have `pagination` (Talkover docs: list-calls), agents and openapi.json `meta` (list-agents).
        return rows, as_object(body.get("pagination") or body.get("meta"))

    def _call(self, row: Mapping[str, Any], read_at: float) -> Call:
        agent = as_object(row.get("agent"))
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
            raw=row,
            read_at=read_at,
        )
