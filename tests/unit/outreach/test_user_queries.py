"""A wrong query is permanent and names its argument, on each database; a database that is away may come back."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.outreach.user_queries import ask


def entries(engine, sql: str):
    return list(ask("do_not_call", engine, lambda connection: connection.exec_driver_sql(sql).scalars()))


def fail(error: Exception):
    """Ask a database that raises."""

    def query(connection):
        raise error

    return list(ask("contacts", create_engine("sqlite://"), query))


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
        entries(create_engine("sqlite://"), sql)
    assert raised.value.permanent


@pytest.mark.parametrize("code", [1052, 1054, 1055, 1140, 1142, 1222, 1241, 1248, 1305, 1582])
def test_a_wrong_query_of_mysql_is_permanent_although_its_driver_calls_it_operational(code) -> None:
    with pytest.raises(InvalidRequest):
        fail(OperationalError("SELECT 1", {}, Exception(code, "wrong")))


@pytest.mark.parametrize("code", [1045, 1205, 2003, 2013])
def test_a_mysql_that_refuses_or_breaks_off_may_come_back(code) -> None:
    with pytest.raises(VoiceError) as raised:
        fail(OperationalError("SELECT 1", {}, Exception(code, "away")))
    assert not raised.value.permanent


def test_a_database_that_is_away_is_not(tmp_path) -> None:
    with pytest.raises(VoiceError, match="database of do_not_call does not answer") as raised:
        entries(create_engine(f"sqlite:///{tmp_path / 'missing' / 'x.db'}"), "SELECT 1")
    assert not raised.value.permanent


def test_a_pool_without_a_free_connection_is_not(tmp_path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}", pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect(), pytest.raises(VoiceError, match="database of do_not_call does not answer") as raised:
        entries(engine, "SELECT 1")
    assert not raised.value.permanent


def test_no_number_of_a_query_is_shown() -> None:
    with pytest.raises(InvalidRequest) as raised:
        entries(create_engine("sqlite://"), "SELECT 1 FROM x14155552601")
    assert "4155552601" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_colon_that_sqlalchemy_takes_for_a_parameter_is_shown() -> None:
    query = text("SELECT 1 WHERE '09:30' = :half_past")
    with pytest.raises(InvalidRequest, match="bind parameter 'half_past'"):
        list(ask("do_not_call", create_engine("sqlite://"), lambda connection: connection.execute(query).scalars()))


def test_an_error_of_another_driver_is_named_and_not_quoted() -> None:
    # Snowflake's: a value that cannot be converted is an error of the same class as a wrong name.
    error = type("ProgrammingError", (Exception,), {"__module__": "snowflake.connector.errors"})
    with pytest.raises(InvalidRequest, match=r"refused by its database \(ProgrammingError\)") as raised:
        fail(ProgrammingError("SELECT 1", {}, error("Numeric value 'Ada Lovelace' is not recognized")))
    assert "Ada" not in str(raised.value)


def test_a_percent_sign_is_itself() -> None:
    assert entries(create_engine("sqlite://"), "SELECT 1 WHERE 'abc' LIKE 'a%'") == [1]
