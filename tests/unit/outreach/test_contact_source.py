"""Rows of SQL, of a file, and as they are; each mistake names ``contacts``."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.outreach.contact_source import check_source, rows_of


def opened(path: str):
    return Path(path).open("rb")


def test_rows_of_a_file_a_query_and_a_list(tmp_path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("contact_id,to\nc1,+14155552601\n")
    expected = [{"contact_id": "c1", "to": "+14155552601"}]
    query = "SELECT 'c1' AS contact_id, '+14155552601' AS \"to\""
    assert list(rows_of(str(path), None, opened)) == expected
    assert list(rows_of(query, create_engine("sqlite://"), opened)) == expected
    assert list(rows_of(expected, None, opened)) == expected


def test_a_query_must_not_have_a_column_twice() -> None:
    query = "SELECT '+14155552601' AS \"to\", '+14155552602' AS \"to\""
    with pytest.raises(InvalidRequest, match=r"the SQL in contacts .*'to' a second time"):
        list(rows_of(query, create_engine("sqlite://"), opened))


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM people", " with a as (select 1)\nselect * from a", "-- x\nSELECT 1", "x.sql"]
)
def test_sql_without_a_connection_is_no_path(sql) -> None:
    check_source(sql, has_connection=True)
    with pytest.raises(InvalidRequest, match="needs contacts_conn_id"):
        check_source(sql, has_connection=False)


@pytest.mark.parametrize(
    "path", ["people.csv", "s3://bucket/select/people.csv", "/data/with names/people.csv", "select people.csv"]
)
def test_a_path_is_no_sql(path) -> None:
    check_source(path, has_connection=False)


@pytest.mark.parametrize("source", [5, {"to": "+14155552601"}, None, "[{'to': '+14155552601'}]"])
def test_a_source_that_is_no_list_of_rows_is_refused_and_not_shown(source) -> None:
    with pytest.raises(InvalidRequest, match="contacts") as raised:
        check_source(source, has_connection=True)
    assert "4155552601" not in str(raised.value)


@pytest.mark.parametrize("name", ["missing.csv", "", "missing/people.csv", "+14155552601.csv"])
def test_a_file_that_is_not_there_names_the_argument(tmp_path, name) -> None:
    with pytest.raises(InvalidRequest, match=r"contacts: the file .*contacts_conn_id") as raised:
        list(rows_of(str(tmp_path / name), None, opened))
    assert "4155552601" not in str(raised.value)
    assert raised.value.__context__ is None
