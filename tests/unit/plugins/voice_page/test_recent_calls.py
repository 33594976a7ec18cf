from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_voice.exceptions import WarehouseFailed
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.export.warehouse.transaction import Transaction
from airflow_provider_voice.plugins.voice_page.recent_calls import CallCount, RecentCalls
from tests.integration.exporting import sqlite_hook
from tests.unit.export.warehouse.recorder import HOUR, NOW, Recorder, transaction_on


@pytest.fixture
def calls(tmp_path: Path) -> RecentCalls:
    hook = sqlite_hook(tmp_path / "warehouse.db")
    warehouse = Warehouse(hook, "calls")
    warehouse.prepare()
    table = warehouse.dialect.table
    rows = [
        ("a", "1", "Ada", "7", "completed", 60, NOW),
        ("a", "2", "Ada", "7", "completed", None, NOW),
        ("a", "3", None, "8", "busy", 0, NOW),
        ("b", "4", None, None, "busy", 5, NOW),
        ("b", "3", "Ada", "7", "completed", 60, NOW - HOUR),
        ("b", "5", "Ada", "7", "completed", 60, NOW - HOUR),
    ]
    names = ("source", "call_id", "agent_name", "agent_id", "status", "duration_seconds", "created_at")
    with Transaction(hook, warehouse.dialect) as cursor:
        cursor.execute("ALTER TABLE calls ADD COLUMN agent TEXT")  # of the user
        for row in rows:
            warehouse.dialect.execute(cursor, table.insert().values(**dict(zip(names, row, strict=True))))
    return RecentCalls(hook, "calls")


def test_calls_are_counted_by_source_agent_and_status(calls: RecentCalls) -> None:
    assert calls.since(NOW) == [
        CallCount("a", "Ada", "completed", 2, 60),
        CallCount("a", "8", "busy", 1, 0),
        CallCount("b", "", "busy", 1, 5),
    ]


def test_one_call_is_found_in_any_source(calls: RecentCalls) -> None:
    (found,) = calls.calls("4")
    assert (found["source"], found["status"], found["created_at"]) == ("b", "busy", NOW)
    assert "raw" not in found
    assert calls.calls("9") == []


def test_calls_of_one_id_in_two_sources_are_both_found(calls: RecentCalls) -> None:
    assert [call["source"] for call in calls.calls("3")] == ["a", "b"]


def test_every_call_is_counted_however_many_agents_and_sources_there_are(tmp_path: Path) -> None:
    hook = sqlite_hook(tmp_path / "warehouse.db")
    warehouse = Warehouse(hook, "calls")
    warehouse.prepare()
    names = ("source", "call_id", "agent_name", "status", "created_at")
    rows = [
        *((f"many {number % 60}", str(number), "Ada", "busy", NOW) for number in range(120)),
        *(("one", str(number), f"agent {number}", "busy", NOW) for number in range(600)),
    ]
    with Transaction(hook, warehouse.dialect) as cursor:
        for row in rows:
            values = dict(zip(names, row, strict=True))
            warehouse.dialect.execute(cursor, warehouse.dialect.table.insert().values(**values))
    calls = RecentCalls(hook, "calls")
    assert sum(count.calls for count in calls.since(NOW)) == 720
    assert calls.calls("599")


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(WarehouseFailed, match="There is no table calls yet") as caught:
        RecentCalls(sqlite_hook(tmp_path / "empty.db"), "calls").since(NOW)
    assert caught.value.permanent


def test_the_page_of_calls_counts_by_agent_and_status() -> None:
    hook = SimpleNamespace(conn_type="postgres")
    calls, cursor = RecentCalls(hook, "calls"), Recorder(exists=True)
    calls._counts(transaction_on(cursor, calls._dialect), NOW)
    sql, values = cursor.statements[-1]
    assert "GROUP BY anon_1.source, anon_1.agent, anon_1.status" in sql.replace("\n", "").replace('"', "")
    assert list(values)[-1] == NOW
