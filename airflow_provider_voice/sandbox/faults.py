"""Scripted faults: which request fails, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_voice.sandbox.arguments import check_choices

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_voice.sandbox.arguments import VendorName

FaultKind = Literal["lost_answer", "refused", "reset", "status", "interim", "garbage", "cut", "slow"]
Operation = Literal["create", "find", "list", "end", "check", "any"]

#: Kinds whose request is always handled before its response goes wrong.
_HANDLED = ("lost_answer", "interim", "cut", "slow")
_STATUSES = {"interim": 103, "refused": 402}  # of other kinds: 503


@dataclass
class Fault:
    """One scripted fault.

    :param kind: the kind of fault. ``lost_answer``: the request is handled, then the connection is closed without a
        response. ``refused``: the response is a 402, as for an account without credit. ``reset``: the connection is
        closed before the request is handled. ``status``: the response has ``status`` and ``body``. ``interim``: the
        request is handled, and an interim response with ``status`` precedes the final one. ``garbage``: the response
        is a 200 whose body is not JSON. ``cut``: the response stops in the middle. ``slow``: the response comes after
        ``seconds`` of real time.
    :param operation: ``create``, ``find``, ``list``, ``end``, ``check`` or ``any`` (default ``create``).
    :param vendor: only this vendor; ``None`` (default): all.
    :param times: how many requests it hits, default 1; 0: until removed.
    :param status: the HTTP status of the kinds ``status``, ``refused`` and ``interim``. Default 0: 503, 402 and 103.
    :param accepted: whether the request is handled (a call is placed) anyway. Default False, and always true for
        the kinds ``lost_answer``, ``interim``, ``cut`` and ``slow``.
    :param body: the JSON body of the kinds ``status`` and ``refused``. Default ``None``: a message that names the
        status.
    :param location: the ``Location`` header of kind ``status``, for a redirect. Default ``None``: no such header.
    :param retry_after: time until the client may try again, seconds or a ``timedelta``, sent in the vendor's form;
        ``None`` (default): not sent.
    :param seconds: real time of kind ``slow``, seconds or a ``timedelta``, default 0.
    :param number: only creates to this number; ``None`` (default): all.
    :param after: how many matching requests pass before the first one is hit, default 0.
    :raises ValueError: for an unknown kind or operation, and for an interim status that is not 1xx.

    >>> Fault("status", status=502, accepted=True).operation
    'create'
    """

    kind: FaultKind
    operation: Operation = "create"
    vendor: VendorName | None = None
    times: int = 1
    status: int = 0
    accepted: bool = False
    body: Any = None
    location: str | None = None
    retry_after: timedelta | float | None = None
    seconds: timedelta | float = 0.0
    number: str | None = None
    after: int = 0

    def __post_init__(self) -> None:
        check_choices(self, kind=FaultKind, operation=Operation)
        self.status = self.status or _STATUSES.get(self.kind, 503)
        self.accepted = self.accepted or self.kind in _HANDLED
        if self.kind == "interim" and self.status not in range(100, 200):
            raise ValueError(f"An interim response has a status from 100 to 199, not {self.status}.")
        self._matches = 0

    def hits(self, vendor: str, operation: str, number: str | None) -> bool:
        """Return whether the fault hits this request, and count the request.

        :param vendor: the vendor that got the request.
        :param operation: the purpose of the request.
        :param number: the number to be called, ``None`` when the request names none.
        :return: True for a hit.
        """
        is_meant = self.vendor in (None, vendor) and self.operation in ("any", operation)
        if not is_meant or self.number not in (None, number):
            return False
        self._matches += 1
        return self._matches > self.after and (self.times == 0 or self._matches <= self.after + self.times)
