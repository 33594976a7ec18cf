"""Talkover's routes as its pages describe them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from airflow_provider_voice.models import CallStatus, write_time
from airflow_provider_voice.sandbox.routes import Handled, VendorRoutes, passes

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request

    from airflow_provider_voice.sandbox.world import SandboxCall

AGENTS = {"agent_sandbox": "published", "agent_second": "published", "agent_draft": "draft"}
PREFIX = "/api/v1"


class TalkoverRoutes(VendorRoutes):
    """The routes of Make call, List calls, End call and List agents."""

    name = "talkover"
    statuses = {  # noqa: RUF012 - as declared above
        CallStatus.QUEUED: "initiated",
        CallStatus.IN_PROGRESS: "answered",
        CallStatus.NO_ANSWER: "no-answer",
        CallStatus.VOICEMAIL: "completed",  # Talkover has no such status: the agent talked to the machine
    }
    token = "talq_sandbox_token"  # noqa: S105 - the sandbox's own, known to everybody
    credentials = {"Authorization": f"Bearer {token}"}  # noqa: RUF012 - as declared above
    unauthorized = (401, {"error": {"code": "INVALID_TOKEN", "message": "The provided API token is invalid."}})

    def routes(self) -> list[Route]:
        """Return the routes, below the vendor's own base path."""
        return [
            Route(f"{PREFIX}/agents", self.handle("check", self._agents)),
            Route(f"{PREFIX}/agents/{{agent}}/call", self.handle("create", self._create), methods=["POST"]),
            Route(f"{PREFIX}/agents/{{agent}}/end-call", self.handle("end", self._end), methods=["POST"]),
            Route(f"{PREFIX}/calls", self.handle("list", self._list_calls)),
        ]

    def too_many(self, retry_after: float | None) -> Any:
        """Return the body of a 429.

        :param retry_after: seconds until the client may try again; ``None``: not stated.
        :return: the JSON body.
        """
        details = {} if retry_after is None else {"details": {"retry_after": retry_after}}
        return {"error": {"code": "RATE_LIMIT_EXCEEDED", "message": "Too many requests.", **details}}

    def _agents(self, request: Request, _body: Any) -> Handled:
        """List the agents, paged under ``meta``."""
        rows = [{"id": agent, "name": agent, "label": agent, "current_status": AGENTS[agent]} for agent in AGENTS]
        shown, page, per_page = self.page_of(request, rows, "per_page", 20)
        return 200, {"data": shown, "meta": _counts(len(rows), page, per_page)}

    def _create(self, request: Request, body: Any) -> Handled:
        """Place a call."""
        agent, to = request.path_params["agent"], body.get("to")
        if agent not in AGENTS:
            return 404, _error("AGENT_NOT_FOUND", "Agent not found.", agent_id=agent)
        if AGENTS[agent] != "published":
            return 400, _error("AGENT_INACTIVE", "The agent is not published.")
        if not to:
            return 400, _error("MISSING_PHONE_NUMBER", "The phone number is required.")
        if not re.fullmatch(r"\+[1-9]\d{7,14}", str(to)):
            return 400, _error("INVALID_PHONE_NUMBER", "The phone number is not valid.", field="to", value=to)
        context = body.get("context") or {}
        call = self.world.place(
            self.name,
            to,
            agent,
            tag=context.get("airflow_call_tag"),
            variables=body.get("payload") or {},
            context=context,
            delay_seconds=body.get("delay_seconds", 0),
            is_testing=body.get("is_testing", False),
        )
        data = {
            "id": call.id,
            "agent_id": agent,
            "to": to,
            "status": "initiated",
            "created_at": write_time(call.created_at),
        }
        return 200, {"success": True, "data": data}

    def _end(self, request: Request, body: Any) -> Handled:
        """Hang up an active call."""
        call = self.world.find(self.name, str(body.get("call_sid")))
        if call is None or call.agent_id != request.path_params["agent"]:
            return 404, {"success": False, "message": "Call not found for this agent"}
        now = self.world.now()
        if call.status(now).is_terminal:
            return 409, {"success": False, "message": "The call is not active.", "code": "CALL_NOT_ACTIVE"}
        call.hung_up_at = now
        data = {"id": call.id, "status": "completed", "ended_reason": "ended_by_api", "ended_at": write_time(now)}
        return 200, {"success": True, "data": data}

    def _list_calls(self, request: Request, _body: Any) -> Handled:
        """List calls, filtered and paged under ``pagination``."""
        now, query = self.world.now(), request.query_params
        calls = [
            call
            for call in self.ordered()
            if passes(query, {"agent_id": call.agent_id, "direction": call.direction})
            and passes(query, {"status": self.status_of(call, now)})
            and self.in_days(call, query.get("date_from"), query.get("date_to"))
            and any(query.get("search", "") in text for text in (call.to, call.from_, call.sid))
        ]
        rows, page, per_page = self.page_of(request, calls, "per_page", 20)
        answer = {"success": True, "data": [self._row(call, now) for call in rows]}
        if self.quirks.pagination != "missing":
            answer["pagination"] = self._pagination(len(calls), len(rows), page, per_page)
        return 200, answer

    def _pagination(self, count: int, rows: int, page: int, per_page: int) -> dict[str, Any]:
        total = count + 1 if self.quirks.pagination == "off_by_one" else count
        total = min(total, self.quirks.total_cap or total)
        first = (page - 1) * per_page
        bounds = {"from": first + 1, "to": first + rows} if rows else {"from": None, "to": None}
        return {**_counts(total, page, per_page), **bounds}

    def _row(self, call: SandboxCall, now: datetime) -> dict[str, Any]:
        row = {
            "id": call.id,
            "sid": call.sid,
            "to": call.to,
            "to_formatted": call.to,
            "from": call.from_,
            "from_formatted": call.from_,
            "is_testing": call.is_testing,
            "direction": call.direction,
            "status": self.status_of(call, now),
            "duration": call.duration(now),
            "agent": {"id": call.agent_id, "name": call.agent_id, "label": call.agent_id},
            "created_at": write_time(call.created_at),
        }
        changed = call.updated_at(now)
        if self.quirks.updated_at == "backwards":
            changed = call.created_at - (changed - call.created_at)
        return row if self.quirks.updated_at == "missing" else {**row, "updated_at": write_time(changed)}


def _counts(total: int, page: int, per_page: int) -> dict[str, int]:
    return {"current_page": page, "last_page": max(1, -(-total // per_page)), "per_page": per_page, "total": total}


def _error(code: str, message: str, **details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **({"details": details} if details else {})}}
