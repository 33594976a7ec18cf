"""The tables are created once, and a newer version is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import create_engine, inspect

from airflow_provider_voice.exceptions import LedgerFailed
from airflow_provider_voice.outreach.schema import VERSION, UtcTime, metadata, migrate, polls, stored_version, versions


@pytest.fixture
def connection():
    with create_engine("sqlite://").connect() as made:
        yield made


def test_the_tables_are_created_once(connection) -> None:
    assert stored_version(connection) is None
    migrate(connection)
    migrate(connection)
    assert stored_version(connection) == VERSION
    assert set(metadata.tables) <= set(inspect(connection).get_table_names())


def test_a_creation_that_broke_off_is_finished(connection) -> None:
    versions.create(connection)
    migrate(connection)
    assert stored_version(connection) == VERSION


def test_tables_of_an_older_release_are_completed(connection) -> None:
    migrate(connection)
    polls.drop(connection)
    connection.execute(versions.update().values(version=1))
    migrate(connection)
    assert stored_version(connection) == VERSION
    assert polls.name in inspect(connection).get_table_names()


def test_tables_of_a_newer_release_are_left_alone(connection) -> None:
    migrate(connection)
    connection.execute(versions.update().values(version=VERSION + 1))
    with pytest.raises(LedgerFailed, match="Upgrade") as raised:
        migrate(connection)
    assert raised.value.permanent


def test_times_are_stored_in_utc_and_come_back_aware(connection) -> None:
    local = datetime(2026, 3, 2, 12, tzinfo=timezone(timedelta(hours=5)))
    kind = UtcTime()
    stored = kind.process_bind_param(local, connection.dialect)
    assert (stored.hour, stored.tzinfo) == (7, None)
    assert kind.process_result_value(stored, connection.dialect) == local
