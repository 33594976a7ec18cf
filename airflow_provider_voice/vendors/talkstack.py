"""Talkstack (docs.talkstack.ai): two addresses, reads that are POSTs, and a history without pages.

How the history is read completely is in ``talkstack_history.py``.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.exceptions import AgentNotUsable, InvalidRequest
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, fold_status, read_time
from airflow_provider_voice.vendors.base import LIST_FROM, HistoryQuery, Vendor
from airflow_provider_voice.vendors.date_filters import days_with_margin, span_of
from airflow_provider_voice.vendors.parsing import as_float, as_int, as_object, as_rows, as_text, first_id, first_text
from airflow_provider_voice.vendors.talkstack_history import FAILURES, TalkstackHistory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_voice.vendors.http import ApiResponse
    from airflow_provider_voice.vendors.vendor_settings import Settings

log = logging.getLogger(__name__)

# How long the history is trusted that a call is active; after that the call itself is requested. No page states how
# quickly the history follows.
_TRUSTED_FOR = timedelta(minutes=30)
_ACTIVE = (CallStatus.QUEUED, CallStatus.RINGING, CallStatus.IN_PROGRESS)


class Talkstack(Vendor):
    """The Talkstack API (Talkstack docs: make-phone-call, get-call-data, get-call-history, voices).

    Example: see :class:`Vendor`; ``Settings`` need a ``project_id`` here.

    :param settings: the connection.
    :raises InvalidRequest: when the connection names no project.
    """

    name = "talkstack"
    title = "Talkstack"
    default_base_url = "https://api.talkstackai.com"
    default_calls_url = "https://calls.talkstack.ai"
    # Talkstack docs: get-call-data and get-call-history, with queued, ringing, in-progress, completed, busy, failed,
    # no-answer and voicemail, which are ours as well.
    statuses: ClassVar = {
        "initiated": CallStatus.QUEUED,
        # over 6 s of silence in the call or on an answering machine: the platform hangs up
        "silence": CallStatus.VOICEMAIL,
    }
    # No error body is documented; a 400 is the response to a missing agentId (make-phone-call).
    error_marks: ClassVar = dict.fromkeys(("agentid", "no such agent", "agent not found"), AgentNotUsable)
    credential_header = ("x-api-key", "{}")  # a bearer token would end after two hours
    token_check = ("GET", "/voices", {})  # Talkstack docs: voices
    created_fields = ("date", "dateCreated", "date_created", "startTime", "start_time")
    unsupported: ClassVar = {
        "context": "use variables, or keep it in your own table",
        "delay_seconds": "schedule the task instead",
        "is_testing": "it would ring for real",
    }

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        if not settings.project_id:
            raise InvalidRequest("Talkstack needs a project: set project_id on the connection.", vendor=self.name)
        self.project_id = settings.project_id
        self.calls_url = (settings.calls_base_url or settings.base_url or self.default_calls_url).rstrip("/")
        # The most rows that one reply had so far: the vendor's page is at least as large.
        self._largest_reply = 0

    def _create(self, request: CallRequest) -> Call:
        body: dict[str, Any] = {"number": request.to, "projectId": self.project_id, "agentId": request.agent_id}
        if request.variables:
            body["dynamicVariables"] = request.variables
        # The call of the response has no status; the "success" beside it is the request's.
        return self._send_create(request, f"{self.calls_url}/call/makeCall", body, "call", "call_id")

    def _find(self, ref: CallRef) -> Call | None:
        """Ask for one call by its ``sid``, which the ``call_id`` of make-call is (inferred).

        A status is read from a record of a call under a good HTTP status. The docs list six statuses under "Error
        Responses" (get-call-data), so these are understood in a 400 or 404 too, as far as an error body cannot be
        meant: ``{"status": "busy"}`` may be said of the server and needs the record of a call around it.
        """
        doing = f"call {ref}"
        response = self.http.request(
            "POST",
            f"{self.base_url}/call",
            doing=doing,
            body={"sid": ref.id, "projectId": self.project_id},
            accept=lambda one: one.status == _NOT_FOUND or _is_status_under_error(one),
        )
        if _is_status_under_error(response) or (response.ok and _is_call_record(response.body)):
            return self._call(response.body, call_id=ref.id)
        if response.status == _NOT_FOUND:
            return None
        raise self._unreadable(response, doing, "the record of a call")

    def _find_in_list(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        """Ask the history once which of many calls are active, and search for the others only.

        A call that the history shows as ended is requested too: the history has no ``voicemail`` and no ``silence``
        among its statuses, so its ending may not be the true one.
        """
        active = self._active_in_history(wanted)
        return {**active, **self._find_each({key: ref for key, ref in wanted.items() if key not in active})}

    def _active_in_history(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        oldest = self.http.now() - _TRUSTED_FOR
        young = {key: ref for key, ref in wanted.items() if ref.placed_at is not None and ref.placed_at > oldest}
        if len(young) < LIST_FROM:
            return {}
        first, _ = span_of(young.values())
        try:
            rows = self._ask_history({"startTimeAfter": first.date().isoformat()}, max(100, 2 * len(young)))
        except FAILURES as error:
            log.info("Talkstack's history cannot be used for %d calls: %s", len(young), error.message)
            return {}
        calls = map(self._call, rows)
        return {call.id: call for call in calls if call.id in young and call.status in _ACTIVE}

    def _history(self, query: HistoryQuery) -> Iterator[Call]:
        # There are no filters by agent and direction, and no pages.
        first, last = days_with_margin(query.start, query.end)

        def ask(filters: Mapping[str, str], page_size: int) -> list[Call]:
            # Without filters, the calls to other numbers count too: they show how many rows a reply may have.
            wanted = {**filters, "to": query.to} if filters else {}
            return [self._call(row) for row in self._ask_history(wanted, page_size)]

        return iter(TalkstackHistory(ask, self._largest_reply).read(first.date(), last.date()).values())

    def _ask_history(self, query: Mapping[str, Any], page_size: int) -> list[dict[str, Any]]:
        """Ask once for at most ``page_size`` rows; filters go into the query of the POST (get-call-history)."""
        doing = "the call history"
        response = self.http.request(
            "POST",
            f"{self.base_url}/call/get-call-history",
            doing=doing,
            params=query,
            body={"projectId": self.project_id, "pageSize": page_size},
        )
        rows = _rows_in(response.body)
        if rows is None:
            raise self._unreadable(response, doing, "a list of calls")
        self._largest_reply = max(self._largest_reply, len(rows))
        return rows

    def _call(self, row: Mapping[str, Any], call_id: str | None = None) -> Call:
        """Return a record of get-call-data or a row of the history as a call.

        The rows of the history are on no stored page. Its filters are those of Twilio's list of calls (Talkstack docs:
        get-call-history), so a row is read in the form of get-call-data or of Twilio, in either spelling of its names.
        """
        recordings = row.get("recordingUrls")
        direction = as_text(row.get("direction"))
        return Call(
            id=call_id or first_id(row, *_ID_FIELDS) or "",
            vendor=self.name,
            **self.status_fields(as_text(row.get("status"))),
            to=first_text(row, "to", "phoneNumber"),
            from_=as_text(row.get("from")),
            # "outbound-api", "outbound-dial": Twilio's values
            direction=direction.split("-")[0].lower() if direction else None,
            agent_id=as_text(row.get("agentId")),
            duration_seconds=as_int(first_text(row, "seconds", "duration")),
            cost=as_float(first_text(row, "cost", "price")),
            recording_url=as_text(recordings[0]) if isinstance(recordings, list) and recordings else None,
            created_at=read_time(first_text(row, *self.created_fields)),
            updated_at=read_time(first_text(row, "dateUpdated", "date_updated")),
            ended_at=read_time(first_text(row, "endTime", "end_time")),
            raw=row,
            read_at=time.monotonic(),
        )


_BAD_REQUEST, _NOT_FOUND = 400, 404
# get-call-data has `callSid`, Twilio's list of calls `sid`.
_ID_FIELDS = ("callSid", "sid")
# Statuses that get-call-data lists under "Error Responses", and the history's "initiated". No error of a server is
# called by one of them, unlike by "busy".
_STATUSES_UNDER_ERRORS = ("queued", "initiated", "ringing", "in_progress", "voicemail", "silence")
_OTHER_FIELDS_OF_A_CALL = frozenset({"seconds", "date", "to", "from", "recordingUrls", "phoneNumber"})


def _is_call_record(body: Any) -> bool:
    """Whether a body has the form of get-call-data: an id, or several other fields of a call."""
    record = as_object(body)
    return first_id(record, *_ID_FIELDS) is not None or len(_OTHER_FIELDS_OF_A_CALL & record.keys()) > 1


def _is_status_under_error(response: ApiResponse) -> bool:
    """Whether a response with HTTP status 400 or 404 states the status of a call."""
    status = fold_status(as_object(response.body).get("status"))
    is_stated = status in _STATUSES_UNDER_ERRORS or (status == "busy" and _is_call_record(response.body))
    return is_stated and response.status in (_BAD_REQUEST, _NOT_FOUND)


def _rows_in(body: Any) -> list[dict[str, Any]] | None:
    """Return the list of calls: bare as get-all-agents, or named ``data`` or ``calls``, in one wrapper at most.

    The page that shows where it stands is cut; other pages use these forms (get-all-agents, get-project, voices).
    """
    for name in ("data", "calls"):
        body = as_object(body).get(name, body)
    return as_rows(body)
