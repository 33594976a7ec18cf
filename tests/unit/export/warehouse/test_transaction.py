from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import insert

from airflow_provider_voice.export.warehouse.sqlite import SQLite
from airflow_provider_voice.export.warehouse.transaction import Transaction
from tests.unit.export.warehouse.recorder import HOUR, NOW, Recorder, transaction_on

DIALECT = SQLite("calls", None)


@pytest.fixture
def cursor() -> Iterator[sqlite3.Cursor]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection.cursor()


def put(cursor: sqlite3.Cursor, call_id: str, **values: Any) -> None:
    DIALECT.execute(cursor, insert(DIALECT.table).values(source="s", call_id=call_id, created_at=NOW, **values))


def test_only_rows_that_may_still_change_are_read_again(cursor: sqlite3.Cursor) -> None:
    DIALECT.create(cursor)
    put(cursor, "open")
    put(cursor, "missing", missing_since=NOW)
    put(cursor, "settled", settled_at=NOW)
    put(cursor, "abandoned", abandoned_at=NOW)
    state = transaction_on(cursor, DIALECT)
    assert set(state.unsettled("s")) == {"open", "missing"}
    assert state.unsettled("another source") == {}


def test_a_reference_has_number_time_and_agent_but_no_tag(cursor: sqlite3.Cursor) -> None:
    """Several rows may have one tag: a vendor that rings again keeps it."""
    DIALECT.create(cursor)
    put(cursor, "1001", to_number="+14155552671", agent_id="7", tag="afv-one")
    ref = transaction_on(cursor, DIALECT).unsettled("s")["1001"]
    assert (ref.id, ref.to, ref.placed_at, ref.agent_id, ref.tag) == ("1001", "+14155552671", NOW, "7", None)


@pytest.mark.parametrize("stored", ["+1415•••••71", "a" * 64, "Anonymous", None])
def test_a_number_that_is_none_is_not_searched_for(cursor: sqlite3.Cursor, stored: str | None) -> None:
    DIALECT.create(cursor)
    put(cursor, "c", to_number=stored)
    assert transaction_on(cursor, DIALECT).unsettled("s")["c"].to is None


def test_the_databases_clock_goes_on_by_the_workers_monotonic_one(
    cursor: sqlite3.Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AtNow(Transaction):
        def execute(self, statement: Any) -> list[Any]:
            return [(NOW,)]

    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    clock = AtNow(None, DIALECT).clock()
    assert clock(160.0) == NOW + HOUR / 60
    assert clock(40.0) == NOW - HOUR / 60


def test_a_connection_is_closed_and_not_left_in_autocommit() -> None:
    done: list[str] = []

    class Connection:
        autocommit = True

        def cursor(self) -> Recorder:
            return Recorder()

        def commit(self) -> None:
            done.append("commit")

        def close(self) -> None:
            done.append("close")

    class Hook:
        connection = Connection()

        def get_conn(self) -> Connection:
            return self.connection

        def set_autocommit(self, connection: Connection, autocommit: bool) -> None:
            connection.autocommit = autocommit

    with Transaction(Hook(), DIALECT):
        assert Hook.connection.autocommit is False
    assert done == ["commit", "close"]
