from __future__ import annotations

import gzip
import json
from datetime import datetime, timezone
from io import BytesIO
from typing import Any

import pytest

from airflow_provider_voice.export.files import formats
from airflow_provider_voice.export.files.formats import FILE_COLUMNS, FORMATS
from airflow_provider_voice.export.rows import BOOKKEEPING, COLUMNS

NOON = datetime(2026, 1, 10, 12, 0, 0, 5, tzinfo=timezone.utc)


def row(number: int, **values: Any) -> tuple[Any, ...]:
    filled = {"source": "s", "call_id": f"c{number}", "created_at": NOON, "raw": '{"n": [1, null]}', **values}
    return tuple((dict.fromkeys(COLUMNS) | filled).values())


def written(name: str, rows: list[tuple[Any, ...]]) -> bytes:
    file = BytesIO()
    FORMATS[name][1](file, rows)
    return file.getvalue()


def test_jsonl_has_times_as_iso_8601_and_the_record_as_an_object() -> None:
    (line,) = gzip.decompress(written("jsonl", [row(1, cost=0.5, is_testing=False)])).splitlines()
    record = json.loads(line)
    assert list(record) == list(FILE_COLUMNS)
    assert record["created_at"] == "2026-01-10T12:00:00.000005Z"
    assert record["raw"] == {"n": [1, None]}
    assert (record["cost"], record["is_testing"], record["to_number"]) == (0.5, False, None)


def test_parquet_has_types_and_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(formats, "ROW_GROUP", 2)
    file = parquet.ParquetFile(
        BytesIO(written("parquet", [row(number, duration_seconds=number) for number in range(5)]))
    )
    assert file.metadata.num_row_groups == 3
    kinds = {field.name: str(field.type) for field in file.schema_arrow}
    assert list(kinds) == list(FILE_COLUMNS)
    assert (kinds["created_at"], kinds["duration_seconds"], kinds["cost"], kinds["raw"]) == (
        "timestamp[us, tz=UTC]", "int64", "double", "string",
    )  # fmt: skip
    last = file.read().to_pylist()[-1]
    assert (last["created_at"], last["duration_seconds"], last["raw"]) == (NOON, 4, '{"n": [1, null]}')


@pytest.mark.parametrize("name", FORMATS)
def test_when_a_call_was_read_changes_no_byte(name: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    seen = dict.fromkeys(BOOKKEEPING, NOON)
    assert written(name, [row(1)]) == written(name, [row(1, **seen)])
    assert written(name, [row(1)]) != written(name, [row(2)])
