"""UnleashX's routes as its pages describe them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from airflow_provider_voice.models import CallStatus, write_time
from airflow_provider_voice.sandbox.routes import Handled, VendorRoutes, passes
from airflow_provider_voice.sandbox.world import CALLER_ID

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request

    from airflow_provider_voice.sandbox.world import SandboxCall

AGENTS = {101: 1, 102: 3, 103: 1}  # agent -> status: 1 active, 3 inactive
PREFIX = "/api/v1/global"


# Fields of a row (call-summary) that are empty here.
_EMPTY_FIELDS = (
    "DISPOSITION", "SUMMARY", "RETURN_DATA", "COST_BREAKDOWN", "VOICE_CALL_ANALYSIS", "VOICE_QUALITY_FEEDBACK",
    "workflow_name", "workflow_type",
)  # fmt: skip


class UnleashXRoutes(VendorRoutes):
    """The routes of Make call, Call summary (executions) and Authentication."""

    name = "unleashx"
    statuses = {  # noqa: RUF012 - as declared above
        CallStatus.QUEUED: "initiated",
        CallStatus.IN_PROGRESS: "running",
        CallStatus.BUSY: "Busy",
        CallStatus.NO_ANSWER: "No Answer",
    }
    token = "unleashx_sandbox_token"  # noqa: S105 - the sandbox's own, known to everybody
    credentials = {"token": token, "api_access_token": token}  # noqa: RUF012 - as declared above
    unauthorized = (401, {"error": True, "message": "Invalid Auth Key or Session Expired"})

    def routes(self) -> list[Route]:
        """Return the routes, below the vendor's own base path."""
        return [
            Route(f"{PREFIX}/verify", self.handle("check", self._verify), methods=["POST"]),
            Route(f"{PREFIX}/agents/call", self.handle("create", self._create), methods=["POST"]),
            Route(f"{PREFIX}/agents/executions/list", self.handle("list", self._executions)),
        ]

    def _verify(self, _request: Request, _body: Any) -> Handled:
        """Accept the token, which was checked before."""
        return 200, {"error": False, "message": "Token is valid", "data": {}}

    def _create(self, _request: Request, body: Any) -> Handled:
        """Place a call."""
        if not body.get("phone_number"):
            return 400, {"error": True, "message": "Phone Number is required"}
        if body.get("agent_id") in (None, ""):
            return 400, {"error": True, "message": "Agent ID is required"}
        if not isinstance(body["agent_id"], int):
            return 422, {"error": True, "message": "agent_id must be an integer"}
        if AGENTS.get(body["agent_id"]) != 1:
            return 404, {"error": True, "message": "Agent not found or not active"}
        number = "+" + body["phone_number"].removeprefix("+")
        if not re.fullmatch(r"\+[1-9]\d{7,14}", number):
            return 422, {"error": True, "message": "phone_number is not valid"}
        metadata = body.get("metadata") or {}
        tag = metadata.get("airflow_call_tag")
        call = self.world.place(self.name, number, str(body["agent_id"]), tag=tag, variables=metadata)
        data = {
            "execution_id": call.id,
            "agent_id": body["agent_id"],
            "phone_number": number,
            "call_status": "initiated",
        }
        return 200, {"success": True, "message": "Call initiated", "data": data}

    def _executions(self, request: Request, _body: Any) -> Handled:
        """List executions: no totals, pages until a short one."""
        now, query = self.world.now(), request.query_params
        calls = [
            call
            for call in self.ordered()
            if passes(query, {"agent_id": call.agent_id, "provider_number": CALLER_ID})
            and passes(query, {"status": self.status_of(call, now)})
            and query.get("calling_number", "") in _customer(call)
            and query.get("input_data", "") in json.dumps(call.variables)
            and self.in_days(call, query.get("fromdate"), query.get("todate"))
        ]
        shown, _, _ = self.page_of(request, calls, "limit", 10)
        return 200, {"datalist": [_row(call, self.status_of(call, now), now) for call in shown]}


def _customer(call: SandboxCall) -> str:
    """Return the other side's number, which rows show as CALLING_NUMBER for calls of either direction."""
    return call.to if call.direction == "outbound" else call.from_


def _row(call: SandboxCall, status: str, now: datetime) -> dict[str, Any]:
    seconds = call.duration(now)
    return {
        "ID": call.key,
        "AGENT_ID": int(call.agent_id),
        "agent_name": f"Agent {call.agent_id}",
        "CALLING_NUMBER": _customer(call),
        "PROVIDER_NUMBER": CALLER_ID,
        "STATUS": status,
        "CALL_STATUS": status,
        "TOTAL_DURATION": seconds,
        "total_duration": f"{seconds // 60}m:{seconds % 60}s",
        "CREATED_AT": write_time(call.created_at),
        "date": call.created_at.strftime("%d %b, %Y"),
        "time": call.created_at.strftime("%H:%M"),
        "TRANSCRIPT": "Agent: hello" if seconds else None,
        "FILE_PATH": f"https://recordings.invalid/{call.id}.mp3" if seconds else None,
        "INPUT_DATA": call.variables,
        **dict.fromkeys(_EMPTY_FIELDS),
    }
