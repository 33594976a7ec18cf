"""The single transaction of a load: merge the rows, then write the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, insert, or_, select, update

from airflow_provider_voice.export.models import Loaded
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog
from airflow_provider_voice.export.warehouse.merge_sql import ACTIVE, MergeSql
from airflow_provider_voice.models import read_time, write_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement

    from airflow_provider_voice.export.models import Scope
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.transaction import Transaction
    from airflow_provider_voice.export.windows import ReadPlan


@dataclass(frozen=True)
class Load:
    """The rows of one export, the run that read them, and their way into the table.

    :param scope: the calls that are exported.
    :param run: the run's name, by which a rerun finds its window again.
    :param plan: the windows that were read completely.
    :param rows: the rows.
    :param read_at: when the reading ended, by the database's clock.
    :param settle_after: how long a call that has ended must stay the same to be settled.
    :param abandon_after: how long a call may be missing, or stay in one status that does not end it, before it is given
        up.
    :param missing: ids of stored rows that the vendor no longer shows.
    """

    scope: Scope
    run: str
    plan: ReadPlan
    rows: RowBuffer
    read_at: datetime
    settle_after: timedelta
    abandon_after: timedelta
    missing: Collection[str] = ()

    def into(self, transaction: Transaction, *, is_staged: bool = False) -> Loaded:
        """Merge the rows and write the log.

        :param transaction: the transaction of the load.
        :param is_staged: whether the transaction already has a stage with all rows, default False.
        :return: the counts.
        """
        transaction.dialect.lock(transaction.cursor, self.scope.source)
        done = self._merge(transaction, is_staged)
        done.fetched = self.rows.count
        done.unchanged = done.fetched - done.inserted - done.updated - done.stale_ignored
        done.missing = self._mark_missing(transaction)
        done.abandoned = self._abandon(transaction)
        done.unsettled = _count(transaction, transaction.is_followed(self.scope.source))
        self._write_log(transaction, done)
        return done

    def _merge(self, transaction: Transaction, is_staged: bool) -> Loaded:
        dialect, stored = transaction.dialect, transaction.dialect.table.c
        if not transaction.execute(select(stored.call_id).where(stored.source == self.scope.source).limit(1)):
            # No row of the source is stored and the buffer has each call once, so there is nothing to merge with.
            if is_staged:
                transaction.execute(insert(dialect.table).from_select(list(COLUMNS), select(dialect.stage)))
            else:
                dialect.fill(dialect.table, transaction.cursor, self.rows)
            return Loaded(inserted=self.rows.count, changed_days=_days(self.rows.hours))
        if not is_staged:
            dialect.create_stage(transaction.cursor)
            dialect.fill(dialect.stage, transaction.cursor, self.rows)
        merge, settled_before = MergeSql(dialect), self.read_at - self.settle_after
        ((staged, known, *sums),) = transaction.execute(merge.survey(settled_before))
        stale, changed, noted = (int(number or 0) for number in sums)
        done = Loaded(inserted=staged - known, updated=changed, stale_ignored=stale)
        if changed or noted:
            transaction.execute(merge.update(settled_before))
        if done.inserted:
            transaction.execute(merge.insert())
        if done.inserted or done.updated:
            hours = transaction.execute(merge.changed_hours(self.scope.source))
            done.changed_days = _days(read_time(hour) for (hour,) in hours)
        return done

    def _mark_missing(self, transaction: Transaction) -> int:
        stored = transaction.dialect.table.c
        # A row that another run has settled meanwhile would stay marked: nobody reads it again.
        shown = (transaction.is_followed(self.scope.source), stored.missing_since.is_(None))
        mark = update(transaction.dialect.table).where(*shown).values(missing_since=self.read_at)
        for call_id in self.missing:
            transaction.execute(mark.where(stored.call_id == call_id))
        return len(self.missing)

    def _abandon(self, transaction: Transaction) -> int:
        stored, limit = transaction.dialect.table.c, self.read_at - self.abandon_after
        is_stuck = and_(stored.missing_since.is_(None), stored.status.in_(ACTIVE), stored.fetched_at <= limit)
        is_expired = and_(transaction.is_followed(self.scope.source), or_(stored.missing_since <= limit, is_stuck))
        expired = _count(transaction, is_expired)
        if expired:
            transaction.execute(update(transaction.dialect.table).values(abandoned_at=self.read_at).where(is_expired))
        return expired

    def _write_log(self, transaction: Transaction, done: Loaded) -> None:
        plan, coverage = self.plan, CoverageLog(transaction, self.scope)
        done.hours = coverage.write_hours([*plan.windows, *plan.rechecked], self.rows.hours, self.read_at)
        coverage.write_run(self.run, plan.requested, self.rows.count, self.read_at)
        holes = coverage.cover(plan.windows, plan.unread, self.read_at)
        done.holes = [{"start": write_time(hole.start), "end": write_time(hole.end)} for hole in holes]


def _count(transaction: Transaction, condition: ColumnElement[bool]) -> int:
    ((count,),) = transaction.execute(select(func.count()).select_from(transaction.dialect.table).where(condition))
    return int(count)


def _days(hours: Iterable[datetime | None]) -> list[str]:
    return sorted({hour.date().isoformat() for hour in hours if hour is not None})
