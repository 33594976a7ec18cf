"""What the three vendors' routes share: tokens, bodies, faults, the request log."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import struct
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from starlette.requests import Request
    from starlette.routing import Route

    from airflow_provider_voice.sandbox.faults import Fault
    from airflow_provider_voice.sandbox.world import SandboxCall, World

#: What a handler returns: HTTP status and JSON body.
Handled = tuple[int, Any]


@dataclass(frozen=True)
class LoggedRequest:
    """One request that reached the sandbox."""

    number: int
    vendor: str
    operation: str
    method: str
    path: str
    at: datetime


class Desk:
    """The faults to come and the requests that came, for all vendors of one sandbox."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.requests: list[LoggedRequest] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def log(self, vendor: str, operation: str, request: Request, at: datetime) -> int:
        """Write a request down and return its number."""
        with self._lock:
            number = next(self._numbers)
            entry = LoggedRequest(number, vendor, operation, request.method, request.url.path, at)
            self.requests.append(entry)
        return number

    def fault_for(self, vendor: str, operation: str, number: str | None) -> Fault | None:
        """Return the fault that hits this request."""
        with self._lock:
            return next((fault for fault in self.faults if fault.hits(vendor, operation, number)), None)


class Vendor(ABC):
    """The routes of one vendor.

    :param world: the calls.
    :param desk: faults and request log.
    :param max_page: rows a list gives at most.
    :param order: of lists: ``newest``, ``oldest``, ``changed`` (the last changed first) or ``shuffled`` (anew in
        every request).
    """

    name: ClassVar[str]

    def __init__(self, world: World, desk: Desk, *, max_page: int = 100, order: str = "newest") -> None:
        self.world = world
        self.desk = desk
        self.max_page = max_page
        self.order = order

    @abstractmethod
    def routes(self) -> list[Route]:
        """Return the vendor's routes."""

    @abstractmethod
    def authorized(self, request: Request) -> Handled | None:
        """Return the refusal of a bad token, None for a good one."""

    def too_many(self, retry_after: float | None) -> Any:
        """Return the body of a 429."""
        del retry_after
        return {"error": True, "message": "Too many requests"}

    def ordered(self) -> list[SandboxCall]:
        """Return the calls shown, in this sandbox's order."""
        calls = self.world.shown(self.name)
        if self.order == "oldest":
            calls.reverse()
        elif self.order == "changed":
            now = self.world.clock.now()
            calls.sort(key=lambda call: call.updated_at(now), reverse=True)
        elif self.order == "shuffled":
            random.shuffle(calls)
        return calls

    def handle(
        self, operation: str, handler: Callable[[Request, Any], Handled], *, public: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of one route: token, fault, work, answer."""

        async def endpoint(request: Request) -> Response:
            body = await _json_body(request)
            number = body.get("to") or body.get("number") or body.get("phone_number")
            request.state.number = self.desk.log(self.name, operation, request, self.world.clock.now())
            refusal = None if public else self.authorized(request)
            if refusal is not None:
                return self._answer(*refusal)
            fault = self.desk.fault_for(self.name, operation, number)
            if fault is None:
                return self._answer(*handler(request, body))
            return await self._go_wrong(fault, request, lambda: handler(request, body))

        return endpoint

    async def _go_wrong(self, fault: Fault, request: Request, work: Callable[[], Handled]) -> Response:
        handled = work() if fault.is_handled else None
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault.kind in ("lost_answer", "reset", "cut"):
            return _Broken(request, json.dumps(handled[1]).encode() if fault.kind == "cut" and handled else b"")
        if fault.kind == "refused":
            return self._answer(402, {"success": False, "error": True, "message": "Insufficient credits."})
        if fault.kind == "garbage":
            return Response(b"<html>it works</html>", media_type="text/html")
        if fault.kind == "status":
            body = self.too_many(fault.retry_after) if fault.status == 429 else {"message": "scripted fault"}  # noqa: PLR2004 - HTTP's own number
            return self._answer(fault.status, body, retry_after=fault.retry_after)
        if handled is None:
            raise RuntimeError(f"fault {fault.kind} has no answer")
        return self._answer(*handled)

    def _answer(self, status: int, body: Any, retry_after: float | None = None) -> Response:
        headers = {"Date": format_datetime(self.world.clock.now().replace(microsecond=0), usegmt=True)}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return Response(json.dumps(body).encode(), status, headers, media_type="application/json")


class _Broken(Response):
    """Closes the connection, after part of an answer or none at all."""

    def __init__(self, request: Request, part_of: bytes) -> None:
        super().__init__()
        self._request = request
        self._part_of = part_of

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Break the connection under uvicorn's hands: ASGI itself has no word for it."""
        del scope, receive
        if self._part_of:
            length = str(len(self._part_of)).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", length)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            half = self._part_of[: len(self._part_of) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            await asyncio.sleep(0.05)  # let the half leave before the connection breaks
        transport = self._request.scope["sandbox_transport"]
        raw = transport.get_extra_info("socket")
        if raw is not None and not self._part_of:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def _json_body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def whole(request: Request, name: str, default: int) -> int:
    """Return a positive whole number of the query."""
    text = request.query_params.get(name, "")
    return int(text) if text.isdigit() and int(text) > 0 else default
