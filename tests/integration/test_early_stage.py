"""PostgreSQL's stage that is filled while the vendor is still being read, and every way in which it can be lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.exceptions import IncompleteHistory
from airflow_provider_voice.export.models import Loaded, Scope, Window
from airflow_provider_voice.export.rows import RowMaker
from airflow_provider_voice.export.warehouse import postgresql
from airflow_provider_voice.export.warehouse.load import Load
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.export.windows import ReadPlan
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import Call, CallStatus
from tests.integration.databases import execute
from tests.integration.exporting import FakeVoiceHook, export

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("small_chunks")]
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
WINDOW = Window(START, START + timedelta(days=1))
READ_AT = WINDOW.end
#: Seven batches of seven rows, and nothing after the last of them.
COUNT = 49
# Of the sessions that an export has open in a transaction.
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"


@pytest.fixture(params=["postgres", "psycopg2"])
def warehouse(request: pytest.FixtureRequest, database_hook: Callable[[str], Any]) -> Warehouse:
    made = Warehouse(database_hook(request.param), "voice_calls")
    made.prepare()
    return made


def call(number: int, cost: float = 0.0) -> Call:
    return Call(
        f"call_{number:03}", "talkover", CallStatus.COMPLETED, cost=cost, created_at=START + timedelta(minutes=number)
    )


def load(
    warehouse: Warehouse, *, count: int = COUNT, cost: float = 0.0, at: dict[int, Callable[[], object]] | None = None
) -> Loaded:
    """Load calls; ``at``: what happens once so many of them have been read, by their number."""
    read_at = READ_AT + timedelta(seconds=cost)
    maker = RowMaker("s", "plain", read_at, read_at)
    with warehouse.new_buffer() as buffer:
        for number in range(count):
            (at or {}).get(number, bool)()
            buffer.add(maker.row(call(number, cost)), call(number).created_at)
        (at or {}).get(count, bool)()
        plan = ReadPlan(WINDOW, [WINDOW])
        return warehouse.load(Load(Scope("s"), "run", plan, buffer, read_at, timedelta(0), timedelta(days=7)))


def stored(warehouse: Warehouse) -> list[tuple[str, float]]:
    return [tuple(row) for row in execute(warehouse.hook, "SELECT call_id, cost FROM voice_calls ORDER BY call_id")]


def expected(count: int = COUNT, cost: float = 0.0) -> list[tuple[str, float]]:
    return [(call(number).id, cost) for number in range(count)]


def sessions(warehouse: Warehouse) -> int:
    ((count,),) = execute(warehouse.hook, f"SELECT count(*) FROM ({SESSIONS}) AS open")
    return int(count)


def end_the_session(warehouse: Warehouse) -> None:
    assert len(execute(warehouse.hook, f"SELECT pg_terminate_backend(pid, 10000) FROM ({SESSIONS}) AS open")) == 1


def test_rows_are_staged_while_they_are_read_and_nothing_of_the_table_is_locked(warehouse: Warehouse) -> None:
    def look() -> None:
        assert sessions(warehouse) == 1
        # Fails at once where anybody holds any lock on the table.
        execute(warehouse.hook, "LOCK TABLE voice_calls IN ACCESS EXCLUSIVE MODE NOWAIT")
        of_export = f"FROM pg_locks JOIN ({SESSIONS}) AS open USING (pid)"
        assert execute(warehouse.hook, f"SELECT * {of_export} WHERE locktype = 'advisory'") == []
        assert stored(warehouse) == before

    before: list[tuple[str, float]] = []
    assert load(warehouse, at={COUNT - 1: look}).inserted == COUNT
    assert stored(warehouse) == expected()
    before = expected()
    done = load(warehouse, count=COUNT + 1, cost=1.0, at={COUNT: look})
    assert (done.inserted, done.updated, done.unchanged) == (1, COUNT, 0)
    assert stored(warehouse) == expected(COUNT + 1, 1.0)
    assert sessions(warehouse) == 0


@pytest.mark.parametrize("read", [10, COUNT - 1, COUNT])
def test_a_session_that_the_database_ends_during_the_reading_costs_no_row(warehouse: Warehouse, read: int) -> None:
    assert load(warehouse, at={read: lambda: end_the_session(warehouse)}).inserted == COUNT
    assert stored(warehouse) == expected()
    assert load(warehouse, cost=1.0, at={read: lambda: end_the_session(warehouse)}).updated == COUNT
    assert stored(warehouse) == expected(cost=1.0)


def test_a_stage_that_has_been_open_for_too_long_is_given_up(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "MOST_STAGE_SECONDS", 0.0)
    open_sessions: list[int] = []
    done = load(warehouse, at={10: lambda: open_sessions.append(sessions(warehouse))})
    assert (done.inserted, open_sessions) == (COUNT, [0])
    assert stored(warehouse) == expected()


@pytest.mark.parametrize(("own", "effective"), [("0", "1min"), ("90s", "90s")])
def test_a_transaction_that_waits_for_the_vendor_is_ended_by_the_database(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, own: str, effective: str
) -> None:
    name, found = "idle_in_transaction_session_timeout", []
    copy = postgresql.PostgreSQL.copy

    def look(self: Any, table: Any, cursor: Any, file: Any) -> None:
        cursor.execute(f"SHOW {name}")
        found.append(cursor.fetchone()[0])
        copy(self, table, cursor, file)

    monkeypatch.setattr(postgresql.PostgreSQL, "copy", look)
    ((database,),) = execute(warehouse.hook, "SELECT current_database()")
    execute(warehouse.hook, f"ALTER DATABASE \"{database}\" SET {name} = '{own}'")
    try:
        assert load(warehouse).inserted == COUNT
    finally:
        execute(warehouse.hook, f'ALTER DATABASE "{database}" RESET {name}')
    assert set(found) == {effective}


def test_a_load_that_another_one_overtakes_merges_with_it(warehouse: Warehouse) -> None:
    """Also where the database's transactions see what was there when they began."""
    ((database,),) = execute(warehouse.hook, "SELECT current_database()")
    level = f'ALTER DATABASE "{database}"'
    execute(warehouse.hook, f"{level} SET default_transaction_isolation = 'repeatable read'")
    try:
        other: list[Loaded] = []
        done = load(warehouse, cost=1.0, at={40: lambda: other.append(load(warehouse, count=30))})
    finally:
        execute(warehouse.hook, f"{level} RESET default_transaction_isolation")
    assert [one.inserted for one in other] == [30]
    assert (done.inserted, done.updated) == (COUNT - 30, 30)
    assert stored(warehouse) == expected(cost=1.0)


def test_an_overtaken_load_whose_rows_are_older_changes_none_of_the_newer_ones(warehouse: Warehouse) -> None:
    done = load(warehouse, at={40: lambda: load(warehouse, count=30, cost=1.0)})
    assert (done.inserted, done.updated, done.stale_ignored) == (COUNT - 30, 0, 30)
    assert stored(warehouse) == expected(30, 1.0) + expected()[30:]


def test_a_role_that_may_not_make_a_stage_does_its_first_load(warehouse: Warehouse) -> None:
    ((database,),) = execute(warehouse.hook, "SELECT current_database()")
    execute(warehouse.hook, f'REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC')
    execute(warehouse.hook, "CREATE ROLE voice_stageless")
    execute(warehouse.hook, "GRANT ALL ON voice_calls, voice_calls_export_log TO voice_stageless")

    def connect() -> Any:
        connection = warehouse.hook.get_conn()
        connection.cursor().execute("SET ROLE voice_stageless")
        connection.commit()
        return connection

    hook = SimpleNamespace(conn_type="postgres", get_conn=connect)
    try:
        assert load(Warehouse(hook, "voice_calls")).inserted == COUNT
    finally:
        execute(warehouse.hook, "DROP OWNED BY voice_stageless")
        execute(warehouse.hook, "DROP ROLE voice_stageless")
        execute(warehouse.hook, f'GRANT TEMPORARY ON DATABASE "{database}" TO PUBLIC')
    assert stored(warehouse) == expected()


def test_a_list_that_cannot_be_read_to_its_end_leaves_the_table_and_no_session(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(warehouse, count=5)
    vendor = FakeVoiceHook(READ_AT, [call(number, cost=1.0) for number in range(COUNT)])

    def broken_list(*bounds: datetime, **_: Any) -> Any:
        yield from FakeVoiceHook.list_calls(vendor, *bounds)
        assert sessions(warehouse) == 1, "rows have been staged"
        raise IncompleteHistory("kept changing", permanent=False)

    vendor.list_calls = broken_list  # type: ignore[method-assign]  # of this object alone
    monkeypatch.setattr(VoiceHook, "for_connection", lambda _: vendor)
    with pytest.raises(IncompleteHistory):
        export(warehouse.hook, WINDOW.start, WINDOW.end)
    assert stored(warehouse) == expected(5)
    assert sessions(warehouse) == 0


class Pooler:
    """Hands out connections as a pooler in transaction mode does: each transaction may run on another server session.

    :param hook: the database's hook.
    """

    conn_type = "postgres"

    def __init__(self, hook: Any) -> None:
        self.free = [hook.get_conn() for _ in range(3)]

    def get_conn(self) -> Any:
        return PooledConnection(self)


class PooledConnection:
    """A client's connection: it has a server session from its first statement to the end of the transaction."""

    def __init__(self, pooler: Pooler) -> None:
        self._pooler = pooler
        self._session: Any = None

    def session(self) -> Any:
        if self._session is None:
            self._session = self._pooler.free.pop(0)
        return self._session

    def cursor(self) -> Any:
        return PooledCursor(self)

    def commit(self) -> None:
        self._end("commit")

    def rollback(self) -> None:
        self._end("rollback")

    def close(self) -> None:
        self._end("rollback")

    def _end(self, how: str) -> None:
        if self._session is not None:
            getattr(self._session, how)()
            self._pooler.free.append(self._session)
        self._session = None


class PooledCursor:
    """A cursor in the session that the connection has at this moment."""

    def __init__(self, connection: PooledConnection) -> None:
        self._connection = connection
        self._inner: Any = None
        if hasattr(connection.session().cursor(), "copy"):  # psycopg 3
            self.copy = lambda sql: self._cursor().copy(sql)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor(), name)

    def _cursor(self) -> Any:
        session = self._connection.session()
        if self._inner is None or self._inner.connection is not session:
            self._inner = session.cursor()
        return self._inner


def test_a_pooler_that_gives_each_transaction_another_session_finds_no_stage_left_in_any(warehouse: Warehouse) -> None:
    pooler = Pooler(warehouse.hook)
    pooled = Warehouse(pooler, "voice_calls")
    try:
        assert load(pooled).inserted == COUNT
        # Another export begins and ends while the stage of this one is open.
        done = load(pooled, cost=2.0, at={30: lambda: load(pooled, count=20, cost=1.0)})
        assert done.updated == COUNT
        with suppress(ZeroDivisionError):
            load(pooled, cost=3.0, at={40: lambda: 1 / 0})
        assert stored(warehouse) == expected(cost=2.0)
        assert len(pooler.free) == 3, "every session was handed back"
        for session in pooler.free:
            with closing(session.cursor()) as cursor:
                cursor.execute("SELECT to_regclass('pg_temp.voice_calls_stage')")
                assert cursor.fetchone() == (None,)
            session.rollback()
    finally:
        for session in pooler.free:
            session.close()
