"""Warehouses with a standard ``MERGE``: Snowflake, Redshift, Databricks (and BigQuery, in a file of its own).

The MERGE is one statement, so it is atomic everywhere. Their keys are not enforced, and not all of them have
transactions over several statements: where there is none, a load that breaks off between its MERGE and its log has
merged right and is merged again by the retry, which changes nothing.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.export.models import Merged
from airflow_provider_voice.export.rows import COLUMNS, CONTENT
from airflow_provider_voice.export.warehouse.dialects import SqlDialect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_provider_voice.export.rows import Row

# Characters of values in one statement: Snowflake and BigQuery take a statement of 1 MB, in which quotes are escaped.
_STATEMENT_SIZE = 500_000


class Merging(SqlDialect):
    """One ``MERGE`` without conditions behind ``WHEN``, which Redshift has not: conditions are in the values."""

    enforces_keys = False
    keeps_zones = True
    #: Whether PRIMARY KEY is said; none of them enforces it.
    names_key = True
    stage_word = "CREATE TEMPORARY TABLE"
    #: Redshift takes 32,767. Many rows: a statement takes its time, however few it has.
    most_values = 12_000

    def _create(self, table: str, columns: dict[str, str], key: tuple[str, ...]) -> str:
        statement = super()._create(table, columns, key)
        return statement if self.names_key else statement[: statement.rindex(", PRIMARY KEY")] + ")"

    def stage_statements(self) -> list[str]:
        """Create an empty stage."""
        return [
            statement.replace("CREATE TEMPORARY TABLE", self.stage_word) for statement in super().stage_statements()
        ]

    def fill(self, table: str, cursor: Any, spool: Any, chunk: int) -> None:
        """Insert many rows with one statement; their drivers' ``executemany`` sends one for each."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        marks = f"({', '.join([self.mark] * len(COLUMNS))})"
        for batch in spool.batches(chunk):
            for rows in self._together(batch):
                sql = f"INSERT INTO {table} ({names}) VALUES {', '.join([marks] * len(rows))}"
                cursor.execute(sql, [value for row in rows for value in row])

    def _together(self, batch: list[Row]) -> Iterator[list[Row]]:
        """Share rows out to statements that are not too large."""
        most = self.most_values // len(COLUMNS)
        rows: list[Row] = []
        size = 0
        for row in batch:
            length = sum(len(value) for value in row if isinstance(value, str))
            if rows and (len(rows) == most or size + length > _STATEMENT_SIZE):
                yield rows
                rows, size = [], 0
            rows.append(row)
            size += length
        if rows:
            yield rows

    def merge(self, cursor: Any, settled_before: datetime) -> Merged:
        """Count, then merge in one statement."""
        survey = self.survey(cursor)
        cursor.execute(self.merge_statement(), (self.time(settled_before),))
        return Merged(survey.staged - survey.known, survey.newer, survey.stale)

    def merge_statement(self) -> str:
        """Return the merge. Parameter: before when an unchanged ended call must have been seen to be settled."""
        news = f"(NOT {self.is_older('s', 't')} AND {self.is_changed('s', 't')})"
        settled, fetched, missing, abandoned = map(
            self.quoted, ("settled_at", "fetched_at", "missing_since", "abandoned_at")
        )
        seen_before = f"(t.{fetched} <= {self.mark} OR s.{settled} IS NOT NULL)"
        same_ending = (
            f"t.{settled} IS NULL AND {self._rank('t')} = 3 AND NOT {self.is_changed('s', 't')} AND {seen_before}"
        )
        sets = [
            f"{self.quoted(name)} = CASE WHEN {news} THEN s.{self.quoted(name)} ELSE t.{self.quoted(name)} END"
            for name in (*CONTENT, "fetched_at")
        ]
        sets.append(f"{settled} = CASE WHEN {news} THEN NULL WHEN {same_ending} THEN s.{fetched} ELSE t.{settled} END")
        # SQL assigns all columns from the row as it was, so the second line does not depend on the first.
        is_back = f"{news} OR t.{missing} IS NOT NULL"
        sets += [f"{missing} = NULL", f"{abandoned} = CASE WHEN {is_back} THEN NULL ELSE t.{abandoned} END"]
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

    def unstage_statements(self) -> list[str]:
        """Leave the stage to the end of the session: a DROP would commit the merge without its log."""
        return []


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


class TableStage(Merging):
    """No temporary tables and no transactions: the stage is a table with a name of its own, dropped at the end."""

    has_transactions = False
    names_key = False

    def quoted(self, name: str) -> str:
        """Return an identifier in backticks."""
        return f"`{name}`"

    def named_stage(self, name: str) -> str:
        """Return the stage's name, beside the table; no two loads have the same."""
        return self.named(f"{name}_{uuid.uuid4().hex[:12]}")

    def unstage_statements(self) -> list[str]:
        """Drop the stage."""
        return [f"DROP TABLE IF EXISTS {self.stage}"]


class Databricks(TableStage):
    """Databricks SQL: Delta tables; its driver takes ``?``, and 255 parameters with one statement."""

    types: ClassVar[dict[str, str]] = {
        "key": "STRING NOT NULL",
        "text": "STRING",
        "whole": "BIGINT",
        "number": "DOUBLE",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP",
        "json": "STRING",
    }
    stage_word = "CREATE TABLE"
    most_values = 255

    def __init__(self, table: str, schema: str | None, placeholder: str) -> None:
        del placeholder  # a DbApiHook's default is another one
        super().__init__(table, schema, "?")
