"""Files in a local folder and in moto's S3."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_voice.exceptions import IncompleteHistory, InvalidRequest
from airflow_provider_voice.export import reader
from airflow_provider_voice.export.files import storage
from airflow_provider_voice.export.files.formats import FILE_COLUMNS
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.transfers.calls_to_object_storage import CallsToObjectStorageOperator
from tests.integration.exporting import FakeVoiceHook

pytestmark = pytest.mark.airflow
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


# One for all tests of a process: Airflow keeps the first file system made for a connection, and with it the port.
@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    server_module = pytest.importorskip("moto.server")
    pytest.importorskip("airflow.providers.amazon")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.once)])
def root(request, tmp_path, monkeypatch) -> str:
    """An empty place for files."""
    if request.param == "file":
        return f"file://{tmp_path}/calls"
    import boto3

    url = request.getfixturevalue("s3")
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    value = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_STORAGE", json.dumps(value))
    bucket = f"calls-{hashlib.md5(str(tmp_path).encode()).hexdigest()}"
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/calls"


def export(run_dag, root: str, **arguments):
    with DAG("files", schedule=None, start_date=START) as dag:
        conn_id = "storage" if root.startswith("s3") else None
        CallsToObjectStorageOperator(task_id="export", path=root, storage_conn_id=conn_id, **arguments)
    return run_dag(dag)


def read(root: str, name: str) -> bytes:
    path = ObjectStoragePath(root, conn_id="storage" if root.startswith("s3") else None) / name
    with path.open("rb") as file:
        return file.read()


def files_in(root: str) -> set[str]:
    path = ObjectStoragePath(root, conn_id="storage" if root.startswith("s3") else None)
    return {str(item).split("/calls/", 1)[1] for item in path.rglob("*") if item.is_file()}


def bounds(sandbox, days=3) -> dict[str, str]:
    end = sandbox.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return {"start": (end - timedelta(days=days)).isoformat(), "end": end.isoformat()}


@pytest.mark.parametrize("file_format", ["parquet", "jsonl"])
def test_a_set_of_files_with_a_manifest_and_a_rerun_is_the_same_bytes(
    sandbox, connect, run_dag, root, file_format
) -> None:
    connect(sandbox)
    window = bounds(sandbox)
    start, end = (datetime.fromisoformat(window[name]) for name in ("start", "end"))
    calls = sandbox.seed("talkover", 120, start, end)
    sandbox.seed("talkover", 10, end, end + timedelta(minutes=1))

    manifest = export(run_dag, root, file_format=file_format, **window).result("export")
    written = {file["path"]: read(root, f"source=voice_default/{file['path']}") for file in manifest["files"]}
    again = export(run_dag, root, file_format=file_format, **window).result("export")

    assert manifest["rows"] == 120
    assert again["files"] == manifest["files"]
    assert len(manifest["files"]) == 3
    rows = []
    for file in manifest["files"]:
        content = written[file["path"]]
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
        part = rows_of(content, file_format)
        assert len(part) == file["rows"]
        assert {str(row["created_at"])[:10] for row in part} == {file["day"]}
        rows += part
    assert {row["call_id"] for row in rows} == {call.id for call in calls}
    assert list(rows[0]) == list(FILE_COLUMNS)
    stored = {name for name in files_in(root) if "_manifests" not in name}
    assert stored == {f"source=voice_default/{file['path']}" for file in manifest["files"]}


def rows_of(content: bytes, file_format: str) -> list[dict]:
    if file_format == "jsonl":
        return [json.loads(line) for line in gzip.decompress(content).splitlines()]
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content)).to_pylist()


def test_a_rerun_replaces_what_changed_and_removes_days_without_calls(sandbox, connect, run_dag, root) -> None:
    connect(sandbox)
    window = bounds(sandbox, days=2)
    start = datetime.fromisoformat(window["start"])
    sandbox.seed("talkover", 5, start, start + timedelta(hours=20))
    (gone,) = sandbox.seed("talkover", 1, start + timedelta(days=1), start + timedelta(days=2))
    first = export(run_dag, root, file_format="jsonl", **window).result("export")
    sandbox.world.calls["talkover"].remove(gone)
    sandbox.seed("talkover", 1, start, start + timedelta(hours=20))
    second = export(run_dag, root, file_format="jsonl", **window).result("export")
    assert [len(manifest["files"]) for manifest in (first, second)] == [2, 1]
    assert second["rows"] == 6
    assert len([name for name in files_in(root) if "_manifests" not in name]) == 1
    manifests = [name for name in files_in(root) if "_manifests" in name]
    assert len(manifests) == 1
    assert json.loads(read(root, manifests[0]))["files"] == second["files"]


def test_redacted_numbers_are_in_no_file(sandbox, connect, run_dag, root) -> None:
    connect(sandbox)
    window = bounds(sandbox, days=1)
    (call,) = sandbox.seed("talkover", 1, *(datetime.fromisoformat(window[name]) for name in ("start", "end")))
    manifest = export(run_dag, root, file_format="jsonl", phone_numbers="hashed", **window).result("export")
    content = gzip.decompress(read(root, f"source=voice_default/{manifest['files'][0]['path']}"))
    assert call.to.lstrip("+").encode() not in content


def test_a_storage_that_refuses_is_named_and_leaves_the_manifest(
    sandbox, connect, run_dag, tmp_path: Path, capfd
) -> None:
    connect(sandbox)
    window = bounds(sandbox, days=1)
    (call,) = sandbox.seed("talkover", 1, *(datetime.fromisoformat(window[name]) for name in ("start", "end")))
    (tmp_path / "calls").write_text("a file where a folder should be")
    assert export(run_dag, f"file://{tmp_path}/calls", file_format="jsonl", **window).state == "failed"
    shown = "".join(capfd.readouterr())
    assert "StorageFailed" in shown
    assert call.to.lstrip("+") not in shown


def test_an_incomplete_history_writes_nothing(connect, run_dag, tmp_path: Path) -> None:
    with Sandbox(frozen=True, quirks=VendorQuirks(max_page=20)) as sandbox:
        connect(sandbox, "talkstack")
        window = bounds(sandbox, days=1)
        sandbox.seed("talkstack", 90, *(datetime.fromisoformat(window[name]) for name in ("start", "end")))
        assert export(run_dag, f"file://{tmp_path}/calls", file_format="jsonl", **window).state == "failed"
    assert not (tmp_path / "calls").exists()


def test_bad_arguments_are_refused_when_the_dag_is_parsed() -> None:
    for wrong in ({"file_format": "csv"}, {"phone_numbers": "secret"}, {"end": "2026-01-01"}):
        with pytest.raises(InvalidRequest):
            CallsToObjectStorageOperator(task_id="export", path="file:///x", **wrong)


def try_run(root: str, hook: FakeVoiceHook, due: datetime, interval: timedelta | None = None, **arguments) -> dict:
    """Export like each try of one run."""
    first = due - interval if interval else due
    dag_run = SimpleNamespace(run_after=due, data_interval_start=first, data_interval_end=due)
    operator = CallsToObjectStorageOperator(task_id="export", path=root, file_format="jsonl", **arguments)
    operator.hook = hook
    return operator.execute({"dag_run": dag_run})


def test_a_weekly_run_writes_all_days_since_the_previous_one(sandbox, connect, run_dag, tmp_path: Path) -> None:
    connect(sandbox)
    due = sandbox.now().replace(minute=0, second=0, microsecond=0)
    sandbox.seed("talkover", 20, due - timedelta(days=6), due - timedelta(days=5))
    with DAG("weekly_files", schedule=None, start_date=START) as dag:
        CallsToObjectStorageOperator(task_id="export", path=f"file://{tmp_path}/calls", file_format="jsonl")
    dues = (due - timedelta(days=7), due)
    first, second = (run_dag(dag, logical_date=one, run_after=one).result("export") for one in dues)
    assert (first["rows"], second["rows"]) == (0, 20)
    assert second["start"] == first["end"]


def calls_at(*moments: datetime) -> list[Call]:
    return [
        Call(f"c{number}", "talkover", CallStatus.COMPLETED, created_at=moment) for number, moment in enumerate(moments)
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"start": "2026-01-01T10:00:00Z"}, id="start without end"),
        pytest.param({}, id="no bounds"),
        pytest.param({"interval": timedelta(days=1)}, id="interval"),
    ],
)
def test_a_retry_of_a_run_replaces_exactly_its_files(tmp_path, arguments) -> None:
    root, due = f"file://{tmp_path}/calls", START + timedelta(days=1, hours=12)
    hook = FakeVoiceHook(due + timedelta(hours=1), calls_at(START + timedelta(hours=20), due - timedelta(hours=1)))
    first = try_run(root, hook, due, **arguments)
    assert [file["day"] for file in first["files"]] == ["2026-01-01", "2026-01-02"]
    hook.time, hook.calls = due + timedelta(hours=3), hook.calls[1:]
    again = try_run(root, hook, due, **arguments)
    assert again["manifest"] == first["manifest"]
    assert files_in(root) == {
        f"source=voice_default/{again['files'][0]['path']}",
        str(again["manifest"]).split("/calls/", 1)[1],
    }


def test_a_try_that_broke_off_before_its_manifest_leaves_no_file_behind(tmp_path, monkeypatch) -> None:
    root, due = f"file://{tmp_path}/calls", START + timedelta(days=1, hours=12)
    hook = FakeVoiceHook(due, calls_at(START + timedelta(hours=20), due - timedelta(hours=1)))
    with monkeypatch.context() as patch:
        patch.setattr(storage.msgspec.json, "format", lambda *_, **__: 1 / 0)
        with pytest.raises(Exception, match="storage failed"):
            try_run(root, hook, due)
    assert len(files_in(root)) == 2
    hook.calls = hook.calls[1:]
    try_run(root, hook, due)
    assert [name for name in files_in(root) if "day=2026-01-01" in name] == []


def test_files_wait_for_a_vendors_clock_that_is_a_little_behind(tmp_path, monkeypatch) -> None:
    root, due, waits = f"file://{tmp_path}/calls", START + timedelta(hours=12), []
    hook = FakeVoiceHook(due - timedelta(seconds=30), calls_at(due - timedelta(seconds=10)))
    monkeypatch.setattr(reader, "time", SimpleNamespace(sleep=waits.append, monotonic=lambda: 0.0))
    manifest = try_run(root, hook, due)
    assert (waits, manifest["rows"], manifest["read_to"]) == ([30.0], 1, "2026-01-01T12:00:00Z")


def test_files_of_a_window_that_the_vendor_is_hours_before_are_not_written(tmp_path) -> None:
    due = START + timedelta(hours=12)
    with pytest.raises(IncompleteHistory, match="Run the task again later"):
        try_run(f"file://{tmp_path}/calls", FakeVoiceHook(due - timedelta(hours=3), []), due)
    assert not (tmp_path / "calls").exists()


def test_the_manifest_names_the_part_that_lay_in_the_future(tmp_path) -> None:
    now = datetime.now(timezone.utc)
    bounds = {"start": (now - timedelta(hours=1)).isoformat(), "end": (now + timedelta(days=1)).isoformat()}
    manifest = try_run(f"file://{tmp_path}/calls", FakeVoiceHook(now, []), now, **bounds)
    assert datetime.fromisoformat(manifest["read_to"]) == now < datetime.fromisoformat(manifest["end"])
