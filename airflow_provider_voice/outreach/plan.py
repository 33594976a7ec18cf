"""A campaign before its first call: when each contact would be called or why not, and a digest for the plan."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, literal, select

from airflow_provider_voice.models import write_time
from airflow_provider_voice.outreach.schema import REASON_LENGTH, UtcTime, campaigns, contacts
from airflow_provider_voice.outreach.states import WAITING, Claimed, ContactState, NextState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_voice.outreach.contacts import Contact
    from airflow_provider_voice.outreach.database import Database
    from airflow_provider_voice.outreach.gate import Gate
    from airflow_provider_voice.outreach.ledger import Ledger
    from airflow_provider_voice.outreach.pacing import Limits
    from airflow_provider_voice.policy import Place

    # The properties of a person that the policy reads, and the earlier attempts to the number, which caps count.
    Candidate = tuple[Place | NextState | None, tuple[datetime, ...]]

_PAGE = 1000
#: Planned times that one statement writes.
_WRITTEN = 500
#: How long a call is taken to last where only ``max_concurrent`` bounds the pace.
USUAL_CALL = timedelta(minutes=1)
_MOST_REASONS = 50


class PlanDigest:
    """A digest of contacts, whatever their order, and of settings.

    Two plans have one id when they would call the same people about the same thing by the same rules. It covers:

    - of each contact: key, number, time zone, jurisdiction, variables, and whether it can be called at all;
    - the settings, among them the content of the policy's rule files.

    It does not cover facts that are checked again right before each call, so that they may change: the entries of the
    do-not-call list (where the list comes from is a setting), earlier attempts, and the time.

    :param settings: all settings that decide which calls are made and when; the same values have the same digest in
        every process.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._sum = 0
        self._count = 0
        # Of two rows with one key the first one is called, so that their order matters.
        self._rows_of_key: Counter[str] = Counter()
        self._settings = json.dumps(_canonical(settings), sort_keys=True)

    def read(self, found: Iterable[Contact]) -> Iterator[Contact]:
        """Yield the contacts of a source, and take them into the digest.

        :param found: the contacts.
        :return: the same contacts, read as they are needed.
        """
        for contact in found:
            self._rows_of_key[contact.key] += 1
            row = self._rows_of_key[contact.key]
            text = f"{contact.key}\x1f{row}\x1f{contact.state.value}\x1f{contact.digest}"
            self._sum = (self._sum + int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")) % 2**256
            self._count += 1
            yield contact

    @property
    def plan_id(self) -> str:
        """The digest: equal for equal contacts and settings."""
        text = f"{self._settings}\x1f{self._count}\x1f{self._sum}"
        return f"plan-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def _canonical(value: Any) -> Any:
    """Return a value as JSON that is the same in every process; a set has no order, and its text differs."""
    if is_dataclass(value):
        return {item.name: _canonical(getattr(value, item.name)) for item in fields(value)}
    if hasattr(value, "items"):
        return {str(name): _canonical(item) for name, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


@dataclass
class Plan:
    """The plan of a campaign.

    :param planned: when each contact that would be called would be, by key.
    :param refused: state and reason of those that would not.
    """

    planned: dict[str, datetime] = field(default_factory=dict)
    refused: dict[str, tuple[ContactState, str]] = field(default_factory=dict)


class Planner:
    """Plans the first call of every contact that waits; redials depend on endings that are not known yet.

    :param ledger: the campaign's contacts.
    :param gate: policy and do-not-call list.
    :param limits: the pace.
    :param ends_at: nobody is called from then on.
    :param load_number: only contacts that this load of contacts or a later one had are planned.
    """

    def __init__(
        self, ledger: Ledger, gate: Gate, limits: Limits, ends_at: datetime | None = None, *, load_number: int = 0
    ) -> None:
        self._load_number = load_number
        self._ledger = ledger
        self._database: Database = ledger.database
        self._gate = gate
        # The refusals of the places where nobody may be called now.
        self._closed: dict[Any, NextState] = {}
        self._ends_at = ends_at
        per_minute = limits.calls_per_minute or float("inf")
        if limits.max_concurrent is not None:
            per_minute = min(per_minute, limits.max_concurrent / (USUAL_CALL / timedelta(minutes=1)))
        self._spacing = timedelta(0) if per_minute == float("inf") else timedelta(minutes=1) / per_minute

    def plan(self) -> dict[str, Any]:
        """Ask for every contact, write the plan into the ledger, and return a summary.

        :return: ``{"planned", "not_called", "first_call_at", "finish_at", "reasons"}``; ``finish_at`` is when the last
            contact would be called for the first time.
        """
        now = self._database.time()
        plan = Plan()
        queue: list[tuple[datetime, str, Candidate]] = []
        # One object for all contacts of a place, because there are many contacts and few places.
        shared: dict[Candidate, Candidate] = {}
        for page in self._pages():
            numbers = {contact.to for contact in page}
            listed = self._gate.listed(numbers)
            history, _ = self._gate.history(numbers)
            for contact in page:
                refusal = self._gate.lasting_refusal(contact, is_listed=contact.to in listed)
                if refusal is not None:
                    plan.refused[contact.key] = (refusal.state, refusal.reason)
                    continue
                candidate = (self._gate.place_of(contact), tuple(history.get(contact.to, ())))
                queue.append((now, contact.key, shared.setdefault(candidate, candidate)))
        self._place(queue, now, plan)
        self._write(plan)
        return self._summary(plan)

    def _place(self, queue: list[tuple[datetime, str, Candidate]], now: datetime, plan: Plan) -> None:
        """Give every contact a time at the campaign's pace, within its windows."""
        free_at = now
        heapq.heapify(queue)
        while queue:
            at, key, candidate = heapq.heappop(queue)
            slot = max(at, free_at)
            refusal = self._refusal_at(candidate, slot)
            if refusal is not None and refusal.due_at is None:
                plan.refused[key] = (refusal.state, refusal.reason)
            elif refusal is not None and refusal.due_at is not None:
                heapq.heappush(queue, (refusal.due_at, key, candidate))
            elif self._ends_at is not None and slot >= self._ends_at:
                plan.refused[key] = (ContactState.EXPIRED, "the campaign ends before its turn")
            else:
                plan.planned[key] = slot
                free_at = slot + self._spacing

    def _refusal_at(self, candidate: Candidate, at: datetime) -> NextState | None:
        """Return why the policy forbids a call at an instant; about a closed place it is asked once until that opens.

        Instants ascend, so an earlier refusal holds until the window opens.
        """
        place, attempts = candidate
        closed = None if attempts else self._closed.get(place)
        if closed is not None and (closed.due_at is None or at < closed.due_at):
            return closed
        refusal = self._gate.refusal_at(place, at, attempts, ContactState.PENDING)
        if refusal is not None and not attempts:
            self._closed[place] = refusal
        return refusal

    def _pages(self) -> Iterator[list[Claimed]]:
        columns = contacts.c
        query = (
            select(
                columns.contact_key, columns.to_number, columns.state, columns.fence, columns.attempts,
                columns.last_attempt, columns.time_zone, columns.jurisdiction,
            )
            .where(
                columns.campaign == self._ledger.campaign,
                columns.state.in_([state.value for state in WAITING]),
                columns.load_number >= self._load_number,
            )
            .order_by(columns.contact_key)
            .limit(_PAGE)
        )  # fmt: skip
        last = ""
        while rows := self._database.rows(query.where(columns.contact_key > last)):
            last = rows[-1].contact_key
            yield [Claimed(row[0], row[1], ContactState(row[2]), *row[3:]) for row in rows]

    def _write(self, plan: Plan) -> None:
        """Write when each contact would be called or why not; no state is changed, for this is a plan."""
        # A run in progress may have called some of them meanwhile: their reasons are those of their calls.
        mine = (contacts.c.campaign == self._ledger.campaign) & contacts.c.state.in_([state.value for state in WAITING])
        keys = sorted(plan.planned)
        for start in range(0, len(keys), _WRITTEN):
            part = keys[start : start + _WRITTEN]
            # One statement for many rows: a statement each takes most of the time of a plan.
            at = case({key: literal(plan.planned[key], UtcTime()) for key in part}, value=contacts.c.contact_key)
            self._update(mine & contacts.c.contact_key.in_(part), planned_at=at, reason=None)
        by_reason: dict[str, list[str]] = {}
        for key, (_, why) in plan.refused.items():
            by_reason.setdefault(f"plan: {why}"[:REASON_LENGTH], []).append(key)
        for why, refused in by_reason.items():
            for start in range(0, len(refused), _PAGE):
                some = contacts.c.contact_key.in_(refused[start : start + _PAGE])
                self._update(mine & some, planned_at=None, reason=why)

    def _update(self, where: Any, **values: Any) -> None:
        self._database.transact(lambda connection: connection.execute(contacts.update().where(where).values(**values)))

    def _summary(self, plan: Plan) -> dict[str, Any]:
        times = plan.planned.values()
        reasons = Counter(f"{state}: {why}" for state, why in plan.refused.values())
        return {
            "planned": len(plan.planned),
            "not_called": len(plan.refused),
            "first_call_at": write_time(min(times, default=None)),
            "finish_at": write_time(max(times, default=None)),
            "reasons": dict(reasons.most_common(_MOST_REASONS)),
        }


def store_plan_id(database: Database, campaign: str, plan_id: str) -> None:
    """Keep the id of the last plan with the campaign.

    :param database: the ledger's database.
    :param campaign: its name.
    :param plan_id: the plan's id.
    """
    update = campaigns.update().where(campaigns.c.campaign == campaign).values(plan_id=plan_id)
    database.transact(lambda connection: connection.execute(update))
