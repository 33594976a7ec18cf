from __future__ import annotations

import io
from contextlib import suppress
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from airflow_provider_voice.export.row_buffer import BATCH
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.postgresql import PostgreSQL
from tests.unit.export.warehouse.recorder import Recorder, load

COPY = (
    'COPY pg_temp."calls_stage" (' + ", ".join(COLUMNS) + ") FROM STDIN WITH "
    "(FORMAT csv, DELIMITER '\x01', QUOTE '\x02', ENCODING 'UTF8')"
)


def test_rows_are_copied_into_a_stage_that_goes_with_the_transaction() -> None:
    cursor = Recorder()
    load(PostgreSQL("calls", "marts"), cursor)
    (stage,) = (sql for sql in cursor.sql if sql.startswith("CREATE TEMPORARY"))
    assert stage.startswith('CREATE TEMPORARY TABLE pg_temp."calls_stage"')
    assert stage.endswith("ON COMMIT DROP")
    assert COPY in cursor.sql
    assert cursor.copied.count(b"\x01") == len(COLUMNS) - 1
    assert not [sql for sql in cursor.sql if sql.startswith("DROP")]


def test_psycopg_3_gets_the_same_copy() -> None:
    class Copy:
        def __init__(self, cursor: Psycopg3) -> None:
            self._cursor = cursor

        def __enter__(self) -> Copy:
            return self

        def __exit__(self, kind: type | None, error: Exception | None, trace: TracebackType | None) -> None: ...

        def write(self, block: bytes) -> None:
            self._cursor.copied += block

    class Psycopg3(Recorder):
        def copy(self, statement: str) -> Copy:
            self.statements.append((statement, ()))
            return Copy(self)

        def copy_expert(self, *_: Any, **__: Any) -> None:
            raise AssertionError("psycopg 3 has no copy_expert")

    old, new = Recorder(), Psycopg3()
    for cursor in (old, new):
        load(PostgreSQL("calls", "marts"), cursor)
    assert COPY in new.sql
    assert new.copied == old.copied != b""


def test_a_load_waits_for_others_of_its_source_and_table_only() -> None:
    cursor = Recorder()
    PostgreSQL("calls", "marts").lock(cursor, "voice_default")
    ((sql, values),) = cursor.statements
    assert sql.startswith("SELECT pg_advisory_xact_lock(")
    assert values == ("voice_default", '"marts"."calls"')


def test_the_first_load_goes_into_the_table_itself() -> None:
    class Empty(Recorder):
        def fetchall(self) -> list[tuple[Any, ...]]:
            return [] if "LIMIT" in self.sql[-1] else super().fetchall()

    cursor = Empty()
    done = load(PostgreSQL("calls", None), cursor)
    assert [sql for sql in cursor.sql if sql.startswith('COPY "calls" (')]
    assert not [sql for sql in cursor.sql if "stage" in sql]
    assert (done.inserted, done.changed_days) == (1, ["2026-01-10"])


def test_the_buffers_file_is_read_in_blocks() -> None:
    sizes: list[int] = []

    class File(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            sizes.append(size or 0)
            return super().read(size)

    class Buffer:
        def file(self) -> File:
            return File(b"x" * 300_000)

    class Cursor(Recorder):
        def copy_expert(self, statement: str, file: Any, size: int) -> None:
            while file.read(size):
                pass

    PostgreSQL("calls", None).fill(PostgreSQL("calls", None).table, Cursor(), Buffer())
    assert len(sizes) > 2
    assert max(sizes) < 300_000


@pytest.mark.parametrize(("limit", "is_staged"), [(None, True), ("", True), ("0", True), ("90s", False)])
def test_a_database_that_limits_whole_transactions_gets_none_that_waits_for_the_vendor(
    limit: str | None, is_staged: bool
) -> None:
    class Cursor(Recorder):
        def fetchone(self) -> tuple[Any]:
            return (limit,)

    cursor = Cursor()
    ends: list[str] = []
    connection = SimpleNamespace(
        cursor=lambda: cursor,
        commit=lambda: ends.append("commit"),
        rollback=lambda: ends.append("rollback"),
        close=lambda: ends.append("close"),
    )
    dialect = PostgreSQL("calls", None)
    with dialect.new_buffer(SimpleNamespace(get_conn=lambda: connection)) as buffer, suppress(ZeroDivisionError):
        for _ in range(2 * BATCH):
            buffer.add(("s", *COLUMNS))
        assert ends == ([] if is_staged else ["rollback", "close"])
        assert cursor.sql.count(COPY) == (2 if is_staged else 0)
        raise ZeroDivisionError
    assert ends == ["rollback", "close"]
