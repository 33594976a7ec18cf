from __future__ import annotations

import sqlite3
import traceback

import pytest

from airflow_provider_voice.exceptions import InvalidRequest, StorageFailed, VoiceError, WarehouseFailed
from airflow_provider_voice.export.errors import without_row_values

NUMBER = "+14155552671"


class DriverError(Exception):
    """As psycopg raises it: the text quotes the row."""

    sqlstate = "23505"


def failing(error: Exception, failed: type[VoiceError] = WarehouseFailed) -> VoiceError:
    def work() -> None:
        raise error

    with pytest.raises(failed) as caught:
        without_row_values(work, failed, "The load of {x} broke off ({error}).")
    return caught.value


def test_the_drivers_text_is_nowhere_in_the_error_or_its_chain() -> None:
    error = failing(DriverError(f"Key (to_number)=({NUMBER}) already exists"))
    assert NUMBER not in "".join(traceback.format_exception(error))
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("error", "code", "named"),
    [
        (DriverError(NUMBER), "23505", "(DriverError, 23505)"),
        (OSError(28, "No space left on device"), "28", "(OSError, 28)"),
        (ValueError(NUMBER), "ValueError", "(ValueError)"),
    ],
)
def test_the_message_names_class_and_code_of_the_drivers_error(error: Exception, code: str, named: str) -> None:
    failed = failing(error, StorageFailed)
    assert failed.code == code
    assert named in failed.message


def test_sqlite_names_its_error() -> None:
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(":memory:").execute("SELECT * FROM nothing")
    name = getattr(caught.value, "sqlite_errorname", "OperationalError")  # from Python 3.11 on
    assert failing(caught.value).code == name


def test_braces_in_a_message_are_text() -> None:
    assert "{x}" in failing(ValueError()).message


def test_errors_of_ours_pass_and_results_come_back() -> None:
    ours = InvalidRequest("The column created_at is of another type.")
    with pytest.raises(InvalidRequest) as caught:
        without_row_values(lambda: (_ for _ in ()).throw(ours), WarehouseFailed, "")
    assert caught.value is ours
    assert without_row_values(lambda: 7, WarehouseFailed, "") == 7
