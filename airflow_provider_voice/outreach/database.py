"""Transactions on the ledger's database: its locks, clock and errors. No table is named here."""

from __future__ import annotations

import logging
import random
import time
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from airflow_provider_voice.exceptions import LedgerFailed
from airflow_provider_voice.outreach.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine, Select, Table

log = logging.getLogger(__name__)
T = TypeVar("T")

#: How often a transaction that lost against another one is begun again.
TRIES = 8
_SQLITE_BUSY_MS = 30_000
_CLOCKS = {
    "postgresql": "SELECT clock_timestamp()",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "mariadb": "SELECT UTC_TIMESTAMP(6)",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
}
# Deadlock, serialization failure, lock timeout: the database rolled the transaction back, and another try may win.
_LOST_AGAINST_ANOTHER = {"40001", "40P01", "55P03", 1205, 1213}
_LOCK_SECONDS = 60
#: Seconds after which the server ends a transaction that nobody goes on with: a frozen worker would keep its locks.
IDLE_SECONDS = 30
_LIMIT_IDLE = {
    "postgresql": "SET idle_in_transaction_session_timeout = '{}s'",
    "mysql": "SET SESSION idle_transaction_timeout = {}",
    "mariadb": "SET SESSION idle_transaction_timeout = {}",
}
#: The lock that migrations are made under, where the database has named locks.
_LOCK_NAME, _LOCK_NUMBER = "voice_outreach_schema", 7_105_401


class Database:
    """The ledger's database.

    :param engine: the engine of the ledger's connection; PostgreSQL, MySQL, MariaDB or SQLite.
    :param clock: replaces the database's clock in tests; ``None``: the database's own.
    :raises LedgerFailed: when the database is of another kind.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] | None = None) -> None:
        self.dialect = engine.dialect.name
        self._clock = clock
        self._is_migrated = False
        if self.dialect not in _CLOCKS:
            raise LedgerFailed(
                f"A ledger cannot be kept in {self.dialect}. Use a connection to PostgreSQL, MySQL, MariaDB or SQLite.",
                permanent=True,
            )
        _prepare(engine)
        self.engine = engine
        if self.dialect != "sqlite":
            # Below this, MySQL locks gaps between rows, and two workers wait for each other all the time.
            self.engine = engine.execution_options(isolation_level="READ COMMITTED")

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction, and again when the transaction lost against another one.

        :param work: the work of the transaction; it may run several times and must have no effect but rows.
        :return: what ``work`` returned, once it is committed.
        :raises LedgerFailed: when the database refuses or does not answer. Whether a commit that failed so was made is
            not known.
        """
        for number in range(1, TRIES + 1):
            try:
                self._migrate_once()
                with self.engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                failure: SQLAlchemyError = error
                if _is_conflict(error) and number < TRIES:
                    # random is right here: two transactions that lost against each other must not meet again
                    time.sleep(random.uniform(0.01, 0.05) * number)  # noqa: S311 - jitter
                    continue
            except PoolTimeout as error:
                failure = error
            break
        raise _failed(failure)

    def rows(self, query: Select[Any]) -> Sequence[Any]:
        """Return the rows of a query that is a transaction of its own.

        :param query: the query.
        :return: all rows.
        :raises LedgerFailed: as :meth:`transact`.
        """
        return self.transact(lambda connection: connection.execute(query).all())

    def now(self, connection: Connection) -> datetime:
        """Return the time by the database's clock, which all workers share.

        :param connection: a connection inside a transaction.
        :return: an aware time, UTC.
        """
        if self._clock is not None:
            return self._clock()
        value: Any = connection.execute(text(_CLOCKS[self.dialect])).scalar_one()
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)

    def time(self) -> datetime:
        """Return the time by the database's clock, in a transaction of its own; see :meth:`now`."""
        return self.transact(self.now)

    def locked(self, statement: Select[Any], *, skip_locked: bool = False) -> Select[Any]:
        """Return a SELECT that locks its rows until the transaction ends.

        :param statement: the SELECT.
        :param skip_locked: leave out the rows that another transaction holds instead of waiting for them.
        :return: the SELECT to execute.
        """
        # SQLite has one writer at a time: every transaction here begins with its lock.
        return statement if self.dialect == "sqlite" else statement.with_for_update(skip_locked=skip_locked)

    @staticmethod
    def insert_if_missing(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless its key is there already; return whether it was inserted.

        :param connection: a connection inside a transaction.
        :param table: the table.
        :param values: the row.
        :return: False when the key was there.
        """
        try:
            with connection.begin_nested():
                connection.execute(table.insert().values(**values))
        except IntegrityError:
            return False
        return True

    def _migrate_once(self) -> None:
        if self._is_migrated:
            return
        with self.engine.begin() as connection, _schema_lock(connection):
            migrate(connection)
        self._is_migrated = True


@contextmanager
def _schema_lock(connection: Connection) -> Iterator[None]:
    """Let one worker at a time create or migrate the tables.

    PostgreSQL's lock ends with the transaction. MySQL commits with every CREATE TABLE, so its lock is the session's.
    SQLite's transaction holds the whole database already.
    """
    is_mysql = connection.dialect.name in ("mysql", "mariadb")
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})"))
    elif is_mysql and connection.execute(text(f"SELECT GET_LOCK('{_LOCK_NAME}', {_LOCK_SECONDS})")).scalar() != 1:
        raise LedgerFailed("Another worker has been creating the ledger's tables for a minute. Try again.")
    try:
        yield
    finally:
        if is_mysql and not connection.invalidated:
            connection.execute(text(f"SELECT RELEASE_LOCK('{_LOCK_NAME}')"))


def _prepare(engine: Engine) -> None:
    """Set up the connections of an engine for a ledger, once."""
    if getattr(engine, "_voice_ledger", False):
        return
    engine.dispose()
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
    else:
        event.listen(engine, "connect", partial(_limit_idle, _LIMIT_IDLE[engine.dialect.name].format(IDLE_SECONDS)))
    engine._voice_ledger = True  # type: ignore[attr-defined]  # a mark of ours: one engine may serve two ledgers


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    """Make SQLite fit for several processes: readers beside a writer, waiting for locks, and intents on the disk."""
    # Our BEGIN IMMEDIATE begins the transactions, not the driver: a lock taken late can only be lost.
    connection.isolation_level = None
    for pragma in (f"busy_timeout = {_SQLITE_BUSY_MS}", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _on_sqlite_begin(connection: Connection) -> None:
    # A reader takes no lock: a campaign must not wait for somebody who reads its page.
    reads = connection.get_execution_options().get("voice_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _limit_idle(statement: str, connection: Any, _record: Any) -> None:
    """Let the server end the transaction of a worker that was frozen; MySQL, unlike MariaDB, has no such setting."""
    cursor = connection.cursor()
    # Without the setting a campaign works too, so that a server that lacks it is not an error.
    with suppress(Exception):
        cursor.execute(statement)
    cursor.close()
    connection.commit()


def _is_conflict(error: DBAPIError) -> bool:
    original = error.orig
    code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if code is None and getattr(original, "args", None):
        code = original.args[0]  # type: ignore[union-attr]  # checked one line above
    return code in _LOST_AGAINST_ANOTHER or "database is locked" in str(original)


def _failed(error: SQLAlchemyError) -> LedgerFailed:
    """Return the error of a database without the database's own text, which may hold rows, and with them numbers."""
    original = getattr(error, "orig", None)
    name = type(original if original is not None else error).__name__
    passing = (OperationalError, InterfaceError, PoolTimeout)
    may_pass = isinstance(error, passing) or bool(getattr(error, "connection_invalidated", False))
    advice = "It is asked again." if may_pass else "Check the connection, its rights and its tables."
    # A clean text of the database's own about a missing right or table would help, yet may quote values.
    return LedgerFailed(
        f"The ledger's database refused or broke off a transaction ({name}). {advice}",
        code=name,
        permanent=not may_pass,
    )
