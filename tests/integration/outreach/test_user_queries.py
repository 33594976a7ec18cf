"""Contacts and do-not-call lists in real databases: wrong SQL, missing rights, a server that is away, percent signs."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.outreach.contact_source import rows_of
from airflow_provider_voice.outreach.gate import do_not_call_of

pytestmark = pytest.mark.once


@pytest.fixture
def crm(engine):
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS people"))
        connection.execute(text("CREATE TABLE people (name VARCHAR(20), phone VARCHAR(20))"))
        connection.execute(text("INSERT INTO people VALUES ('Ann', '+14155552601'), ('Bob', '+14155552602')"))
    yield engine
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE people"))


def read(engine, sql: str):
    return list(rows_of(sql, engine, open))


def test_a_percent_sign_is_no_placeholder(crm) -> None:
    sql = "SELECT name, phone FROM people WHERE name LIKE 'A%'"
    assert read(crm, sql) == [{"name": "Ann", "phone": "+14155552601"}]
    listed = "SELECT phone FROM people WHERE name LIKE 'A%'"
    for query in (listed, f"{listed} AND phone IN :numbers", f"{listed} AND phone IN ( :numbers)"):
        assert do_not_call_of(query, crm, is_expected=True).listed(["+14155552601", "+14155552602"]) == {"+14155552601"}


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "SELECT 1 FROM peopel", "SELECT nmae FROM people", "SELECT nofun(1)", "SELECT 1 IN ((1, 2))"]
)
def test_a_wrong_query_is_permanent(crm, sql) -> None:
    with pytest.raises(InvalidRequest, match="The SQL in contacts"):
        read(crm, sql)
    with pytest.raises(InvalidRequest, match="The SQL in do_not_call"):
        do_not_call_of(sql, crm, is_expected=True).listed(["+14155552601"])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(name AS INTEGER) FROM people",
        "SELECT to_tsquery(name) FROM people",
        "SELECT name::regclass FROM people",
        "SELECT query_to_xml(name, true, true, '') FROM people",
    ],
)
def test_a_value_that_the_database_quotes_is_not_shown(engine_for, sql) -> None:
    engine = engine_for("postgres")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS people"))
        connection.execute(text("CREATE TABLE people AS SELECT 'Ada Lovelace' AS name"))
    with pytest.raises(InvalidRequest) as raised:
        read(engine, sql)
    assert "Ada" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_wrong_name_is_shown_on_postgresql(engine_for) -> None:
    with pytest.raises(InvalidRequest, match='column "nmae" does not exist'):
        read(engine_for("postgres"), "SELECT nmae FROM pg_class")


@pytest.mark.parametrize("url", ["postgresql+psycopg2://a:b@127.0.0.1:1/x", "mysql+pymysql://a:b@127.0.0.1:1/x"])
def test_a_server_that_is_away_may_come_back(url) -> None:
    with pytest.raises(VoiceError, match="does not answer") as raised:
        read(create_engine(url), "SELECT 1")
    assert not raised.value.permanent
    assert "127.0.0.1" not in str(raised.value)
