"""What the sandbox knows: its clock, its calls, who was rung. No HTTP here."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.sandbox.outcomes import Course, course_of

CALLER_ID = "+14155550100"
_COST_PER_MINUTE = 0.09


class Clock:
    """The sandbox's time: real time, faster real time, or by hand.

    :param speed: sandbox seconds per real second; 0: it only moves by :meth:`advance`.
    :param start: where it starts; None: now.
    """

    def __init__(self, speed: float = 1.0, start: datetime | None = None) -> None:
        self._speed = speed
        self._start = start or datetime.now(timezone.utc)
        self._began = time.monotonic()
        self._advanced = 0.0

    def now(self) -> datetime:
        """Return the sandbox's time, aware UTC."""
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self._speed + self._advanced)

    def advance(self, seconds: float) -> None:
        """Move the time on."""
        self._advanced += seconds


@dataclass(frozen=True)
class Ring:
    """One phone that really rang: by which vendor, whose, when, for which call and by which request."""

    vendor: str
    number: str
    at: datetime
    call_id: str
    request: int
    tag: str | None = None


@dataclass
class SandboxCall:
    """One call as the sandbox keeps it; the vendor files show it in their own words."""

    vendor: str
    key: int
    id: str
    sid: str
    to: str
    from_: str
    agent_id: str
    direction: str
    created_at: datetime
    course: Course
    delay_seconds: int = 0
    is_testing: bool = False
    variables: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    shown_from: datetime | None = None
    hung_up_at: datetime | None = None
    touched_at: datetime | None = None

    def _seconds(self, now: datetime) -> float:
        return (now - self.created_at).total_seconds() - self.delay_seconds

    def status(self, now: datetime) -> CallStatus:
        """Return where the call stands."""
        if self.hung_up_at is not None and now >= self.hung_up_at:
            return CallStatus.COMPLETED
        return self.course.status_at(self._seconds(now))

    def ended_at(self, now: datetime) -> datetime | None:
        """Return when the call ended, None while it has not."""
        if not self.status(now).is_terminal:
            return None
        if self.hung_up_at is not None:
            return self.hung_up_at
        return self.created_at + timedelta(seconds=self.delay_seconds + self.course.end)

    def updated_at(self, now: datetime) -> datetime:
        """Return when the call last changed."""
        if self.hung_up_at is not None and now >= self.hung_up_at:
            changed = self.hung_up_at
        else:
            seconds = self.course.last_change(self._seconds(now))
            changed = self.created_at + timedelta(seconds=seconds and seconds + self.delay_seconds)
        return max(changed, self.touched_at) if self.touched_at else changed

    def duration(self, now: datetime) -> int:
        """Return the seconds talked; 0 until the call has ended."""
        return self.course.talk_seconds if self.status(now).is_terminal and self.hung_up_at is None else 0

    def cost(self, now: datetime) -> float:
        """Return what the call cost."""
        return round(self.duration(now) / 60 * _COST_PER_MINUTE, 4)


class World:
    """All calls of one sandbox.

    :param clock: its time.
    :param seed: decides the outcome of numbers without a magic ending.
    :param list_delay: sandbox seconds until a new call appears in lists and look-ups.
    """

    def __init__(self, clock: Clock, *, seed: int = 0, list_delay: float = 0.0) -> None:
        self.clock = clock
        self.seed_number = seed
        self.list_delay = list_delay
        self.calls: dict[str, list[SandboxCall]] = {"talkover": [], "talkstack": [], "unleashx": []}
        self.rings: list[Ring] = []
        self._lock = threading.RLock()
        self._keys = 1000

    def place(
        self, vendor: str, to: str, agent_id: str, *, request: int = 0, tag: str | None = None, **more: Any
    ) -> SandboxCall:
        """Accept one call: from here on the phone rings."""
        now = self.clock.now()
        with self._lock:
            call = self._new(vendor, to, agent_id, now, **more)
            call.shown_from = now + timedelta(seconds=self.list_delay)
            self.calls[vendor].append(call)
            self.rings.append(Ring(vendor, to, now + timedelta(seconds=call.delay_seconds), call.id, request, tag))
        return call

    def seed(
        self,
        vendor: str,
        count: int,
        start: datetime,
        end: datetime,
        *,
        agent_id: str | None = None,
        direction: str = "outbound",
        seed: int = 0,
    ) -> list[SandboxCall]:
        """Add a history of ``count`` calls spread over ``[start, end)``; nobody is rung by it."""
        # With the number of calls so far: a second batch has other ids than the first.
        rng = random.Random(f"{seed} {self._keys}")
        span = (end - start).total_seconds()
        moments = sorted(start + timedelta(seconds=rng.random() * span) for _ in range(count))
        agent = agent_id or DEFAULT_AGENTS[vendor]
        with self._lock:
            added = [
                self._new(vendor, f"+1415555{rng.randint(2000, 9999)}", agent, moment, direction=direction, rng=rng)
                for moment in moments
            ]
            self.calls[vendor].extend(added)
        return added

    def _new(
        self, vendor: str, to: str, agent_id: str, created_at: datetime, rng: random.Random | None = None, **more: Any
    ) -> SandboxCall:
        self._keys += 1
        bits = rng.getrandbits(128) if rng else uuid.uuid4().int
        call_id = str(uuid.UUID(int=bits, version=4))
        fields = {"direction": "outbound", **more}
        numbers = (to, CALLER_ID) if fields["direction"] == "outbound" else (CALLER_ID, to)
        return SandboxCall(
            vendor=vendor,
            key=self._keys,
            id=f"CA{uuid.UUID(call_id).hex}" if vendor == "talkstack" else call_id,
            sid=f"CA{uuid.UUID(call_id).hex}",
            to=numbers[0],
            from_=numbers[1],
            agent_id=str(agent_id),
            created_at=created_at,
            course=course_of(to, self.seed_number),
            **fields,
        )

    def shown(self, vendor: str) -> list[SandboxCall]:
        """Return the calls a vendor shows now, newest first."""
        now = self.clock.now()
        with self._lock:
            calls = [call for call in self.calls[vendor] if call.shown_from is None or call.shown_from <= now]
        return sorted(calls, key=lambda call: call.created_at, reverse=True)

    def find(self, vendor: str, call_id: str) -> SandboxCall | None:
        """Return one call the vendor shows now, by its id."""
        return next((call for call in self.shown(vendor) if call_id in (call.id, call.sid)), None)

    def reset(self) -> None:
        """Forget every call and ring."""
        with self._lock:
            for calls in self.calls.values():
                calls.clear()
            self.rings.clear()


DEFAULT_AGENTS = {"talkover": "agent_sandbox", "talkstack": "agent-sandbox", "unleashx": "101"}
