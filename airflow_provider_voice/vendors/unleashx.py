"""UnleashX (docs.unleashx.ai): ``token`` header, integer agents, a create whose id no other request takes.

Its create answers with an ``execution_id``, its lists with an integer ``ID``; our tag joins them: it is sent in
``metadata`` and searched for with the ``input_data`` filter.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.exceptions import AgentNotUsable, AuthenticationFailed, InvalidPhoneNumber, InvalidRequest
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, read_time
from airflow_provider_voice.phone import shown
from airflow_provider_voice.vendors.base import TAG_KEY, HistoryQuery, Vendor
from airflow_provider_voice.vendors.date_filters import Span, days_with_margin, span_of
from airflow_provider_voice.vendors.pagination import PAGE_SIZE, Page, search_pages
from airflow_provider_voice.vendors.parsing import as_float, as_int, as_object, as_rows, as_text, first_id, first_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_voice.vendors.http import ApiResponse


# "Keep to 3 months" (UnleashX docs: call-summary): longer windows are asked for in pieces.
MAX_WINDOW = timedelta(days=80)
# Windows that never stand still are split down to this.
MIN_WINDOW = timedelta(minutes=1)


class UnleashX(Vendor):
    """The UnleashX API (UnleashX docs: make-call, call-summary, authentication); example: see :class:`Vendor`."""

    name = "unleashx"
    title = "UnleashX"
    default_base_url = "https://www.tryunleashx.com/api/v1/global"
    # Beside the words that are ours as well; no page lists the statuses.
    statuses: ClassVar = {
        # UnleashX docs: make-call, and the withdrawn page call-summary
        "initiated": CallStatus.QUEUED,
        # "answered" is mid-call on the withdrawn page and an outcome in the dashboard: not ended is the safe reading,
        # status_overrides on the connection is the other one.
        "answered": CallStatus.IN_PROGRESS,
        "running": CallStatus.IN_PROGRESS,  # UnleashX docs: call-logs (call-history)
        "cancelled": CallStatus.CANCELED,
        "rejected": CallStatus.FAILED,
        "timeout": CallStatus.FAILED,
        # UnleashX docs: campaign-audience-stats, counted there as success
        "answer": CallStatus.COMPLETED,
        "agent_ended": CallStatus.COMPLETED,
        "user_ended": CallStatus.COMPLETED,
        "unanswered": CallStatus.NO_ANSWER,  # UnleashX docs: faqs/voice-agents and faqs/campaigns (the dashboard)
    }
    # UnleashX docs: make-call. The sentences may come with HTTP 200, too; a 422 names the field.
    error_marks: ClassVar = {
        **dict.fromkeys(("invalid auth key or session expired", "auth key", "session expired"), AuthenticationFailed),
        **dict.fromkeys(
            ("agent not found or not active", "agent id is required", "agent not found", "agent id", "agent_id"),
            AgentNotUsable,
        ),
        **dict.fromkeys(("phone number is required", "phone_number"), InvalidPhoneNumber),
    }
    credential_header = ("token", "{}")
    token_check = ("POST", "/verify", {"body": {}})  # UnleashX docs: authentication
    unsupported: ClassVar = {"delay_seconds": "schedule the task instead", "is_testing": "it would ring for real"}
    created_fields = ("CREATED_AT",)
    states_zone = False  # no page names it
    keeps_tags = True

    def check_request(self, request: CallRequest) -> None:
        """Refuse also an agent id that is not an integer, and keys that variables and context share.

        :param request: the completed request.
        :raises InvalidRequest, CapabilityNotSupported: naming the argument to change.
        """
        super().check_request(request)
        _agent_number(request.agent_id)
        both = sorted(request.variables.keys() & request.context.keys())
        if both:
            names = shown(", ".join(both))
            raise InvalidRequest(f"variables and context share the key(s) {names}; UnleashX keeps both in one place.")

    def _create(self, request: CallRequest) -> Call:
        body = {
            "agent_id": _agent_number(request.agent_id),
            "phone_number": request.to,
            "metadata": {**request.context, **request.variables, TAG_KEY: request.tag},
        }
        return self._send_create(request, f"{self.base_url}/agents/call", body, "data", "execution_id", tag=request.tag)

    def _find(self, ref: CallRef) -> Call | None:
        """Find one call by our tag, or by its id fields.

        The filter by tag is *inferred* from the docs. Where it finds nothing, the rows of the call's days are compared
        one by one, so that a vendor that does not filter by metadata only costs pages.
        """
        search = partial(self._search, span_of([ref]), f"call {ref}", ref.agent_id)
        by_tag = search(input_data=ref.tag) if ref.tag else ()
        calls = chain(by_tag, search(calling_number=_digits(ref.to)))
        return next((call for call in calls if _is_call(call, ref)), None)

    def _find_in_list(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        """Read the list of the calls' days until every one was seen."""
        found: dict[str, Call] = {}
        agents = {ref.agent_id for ref in wanted.values()}
        agent_id = agents.pop() if len(agents) == 1 else None
        by_key: dict[str | None, CallRef] = {key: ref for ref in wanted.values() for key in (ref.id, ref.tag) if key}
        for call in self._search(span_of(wanted.values()), f"{len(wanted)} calls", agent_id):
            for key in (call.tag, call.id, *_ids_of_create(call.raw)):
                if key in by_key and _is_call(call, by_key[key]):
                    found.setdefault(by_key[key].id, call)
            if len(found) == len(wanted):
                break
        return found

    def _search(self, span: Span, doing: str, agent_id: str | None = None, **filters: str | None) -> Iterator[Call]:
        agent_id = agent_id if (agent_id or "").isdecimal() else None
        return search_pages(partial(self._read_page, doing, {"agent_id": agent_id, **filters}, span))

    def _history(self, query: HistoryQuery) -> Iterator[Call]:
        if query.agent_id is not None:
            _agent_number(query.agent_id)
        filters = {"agent_id": query.agent_id, "calling_number": _digits(query.to)}  # there is none for the direction
        while query.start < query.end:
            # Each piece is cut exactly, so that a call near a cut does not come twice.
            piece = replace(query, end=min(query.end, query.start + MAX_WINDOW))
            yield from self._read_window(piece, partial(self._read_page, "the call history", filters), MIN_WINDOW)
            query = replace(query, start=piece.end)

    def candidates(self, start: datetime, end: datetime, *, to: str, tag: str | None) -> Iterator[Call]:
        """Yield the calls with our tag first, whatever number their rows state, then those to the number.

        :param start: aware instant, included.
        :param end: aware instant, not included.
        :param to: the number, E.164.
        :param tag: the call's tag or its beginning; None: unknown.
        :return: an iterator that reads page after page.
        :raises IncompleteHistory: when the list of the number's calls cannot be read completely.
        """
        seen: set[str] = set()
        for call in self._search(days_with_margin(start, end), "our tag", input_data=tag) if tag else ():
            is_in_window = call.created_at is None or start <= call.created_at < end
            if tag and (call.tag or "").startswith(tag) and is_in_window and call.id:
                seen.add(call.id)
                yield call
        for call in super().candidates(start, end, to=to, tag=tag):
            if call.id not in seen:
                yield call

    def _read_page(self, doing: str, filters: Mapping[str, str | None], span: Span, number: int) -> Page:
        # Days, or times where the span is less than a day (UnleashX docs: call-summary). Both bounds are always sent:
        # without them the list is of the last month only.
        form = "%Y-%m-%d" if span[1] - span[0] >= timedelta(days=1) else "%Y-%m-%dT%H:%M:%S"
        bounds = {"fromdate": span[0].strftime(form), "todate": span[1].strftime(form)}
        response = self.http.request(
            "GET",
            f"{self.base_url}/agents/executions/list",
            doing=doing,
            params={**filters, **bounds, "limit": PAGE_SIZE, "page": number},
            accept=_is_empty_history,
        )
        body = as_object(response.body)
        # At the top in the sample (call-summary), under `data` in the project's standard wrapper (call-logs).
        wrapper = body if "datalist" in body else as_object(body.get("data"))
        rows = [] if _is_empty_history(response) else as_rows(wrapper.get("datalist"))
        if rows is None:
            raise self._unreadable(response, doing, "a list of rows under 'datalist'")
        return Page(rows, partial(self._call, read_at=time.monotonic()))

    def _call(self, row: Mapping[str, Any], read_at: float) -> Call:
        tag = _tag_of(row)
        return Call(
            id=first_id(row, "ID") or "",
            vendor=self.name,
            **self._status_of(row),
            to=as_text(row.get("CALLING_NUMBER")),
            from_=as_text(row.get("PROVIDER_NUMBER")),
            direction="outbound" if tag else None,  # the row does not state it; we place outbound calls only
            agent_id=as_text(row.get("AGENT_ID")),
            agent_name=as_text(row.get("agent_name")),
            duration_seconds=as_int(row.get("TOTAL_DURATION")),
            cost=as_float(first_text(row, "total_cost", "cost")),  # call-cost and openapi.json
            recording_url=as_text(row.get("FILE_PATH")),
            created_at=read_time(first_text(row, *self.created_fields)),
            ended_at=read_time(row.get("ended_at")),  # openapi.json: call-summary
            tag=tag,
            raw=row,
            read_at=read_at,
        )

    def _status_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Choose between CALL_STATUS and STATUS, whose difference is documented nowhere.

        An ending takes precedence over an active status. Of two endings, CALL_STATUS is nearer to the phone, but a
        failure takes precedence over a success, and an unknown status never counts as one.
        """
        stated = [as_text(row.get(name)) for name in ("CALL_STATUS", "STATUS")]
        read = [self.status_fields(status) for status in stated if status]
        endings = [one for one in read if one["status"].is_terminal]
        bad = [one for one in endings if one["status"] is not CallStatus.COMPLETED]
        unknown = [one for one in read if one["status"] is CallStatus.UNKNOWN]
        return next(iter(bad or unknown or endings or read), {"status": CallStatus.UNKNOWN})


def _agent_number(agent_id: str | None) -> int:
    if agent_id is None or not agent_id.isascii() or not agent_id.isdigit():
        raise InvalidRequest(f"UnleashX's agent ids are integers, and {shown(agent_id)} is not one.", vendor="unleashx")
    return int(agent_id)


def _is_empty_history(response: ApiResponse) -> bool:
    """404 "No call history found for the given filters" means an empty list (UnleashX docs: call-logs)."""
    text = str(as_object(response.body).get("message", "")).lower()
    return response.status == 404 and "no call history" in text  # noqa: PLR2004 - HTTP's own number


# Fields of an execution that may hold the id of its create, in any case (UnleashX docs: make-call, call-cost).
_EXECUTION_ID_FIELDS = frozenset({"execution_id", "track_id", "call_id"})


def _ids_of_create(row: Mapping[str, Any]) -> list[str | None]:
    return [as_text(value) for name, value in row.items() if name.lower() in _EXECUTION_ID_FIELDS]


def _is_call(call: Call, ref: CallRef) -> bool:
    """Whether a row is the call: by its tag fields and id fields only, never by any other value in it."""
    if ref.tag and call.tag:
        return call.tag == ref.tag
    # An id of digits only is the list's own, and another call's row may have it in `call_id`. An id that came with our
    # tag is the create's, whatever its form.
    is_own_id = not ref.tag and (ref.id == call.id or ref.id.isdecimal())
    return ref.id == call.id if is_own_id else ref.id in _ids_of_create(call.raw)


def _tag_of(row: Mapping[str, Any]) -> str | None:
    """Return our tag from the request's metadata (UnleashX docs: call-summary; INPUT_DATA may be an object's text)."""
    for name in ("INPUT_DATA", "metadata"):
        value = row.get(name)
        if isinstance(value, str) and TAG_KEY in value:
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                continue
        tag = as_text(as_object(value).get(TAG_KEY))
        if tag:
            return tag
    return None


def _digits(number: str | None) -> str | None:
    # The filter is a LIKE, and rows may be without the +.
    return None if number is None else number.lstrip("+")
