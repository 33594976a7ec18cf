"""Every dialect's statements are SQL of that dialect."""

from __future__ import annotations

import pytest
from sqlalchemy import select, true

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import Scope
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog
from airflow_provider_voice.export.warehouse.dialects import TYPES, SqlDialect
from airflow_provider_voice.export.warehouse.merge_sql import MergeSql
from airflow_provider_voice.export.warehouse.mysql import MySQL
from airflow_provider_voice.export.warehouse.postgresql import PostgreSQL
from airflow_provider_voice.export.warehouse.table import DIALECTS
from tests.unit.export.warehouse.recorder import Recorder, load, transaction_on

# Ours -> sqlglot's name.
NAMES = {"postgres": "postgres", "sqlite": "sqlite", "duckdb": "duckdb", "mysql": "mysql"}
# Texts that only the engine itself judges: a driver's way to load rows, and settings of a session.
NOT_PARSED = ("COPY", "SET SESSION", "SELECT GET_LOCK", "BEGIN IMMEDIATE", "SELECT pg_advisory_xact_lock")


def statements(dialect: SqlDialect) -> list[str]:
    """Return everything that an export executes."""
    cursor = Recorder()
    dialect.create(cursor)
    cursor.execute(str(select(dialect.clock).compile(dialect=dialect.sql)))
    state = transaction_on(cursor, dialect)
    state.unsettled("s")
    CoverageLog(state, Scope("s")).window_of_run("run")
    load(dialect, cursor)
    cursor.execute(dialect.add_column_statement("agent_name"))
    return cursor.sql


@pytest.mark.once  # older versions of sqlglot do not know all of it
@pytest.mark.parametrize("schema", [None, "main"])  # the only one of SQLite
@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_sql_of_its_dialect(name: str, schema: str | None) -> None:
    sqlglot = pytest.importorskip("sqlglot")
    written = statements(DIALECTS[name]("voice_calls", schema))
    assert len(written) > 20
    for statement in written:
        if statement.startswith(NOT_PARSED) or "read_csv" in statement:
            continue
        # The real engines judge what follows the columns of a temporary table.
        text = statement.replace("%s", "?").removesuffix(" ON COMMIT DROP").replace("pg_temp.", "")
        if text.startswith("CREATE INDEX"):
            text = text.replace('INDEX "main".', "INDEX ")  # sqlglot knows of no schema there; SQLite wants it
        parsed = sqlglot.parse(text, dialect=NAMES[name])
        assert len(parsed) == 1
        assert not isinstance(parsed[0], sqlglot.exp.Command), f"not understood: {statement}"


@pytest.mark.parametrize("name", NAMES)
def test_values_are_parameters_and_no_part_of_a_statement(name: str) -> None:
    cursor = Recorder()
    dialect = DIALECTS[name]("voice_calls", None)
    transaction_on(cursor, dialect).unsettled("it's")
    ((sql, values),) = cursor.statements
    assert list(values) == ["it's"]
    assert "it's" not in sql
    assert ("?" if name in ("duckdb", "sqlite") else "%s") in sql, "the driver's mark for a parameter"


def test_a_schema_stands_before_the_table() -> None:
    cursor = Recorder()
    dialect = PostgreSQL("calls", "dwh")
    transaction_on(cursor, dialect).unsettled("s")
    assert 'FROM "dwh"."calls" WHERE' in cursor.sql[0]


def test_the_values_of_an_update_do_not_depend_on_the_order_in_which_they_are_assigned() -> None:
    """MySQL assigns from left to right, so that a value sees the columns before it as they will be."""
    dialect = MySQL("voice_calls", None)
    assigned: list[str] = []
    for name, value in MergeSql(dialect).assignments(true()).items():
        text = str(value.compile(dialect=dialect.sql))
        assert not [before for before in assigned if f"t.{before}" in text]
        assigned.append(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_that_the_export_creates_is_one_that_it_accepts(name: str) -> None:
    dialect = DIALECTS[name]("calls", None)
    as_stored = {"postgres": {}, "sqlite": {}, "duckdb": {"TEXT": "varchar", "DOUBLE PRECISION": "double"}}
    for kind, accepted in dialect.accepts.items():
        written = TYPES[kind].compile(dialect.sql)
        written = {"BOOL": "tinyint(1)", **as_stored.get(name, {})}.get(written, written)
        assert written.lower().startswith(accepted), (kind, written)


@pytest.mark.parametrize("name", DIALECTS)
def test_no_dialect_takes_a_name_that_is_none(name: str) -> None:
    for table in ('calls"; DROP TABLE x; --', "", "a b", "x" * 60, "`a`"):
        with pytest.raises(InvalidRequest):
            DIALECTS[name](table, None)
