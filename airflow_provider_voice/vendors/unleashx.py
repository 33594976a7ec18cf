"""UnleashX (docs.unleashx.ai): ``token`` header, integer agents, a create whose id no other request takes.

Its create answers with an ``execution_id``, its lists with an integer ``ID``; what joins them is our tag, which goes
out in ``metadata`` and is looked for with the ``input_data`` filter.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CapabilityNotSupported,
    IncompleteHistory,
    InsufficientCredits,
    InvalidPhoneNumber,
    InvalidRequest,
    VoiceError,
)
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, fold_word, read_time
from airflow_provider_voice.vendors.base import TAG_KEY, Vendor
from airflow_provider_voice.vendors.date_filters import DAY, widened_days
from airflow_provider_voice.vendors.pagination import Page, walk
from airflow_provider_voice.vendors.parsing import as_float, as_int, as_text, first_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_voice.vendors.http import Answer

LIMIT = 100
# Default and maximum of `limit` are not documented here; the other lists default to 10.
SMALLEST_PAGE = 10
# "Keep to 3 months": longer windows are asked for in pieces.
MAX_WINDOW = timedelta(days=80)
# Without a creation time a call is looked for this far back.
_LOOK_BACK = timedelta(days=31)
_LIST_FROM = 4

_STATUSES = {
    # withdrawn call-summary page, make call
    "initiated": CallStatus.QUEUED,
    "queued": CallStatus.QUEUED,
    "ringing": CallStatus.RINGING,
    # "answered" is mid-call on the withdrawn page and an outcome in the dashboard: not ended is the safe reading,
    # status_overrides on the connection is the other one.
    "answered": CallStatus.IN_PROGRESS,
    "in_progress": CallStatus.IN_PROGRESS,
    "running": CallStatus.IN_PROGRESS,  # call-history
    "completed": CallStatus.COMPLETED,
    "failed": CallStatus.FAILED,
    "busy": CallStatus.BUSY,
    "no_answer": CallStatus.NO_ANSWER,
    "cancelled": CallStatus.CANCELED,
    "canceled": CallStatus.CANCELED,
    "rejected": CallStatus.FAILED,
    "timeout": CallStatus.FAILED,
    # campaign-audience-stats, counted there as success
    "answer": CallStatus.COMPLETED,
    "agent_ended": CallStatus.COMPLETED,
    "user_ended": CallStatus.COMPLETED,
    # the dashboard's wording (faqs)
    "unanswered": CallStatus.NO_ANSWER,
    "voicemail": CallStatus.VOICEMAIL,
}


class UnleashX(Vendor):
    """The UnleashX API; facts from docs.unleashx.ai (Make call, Call summary, Authentication)."""

    name = "unleashx"
    title = "UnleashX"
    default_base_url = "https://www.tryunleashx.com/api/v1/global"
    statuses = _STATUSES
    keeps_tags = True

    @staticmethod
    def credential_headers(token: str) -> dict[str, str]:
        """Return the ``token`` header."""
        return {"token": token}

    def check(self) -> str:
        """Ask ``POST /verify``, which the authentication page gives for this."""
        self.http.request("POST", f"{self.base_url}/verify", doing="the check of the token", body={})
        return "UnleashX accepts the token."

    def check_request(self, request: CallRequest) -> None:
        """Refuse what make-call has no field for; the agent id must be a whole number."""
        self._agent(request.agent_id)
        if request.delay_seconds:
            raise CapabilityNotSupported("UnleashX has no delayed calls: leave delay_seconds out.", vendor=self.name)
        if request.is_testing:
            raise CapabilityNotSupported("UnleashX has no test calls: it would ring for real.", vendor=self.name)
        both = sorted(request.variables.keys() & request.context.keys())
        if both:
            names = ", ".join(both)[:80]
            raise InvalidRequest(f"variables and context share the key(s) {names}; UnleashX keeps both in one place.")
        if TAG_KEY in {**request.variables, **request.context}:
            raise InvalidRequest(f"variables and context must not hold {TAG_KEY!r}: our own tag is kept there.")

    def _agent(self, agent_id: str | None) -> int:
        if agent_id is None or not agent_id.isascii() or not agent_id.isdigit():
            raise InvalidRequest(f"UnleashX's agent ids are whole numbers; {agent_id!r:.40} is none.", vendor=self.name)
        return int(agent_id)

    def _create(self, request: CallRequest, doing: str) -> Call:
        body = {
            "agent_id": self._agent(request.agent_id),
            "phone_number": request.to,
            "metadata": {**request.context, **request.variables, TAG_KEY: request.tag},
        }
        answer = self.http.create(f"{self.base_url}/agents/call", doing=doing, body=body)
        record = answer.body if isinstance(answer.body, dict) else {}
        if isinstance(record.get("data"), dict):
            record = record["data"]
        call_id = as_text(first_of(record, "execution_id", "call_id", "id"))
        if not call_id:
            raise self._without_id(answer, doing)
        word = as_text(first_of(record, "call_status", "status"))
        return Call(
            id=call_id,
            vendor=self.name,
            status=self.read_status(word) if word else CallStatus.QUEUED,
            vendor_status=word,
            to=request.to,
            direction="outbound",
            agent_id=request.agent_id,
            created_at=answer.server_time,
            tag=request.tag,
            raw=record,
        )

    def find(self, ref: CallRef) -> Call | None:
        """Find one call by our tag, or where there is none by anything in a row that is its id.

        The filter by tag is *inferred* from the docs. Where it finds nothing, the rows of those days are compared one
        by one, so that a vendor that does not filter by metadata only costs pages.
        """
        start, end = _window_of(ref)
        agent_id = ref.agent_id if (ref.agent_id or "").isdigit() else None
        attempts: list[dict[str, Any]] = [{"input_data": ref.tag}] if ref.tag else []
        attempts.append({"calling_number": _digits(ref.to)} if ref.to else {})
        for filters in attempts:
            calls = self._listed(start, end, f"call {ref.id}", agent_id=agent_id, for_lookup=True, **filters)
            with suppress(IncompleteHistory):  # then it was not seen this time
                call = next((call for call in calls if _is_row_of(call.raw, ref)), None)
                if call is not None:
                    return self._with_ref(call, ref)
        return None

    def _find_many(self, wanted: Mapping[str, CallRef]) -> dict[str, Call]:
        """Look a few calls up one by one; of many, read the list of their days until every one was seen."""
        if len(wanted) < _LIST_FROM:
            return super()._find_many(wanted)
        found: dict[str, Call] = {}
        dated = {key: ref for key, ref in wanted.items() if ref.placed_at is not None}
        undated = {key: ref for key, ref in wanted.items() if ref.placed_at is None}
        for some in (dated, undated):
            missing = {key: ref for key, ref in some.items() if key not in found}
            try:
                self._find_in_list(missing, found)
            except IncompleteHistory:  # rows moved: the few that were not seen are looked for by themselves
                missing = {key: ref for key, ref in missing.items() if key not in found and ref.tag}
                found.update(super()._find_many(dict(list(missing.items())[:LIMIT])))
        return found

    def _find_in_list(self, wanted: dict[str, CallRef], found: dict[str, Call]) -> None:
        """Read the list of the calls' days, of their agent when it is one, and move what is seen into ``found``."""
        if not wanted:
            return
        windows = [_window_of(ref) for ref in wanted.values()]
        agents = {ref.agent_id for ref in wanted.values()}
        agent_id = agents.pop() if len(agents) == 1 else None
        agent_id = agent_id if (agent_id or "").isdigit() else None
        by_mark = {mark: ref for ref in wanted.values() for mark in (ref.id, ref.tag) if mark}
        start, end = min(start for start, _ in windows), max(end for _, end in windows)
        for call in self._listed(start, end, f"{len(wanted)} calls", agent_id=agent_id, for_lookup=True):
            ref = next((by_mark[text] for text in _marks_in(call.raw) if text in by_mark), None)
            if ref is not None and ref.id not in found:
                found[ref.id] = self._with_ref(call, ref)
                if len(found.keys() & wanted.keys()) == len(wanted):
                    return

    def _history(
        self, start: datetime, end: datetime, agent_id: str | None, direction: str | None, to: str | None
    ) -> Iterator[Call]:
        del direction  # the list has no such filter
        if agent_id is not None:
            self._agent(agent_id)
        number: dict[str, Any] = {"calling_number": _digits(to)} if to else {}
        # Each piece is cut exactly, so that a call near a cut does not come twice.
        while start < end:
            piece_end = min(end, start + MAX_WINDOW)
            for call in self._listed(start, piece_end, "the call history", agent_id=agent_id, **number):
                if call.created_at is None or start <= call.created_at < piece_end:
                    yield call
            start = piece_end

    def _listed(
        self,
        start: datetime,
        end: datetime,
        doing: str,
        *,
        agent_id: str | None = None,
        for_lookup: bool = False,
        **filters: Any,
    ) -> Iterator[Call]:
        first, last = widened_days(start, end)
        # Both bounds are always sent: without them the list is of the last month only.
        bounds = {"fromdate": first.isoformat(), "todate": last.isoformat()}
        params = {"agent_id": agent_id, **bounds, **filters, "limit": LIMIT}

        def read_page(number: int) -> Page:
            answer = self.http.request(
                "GET",
                f"{self.base_url}/agents/executions/list",
                doing=doing,
                params={**params, "page": number},
                accept=_is_no_history,
            )
            self.pages_read += 1
            if _is_no_history(answer):
                return Page([])
            body = answer.body if isinstance(answer.body, dict) else {}
            inner = body.get("data")
            # At the top in the sample, under `data` where the project's standard wrapper is used.
            holder = body if "datalist" in body else inner if isinstance(inner, dict) else {}
            rows = rows_of(holder.get("datalist"))
            if rows is None:
                raise self._unreadable(answer, doing, "a list of rows under 'datalist'")
            return Page(list(map(self._call, rows)))

        return walk(
            read_page,
            page_size=LIMIT,
            smallest_page_size=SMALLEST_PAGE,
            at_once=self.page_concurrency,
            what="UnleashX's list of executions",
            for_lookup=for_lookup,
            began=None if for_lookup else self.from_now(),
        )

    def _call(self, row: Mapping[str, Any]) -> Call:
        status, word = self._status(row)
        is_testing = row.get("is_testing")
        duration = as_int(row.get("TOTAL_DURATION"))
        return Call.of_row(
            {
                "id": self._row_id(row, "ID", "id"),
                "vendor": self.name,
                "status": status,
                "vendor_status": word,
                "to": as_text(first_of(row, "CALLING_NUMBER", "calling_number")),
                "from_": as_text(first_of(row, "PROVIDER_NUMBER", "provider_number")),
                "direction": _direction(row),
                "agent_id": as_text(first_of(row, "AGENT_ID", "agent_id")),
                "agent_name": as_text(first_of(row, "agent_name", "AGENT_NAME")),
                "duration_seconds": duration if duration is not None else _seconds_of(row.get("total_duration")),
                "cost": as_float(first_of(row, "TOTAL_COST", "total_cost", "COST", "cost")),
                "recording_url": as_text(row.get("FILE_PATH")),
                "is_testing": is_testing if isinstance(is_testing, bool) else None,
                "created_at": _created(row),
                "updated_at": read_time(first_of(row, "UPDATED_AT", "updated_at")),
                "ended_at": read_time(first_of(row, "ENDED_AT", "ended_at")),
                "tag": _tag_of(row),
                "raw": row,
            }
        )

    def _status(self, row: Mapping[str, Any]) -> tuple[CallStatus, str | None]:
        """Choose between CALL_STATUS and STATUS, whose difference is documented nowhere.

        Ended beats not ended; of two endings CALL_STATUS is nearer to the phone, but a failure is never hidden behind
        a success, and a word nobody knows never becomes one.
        """
        words = [as_text(first_of(row, upper, upper.lower())) for upper in ("CALL_STATUS", "STATUS")]
        read = [(self.read_status(word), word) for word in words if word]
        if not read:
            return CallStatus.UNKNOWN, None
        endings = [(status, word) for status, word in read if status.is_terminal]
        for status, word in endings:
            if status is not CallStatus.COMPLETED:
                return status, word
        unknown = next(((status, word) for status, word in read if status is CallStatus.UNKNOWN), None)
        return unknown or (endings or read)[0]

    def _explain_code(self, code: str, text: str, answer: Answer) -> type[VoiceError] | None:
        del answer
        if code in ("INVALID_LOGIN_TOKEN", "SESSIONEXPIRED") or any(
            words in text for words in ("auth key", "session expired", "token")
        ):
            return AuthenticationFailed
        if "agent" in text:
            return AgentNotUsable
        if "phone" in text:
            return InvalidPhoneNumber
        return InsufficientCredits if "credit" in text or "balance" in text else None

    @staticmethod
    def _with_ref(call: Call, ref: CallRef) -> Call:
        # What was placed keeps the id the create answered, whatever number the list gives the row.
        return Call(**{**vars(call), "id": ref.id, "tag": call.tag or ref.tag, "to": ref.to or call.to})


def _is_no_history(answer: Answer) -> bool:
    """404 "No call history found for the given filters" means an empty list."""
    if answer.status != 404:  # noqa: PLR2004 - HTTP's own number
        return False
    text = str(answer.body.get("message", "")) if isinstance(answer.body, dict) else ""
    return "no call history" in text.lower() or "no data" in text.lower() or "no record" in text.lower()


def _created(row: Mapping[str, Any]) -> datetime | None:
    return read_time(first_of(row, "CREATED_AT", "created_at")) or _display_time(row)


def _window_of(ref: CallRef) -> tuple[datetime, datetime]:
    if ref.placed_at is not None:
        return ref.placed_at - DAY / 2, ref.placed_at + DAY / 2
    now = datetime.now(timezone.utc)
    return now - _LOOK_BACK, now + timedelta(minutes=1)


def _texts(value: Any) -> Iterator[str]:
    """Yield every text and whole number anywhere in a row, however deep."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
        elif (text := as_text(item)) is not None:
            yield text


def _marks_in(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what may be an id or our tag in a row: where it belongs first, so that few texts are looked at."""
    tag = _tag_of(row)
    if tag is not None:
        yield tag
    yield from _texts(dict(row))


def _is_row_of(row: Mapping[str, Any], ref: CallRef) -> bool:
    marks = {ref.tag, ref.id} - {None}
    # INPUT_DATA may come as an object or as the text of one.
    return any(text in marks or (ref.tag is not None and ref.tag in text) for text in _texts(dict(row)))


def _tag_of(row: Mapping[str, Any]) -> str | None:
    for name in ("INPUT_DATA", "input_data", "metadata", "RETURN_DATA"):
        holder = row.get(name)
        if isinstance(holder, str) and TAG_KEY in holder:
            holder = _parsed(holder)
        if isinstance(holder, dict) and as_text(holder.get(TAG_KEY)):
            return as_text(holder[TAG_KEY])
    return None


def _parsed(text: str) -> Any:
    import json  # only for a row whose INPUT_DATA is the text of an object

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _direction(row: Mapping[str, Any]) -> str | None:
    known = {"1": "outbound", "2": "inbound", "outbound": "outbound", "inbound": "inbound"}
    stated = known.get(fold_word(first_of(row, "DIRECTION", "direction", "CALLING_TYPE", "calling_type")))
    return stated or ("outbound" if _tag_of(row) else None)


def _seconds_of(text: Any) -> int | None:
    """Read ``3m:5s`` and ``1h:2m:3s``."""
    if not isinstance(text, str):
        return None
    units = {"h": 3600, "m": 60, "s": 1}
    parts = [part.strip() for part in text.split(":")]
    if not all(part[:-1].isascii() and part[:-1].isdigit() and part[-1:] in units for part in parts):
        return None
    return as_int(sum(int(part[:-1][:6]) * units[part[-1]] for part in parts))


def _display_time(row: Mapping[str, Any]) -> datetime | None:
    day, clock = row.get("date"), row.get("time")
    return read_time(f"{day} {clock}") if isinstance(day, str) and isinstance(clock, str) else None


def _digits(number: str | None) -> str | None:
    # The filter is a LIKE, and rows may be without the +.
    return None if number is None else number.lstrip("+")
