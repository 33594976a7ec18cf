"""The state of a sandbox: its clock, its calls, the phones that rang, the requests that came. No HTTP here."""

from __future__ import annotations

import itertools
import random
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.models import CallStatus, Direction
from airflow_provider_voice.sandbox.arguments import VENDORS, seconds_of
from airflow_provider_voice.sandbox.call_courses import Course, course_of

if TYPE_CHECKING:
    from airflow_provider_voice.sandbox.faults import Fault

CALLER_ID = "+14155550100"


@dataclass(frozen=True)
class Ring:
    """One phone that rang.

    :param vendor: the vendor that placed the call.
    :param number: the number that rang.
    :param at: when it rang, by the sandbox's clock.
    :param call_id: the vendor's id of the call.
    :param tag: our correlation text, when the request had one.

    >>> Ring("talkover", "+14155552601", datetime.fromisoformat("2026-11-21T08:30:00+00:00"), "call_1").call_id
    'call_1'
    """

    vendor: str
    number: str
    at: datetime
    call_id: str
    tag: str | None = None


@dataclass
class SandboxCall:
    """One call of the sandbox; each vendor's module shows it in that vendor's form.

    :param vendor: the vendor's name.
    :param key: an integer that no other call has (UnleashX's ``ID``).
    :param id: the id that the create returned.
    :param sid: the telephony id.
    :param to: the number that is called.
    :param from_: the number that calls.
    :param agent_id: the agent that talks.
    :param direction: ``outbound`` or ``inbound``.
    :param created_at: when the vendor accepted it, by the sandbox's clock.
    :param course: the statuses it passes through, in seconds of an ordinary call.
    :param speed: how many seconds of the course pass in one second of the clock, default 1.
    :param delay_seconds: seconds of the course before the vendor begins with the call, default 0.
    :param is_testing: whether it is a test call, default False.
    :param variables: the values for the agent's prompt.
    :param context: the values that come back with events.
    :param shown_from: when lists begin to show it; ``None`` (default): at once.
    :param hung_up_at: when it was hung up through the API.
    :param touched_at: when something other than its status changed last.
    """

    vendor: str
    key: int
    id: str
    sid: str
    to: str
    from_: str
    agent_id: str
    direction: Direction
    created_at: datetime
    course: Course
    speed: float = 1.0
    delay_seconds: int = 0
    is_testing: bool = False
    variables: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    shown_from: datetime | None = None
    hung_up_at: datetime | None = None
    touched_at: datetime | None = None

    def _stage(self, now: datetime) -> tuple[datetime, CallStatus]:
        """Return when the status began that the call has at a time, and that status."""
        if self.hung_up_at is not None and now >= self.hung_up_at:
            return self.hung_up_at, CallStatus.COMPLETED
        seconds = (now - self.created_at).total_seconds() * self.speed - self.delay_seconds
        began, status = self.course.stage_at(seconds)
        if status is CallStatus.QUEUED:
            return self.created_at, status
        return self.created_at + timedelta(seconds=(began + self.delay_seconds) / self.speed), status

    def status(self, now: datetime) -> CallStatus:
        """Return the status at a time.

        :param now: the time by the sandbox's clock.
        :return: the status; completed once the call was hung up.
        """
        return self._stage(now)[1]

    def updated_at(self, now: datetime) -> datetime:
        """Return when the call changed last.

        :param now: the time by the sandbox's clock.
        :return: the time by the sandbox's clock.
        """
        began, _ = self._stage(now)
        return max(began, self.touched_at or began)

    def duration(self, now: datetime) -> int:
        """Return the seconds talked, as if the call had not been sped up; 0 until it has ended.

        :param now: the time by the sandbox's clock.
        :return: seconds.
        """
        return self.course.talk_seconds if self.status(now).is_terminal and self.hung_up_at is None else 0


@dataclass(frozen=True)
class LoggedRequest:
    """One request that reached the sandbox.

    :param vendor: the vendor it was for.
    :param operation: ``create``, ``find``, ``list``, ``end`` or ``check``.
    :param path: the path, without the query.
    """

    vendor: str
    operation: str
    path: str


@dataclass(kw_only=True)
class World:
    """The clock of one sandbox, and all its calls, requests and faults.

    The clock runs with real time, whatever the speed of the calls is. Requests are handled one at a time, on the
    server's event loop. A test changes the world from its own thread, by single operations on lists: no lock is needed.

    :param start: the time the clock starts at, aware; :meth:`advance` moves it.
    :param frozen: whether the clock moves by :meth:`advance` alone, default False.
    :param seed_number: decides the outcome of numbers without a magic ending, default 0.
    :param speed: how many seconds of a call pass in one second of the clock, default 1.
    :param list_delay: time, of that which ``speed`` shortens, until a new call is listed, in seconds, default 0.
    :param calls: the calls by vendor, in the order in which they were added; at first none.
    :param rings: the phones that rang, in order; at first none.
    :param requests: the requests that came, in order; at first none.
    :param faults: the scripted faults, of which the first that hits a request counts; at first none.
    """

    start: datetime
    frozen: bool = False
    seed_number: int = 0
    speed: float = 1.0
    list_delay: float = 0.0
    calls: dict[str, list[SandboxCall]] = field(default_factory=lambda: {name: [] for name in VENDORS})
    rings: list[Ring] = field(default_factory=list)
    requests: list[LoggedRequest] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._keys = itertools.count(1001)

    def now(self) -> datetime:
        """Return the vendors' time, aware UTC."""
        return self.start + timedelta(seconds=0 if self.frozen else time.monotonic() - self._began)

    def advance(self, by: timedelta | float) -> None:
        """Make the clock jump.

        :param by: how far, seconds or a ``timedelta``.
        """
        self.start += timedelta(seconds=seconds_of(by))

    def place(self, vendor: str, to: str, agent_id: str, *, tag: str | None = None, **more: Any) -> SandboxCall:
        """Accept one call: from here on the phone rings.

        :param vendor: the vendor that was asked.
        :param to: the number to call.
        :param agent_id: the agent that talks.
        :param tag: our correlation text, when the request had one.
        :param more: further fields of :class:`SandboxCall`.
        :return: the new call.
        """
        now = self.now()
        call = self._new(vendor, to, agent_id, now, **more)
        call.shown_from = now + timedelta(seconds=self.list_delay / self.speed)
        rings_at = now + timedelta(seconds=call.delay_seconds / self.speed)
        self.calls[vendor].append(call)
        self.rings.append(Ring(vendor, to, rings_at, call.id, tag))
        return call

    def seed(
        self,
        vendor: str,
        count: int,
        start: datetime,
        end: datetime,
        *,
        agent_id: str | None = None,
        direction: Direction = "outbound",
    ) -> list[SandboxCall]:
        """Add a history of calls; no phone rings.

        :param vendor: whose history.
        :param count: how many calls.
        :param start: the first moment at which one may be created, by the sandbox's clock.
        :param end: the end of these moments, exclusive.
        :param agent_id: the agent that talked; ``None`` (default): the sandbox's first one.
        :param direction: ``outbound`` (default) or ``inbound``.
        :return: the new calls.
        """
        rng = random.Random(next(self._keys))  # a second batch has other ids than the first
        moments = sorted(start + (end - start) * rng.random() for _ in range(count))
        agent = agent_id or DEFAULT_AGENTS[vendor]
        added = [
            self._new(vendor, f"+1415555{rng.randint(2000, 9999)}", agent, moment, direction=direction, rng=rng)
            for moment in moments
        ]
        self.calls[vendor].extend(added)
        return added

    def _new(
        self, vendor: str, to: str, agent_id: str, created_at: datetime, rng: random.Random | None = None, **more: Any
    ) -> SandboxCall:
        unique = uuid.UUID(int=rng.getrandbits(128), version=4) if rng else uuid.uuid4()
        sid = f"CA{unique.hex}"
        fields = {"direction": "outbound", **more}
        called, caller = (to, CALLER_ID) if fields["direction"] == "outbound" else (CALLER_ID, to)
        return SandboxCall(
            vendor=vendor,
            key=next(self._keys),
            id=sid if vendor == "talkstack" else str(unique),
            sid=sid,
            to=called,
            from_=caller,
            agent_id=str(agent_id),
            created_at=created_at,
            course=course_of(to, self.seed_number),
            speed=self.speed,
            **fields,
        )

    def shown(self, vendor: str) -> list[SandboxCall]:
        """Return the calls that a vendor's lists show now.

        :param vendor: whose lists.
        :return: the calls; one that is listed with a delay comes when the delay has passed.
        """
        now = self.now()
        return [call for call in self.calls[vendor] if call.shown_from is None or call.shown_from <= now]

    def touch_oldest(self, vendor: str, count: int) -> None:
        """Let the oldest calls change, apart from their status.

        :param vendor: whose calls.
        :param count: how many.
        """
        now = self.now()
        for call in sorted(self.calls[vendor], key=lambda call: call.created_at)[:count]:
            call.touched_at = now

    def find(self, vendor: str, call_id: str) -> SandboxCall | None:
        """Return one call that the vendor's lists show now.

        :param vendor: whose lists.
        :param call_id: its id or telephony id.
        :return: the call, ``None`` when none has this id.
        """
        return next((call for call in self.shown(vendor) if call_id in (call.id, call.sid)), None)


DEFAULT_AGENTS = {"talkover": "agent_sandbox", "talkstack": "agent-sandbox", "unleashx": "101"}
