"""The statements that merge the stage into the table; a row never replaces one that was read later.

In each of them ``t`` is the stored row and ``s`` the staged one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, exists, func, insert, null, or_, select, update

from airflow_provider_voice.export.rows import COLUMNS, CONTENT, KEY, LASTING, LASTING_ONCE_ENDED
from airflow_provider_voice.models import CallStatus

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.elements import CompilerElement

    from airflow_provider_voice.export.warehouse.dialects import SqlDialect

#: The statuses of a call that has not ended.
ACTIVE = [status.value for status in CallStatus if not status.is_terminal]


class MergeSql:
    """The statements for one table.

    :param dialect: the database's dialect.
    """

    def __init__(self, dialect: SqlDialect) -> None:
        self._dialect = dialect
        # Any: SQLAlchemy's stubs do not let an alias be updated.
        self._stored: Any = dialect.table.alias("t")
        self._staged: Any = dialect.stage.alias("s")
        t, s = self._stored.c, self._staged.c
        self._is_same = and_(*(t[name] == s[name] for name in KEY))
        kept = {name: func.coalesce(s[name], t[name]) for name in (*LASTING, *LASTING_ONCE_ENDED)}
        # Not IN: SQLAlchemy leaves its list unwritten inside of IS DISTINCT FROM.
        is_active = or_(*(s.status == status for status in ACTIVE))
        once_ended = {name: case((is_active, s[name]), else_=kept[name]) for name in LASTING_ONCE_ENDED}
        self._content = {name: s[name] for name in CONTENT} | kept | once_ended
        # With NULL as a value like any other.
        self._is_changed = or_(*(value.is_distinct_from(t[name]) for name, value in self._content.items()))
        # The time of the reading, by the database's clock, is the only order that cannot stay wrong: an updated_at may
        # be absent or go backwards, and a status may be unknown. A list that shows an older status once is corrected by
        # the next reading, because a row whose status changed is not settled.
        self._is_older = s.fetched_at < t.fetched_at

    def survey(self, settled_before: datetime) -> CompilerElement:
        """Return the query that counts the staged rows: all, stored, stale, changed, and noted ones.

        A noted row is unchanged, but settles now, or had been missing.

        :param settled_before: see :meth:`update`.
        :return: the SELECT statement; a sum over no row is NULL.
        """
        # A row that is not stored is in none of the sums: a comparison with its NULL is not true. The age comes first,
        # because a database compares the contents only where it leaves the answer open.
        stale, changed = self._is_older & self._is_changed, ~self._is_older & self._is_changed
        noted = ~self._is_older & (self._stored.c.missing_since.is_not(None) | self._settles(settled_before))
        counts = (func.sum(case((condition, 1), else_=0)) for condition in (stale, changed, noted))
        joined = self._staged.outerjoin(self._stored, self._is_same)
        return select(func.count(), func.count(self._stored.c.call_id), *counts).select_from(joined)

    def update(self, settled_before: datetime) -> CompilerElement:
        """Return the statement that brings stored rows up to date.

        :param settled_before: a call that ended, and has not changed since it was read at this time, is settled.
        :return: the UPDATE statement.
        """
        settles, t = self._settles(settled_before), self._stored.c
        is_due = or_(self._is_changed, t.missing_since.is_not(None), settles)
        values = self.assignments(settles).items()
        # In this order: MySQL assigns from left to right.
        statement = update(self._stored).ordered_values(*((t[name], value) for name, value in values))
        return statement.where(self._is_same, ~self._is_older, is_due)

    def assignments(self, settles: ColumnElement[bool]) -> dict[str, ColumnElement[Any]]:
        """Return the new value of each column of a stored row.

        :param settles: the condition that an unchanged row is settled.
        :return: SQL expressions by column; none reads a column that is assigned before it.
        """
        t, s, changed = self._stored.c, self._staged.c, self._is_changed
        return {
            # A call that ended long ago settles although its record changes at each reading, else it would be read for
            # ever. A settled one that changes is read once more: the list that showed it may have been stale.
            "settled_at": case(
                (changed & ((t.status != s.status) | t.settled_at.is_not(None)), null()),
                (changed, s.settled_at),
                (settles, s.fetched_at),
                else_=t.settled_at,
            ),
            "abandoned_at": case((changed | t.missing_since.is_not(None), null()), else_=t.abandoned_at),
            "fetched_at": case((changed, s.fetched_at), else_=t.fetched_at),
            "missing_since": null(),
            **self._content,
        }

    def _settles(self, settled_before: datetime) -> ColumnElement[bool]:
        """Return the condition that an unchanged row is settled: read the same long ago, or ended long ago."""
        t, s = self._stored.c, self._staged.c
        # Without a time of its end or last change, a call's age says nothing about an ending that was seen lately.
        ended_long_ago = s.settled_at.is_not(None) & or_(s.ended_at.is_not(None), s.updated_at.is_not(None))
        return and_(t.settled_at.is_(None), t.status.not_in(ACTIVE), (t.fetched_at <= settled_before) | ended_long_ago)

    def insert(self) -> CompilerElement:
        """Return the statement that adds the staged rows that are not stored."""
        new = select(*self._staged.c).where(~exists().where(self._is_same))
        return insert(self._dialect.table).from_select(list(COLUMNS), new)

    def changed_hours(self, source: str) -> CompilerElement:
        """Return the query for the hours of the calls that the load inserted or updated.

        The load's rows carry the time of its own readings, so an equal ``fetched_at`` marks a row that it wrote.

        :param source: the first key column.
        :return: the SELECT statement; its rows are values for :func:`~airflow_provider_voice.models.read_time`.
        """
        t, written = self._stored.c, self._is_same & (self._staged.c.fetched_at == self._stored.c.fetched_at)
        hours = select(self._dialect.hour(t.created_at)).distinct()
        return hours.select_from(self._stored.join(self._staged, written)).where(t.source == source)
