"""Every dialect's statements are SQL of that dialect."""

from __future__ import annotations

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.warehouse.dialects import SqlDialect
from airflow_provider_voice.export.warehouse.registry import DIALECTS, dialect_for

sqlglot = pytest.importorskip("sqlglot")

pytestmark = pytest.mark.once  # older versions of sqlglot do not know all of it

# Ours -> sqlglot's name.
NAMES = {"postgresql": "postgres", "sqlite": "sqlite", "duckdb": "duckdb", "mysql": "mysql"}


def statements(dialect: SqlDialect) -> list[str]:
    return [
        dialect.create_statement(),
        dialect.create_log_statement(),
        *dialect.index_statements(),
        *dialect.stage_statements(),
        *dialect.unstage_statements(),
        dialect.add_column_statement("agent_name"),
        dialect.columns_statement("voice_calls")[0],
        dialect.survey_statement(),
        dialect.update_statement(),
        dialect.insert_statement(),
        dialect.missing_statement(),
        dialect.first_statement(),
        dialect.unsettled_statement(),
        dialect.count_unsettled_statement(),
        dialect.hours_statement(["agent_id"]),
        dialect.run_statement(),
        dialect.count_expired_statement(),
        dialect.abandon_statement(),
        dialect.changed_hours_statement(),
        dialect.clock_statement,
        dialect.windows_statement(),
        dialect.logged_statement(),
        dialect.forget_statement(2),
        dialect.log_statement(2),
    ]


@pytest.mark.parametrize("schema", [None, "marts"])
@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_sql_of_its_dialect(name: str, schema: str | None) -> None:
    for statement in statements(dialect_for(name, "voice_calls", schema, "?")):
        # The real engines judge what follows the columns of a temporary table.
        text = statement.replace("%%", "%").replace("%s", "?").removesuffix(" ON COMMIT DROP").replace("pg_temp.", "")
        if text.startswith("CREATE INDEX"):
            text = text.replace('EXISTS "marts".', "EXISTS ")  # sqlglot knows of no schema there; SQLite wants it
        parsed = sqlglot.parse(text, dialect=NAMES[name])
        assert len(parsed) == 1
        assert not isinstance(parsed[0], sqlglot.exp.Command), f"not understood: {statement}"


def test_the_values_of_an_update_do_not_depend_on_the_order_in_which_they_are_assigned() -> None:
    """MySQL assigns from left to right, so that a value sees the columns before it as they will be."""
    dialect = dialect_for("mysql", "voice_calls", None, "%s")
    assigned: list[str] = []
    for name, value in dialect.assignments().items():
        assert not [before for before in assigned if f"t.{dialect.quoted(before)}" in value]
        assigned.append(name)


@pytest.mark.parametrize("name", DIALECTS)
def test_no_dialect_takes_a_name_that_is_none(name: str) -> None:
    for table in ('calls"; DROP TABLE x; --', "", "a b", "x" * 60, "`a`"):
        with pytest.raises(InvalidRequest):
            dialect_for(name, table, None, "?")
