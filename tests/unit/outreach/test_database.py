"""Transactions: begun again, given up, and what their errors say."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import OperationalError, ProgrammingError

from airflow_provider_voice.exceptions import LedgerFailed
from airflow_provider_voice.outreach import database as database_module
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.schema import versions

SECRET = "+14155552671"


def failing(times: int, kind: type[Exception] = OperationalError, text: str = "database is locked"):
    """Return work that fails so many times."""
    left = [times]

    def work(connection):
        if left[0]:
            left[0] -= 1
            raise kind(SECRET, {"to": SECRET}, Exception(text))
        return "done"

    return work


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def test_a_transaction_that_lost_against_another_is_begun_again(book) -> None:
    assert book.database.transact(failing(database_module.TRIES - 1)) == "done"


@pytest.mark.parametrize(
    ("work", "is_permanent"),
    [
        (failing(99), False),
        (failing(1, text="the server closed the connection"), False),
        (failing(1, ProgrammingError, "no such table"), True),
    ],
    ids=["locked for ever", "gone", "no table"],
)
def test_an_error_says_whether_it_may_pass_and_no_number(book, work, is_permanent) -> None:
    with pytest.raises(LedgerFailed) as raised:
        book.database.transact(work)
    assert raised.value.permanent is is_permanent
    assert SECRET not in f"{raised.value!r} {raised.value.__cause__!r} {raised.value.__context__!r}"


def test_a_row_is_inserted_once(book) -> None:
    def insert(connection):
        return book.database.insert_if_missing(connection, versions, {"component": "x", "version": 1})

    assert [book.database.transact(insert), book.database.transact(insert)] == [True, False]
    assert len(book.database.rows(select(versions).where(versions.c.component == "x"))) == 1


def test_another_database_is_refused() -> None:
    class Engine:
        dialect = type("Dialect", (), {"name": "oracle"})

    with pytest.raises(LedgerFailed, match="oracle") as raised:
        Database(Engine())  # type: ignore[arg-type]
    assert raised.value.permanent


def test_the_databases_own_clock_is_aware(tmp_path) -> None:
    database = Database(create_engine(f"sqlite:///{tmp_path / 'own.db'}"))
    assert database.transact(database.now).tzinfo is not None
