from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.transfers.calls_to_object_storage import CallsToObjectStorageOperator
from tests.integration.exporting import FakeVoiceHook

pytestmark = pytest.mark.airflow
NOON = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)


def test_the_result_is_the_manifest_with_its_path(tmp_path: Path) -> None:
    task = CallsToObjectStorageOperator(task_id="files", path=f"file://{tmp_path}", file_format="jsonl", agent_id=7)
    call = Call("c1", "talkover", CallStatus.BUSY, agent_id="7", created_at=NOON - timedelta(hours=1))
    task.hook = FakeVoiceHook(NOON, [call])
    result = task.execute({"dag_run": SimpleNamespace(run_after=NOON)})
    assert (result["start"], result["end"], result["read_to"]) == (
        "2026-01-09T12:00:00Z",
        "2026-01-10T12:00:00Z",
        "2026-01-10T12:00:00Z",
    )
    assert (result["rows"], result["agent_id"], [file["day"] for file in result["files"]]) == (1, "7", ["2026-01-10"])
    assert Path(result["manifest"].removeprefix("file://")).exists()


@pytest.mark.parametrize("scheme", ["tape", "hdfs"])
def test_a_storage_that_airflow_does_not_reach_fails_before_the_vendor_is_asked(scheme: str) -> None:
    class Untouched:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for")

    task = CallsToObjectStorageOperator(task_id="files", path=f"{scheme}://robot/calls")
    task.hook = Untouched()
    with pytest.raises(ValueError, match=f"filesystem.*{scheme}"):
        task.execute({"dag_run": SimpleNamespace(run_after=NOON)})


def test_what_a_user_would_template_is_a_template_field() -> None:
    wanted = {"voice_conn_id", "path", "storage_conn_id", "start", "end", "agent_id", "direction", "source"}
    assert set(CallsToObjectStorageOperator.template_fields) == wanted
