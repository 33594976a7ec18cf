"""Faults that can be scripted: which request goes wrong, and how."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("lost_answer", "refused", "reset", "status", "garbage", "cut", "slow")
OPERATIONS = ("create", "find", "list", "end", "check", "any")


@dataclass
class Fault:
    """One scripted fault.

    :param kind: what goes wrong. ``lost_answer``: it is handled, then the connection is closed without an answer.
        ``refused``: it is answered with 402, as for an account without credit. ``reset``: the connection is closed
        before it is handled. ``status``: it is answered with ``status``. ``garbage``: it is answered with 200 and a
        body that is no JSON. ``cut``: the answer stops in the middle. ``slow``: it is answered after ``seconds`` of
        real time.
    :param operation: ``create``, ``find``, ``list``, ``end``, ``check`` or ``any`` (default ``create``).
    :param vendor: only this vendor; None: all.
    :param times: how many requests it hits, default 1; 0: until removed.
    :param status: the HTTP status of kind ``status``, default 503.
    :param accepted: for ``status`` and ``garbage``: whether the request is handled all the same (a call is placed),
        default False.
    :param retry_after: seconds, said as the vendor says it; None: not said.
    :param seconds: of kind ``slow``, real seconds.
    :param number: only creates to this number; None: all.
    :param after: hits only from the n-th matching request on (0: the first).
    """

    kind: str
    operation: str = "create"
    vendor: str | None = None
    times: int = 1
    status: int = 503
    accepted: bool = False
    retry_after: float | None = None
    seconds: float = 0.0
    number: str | None = None
    after: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no fault; use one of {', '.join(KINDS)}.")
        if self.operation not in OPERATIONS:
            raise ValueError(f"{self.operation!r} is no operation; use one of {', '.join(OPERATIONS)}.")
        self._left = self.times
        self._passed = 0

    def hits(self, vendor: str, operation: str, number: str | None) -> bool:
        """Tell whether this request goes wrong, and count it."""
        matches = (
            self.vendor in (None, vendor)
            and self.operation in ("any", operation)
            and (self.number is None or self.number == number)
            and (self.times == 0 or self._left > 0)
        )
        if not matches:
            return False
        self._passed += 1
        if self._passed <= self.after:
            return False
        self._left -= 1
        return True

    @property
    def is_handled(self) -> bool:
        """Whether the request does its work before the answer goes wrong."""
        return self.kind in ("lost_answer", "cut", "slow") or (self.kind in ("status", "garbage") and self.accepted)
