from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_voice.exceptions import StorageFailed
from airflow_provider_voice.export.files import storage
from airflow_provider_voice.export.files.day_partitions import DayRows
from airflow_provider_voice.export.files.storage import FileSet
from airflow_provider_voice.export.models import Scope, Window
from airflow_provider_voice.export.rows import COLUMNS

pytestmark = pytest.mark.airflow
START = datetime(2026, 1, 10, 22, tzinfo=timezone.utc)
WINDOW = Window(START, START + timedelta(days=1, microseconds=500))


def file_set(folder: Path, scope: Scope | None = None) -> FileSet:
    return FileSet(ObjectStoragePath(f"file://{folder}"), scope or Scope("a/b"), WINDOW, "jsonl")


def replace(files: FileSet, *moments: datetime) -> dict[str, Any]:
    with DayRows() as days:
        for number, moment in enumerate(moments):
            row = dict.fromkeys(COLUMNS) | {"call_id": f"c{number}", "created_at": moment, "raw": "{}"}
            days.add(tuple(row.values()), moment)
        return files.replace(days, START, read_to=WINDOW.end)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_files_are_named_by_source_day_window_and_filters(tmp_path: Path) -> None:
    replace(file_set(tmp_path, Scope("a/b", "7", "inbound")), START, START + timedelta(hours=3))
    name = "20260110T220000Z-20260111T220000.000500Z_agent_id=7_direction=inbound"
    assert names(tmp_path) == {
        f"source=a%2Fb/day=2026-01-10/{name}.jsonl.gz",
        f"source=a%2Fb/day=2026-01-11/{name}.jsonl.gz",
        f"source=a%2Fb/_manifests/{name}_jsonl.json",
    }


def test_the_manifest_that_is_written_is_the_one_that_is_returned(tmp_path: Path) -> None:
    files = file_set(tmp_path)
    manifest = replace(files, START)
    assert json.loads(files.manifest.read_text()) == manifest
    assert (manifest["source"], manifest["rows"], manifest["end"]) == ("a/b", 1, "2026-01-11T22:00:00.000500Z")


def test_files_of_other_windows_and_sources_are_left_alone(tmp_path: Path) -> None:
    replace(file_set(tmp_path, Scope("other")), START)
    others = names(tmp_path)
    replace(file_set(tmp_path), START, START + timedelta(hours=3))
    replace(file_set(tmp_path), START)
    assert others < names(tmp_path)
    assert [name for name in names(tmp_path) - others if "day=2026-01-11" in name] == []


def test_a_local_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(file_set(tmp_path), START)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    def killed(source: str, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        replace(file_set(tmp_path), START, START + timedelta(hours=1))
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_a_storage_that_fails_is_named_with_its_path_and_code(tmp_path: Path) -> None:
    (tmp_path / "source=a%2Fb").write_text("a file where a folder should be")
    with pytest.raises(
        StorageFailed, match=r"source=a%2Fb/_manifests/.* \((NotADirectoryError|FileExistsError), \d+\)"
    ):
        replace(file_set(tmp_path), START)
