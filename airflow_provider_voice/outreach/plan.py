"""A campaign before its first call: when each contact would be called or why not, and a digest for the plan."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, literal, select

from airflow_provider_voice.models import write_time
from airflow_provider_voice.outreach.ledger import Claimed
from airflow_provider_voice.outreach.schema import UtcTime, campaigns, contacts
from airflow_provider_voice.outreach.states import WAITING, ContactState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection

    from airflow_provider_voice.outreach.contacts import Contact
    from airflow_provider_voice.outreach.database import Database
    from airflow_provider_voice.outreach.gate import Gate
    from airflow_provider_voice.outreach.ledger import Ledger
    from airflow_provider_voice.outreach.pacing import Limits

_PAGE = 1000
#: Planned times that one statement writes.
_WRITTEN = 500
#: A planned call this much later than it was asked about is asked about again: a window may have closed.
_ASKED_AGAIN = timedelta(minutes=5)
#: How long a call is taken to last where only ``max_concurrent`` bounds the pace.
USUAL_CALL = timedelta(minutes=1)
_MOST_REASONS = 50


class PlanDigest:
    """A digest of contacts, whatever their order, and of settings.

    :param settings: everything that decides who is called when, JSON.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._sum = 0
        self._count = 0
        self._settings = json.dumps(settings, sort_keys=True, default=str)

    def read(self, found: Iterable[Contact]) -> Iterator[Contact]:
        """Yield the contacts of a source, and take them into the digest."""
        for contact in found:
            text = f"{contact.key}\x1f{contact.state.value}\x1f{contact.digest}"
            self._sum = (self._sum + int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")) % 2**256
            self._count += 1
            yield contact

    @property
    def plan_id(self) -> str:
        """The digest: equal for equal contacts and settings."""
        text = f"{self._settings}\x1f{self._count}\x1f{self._sum}"
        return f"plan-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


@dataclass
class Plan:
    """What a campaign would do.

    :param planned: when each contact that would be called would be, by key.
    :param refused: state and reason of those that would not.
    """

    planned: dict[str, datetime] = field(default_factory=dict)
    refused: dict[str, tuple[ContactState, str]] = field(default_factory=dict)


class Planner:
    """Plans the first call of every contact that waits; redials depend on endings nobody knows.

    :param ledger: the campaign's contacts.
    :param gate: policy and do-not-call list.
    :param limits: the pace.
    :param ends_at: nobody is called from then on.
    """

    def __init__(self, ledger: Ledger, gate: Gate, limits: Limits, ends_at: datetime | None = None) -> None:
        self._ledger = ledger
        self._database: Database = ledger.database
        self._gate = gate
        self._ends_at = ends_at
        per_minute = limits.calls_per_minute or float("inf")
        if limits.max_concurrent is not None:
            per_minute = min(per_minute, limits.max_concurrent / (USUAL_CALL / timedelta(minutes=1)))
        self._spacing = timedelta(0) if per_minute == float("inf") else timedelta(minutes=1) / per_minute

    def plan(self) -> dict[str, Any]:
        """Ask for every contact, write the plan into the ledger, and return a summary.

        :return: ``{"contacts", "planned", "first_call_at", "finish_at", "reasons"}``.
        """
        now = self._database.transact(self._database.now)
        plan = Plan()
        queue: list[tuple[Any, ...]] = []
        for page in self._pages():
            listed = self._gate.listed({contact.to for contact in page})
            history, _ = self._ledger.history({contact.to for contact in page})
            for contact in page:
                refusal = self._gate.refusal(contact, now, history.get(contact.to, ()), is_listed=contact.to in listed)
                if refusal is not None and refusal.due_at is None:
                    plan.refused[contact.key] = (refusal.state, refusal.reason)
                else:
                    at = now if refusal is None or refusal.due_at is None else refusal.due_at
                    heapq.heappush(queue, (at, contact.key, at, contact, history.get(contact.to, [])))
        self._place(queue, now, plan)
        self._write(plan)
        return self._summary(plan)

    def _place(self, queue: list[tuple[Any, ...]], now: datetime, plan: Plan) -> None:
        """Give every contact a time at the campaign's pace, within its windows."""
        free_at = now
        while queue:
            at, key, asked_at, contact, history = heapq.heappop(queue)
            slot = max(at, free_at)
            if slot - asked_at > _ASKED_AGAIN:
                refusal = self._gate.refusal(contact, slot, history, is_listed=False)
                if refusal is not None and refusal.due_at is None:
                    plan.refused[key] = (refusal.state, refusal.reason)
                    continue
                if refusal is not None and refusal.due_at is not None:
                    heapq.heappush(queue, (refusal.due_at, key, refusal.due_at, contact, history))
                    continue
            if self._ends_at is not None and slot >= self._ends_at:
                plan.refused[key] = (ContactState.EXPIRED, "the campaign ends before its turn")
                continue
            plan.planned[key] = slot
            free_at = slot + self._spacing

    def _pages(self) -> Iterator[list[Claimed]]:
        last = ""
        while True:

            def work(connection: Connection, after: str = last) -> list[Claimed]:
                query = (
                    select(contacts)
                    .where(
                        contacts.c.campaign == self._ledger.campaign,
                        contacts.c.contact_key > after,
                        contacts.c.state.in_([state.value for state in WAITING]),
                    )
                    .order_by(contacts.c.contact_key)
                    .limit(_PAGE)
                )
                return [
                    Claimed(
                        row.contact_key, row.to_number, ContactState(row.state), row.fence, row.attempts,
                        row.last_attempt, row.time_zone, row.jurisdiction,
                    )
                    for row in connection.execute(query)
                ]  # fmt: skip

            page = self._database.transact(work)
            if not page:
                return
            last = page[-1].key
            yield page

    def _write(self, plan: Plan) -> None:
        """Write when each contact would be called or why not; no state is changed, for this is a plan."""
        mine = contacts.c.campaign == self._ledger.campaign
        keys = sorted(plan.planned)
        for start in range(0, len(keys), _WRITTEN):
            part = keys[start : start + _WRITTEN]
            # One statement for many rows: a statement each takes most of the time of a plan.
            at = case({key: literal(plan.planned[key], UtcTime()) for key in part}, value=contacts.c.contact_key)
            self._update(mine & contacts.c.contact_key.in_(part), planned_at=at, reason=None)
        by_reason: dict[str, list[str]] = {}
        for key, (_, why) in plan.refused.items():
            by_reason.setdefault(f"plan: {why}"[:500], []).append(key)
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
    """Keep the id of the last plan with the campaign."""
    update = campaigns.update().where(campaigns.c.campaign == campaign).values(plan_id=plan_id)
    database.transact(lambda connection: connection.execute(update))
