"""Reads of the ledger for people: campaigns, their contacts page by page, attempts per hour, undecided contacts.

Nothing here changes the ledger, not even by creating its tables; numbers are unmasked, and the caller masks them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import and_, case, func, literal, or_, select, union_all

from airflow_provider_voice.exceptions import LedgerFailed
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.schema import VERSION, attempts, campaigns, contacts, stored_version
from airflow_provider_voice.outreach.states import OPEN, WAITING, ContactState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Engine

T = TypeVar("T")

#: The span that the pace is counted over.
PACE_WINDOW = timedelta(minutes=10)
#: The span of the plot of attempts.
HOURS_SHOWN = 48
_COMPLETED = "completed"
_WITH_REASONS = [state.value for state in ContactState if state not in (ContactState.REACHED, ContactState.PENDING)]


class NoLedgerYet(LedgerFailed):
    """The database has no ledger: no campaign has run on it."""


class ReadOnlyDatabase(Database):
    """A ledger's database that is only read: no table is created, and on SQLite no campaign waits for the reader.

    :param engine: the engine of the ledger's connection.
    :param clock: replaces the database's clock in tests; ``None``: the database's own.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__(engine, clock=clock)
        self.engine = self.engine.execution_options(voice_reads=True)

    def _migrate_once(self) -> None:
        if self._is_migrated:
            return
        with self.engine.begin() as connection:
            stored = stored_version(connection)
        if stored is None:
            raise NoLedgerYet("This database holds no ledger yet. The first campaign that runs on it creates one.")
        if stored != VERSION:
            raise LedgerFailed(
                f"The ledger's tables are of version {stored}, and this release reads version {VERSION}. Run the same "
                "release of airflow-provider-voice on the API server and on the workers. The first campaign on this "
                "release migrates older tables, and so does 'voice-outreach status' with any campaign.",
                permanent=True,
            )
        self._is_migrated = True


@dataclass(frozen=True)
class CampaignSummary:
    """The progress of a campaign.

    :param campaign: its name.
    :param state: ``running``, ``paused`` or ``canceled``.
    :param created_at: when it first ran or was planned.
    :param now: the ledger's time.
    :param counts: contacts per state; states that no contact has are absent.
    :param pace: attempts a minute within the last ten minutes.
    :param plan_id: the id of its last plan.
    :param due: contacts whose time has come.
    :param next_due_at: when the first contact that waits is due; ``None``: no contact waits.
    :param last_due_at: when the last contact that waits is due.
    """

    campaign: str
    state: str
    created_at: datetime
    now: datetime
    counts: Mapping[str, int] = field(default_factory=dict)
    pace: float = 0.0
    plan_id: str | None = None
    due: int = 0
    next_due_at: datetime | None = None
    last_due_at: datetime | None = None

    @property
    def total(self) -> int:
        """All contacts."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """Contacts that are not final."""
        return sum(self.counts.get(state.value, 0) for state in OPEN)

    @property
    def waiting(self) -> int:
        """Contacts that wait for a call or a redial."""
        return sum(self.counts.get(state.value, 0) for state in WAITING)

    @property
    def done(self) -> int:
        """Contacts that are final."""
        return self.total - self.left

    @property
    def progress(self) -> str:
        """The state as people see it: ``done`` when a running campaign has nobody left, else :attr:`state`."""
        return "done" if self.state == "running" and self.total and not self.left else self.state

    @property
    def undecided(self) -> int:
        """Contacts that a person must decide about."""
        return self.counts.get(ContactState.UNKNOWN.value, 0)

    @property
    def expected_end(self) -> datetime | None:
        """When every waiting contact has been called once more at the present pace; later redials are not counted.

        ``None``: no contact waits, the campaign does not run, or contacts are due and none is being called.
        """
        last_due_at = self.last_due_at or self.now
        if self.state != "running" or not self.waiting or (self.pace <= 0 and last_due_at <= self.now):
            return None
        by_pace = self.now + timedelta(minutes=self.waiting / self.pace) if self.pace > 0 else self.now
        return max(by_pace, last_due_at)


@dataclass(frozen=True)
class ReasonCount:
    """How many contacts have one state for one reason.

    :param state: the contacts' state.
    :param reason: why, for people; empty: none is given.
    :param count: how many.
    """

    state: str
    reason: str
    count: int


@dataclass(frozen=True)
class HourCount:
    """The attempts of one hour.

    :param hour: its beginning, UTC.
    :param attempts: attempts that were intended in it.
    :param answered: those of them whose call was completed.
    """

    hour: datetime
    attempts: int
    answered: int


@dataclass(frozen=True)
class PlanView:
    """The plan of a campaign as the ledger has it.

    :param planned: contacts with a planned call.
    :param first_call_at: the first planned call.
    :param finish_at: the last planned call.
    :param refused: why the others would not be called, and how many.
    """

    planned: int
    first_call_at: datetime | None
    finish_at: datetime | None
    refused: Sequence[tuple[str, int]]


class LedgerViews:
    """The queries of a page over a ledger.

    :param database: the ledger's database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def campaigns(self, after: tuple[datetime, str] | None = None, limit: int = 25) -> list[CampaignSummary]:
        """Return campaigns, those that were created last first.

        :param after: ``created_at`` and name of the campaign before the first one; ``None``: from the newest on.
        :param limit: how many at most.
        :return: the campaigns with their counts.
        """

        def work(connection: Connection) -> list[CampaignSummary]:
            query = select(campaigns).order_by(campaigns.c.created_at.desc(), campaigns.c.campaign).limit(limit)
            if after is not None:
                created, name = after
                later = and_(campaigns.c.created_at == created, campaigns.c.campaign > name)
                query = query.where(or_(campaigns.c.created_at < created, later))
            return self._summaries(connection, list(connection.execute(query)))

        return self.database.transact(work)

    def campaign(self, name: str) -> CampaignSummary | None:
        """Return one campaign; ``None``: there is no such campaign.

        :param name: the campaign.
        :return: the campaign with its counts, or ``None``.
        """

        def work(connection: Connection) -> CampaignSummary | None:
            rows = list(connection.execute(select(campaigns).where(campaigns.c.campaign == name)))
            return next(iter(self._summaries(connection, rows)), None)

        return self.database.transact(work)

    def _summaries(self, connection: Connection, rows: Sequence[Any]) -> list[CampaignSummary]:
        now = self.database.now(connection)
        names = [row.campaign for row in rows]
        due_at = contacts.c.due_at
        query = (
            select(
                contacts.c.campaign,
                contacts.c.state,
                func.count().label("number"),
                func.sum(case((due_at <= now, 1), else_=0)).label("due"),
                func.min(due_at).label("first"),
                func.max(due_at).label("last"),
            )
            .where(contacts.c.campaign.in_(names))
            .group_by(contacts.c.campaign, contacts.c.state)
        )
        groups: dict[str, list[Any]] = {name: [] for name in names}
        for group in connection.execute(query):
            groups[group.campaign].append(group)
        paces = paces_of(connection, names, now)
        return [_summary(row, groups[row.campaign], paces.get(row.campaign, 0.0), now) for row in rows]

    def reasons(self, campaign: str, limit: int = 50) -> list[ReasonCount]:
        """Return the most frequent reasons why contacts were not reached, or not yet.

        Contacts that were reached or that nobody has called yet are left out: most contacts, and they need no reason.

        :param campaign: the campaign.
        :param limit: how many at most.
        :return: the reasons, the most frequent first.
        """
        count = func.count().label("number")
        query = (
            select(contacts.c.state, contacts.c.reason, count)
            .where(
                contacts.c.campaign == campaign,
                contacts.c.state.in_(_WITH_REASONS),
                contacts.c.reason.is_not(None),
            )
            .group_by(contacts.c.state, contacts.c.reason)
            .order_by(count.desc(), contacts.c.state, contacts.c.reason)
            .limit(limit)
        )
        return [ReasonCount(*row) for row in self.database.rows(query)]

    def hours(self, campaign: str) -> list[HourCount]:
        """Return the attempts per hour of the 48 hours before the last attempt; hours without attempts are zero.

        :param campaign: the campaign.
        :return: the hours in their order; none without an attempt.
        """

        def work(connection: Connection) -> list[HourCount]:
            mine = attempts.c.campaign == campaign
            last = connection.execute(select(func.max(attempts.c.intended_at)).where(mine)).scalar()
            if last is None:
                return []
            last_hour = last.replace(minute=0, second=0, microsecond=0)
            hours = [last_hour - timedelta(hours=ago) for ago in range(HOURS_SHOWN - 1, -1, -1)]
            # A range of the index for each hour: grouping by an expression of the time would sort every attempt.
            answered = func.coalesce(func.sum(case((attempts.c.status == _COMPLETED, 1), else_=0)), 0)
            parts = [
                select(literal(number), func.count(), answered).where(
                    mine, attempts.c.intended_at >= hour, attempts.c.intended_at < hour + timedelta(hours=1)
                )
                for number, hour in enumerate(hours)
            ]
            rows = sorted(connection.execute(union_all(*parts)))
            return [HourCount(hours[number], count, int(of_them)) for number, count, of_them in rows]

        return self.database.transact(work)

    def contacts(
        self, campaign: str, *, state: str | None = None, prefix: str = "", after: str | None = None, limit: int = 50
    ) -> list[Any]:
        """Return contacts of a campaign in the order of their keys.

        :param campaign: the campaign.
        :param state: only contacts in this state.
        :param prefix: only contacts whose key begins so.
        :param after: the key of the contact before the first one; ``None``: from the first.
        :param limit: how many at most.
        :return: rows with ``contact_key``, ``to_number``, ``state``, ``reason``, ``attempts``, ``due_at``,
            ``planned_at``, ``updated_at``.
        """
        names = ("contact_key", "to_number", "state", "reason", "attempts", "due_at", "planned_at", "updated_at")
        query = select(*(contacts.c[name] for name in names)).where(contacts.c.campaign == campaign)
        if state is not None:
            query = query.where(contacts.c.state == state)
        if prefix:
            # The lower bound lets the index begin at the first match.
            query = query.where(
                contacts.c.contact_key >= prefix, contacts.c.contact_key.startswith(prefix, autoescape=True)
            )
        if after is not None:
            query = query.where(contacts.c.contact_key > after)
        return list(self.database.rows(query.order_by(contacts.c.contact_key).limit(limit)))

    def plan(self, campaign: str) -> PlanView:
        """Return the plan of a campaign.

        :param campaign: the campaign.
        :return: the plan; empty when it has none.
        """

        def work(connection: Connection) -> PlanView:
            planned = contacts.c.planned_at
            mine = contacts.c.campaign == campaign
            totals = connection.execute(select(func.count(planned), func.min(planned), func.max(planned)).where(mine))
            number, first, last = totals.one()
            count = func.count().label("number")
            query = (
                select(contacts.c.reason, count)
                .where(mine, planned.is_(None), contacts.c.reason.like("plan: %"))
                .group_by(contacts.c.reason)
                .order_by(count.desc())
                .limit(50)
            )
            refused = [(row[0].removeprefix("plan: "), row[1]) for row in connection.execute(query)]
            return PlanView(number, first, last, refused)

        return self.database.transact(work)

    def undecided(
        self, after: tuple[str, str] | None = None, limit: int = 25, *, campaign: str | None = None
    ) -> list[Any]:
        """Return the contacts that may have been rung, with their last attempts.

        :param after: campaign and key of the contact before the first one; ``None``: from the first.
        :param limit: how many at most.
        :param campaign: only this campaign's; ``None``: those of all.
        :return: rows with ``campaign``, ``contact_key``, ``to_number``, ``attempt_id``, ``attempt``, ``call_id``,
            ``voice_conn_id``, ``agent_id``, ``intended_at``, ``evidence``.
        """
        last_attempt = and_(
            attempts.c.campaign == contacts.c.campaign,
            attempts.c.contact_key == contacts.c.contact_key,
            attempts.c.attempt == contacts.c.last_attempt,
        )
        names = ("attempt_id", "attempt", "call_id", "voice_conn_id", "agent_id", "intended_at", "evidence")
        # The index begins with the campaign, so the campaigns are named.
        known = [row.campaign for row in self.database.rows(select(campaigns.c.campaign))]
        query = (
            select(
                contacts.c.campaign,
                contacts.c.contact_key,
                contacts.c.to_number,
                *(attempts.c[name] for name in names),
            )
            .select_from(contacts.join(attempts, last_attempt))
            .where(
                contacts.c.state == ContactState.UNKNOWN.value,
                contacts.c.campaign.in_(known if campaign is None else [campaign]),
            )
            .order_by(contacts.c.campaign, contacts.c.contact_key)
            .limit(limit)
        )
        if after is not None:
            same = and_(contacts.c.campaign == after[0], contacts.c.contact_key > after[1])
            query = query.where(or_(contacts.c.campaign > after[0], same))
        return list(self.database.rows(query))

    def attempt(self, attempt_id: str) -> Any | None:
        """Return one attempt by its id; ``None``: there is no such attempt.

        :param attempt_id: the attempt.
        :return: its row, or ``None``.
        """
        return next(iter(self.database.rows(select(attempts).where(attempts.c.attempt_id == attempt_id))), None)

    def attempts_of_call(self, call_id: str) -> list[Any]:
        """Return the attempts that led to a call: one, unless two vendors use the same id.

        :param call_id: the vendor's id of the call.
        :return: their rows, at most ten.
        """
        query = select(attempts).where(attempts.c.call_id == call_id).order_by(attempts.c.attempt_id).limit(10)
        return list(self.database.rows(query))


def _summary(row: Any, groups: Sequence[Any], pace: float, now: datetime) -> CampaignSummary:
    """Return the summary of a campaign's row and of its contacts, grouped by state."""
    waiting = [group for group in groups if group.state in {state.value for state in WAITING}]
    return CampaignSummary(
        row.campaign,
        row.state,
        row.created_at,
        now,
        counts={group.state: group.number for group in groups},
        pace=pace,
        plan_id=row.plan_id,
        due=sum(int(group.due) for group in waiting),
        next_due_at=min((group.first for group in waiting if group.first), default=None),
        last_due_at=max((group.last for group in waiting if group.last), default=None),
    )


def paces_of(connection: Connection, names: Sequence[str], now: datetime) -> dict[str, float]:
    """Return how many attempts a minute each campaign made within the last ten minutes.

    :param connection: a connection inside a transaction.
    :param names: the campaigns.
    :param now: the time by the ledger's clock.
    :return: attempts a minute by campaign; one without attempts is absent.
    """
    query = (
        select(attempts.c.campaign, func.count(), func.min(attempts.c.intended_at))
        .where(
            attempts.c.campaign.in_(list(names)),
            attempts.c.intended_at >= now - PACE_WINDOW,
            attempts.c.placed_at.is_not(None),
        )
        .group_by(attempts.c.campaign)
    )
    return {
        campaign: count / max((now - first.astimezone(timezone.utc)).total_seconds() / 60, 1.0)
        for campaign, count, first in connection.execute(query)
    }
