"""A wrong query is permanent and names its argument, on each database; a database that is away may come back."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.outreach.user_queries import querying


def ask(engine, sql: str):
    with querying("do_not_call", engine) as connection:
        return connection.exec_driver_sql(sql).scalars().all()


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT 1 FROM peopel", "no such table: peopel"),
        ("SELECT nmae", "no such column"),
        ("SELECT (1", "incomplete input"),
        ("SELECT 'a", "unrecognized token"),
    ],
)
def test_a_wrong_query_is_permanent(sql, text) -> None:
    with pytest.raises(InvalidRequest, match=f"The SQL in do_not_call .*{text}") as raised:
        ask(create_engine("sqlite://"), sql)
    assert raised.value.permanent


@pytest.mark.parametrize("code", [1052, 1054, 1055, 1140, 1142, 1222, 1241, 1248, 1305, 1582])
def test_a_wrong_query_of_mysql_is_permanent_although_its_driver_calls_it_operational(code) -> None:
    with pytest.raises(InvalidRequest), querying("contacts", create_engine("sqlite://")):
        raise OperationalError("SELECT 1", {}, Exception(code, "wrong"))


@pytest.mark.parametrize("code", [1045, 1205, 2003, 2013])
def test_a_mysql_that_refuses_or_breaks_off_may_come_back(code) -> None:
    with pytest.raises(VoiceError) as raised, querying("contacts", create_engine("sqlite://")):
        raise OperationalError("SELECT 1", {}, Exception(code, "away"))
    assert not raised.value.permanent


def test_a_database_that_is_away_is_not(tmp_path) -> None:
    with pytest.raises(VoiceError, match="database of do_not_call does not answer") as raised:
        ask(create_engine(f"sqlite:///{tmp_path / 'missing' / 'x.db'}"), "SELECT 1")
    assert not raised.value.permanent


def test_a_pool_without_a_free_connection_is_not(tmp_path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}", pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect(), pytest.raises(VoiceError, match="database of do_not_call does not answer") as raised:
        ask(engine, "SELECT 1")
    assert not raised.value.permanent


def test_no_number_of_a_query_is_shown() -> None:
    with pytest.raises(InvalidRequest) as raised:
        ask(create_engine("sqlite://"), "SELECT 1 FROM x14155552601")
    assert "4155552601" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_percent_sign_is_itself() -> None:
    assert ask(create_engine("sqlite://"), "SELECT 1 WHERE 'abc' LIKE 'a%'") == [1]
