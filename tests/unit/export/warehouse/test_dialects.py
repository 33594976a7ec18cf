"""Every dialect's statements are SQL of that dialect; the standard MERGE does on real engines what it says."""

from __future__ import annotations

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.warehouse.dialects import SqlDialect
from airflow_provider_voice.export.warehouse.merge_sql import Merging
from airflow_provider_voice.export.warehouse.registry import DIALECTS, dialect_for

sqlglot = pytest.importorskip("sqlglot")

pytestmark = pytest.mark.once  # older versions of sqlglot do not know all of it

# Ours -> sqlglot's name.
NAMES = {
    "postgresql": "postgres",
    "sqlite": "sqlite",
    "duckdb": "duckdb",
    "mysql": "mysql",
    "snowflake": "snowflake",
    "bigquery": "bigquery",
    "redshift": "redshift",
    "databricks": "databricks",
}


def statements(dialect: SqlDialect) -> list[str]:
    found = [
        *dialect.create_statements(),
        *dialect.index_statements(),
        *dialect.stage_statements(),
        *dialect.unstage_statements(),
        dialect.add_column_statement("agent_name"),
        dialect.survey_statement(),
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
    if isinstance(dialect, Merging):
        return [*found, dialect.merge_statement()]
    return [
        *found,
        dialect.update_statement(),
        dialect.insert_statement(),
        dialect.insert_statement(some_known=False),
        dialect.settle_statement(),
        dialect.seen_again_statement(),
    ]


@pytest.mark.parametrize("schema", [None, "marts"])
@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_sql_of_its_dialect(name: str, schema: str | None) -> None:
    for statement in statements(dialect_for(name, "voice_calls", schema, "?")):
        # What comes after the columns of a temporary table is for the real engines to judge.
        text = statement.replace("%%", "%").replace("%s", "?").removesuffix(" ON COMMIT DROP").replace("pg_temp.", "")
        if text.startswith("CREATE INDEX"):
            text = text.replace('EXISTS "marts".', "EXISTS ")  # sqlglot knows of no schema there; SQLite wants it
        parsed = sqlglot.parse(text, dialect=NAMES[name])
        assert len(parsed) == 1
        assert not isinstance(parsed[0], sqlglot.exp.Command), f"not understood: {statement}"


@pytest.mark.parametrize("name", ["snowflake", "bigquery", "redshift", "databricks"])
def test_the_merge_is_one_standard_merge(name: str) -> None:
    statement = dialect_for(name, "voice_calls", "marts", "?").merge_statement().replace("%s", "?")
    (merge,) = sqlglot.parse(statement, dialect=NAMES[name])
    assert isinstance(merge, sqlglot.exp.Merge)
    whens = merge.find_all(sqlglot.exp.When)
    assert [(bool(when.args["matched"]), when.args.get("condition")) for when in whens] == [(True, None), (False, None)]
    assert statement.count("?") == 1


def test_redshift_names_the_target_itself() -> None:
    statement = dialect_for("redshift", "voice_calls", "marts", "%s").merge_statement()
    assert statement.startswith('MERGE INTO "marts"."voice_calls" USING')
    assert " t." not in statement
    assert "(t." not in statement


@pytest.mark.parametrize("name", DIALECTS)
def test_no_dialect_takes_a_name_that_is_none(name: str) -> None:
    for table in ('calls"; DROP TABLE x; --', "", "a b", "x" * 60, "`a`"):
        with pytest.raises(InvalidRequest):
            dialect_for(name, table, None, "?")
