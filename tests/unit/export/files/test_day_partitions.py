from __future__ import annotations

import tracemalloc
from datetime import datetime, timedelta, timezone
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import IncompleteHistory
from airflow_provider_voice.export.files import formats
from airflow_provider_voice.export.files.day_partitions import DayRows
from airflow_provider_voice.export.files.formats import FORMATS
from airflow_provider_voice.export.rows import COLUMNS

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def row(number: int, created: datetime, raw: str = "{}") -> tuple:
    values = dict.fromkeys(COLUMNS) | {"source": "s", "call_id": f"c{number}", "created_at": created, "raw": raw}
    return tuple(values.values())


@given(st.lists(st.tuples(st.integers(0, 3 * 86400 * 10**6), st.integers(0, 10**6)), unique_by=lambda one: one[1]))
def test_each_day_is_sorted_by_time_for_any_order_of_the_rows(calls) -> None:
    rows = [row(number, START + timedelta(microseconds=micros)) for micros, number in calls]
    created = list(COLUMNS).index("created_at")
    with DayRows() as days:
        for one in rows:
            days.add(one, one[created])
        got = {day: list(days.of(day)) for day in days.counts()}
        assert {day: len(some) for day, some in got.items()} == days.counts()
    wanted: dict[str, list[tuple]] = {}
    for one in sorted(rows, key=lambda one: (one[created], one[1])):
        wanted.setdefault(str(one[created].date()), []).append(one)
    assert got == wanted


def test_a_call_without_a_time_has_no_day() -> None:
    with DayRows() as days, pytest.raises(IncompleteHistory):
        days.add(row(1, START))


@pytest.mark.parametrize("name", FORMATS)
def test_a_day_of_many_calls_takes_the_memory_of_a_few(name, monkeypatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(formats, "ROW_GROUP", 1000)
    raw, count = '{"text": "' + "x" * 1000 + '"}', 20_000
    tracemalloc.start()
    with DayRows() as days:
        for number in range(count):
            days.add(row(number, START + timedelta(seconds=number % 80_000), raw), START)
        FORMATS[name][1](BytesIO(), days.of("2026-01-01"))
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < count * len(raw) / 3
