"""Warehouses with a standard ``MERGE``: Snowflake, BigQuery, Redshift, Databricks. One statement each, so it is atomic.

Their keys are not enforced, and not all of them have transactions over several statements: where there is none, a load
that breaks off between its MERGE and its log has merged right and is merged again by the retry, which changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.warehouse.dialects import Dialect, Merged
from airflow_provider_voice.warehouse.rows import COLUMNS, CONTENT

if TYPE_CHECKING:
    from datetime import datetime


class Merging(Dialect):
    """One ``MERGE`` without conditions behind ``WHEN``, which Redshift has not: conditions are in the values."""

    enforces_keys = False
    #: Whether PRIMARY KEY is said; none of them enforces it.
    names_key = True
    stage_word = "CREATE TEMPORARY TABLE"

    def _create(self, table: str, columns: dict[str, str], key: tuple[str, ...]) -> str:
        statement = super()._create(table, columns, key)
        return statement if self.names_key else statement[: statement.rindex(", PRIMARY KEY")] + ")"

    def stage_statements(self) -> list[str]:
        """Create an empty stage."""
        return [
            statement.replace("CREATE TEMPORARY TABLE", self.stage_word) for statement in super().stage_statements()
        ]

    def merge(self, cursor: Any, settled_before: datetime) -> Merged:
        """Count, then merge in one statement."""
        survey = self.survey(cursor)
        cursor.execute(self.merge_statement(), (self.time(settled_before),))
        return Merged(survey.staged - survey.known, survey.newer, survey.stale)

    def merge_statement(self) -> str:
        """Return the merge. Parameter: before when an unchanged ended call must have been seen to be settled."""
        news = f"(NOT {self.is_older('s', 't')} AND {self.is_changed('s', 't')})"
        settled, fetched, missing = (self.quoted(name) for name in ("settled_at", "fetched_at", "missing_since"))
        seen_before = f"(t.{fetched} <= {self.mark} OR s.{settled} IS NOT NULL)"
        same_ending = (
            f"t.{settled} IS NULL AND {self._rank('t')} = 3 AND NOT {self.is_changed('s', 't')} AND {seen_before}"
        )
        sets = [
            f"{self.quoted(name)} = CASE WHEN {news} THEN s.{self.quoted(name)} ELSE t.{self.quoted(name)} END"
            for name in (*CONTENT, "fetched_at")
        ]
        sets.append(f"{settled} = CASE WHEN {news} THEN NULL WHEN {same_ending} THEN s.{fetched} ELSE t.{settled} END")
        sets.append(f"{missing} = NULL")
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        values = ", ".join(f"s.{self.quoted(name)}" for name in COLUMNS)
        return (
            f"MERGE INTO {self.table} AS t USING {self.stage} AS s ON {self._same_key('s', 't')} "
            f"WHEN MATCHED THEN UPDATE SET {', '.join(sets)} "
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
        )


class Snowflake(Merging):
    """Snowflake: quoted names keep their case, so they are written as Snowflake would store plain ones."""

    types: ClassVar[dict[str, str]] = {
        "key": "VARCHAR(255) NOT NULL",
        "text": "VARCHAR",
        "whole": "NUMBER(19, 0)",
        "number": "DOUBLE",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP_TZ",
        "json": "VARCHAR",
    }

    def quoted(self, name: str) -> str:
        """Return an identifier in quotes and upper case, which is what an unquoted one means."""
        return f'"{name.upper()}"'


class BigQuery(Merging):
    """BigQuery: its own type names; a temporary table needs the session that the hook's connection is."""

    types: ClassVar[dict[str, str]] = {
        "key": "STRING NOT NULL",
        "text": "STRING",
        "whole": "INT64",
        "number": "FLOAT64",
        "flag": "BOOL",
        "time": "TIMESTAMP",
        "json": "STRING",
    }
    names_key = False
    stage_word = "CREATE TEMP TABLE"

    def quoted(self, name: str) -> str:
        """Return an identifier in backticks."""
        return f"`{name}`"

    def hour(self, column: str) -> str:
        """Cut to the hour in UTC."""
        return f"TIMESTAMP_TRUNC({column}, HOUR)"


class Redshift(Merging):
    """Redshift: PostgreSQL's words with its own limits."""

    types: ClassVar[dict[str, str]] = {
        "key": "VARCHAR(255) NOT NULL",
        "text": "VARCHAR(4000)",
        "whole": "BIGINT",
        "number": "DOUBLE PRECISION",
        "flag": "BOOLEAN",
        "time": "TIMESTAMPTZ",
        "json": "VARCHAR(65535)",
    }

    def merge_statement(self) -> str:
        """Name the target as Redshift wants it: without an alias."""
        bare = self.table.rpartition(".")[2]
        statement = super().merge_statement().replace(f"MERGE INTO {self.table} AS t", f"MERGE INTO {self.table}", 1)
        return statement.replace(" t.", f" {bare}.").replace("(t.", f"({bare}.")


class Databricks(Merging):
    """Databricks SQL: Delta tables, no temporary tables; the stage is a table that is dropped."""

    types: ClassVar[dict[str, str]] = {
        "key": "STRING NOT NULL",
        "text": "STRING",
        "whole": "BIGINT",
        "number": "DOUBLE",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP",
        "json": "STRING",
    }
    names_key = False
    stage_word = "CREATE OR REPLACE TABLE"

    def quoted(self, name: str) -> str:
        """Return an identifier in backticks."""
        return f"`{name}`"

    def named_stage(self, name: str) -> str:
        """Return the stage's name, beside the table."""
        return self.named(name)
