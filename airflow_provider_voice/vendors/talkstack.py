"""Talkstack (docs.talkstack.ai): two addresses, reads that are POSTs, and a history without pages.

The history takes a ``pageSize`` and nothing else to go on with, and its largest page is not documented. So a reply is
only taken for whole when it can be told from one that was cut; see :class:`_WholeHistory`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CapabilityNotSupported,
    IncompleteHistory,
    InsufficientCredits,
    InvalidPhoneNumber,
    InvalidRequest,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, fold_word, read_time
from airflow_provider_voice.vendors.base import Vendor
from airflow_provider_voice.vendors.date_filters import widened_days
from airflow_provider_voice.vendors.parsing import as_float, as_int, as_text, first_of, latest_time, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_voice.vendors.http import Answer
    from airflow_provider_voice.vendors.vendor_settings import Settings

log = logging.getLogger(__name__)

# Asked for one after the other while a reply is full; pageSize defaults to 20, its maximum is not documented.
PAGE_SIZES = (100, 1000, 10_000)
DEFAULT_PAGE = 20

# From so many waiting calls on, one look into the history is worth its request.
_HISTORY_FROM = 5
# How long the history's word that a call goes on is taken; after that the call itself is asked. Nothing says how
# quickly the history follows.
_BELIEVED_FOR = timedelta(minutes=30)
_GOING_ON = (CallStatus.QUEUED, CallStatus.RINGING, CallStatus.IN_PROGRESS)

_STATUSES = {
    "queued": CallStatus.QUEUED,
    "initiated": CallStatus.QUEUED,
    "ringing": CallStatus.RINGING,
    "in_progress": CallStatus.IN_PROGRESS,
    "completed": CallStatus.COMPLETED,
    "busy": CallStatus.BUSY,
    "failed": CallStatus.FAILED,
    "no_answer": CallStatus.NO_ANSWER,
    "voicemail": CallStatus.VOICEMAIL,
    # over 6 s of silence in the call or on an answering machine: the platform hangs up (Get call data)
    "silence": CallStatus.VOICEMAIL,
    "canceled": CallStatus.CANCELED,
    "cancelled": CallStatus.CANCELED,
}
# What the status filter of the history takes (Get call history); voicemail and silence are not among them.
FILTER_WORDS = ("queued", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer")


class Talkstack(Vendor):
    """The Talkstack API; facts from docs.talkstack.ai (Make phone call, Get call data, Get call history, Voices)."""

    name = "talkstack"
    title = "Talkstack"
    default_base_url = "https://api.talkstackai.com"
    default_calls_url = "https://calls.talkstack.ai"
    statuses = _STATUSES

    def __init__(self, settings: Settings, *, sleep: Callable[[float], None] | None = None) -> None:
        super().__init__(settings, sleep=sleep)
        self.calls_url = (settings.calls_base_url or settings.base_url or self.default_calls_url).rstrip("/")
        # The largest reply seen so far: the vendor gives at least so many rows at once.
        self.largest_reply = DEFAULT_PAGE

    @staticmethod
    def credential_headers(token: str) -> dict[str, str]:
        """Return the API key header; a bearer token would end after two hours."""
        return {"x-api-key": token}

    @property
    def project_id(self) -> str:
        """The project of the connection.

        :raises InvalidRequest: when the connection names none.
        """
        if not self.settings.project_id:
            raise InvalidRequest("Talkstack needs a project: set project_id on the connection.", vendor=self.name)
        return self.settings.project_id

    def check(self) -> str:
        """Ask for the voices: no parameters, 401 for a bad key."""
        answer = self.http.request("GET", f"{self.base_url}/voices", doing="the list of voices")
        body = answer.body
        voices = rows_of(body.get("voices") if isinstance(body, dict) else body)
        if voices is None:
            raise self._unreadable(answer, "the list of voices", "a list under 'voices'")
        return f"Talkstack accepts the key; it shows {len(voices)} voice(s)."

    def check_request(self, request: CallRequest) -> None:
        """Refuse what make-call has no field for."""
        _ = self.project_id
        unsupported = {
            "context": (request.context, "use variables, or keep it in your own table"),
            "delay_seconds": (request.delay_seconds, "schedule the task instead"),
            "is_testing": (request.is_testing, "it would ring for real"),
        }
        for name, (value, advice) in unsupported.items():
            if value:
                raise CapabilityNotSupported(f"Talkstack's calls have no {name}: {advice}.", vendor=self.name)

    def _create(self, request: CallRequest, doing: str) -> Call:
        body: dict[str, Any] = {"number": request.to, "projectId": self.project_id, "agentId": request.agent_id}
        if request.variables:
            body["dynamicVariables"] = request.variables
        answer = self.http.create(f"{self.calls_url}/call/makeCall", doing=doing, body=body)
        record = answer.body if isinstance(answer.body, dict) else {}
        for name in ("call", "data"):
            if isinstance(record.get(name), dict):
                record = record[name]
        call_id = as_text(first_of(record, "call_id", "callId", "sid", "callSid"))
        if not call_id:
            raise self._without_id(answer, doing)
        return Call(
            id=call_id,
            vendor=self.name,
            status=CallStatus.QUEUED,  # the answer has no call status; its `status` is "success"
            to=request.to,
            from_=as_text(record.get("from")),
            direction="outbound",
            agent_id=request.agent_id,
            created_at=answer.server_time,
            raw=record,
        )

    def find(self, ref: CallRef) -> Call | None:
        """Ask for one call by its ``sid``, which the ``call_id`` of make-call is (inferred).

        The status words stand under "Error Responses" in the docs, so they are looked for in answers of any HTTP code.
        """
        doing = f"call {ref.id}"
        body = {"sid": ref.id, "projectId": self.project_id}
        answer = self.http.request("POST", f"{self.base_url}/call", doing=doing, body=body, accept=self._is_about_call)
        word = self._status_word(answer.body)
        if word is None and answer.status == _NOT_FOUND:
            return None
        record = answer.body if isinstance(answer.body, dict) else {}
        inner = first_of(record, "call", "data")
        if isinstance(inner, dict) and "status" in inner and "status" not in _call_marks(record):
            record = inner
        if word is None and not _call_marks(record):
            raise self._unreadable(answer, doing, "a call in it")
        call = self._call({**record, "status": word if word is not None else record.get("status")}, call_id=ref.id)
        return self._with_ref(call, ref)

    def _find_many(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        """Ask the history once which of many calls go on, and look up only those that it does not say that of.

        What the history shows as ended is looked up all the same: it has no ``voicemail`` and no ``silence`` among its
        statuses, so its ending may not be the true one. What it shows as going on is believed for a while only.
        """
        active = self._active_in_history(wanted) if len(wanted) >= _HISTORY_FROM else {}
        rest = {key: ref for key, ref in wanted.items() if key not in active}
        return {**active, **super()._find_many(rest)}

    def _active_in_history(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        oldest = datetime.now(timezone.utc) + timedelta(seconds=self.http.clock_offset or 0.0) - _BELIEVED_FOR
        young = {key: ref for key, ref in wanted.items() if ref.placed_at is not None and ref.placed_at > oldest}
        placed = [ref.placed_at for ref in young.values() if ref.placed_at is not None]
        if len(placed) < _HISTORY_FROM:
            return {}
        first, _ = widened_days(min(placed), max(placed) + timedelta(microseconds=1))
        size = next((size for size in PAGE_SIZES if size >= 2 * len(young)), PAGE_SIZES[-1])
        try:
            rows = self.read_history({"startTimeAfter": first.isoformat()}, size)
            calls = [self._call(row) for row in rows]
        except (RequestRejected, InvalidPhoneNumber, VendorUnavailable, IncompleteHistory) as error:
            log.info("Talkstack's history does not serve for %d calls: %s", len(young), error.message)
            return {}
        return {
            call.id: self._with_ref(call, young[call.id])
            for call in calls
            if call.id in young and call.status in _GOING_ON
        }

    @staticmethod
    def _with_ref(call: Call, ref: CallRef) -> Call:
        known = {"to": ref.to, "agent_id": ref.agent_id, "created_at": ref.placed_at}
        return Call(**{**vars(call), **{name: getattr(call, name) or value for name, value in known.items()}})

    def _history(
        self, start: datetime, end: datetime, agent_id: str | None, direction: str | None, to: str | None
    ) -> Iterator[Call]:
        del agent_id, direction  # the history has no such filters
        first, last = widened_days(start, end)
        rows = _WholeHistory(self, {"to": to}).read(first, last)
        return (self._call(row) for row in rows)

    def read_history(self, query: Mapping[str, Any], page_size: int) -> list[dict[str, Any]]:
        """Ask once for at most ``page_size`` rows; filters go into the query of the POST (Get call history)."""
        doing = "the call history"
        answer = self.http.request(
            "POST",
            f"{self.base_url}/call/get-call-history",
            doing=doing,
            params=query,
            body={"projectId": self.project_id, "pageSize": page_size},
        )
        self.pages_read += 1
        rows = _find_rows(answer.body)
        if rows is None:
            raise self._unreadable(answer, doing, "a list of calls")
        return rows

    def row_id(self, row: Mapping[str, Any]) -> str:
        """Return the id of a history row, whose fields no stored page shows."""
        return self._row_id(row, "callSid", "sid", "call_id", "callId", "call_sid", "id", "_id")

    def _call(self, row: Mapping[str, Any], call_id: str | None = None) -> Call:
        recordings = first_of(row, "recordingUrls", "recording_urls")
        has_list = isinstance(recordings, list) and recordings
        recording = recordings[0] if has_list else first_of(row, "recordingUrl", "recording_url")
        direction = as_text(row.get("direction"))
        word = as_text(row.get("status"))
        return Call.of_row(
            {
                "id": call_id or self.row_id(row),
                "vendor": self.name,
                "status": self.read_status(word),
                "vendor_status": word,
                "to": as_text(first_of(row, "to", "phoneNumber", "number")),
                "from_": as_text(row.get("from")),
                # "outbound-api", "outbound-dial": Twilio's words, should the rows be Twilio's (inferred)
                "direction": direction.split("-")[0].lower() if direction else None,
                "agent_id": as_text(first_of(row, "agentId", "agent_id")),
                "agent_name": as_text(first_of(row, "agentName", "agent_name")),
                "duration_seconds": as_int(first_of(row, "seconds", "duration")),
                "cost": as_float(first_of(row, "cost", "price")),
                "recording_url": as_text(recording),
                "created_at": read_time(
                    first_of(row, "date", "dateCreated", "date_created", "createdAt", "created_at", *_STARTED)
                ),
                "updated_at": latest_time(first_of(row, "dateUpdated", "date_updated", "updatedAt", "updated_at")),
                "ended_at": read_time(first_of(row, "endTime", "end_time", "endedAt", "ended_at")),
                "raw": row,
            }
        )

    def _is_about_call(self, answer: Answer) -> bool:
        if answer.status in (401, 403, 429):
            return False
        return answer.status == _NOT_FOUND or self._status_word(answer.body) is not None

    def _status_word(self, body: Any) -> str | None:
        """Return the call status anywhere a body may hold it; "success" and "error" of the envelope are none."""
        if not isinstance(body, dict):
            return body if self.knows_status(body) else None
        if _call_marks(body) and as_text(body.get("status")) and fold_word(body["status"]) not in _ENVELOPE_WORDS:
            return as_text(body["status"])  # a whole record: its word counts even when nobody knows it
        for holder in (body, body.get("call"), body.get("data"), body.get("error")):
            for name in ("status", "callStatus", "call_status", "message", "error"):
                word = holder.get(name) if isinstance(holder, dict) else None
                if self.knows_status(word):
                    return str(word)
        return None

    def _explain_code(self, code: str, text: str, answer: Answer) -> type[VoiceError] | None:
        del code, answer
        if "agent" in text:
            return AgentNotUsable
        if "unauthorized" in text or "api key" in text:
            return AuthenticationFailed
        if "credit" in text or "balance" in text:
            return InsufficientCredits
        return InvalidPhoneNumber if "number" in text else None


_NOT_FOUND = 404
_STARTED = ("startTime", "start_time")
_ENVELOPE_WORDS = ("success", "succcess", "error", "ok")


def _call_marks(record: Mapping[str, Any]) -> set[str]:
    """Return which fields of Get call data a record has; none means that it is no call."""
    return {"callSid", "seconds", "date", "to", "from", "recordingUrls", "phoneNumber"} & record.keys()


_ROW_HOLDERS = ("data", "calls", "history", "callHistory", "call_history", "results", "items")


def _find_rows(body: Any) -> list[dict[str, Any]] | None:
    """Find the list of calls, at the top or one or two objects down: the page that shows where it stands is cut."""
    holders = [body]
    for _ in range(3):
        for holder in holders:
            rows = rows_of(holder)
            if rows is not None:
                return rows
        holders = [
            holder[name] for holder in holders if isinstance(holder, dict) for name in _ROW_HOLDERS if name in holder
        ]
    return None


@dataclass
class _WholeHistory:
    """Reads a window of days completely or not at all.

    A reply of n rows to a larger ``pageSize`` is either whole or cut at a maximum of n that nobody documents. It is
    whole for certain when the vendor was seen to give more than n rows in one reply. Any other is split, by day and
    then by status, until every part is certain; then the parts together are the whole.
    """

    vendor: Talkstack
    filters: Mapping[str, Any]

    def read(self, first: date, last: date) -> Iterator[dict[str, Any]]:
        """Yield every row of the days from ``first`` to ``last``, each once.

        :raises IncompleteHistory: when a day's calls of one status are still more than one reply can hold.
        """
        # "Before" means on or before that day's midnight, "After" on or after it.
        query = {"startTimeAfter": first.isoformat(), "startTimeBefore": (last + timedelta(days=1)).isoformat()}
        rows, certain = self._ask(query)
        if not certain:
            days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
            rows = {key: row for day in days for key, row in self._read_day(day).items()}
        yield from rows.values()

    def _read_day(self, day: date) -> dict[str, dict[str, Any]]:
        query = {"startTime": day.isoformat()}
        rows, certain = self._ask(query)
        if certain:
            return rows
        together = dict(rows)
        for word in FILTER_WORDS:
            part, certain = self._ask({**query, "status": word})
            if not certain:
                raise self._cut(day, f"with status {word}", len(part))
            together.update(part)
        beyond = [row for row in rows.values() if fold_word(row.get("status") or "") not in _FILTERED]
        if beyond:
            raise self._cut(day, "of which some have a status the vendor can not filter by", len(rows))
        return together

    def _ask(self, query: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], bool]:
        """Return the rows by id, and whether they are certainly all there are."""
        rows: list[dict[str, Any]] = []
        for size in PAGE_SIZES:
            try:
                reply = self.vendor.read_history({**self.filters, **query}, size)
            except (RequestRejected, InvalidPhoneNumber, VendorUnavailable):
                if not rows:
                    raise
                break  # the larger page was refused or too large to read: go on with the smaller one
            rows = reply
            self.vendor.largest_reply = max(self.vendor.largest_reply, len(rows))
            if len(rows) < size:
                return self._by_id(rows), len(rows) < self.vendor.largest_reply
        return self._by_id(rows), False

    def _by_id(self, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {self.vendor.row_id(row): row for row in rows}

    def _cut(self, day: date, which: str, count: int) -> IncompleteHistory:
        return IncompleteHistory(
            f"Talkstack's history of {day} has {count} calls {which}, as many as one reply seems to hold, and no way "
            "to ask for the rest. Nothing of it is used; ask the vendor for a larger page.",
            vendor=self.vendor.name,
        )


_FILTERED = frozenset(fold_word(word) for word in FILTER_WORDS)
