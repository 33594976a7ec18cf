"""Talkstack's routes as its pages describe them; both of its addresses are this one."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.sandbox.routes import Handled, VendorRoutes, passes

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from airflow_provider_voice.sandbox.world import SandboxCall

PROJECT = "project-sandbox"
AGENTS = ("agent-sandbox", "agent-second")
COST_PER_MINUTE = 0.09  # the page names no currency


class TalkstackRoutes(VendorRoutes):
    """The routes of Make phone call, Get call data, Get call history and Voices."""

    name = "talkstack"
    statuses = {CallStatus.IN_PROGRESS: "in-progress", CallStatus.NO_ANSWER: "no-answer"}  # noqa: RUF012 - as declared above
    token = "talkstack_sandbox_key"  # noqa: S105 - the sandbox's own, known to everybody
    connection_extra = {"project_id": PROJECT}  # noqa: RUF012 - as declared above
    credentials = {"x-api-key": token, "Authorization": f"Bearer {token}"}  # noqa: RUF012 - as declared above
    unauthorized = (401, {"message": "Unauthorized", "status": "error"})
    usual_max_page = 1000

    def routes(self) -> list[Route]:
        """Return the routes; the vendor's addresses have no base path."""
        return [
            Route("/voices", self.handle("check", self._voices)),
            Route("/call/makeCall", self.handle("create", self._create), methods=["POST"]),
            Route("/call/get-call-history", self.handle("list", self._history), methods=["POST"]),
            Route("/call", self.handle("find", self._get_call), methods=["POST"]),
        ]

    def _voices(self, _request: Request, _body: Any) -> Handled:
        """List the voices, of which this account has one."""
        voice = {"name": "Ada", "labels": {"gender": "female"}, "voice_id": "ada", "preview_url": None}
        return 200, {"message": "voices", "status": "success", "voices": [voice]}

    def _create(self, _request: Request, body: Any) -> Handled:
        """Place a call."""
        missing = [name for name in ("projectId", "agentId", "number") if not body.get(name)]
        if missing:
            return 400, {"message": f"{missing[0]} is missing", "status": "error"}
        if body["projectId"] != PROJECT or body["agentId"] not in AGENTS:
            return 400, {"message": "no such agent in this project", "status": "error"}
        variables = body.get("dynamicVariables") or {}
        call = self.world.place(self.name, body["number"], body["agentId"], variables=variables)
        data = {"call_id": call.id, "to": call.to, "from": call.from_}
        return 200, {"message": "call made successfully.", "status": "success", "call": data}

    def _get_call(self, _request: Request, body: Any) -> Handled:
        """Show one call, flat and without an envelope."""
        if not body.get("sid"):
            return 400, {"message": "callSid is missing", "status": "error"}
        call = self.world.find(self.name, str(body["sid"]))
        if call is None or body.get("projectId") != PROJECT:
            return 404, {"message": "call not found", "status": "error"}
        now = self.world.now()
        return 200, {
            **_row(call, now),
            "status": self.status_of(call, now),
            "recordingUrls": [f"https://recordings.invalid/{call.sid}.mp3"] if call.duration(now) else [],
            "data": {},
        }

    def _history(self, request: Request, body: Any) -> Handled:
        """List a project's calls: filters in the query, a page size in the body, and no second page."""
        if body.get("projectId") != PROJECT:
            return 400, {"message": "projectId is missing", "status": "error"}
        now, query = self.world.now(), request.query_params
        size = body.get("pageSize", 20)
        rows = [
            {**_row(call, now), "status": self._history_status(call, now), "direction": f"{call.direction}-api"}
            for call in self.ordered()
            if passes(query, {"to": call.to, "from": call.from_, "status": self._history_status(call, now)})
            and _in_days(call, query)
        ]
        return 200, {"message": "call history", "status": "success", "data": rows[: min(size, self.max_page)]}

    def _history_status(self, call: SandboxCall, now: datetime) -> str:
        # The history's filter has no voicemail: Twilio, below it, counts the call as completed.
        return "completed" if call.status(now) is CallStatus.VOICEMAIL else self.status_of(call, now)


def _in_days(call: SandboxCall, query: QueryParams) -> bool:
    day = call.created_at.date().isoformat()
    is_within = query.get("startTimeAfter", day) <= day < query.get("startTimeBefore", "9999")
    return is_within and query.get("startTime", day) == day


def _row(call: SandboxCall, now: datetime) -> dict[str, Any]:
    return {
        "seconds": call.duration(now),
        "cost": round(call.duration(now) / 60 * COST_PER_MINUTE, 4),
        "from": call.from_,
        "to": call.to,
        "phoneNumber": call.to,
        "date": format_datetime(call.created_at.replace(microsecond=0)),
        "callSid": call.sid,
    }
