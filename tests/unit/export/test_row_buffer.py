from __future__ import annotations

import csv
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.export import row_buffer
from airflow_provider_voice.export.row_buffer import CsvRowBuffer, PlainRowBuffer

NOON = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)


def fields_of(value: object) -> str:
    """Return the one field of a row as the database reads it."""
    with CsvRowBuffer() as buffer:
        buffer.add((value,))
        return buffer.file().read().decode()


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), min_size=1))
def test_any_text_is_read_back_as_it_was(rows: list[list[str]]) -> None:
    with CsvRowBuffer() as buffer:
        for row in rows:
            buffer.add(tuple(row))
        text = buffer.file().read().decode()
    read = csv.reader(text.splitlines(keepends=True), delimiter=CsvRowBuffer.DELIMITER, quotechar=CsvRowBuffer.QUOTE)
    assert _joined(text) == rows or list(read) == rows


def _joined(text: str) -> list[list[str]]:
    """Split CSV by hand: Python's reader takes other signs than a line feed for the end of a line."""
    rows: list[list[str]] = [[]]
    field, is_quoted, place = "", False, 0
    while place < len(text):
        sign = text[place]
        if is_quoted and sign == CsvRowBuffer.QUOTE:
            if text[place + 1 : place + 2] == CsvRowBuffer.QUOTE:
                field, place = field + sign, place + 1
            else:
                is_quoted = False
        elif is_quoted:
            field += sign
        elif sign == CsvRowBuffer.QUOTE:
            is_quoted = True
        elif sign in (CsvRowBuffer.DELIMITER, "\n"):
            rows[-1].append(field)
            field = ""
            if sign == "\n":
                rows.append([])
        else:
            field += sign
        place += 1
    return rows[:-1]


def test_null_and_an_empty_text_are_not_the_same() -> None:
    assert fields_of(None) == "\n"
    assert fields_of("") == "\x02\x02\n"


@pytest.mark.parametrize(
    ("value", "field"),
    [(True, "True"), (0, "0"), (0.1, "0.1"), (NOON, "2026-01-10T12:00:00Z")],
)
def test_other_values_are_written_as_databases_read_them(value, field) -> None:
    assert fields_of(value) == f"\x02{field}\x02\n"


def test_plain_rows_come_in_batches_with_the_drivers_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_buffer, "BATCH", 2)
    with PlainRowBuffer(lambda moment: moment.hour) as buffer:
        for number in range(5):
            buffer.add((number, NOON, None))
        assert list(buffer.batches()) == [
            [[0, 12, None], [1, 12, None]],
            [[2, 12, None], [3, 12, None]],
            [[4, 12, None]],
        ]
        assert buffer.count == 5


def test_an_empty_buffer_has_no_batch() -> None:
    with PlainRowBuffer(str) as buffer:
        assert list(buffer.batches()) == []


def test_rows_of_the_windows_are_counted_by_hour_and_others_are_not() -> None:
    with CsvRowBuffer() as buffer:
        for minutes in (0, 59, 60):
            buffer.add(("x",), NOON + timedelta(minutes=minutes))
        buffer.add(("read again, outside of the windows",))
        assert dict(buffer.hours) == {NOON: 2, NOON + timedelta(hours=1): 1}
        assert buffer.count == 4


def test_the_file_is_gone_with_the_buffer() -> None:
    with CsvRowBuffer() as buffer:
        file = buffer.file()
    assert file.closed
