from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseHook

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.assets import table_asset
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator
from tests.integration.exporting import FakeVoiceHook, sqlite_hook

pytestmark = pytest.mark.airflow
NOON = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
KEYS = {
    "fetched", "inserted", "updated", "unchanged", "stale_ignored", "unsettled", "missing", "abandoned",
    "changed_days", "holes", "hours",
}  # fmt: skip


def operator(**arguments: Any) -> CallsToWarehouseOperator:
    return CallsToWarehouseOperator(task_id="export", **{"warehouse_conn_id": "warehouse", **arguments})


def context(run_id: str = "run", **more: Any) -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="d", task_id="t", map_index=-1, run_id=run_id)
    return {"ti": ti, "dag_run": SimpleNamespace(run_after=NOON), **more}


def ended(number: int, minutes_ago: int) -> Call:
    return Call(f"c{number}", "talkover", CallStatus.COMPLETED, created_at=NOON - timedelta(minutes=minutes_ago))


@pytest.fixture
def task(tmp_path: Path) -> CallsToWarehouseOperator:
    task = operator()
    task.hook = FakeVoiceHook(NOON, [ended(1, 10), ended(2, 60 * 20)])
    task.warehouse = Warehouse(sqlite_hook(tmp_path / "warehouse.db"), "voice_calls")
    return task


def test_its_table_is_an_outlet() -> None:
    assert operator(table="calls", schema="marts").outlets == [table_asset("warehouse", "calls", "marts")]
    assert operator(outlets=[table_asset("warehouse")]).outlets == [table_asset("warehouse")]


def test_a_table_named_by_a_template_has_no_asset_of_its_own() -> None:
    assert operator(table="calls_{{ ds_nodash }}").outlets == []


def test_a_connection_that_is_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseHook, "get_hook", classmethod(lambda *_: SimpleNamespace()))
    with pytest.raises(InvalidRequest, match="cannot be loaded into a database of this type"):
        _ = operator().warehouse


def test_the_result_and_the_assets_event_say_what_was_done(task: CallsToWarehouseOperator) -> None:
    event = SimpleNamespace(extra={})

    class OutletEvents:
        """As Airflow's: an asset is no dictionary key before Airflow 3.2."""

        def __getitem__(self, asset: Any) -> SimpleNamespace:
            assert asset == task._asset
            return event

    result = task.execute(context(outlet_events=OutletEvents()))
    assert set(result) == KEYS
    assert (result["fetched"], result["inserted"], result["holes"]) == (2, 2, [])
    assert result["changed_days"] == ["2026-01-09", "2026-01-10"]
    assert event.extra == {name: value for name, value in result.items() if name != "hours"}


def test_a_rerun_of_a_run_reads_its_own_window_again(task: CallsToWarehouseOperator) -> None:
    task.execute(context())
    task.hook.calls.append(ended(3, 30))
    other = task.execute(context("another run"))
    assert (other["inserted"], other["updated"]) == (1, 0), "read once more, for it may have been listed late"
    task.recheck = timedelta(0)
    task.hook.calls.append(ended(4, 60 * 20))
    assert task.execute(context("a third run"))["inserted"] == 0
    assert task.execute(context())["inserted"] == 1


def test_a_history_that_cannot_be_read_is_left_to_the_next_run(task: CallsToWarehouseOperator) -> None:
    from airflow_provider_voice.exceptions import IncompleteHistory

    class Moving(FakeVoiceHook):
        def list_calls(self, *bounds: datetime, **_: Any) -> Any:
            yield self.calls[0]
            raise IncompleteHistory("the list kept changing", permanent=False)

    good = task.hook
    task.hook = Moving(NOON, good.calls)
    with pytest.raises(IncompleteHistory):
        task.execute(context())
    task.hook = good
    assert task.execute(context("the next run"))["inserted"] == 2


def test_holes_are_warned_of(task: CallsToWarehouseOperator, caplog: pytest.LogCaptureFixture) -> None:
    task.execute(context())
    task.start, task.end = str(NOON - timedelta(days=4)), str(NOON - timedelta(days=3))
    result = task.execute(context("by hand"))
    assert result["holes"] == [{"start": "2026-01-07T12:00:00Z", "end": "2026-01-09T12:00:00Z"}]
    assert "No export covers 2026-01-07T12:00:00Z to 2026-01-09T12:00:00Z" in caplog.text


def test_a_run_with_the_bounds_of_the_warning_closes_the_hole(
    task: CallsToWarehouseOperator, caplog: pytest.LogCaptureFixture
) -> None:
    """Each hole has a warning of its own; the bounds are not at whole hours."""
    odd = timedelta(microseconds=123_457)
    for days in (4, 6, 8):
        task.start, task.end = str(NOON - timedelta(days=days) + odd), str(NOON - timedelta(days=days - 1))
        task.execute(context(f"of {days} days ago"))
    task.start = task.end = None
    task.hook.calls.append(ended(3, 60 * 12 * 9))
    caplog.clear()
    assert len(task.execute(context())["holes"]) == 2
    told = re.findall(r'Run the task once with start="(\S+)" and end="(\S+)"', caplog.text)
    inserted = 0
    for number, (task.start, task.end) in enumerate(told):
        filled = task.execute(context(f"by hand {number}"))
        inserted += filled["inserted"]
    assert (len(told), inserted, filled["holes"]) == (2, 1, [])
