"""The common part of the three vendors' routes: token check, faults, list order and pages, the request log."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
from abc import ABC, abstractmethod
from datetime import timedelta
from email.utils import format_datetime
from http.client import TOO_MANY_REQUESTS, responses
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from starlette.responses import Response

from airflow_provider_voice.sandbox.arguments import seconds_of
from airflow_provider_voice.sandbox.world import LoggedRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from starlette.requests import Request
    from starlette.routing import Route

    from airflow_provider_voice.models import CallStatus
    from airflow_provider_voice.sandbox.arguments import VendorName
    from airflow_provider_voice.sandbox.faults import Fault
    from airflow_provider_voice.sandbox.quirks import VendorQuirks
    from airflow_provider_voice.sandbox.world import SandboxCall, World

    Row = TypeVar("Row")

#: The HTTP status and JSON body of a response.
Handled = tuple[int, Any]


class VendorRoutes(ABC):
    """The routes of one vendor.

    :param world: the calls.
    :param quirks: the answers to facts that the vendor's pages leave open.
    """

    name: ClassVar[VendorName]
    #: The token of a connection, and further fields of its ``extra``.
    token: ClassVar[str]
    connection_extra: ClassVar[Mapping[str, str]] = {}
    #: Credential headers with their values, any of which is enough; and the response to a request without one.
    credentials: ClassVar[Mapping[str, str]]
    unauthorized: ClassVar[Handled]
    #: Our status -> the vendor's documented status, where they differ.
    statuses: ClassVar[Mapping[CallStatus, str]]
    #: Rows that a page of a list holds at most, unless the quirks set another limit.
    usual_max_page: ClassVar[int] = 100

    def __init__(self, world: World, quirks: VendorQuirks) -> None:
        self.world = world
        self.quirks = quirks
        self.max_page = quirks.max_page or self.usual_max_page

    @abstractmethod
    def routes(self) -> list[Route]:
        """Return the vendor's routes."""

    def too_many(self, _retry_after: float | None) -> Any:
        """Return the body of a 429, for vendors that do not state there when the client may try again.

        :return: the JSON body.
        """
        return {"error": True, "message": "Too many requests"}

    def status_of(self, call: SandboxCall, now: datetime) -> str:
        """Return the vendor's status of a call.

        :param call: the call.
        :param now: the time by the sandbox's clock.
        :return: the documented status, or the one that the quirks have for it.
        """
        status = call.status(now)
        return self.quirks.statuses.get(status.value) or self.statuses.get(status, status.value)

    def ordered(self) -> list[SandboxCall]:
        """Return the calls that lists show, in this sandbox's order."""
        calls, now = self.world.shown(self.name), self.world.now()
        if self.quirks.order == "shuffled":
            random.shuffle(calls)
        elif self.quirks.order == "changed":
            calls.sort(key=lambda call: call.updated_at(now), reverse=True)
        else:
            calls.sort(key=lambda call: call.created_at, reverse=self.quirks.order == "newest")
        return calls

    def page_of(
        self, request: Request, rows: Sequence[Row], size_field: str, usual_size: int
    ) -> tuple[Sequence[Row], int, int]:
        """Return the rows of the page that a query asks for, its number and its size.

        :param request: the request.
        :param rows: the rows of all pages.
        :param size_field: the parameter for the size of a page; that for its number is ``page``.
        :param usual_size: the size of a page when the query asks for none.
        :return: rows, number from 1, size.
        """
        query = request.query_params
        size = min(int(query.get(size_field, usual_size)), self.max_page)
        page = int(query.get("page", 1))
        return rows[(page - 1) * size : page * size], page, size

    def in_days(self, call: SandboxCall, first: str | None, last: str | None) -> bool:
        """Return whether a call was created on one of the days of a filter, in this vendor's time zone.

        :param call: the call.
        :param first: the first day, as ISO text; ``None``: no bound.
        :param last: the last day, as ISO text; ``None``: no bound.
        :return: whether the filter lets the call through.
        """
        day = (call.created_at + timedelta(seconds=seconds_of(self.quirks.day_offset))).date().isoformat()
        if last is not None and (day >= last[:10] if self.quirks.excludes_last_day else day > last[:10]):
            return False
        return first is None or first[:10] <= day

    def _set_in_motion(self) -> None:
        """Let calls begin and change between two pages of a list, as the quirks ask for."""
        if self.quirks.new_calls_per_page:
            now = self.world.now()
            self.world.seed(self.name, self.quirks.new_calls_per_page, now, now, direction="inbound")
        if self.quirks.touched_per_page:
            self.world.touch_oldest(self.name, self.quirks.touched_per_page)

    def handle(
        self, operation: str, handler: Callable[[Request, Any], Handled]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of one route: check the token, apply a fault, do the work, respond.

        :param operation: the purpose of the route's requests.
        :param handler: does the work.
        :return: the endpoint.
        """

        async def endpoint(request: Request) -> Response:
            body = json.loads(await request.body() or b"{}")
            number = body.get("to") or body.get("number") or body.get("phone_number")
            self.world.requests.append(LoggedRequest(self.name, operation, request.url.path))
            if not any(request.headers.get(name) == value for name, value in self.credentials.items()):
                return self._answer(*self.unauthorized)
            if operation == "list":
                self._set_in_motion()
            fault = next((fault for fault in self.world.faults if fault.hits(self.name, operation, number)), None)
            is_handled = fault is None or fault.accepted
            response = self._answer(*handler(request, body)) if is_handled else Response()
            return response if fault is None else await self._spoil(response, fault, request)

        return endpoint

    async def _spoil(self, response: Response, fault: Fault, request: Request) -> Response:
        """Return the response that a fault makes of one."""
        if fault.kind in ("status", "refused"):
            return self._scripted(fault)
        if fault.kind == "garbage":
            return Response(b"<html>it works</html>", media_type="text/html")
        if fault.kind == "slow":
            await asyncio.sleep(seconds_of(fault.seconds))
        elif fault.kind == "interim":
            # ASGI has no interim responses, so this one is written to the connection below it.
            _exchange(request).transport.write(b"HTTP/1.1 %d Interim\r\nLink: </style.css>\r\n\r\n" % fault.status)
        else:
            _break_off(_exchange(request), bytes(response.body) if fault.kind == "cut" else b"")
        return response

    def _scripted(self, fault: Fault) -> Response:
        wait = None if fault.retry_after is None else seconds_of(fault.retry_after)
        body = {"message": responses.get(fault.status)} if fault.body is None else fault.body
        if fault.status == TOO_MANY_REQUESTS and fault.body is None:
            body = self.too_many(wait)
        headers = {"Location": fault.location} if fault.location else {}
        if wait is not None:
            headers["Retry-After"] = f"{wait:.15g}"
        return self._answer(fault.status, body, headers)

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
        sent = dict(headers or {})
        if self.quirks.sends_date:
            sent["Date"] = format_datetime(self.world.now().replace(microsecond=0), usegmt=True)
        return Response(json.dumps(body).encode(), status, sent, media_type="application/json")


def _exchange(request: Request) -> Any:
    """Return uvicorn's object of a request and its response, because some faults need the connection itself."""
    return request.receive.__self__  # type: ignore[attr-defined]  # the owner of a bound method


def _break_off(exchange: Any, body: bytes) -> None:
    """Send half of a body and close the connection, or reset the connection when there is no body."""
    if body:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        exchange.transport.write(head + body[: len(body) // 2])
    else:
        raw = exchange.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.disconnected = True  # so that uvicorn sends nothing more
    exchange.transport.close()


def passes(query: Mapping[str, str], values: Mapping[str, str]) -> bool:
    """Return whether a row passes those filters of a query that compare for equality.

    :param query: the parameters of the query by name.
    :param values: the row's value for each of these filters.
    :return: whether it is listed.
    """
    return all(query.get(name) in (None, value) for name, value in values.items())
