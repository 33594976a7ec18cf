"""Warehouses that no machine can have: their hooks' ways with statements, and DuckDB for what these mean.

What each connection takes and refuses is read off the hooks and drivers (providers google 22, snowflake 6, databricks 7;
databricks-sql-connector 4, snowflake-connector-python 5); sqlglot puts their SQL into DuckDB's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlglot


class FakeCursor:
    """A cursor whose statements are one dialect's, on a DuckDB."""

    def __init__(self, dialect: str, database: Any, bind: Callable[[str, Any], tuple[str, list[Any]]]) -> None:
        self._dialect = dialect
        self._cursor = database.cursor()
        self._bind = bind
        self.statements: list[str] = []

    @property
    def description(self) -> Any:
        return self._cursor.description

    def execute(self, sql: str, parameters: Any = None) -> None:
        text, values = self._bind(sql, parameters)
        assert len(text) < 1_000_000, "no warehouse takes a longer statement"
        self.statements.append(text)
        (tree,) = sqlglot.parse(text, dialect=self._dialect)
        assert tree is not None
        for properties in list(tree.find_all(sqlglot.exp.Property)):
            if not isinstance(properties, sqlglot.exp.TemporaryProperty):
                properties.pop()
        self._cursor.execute(tree.sql(dialect="duckdb").replace(" WITH ()", "").replace(" OPTIONS ()", ""), values)

    def executemany(self, sql: str, rows: Sequence[Any]) -> None:
        raise AssertionError("one statement for each row: hours for what takes seconds")

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    def fetchone(self) -> Any:
        return self._cursor.fetchone()


class BigQueryCursor(FakeCursor):
    """Airflow's ``BigQueryCursor``: each statement a job, parameters by name and put into the text, times as numbers."""

    def __init__(self, database: Any) -> None:
        super().__init__("bigquery", database, self._with_names)
        self.use_legacy_sql = True

    def _with_names(self, sql: str, parameters: Any) -> tuple[str, list[Any]]:
        assert self.use_legacy_sql is False, "our statements are GoogleSQL"
        assert "TEMP" not in sql.split("(", maxsplit=1)[0], "a temporary table is gone with its job"
        if not parameters:
            return sql, []
        shown = {}
        for name, value in parameters.items():  # a dict, or AttributeError as there
            shown[name] = "NULL" if value is None else self._text(value) if isinstance(value, str) else str(value)
        return sql % shown, []

    @staticmethod
    def _text(value: str) -> str:
        for sign, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("'", "\\'"), ('"', '\\"')):
            value = value.replace(sign, escaped)
        return f"'{value}'"

    def fetchall(self) -> list[Any]:
        return [[_number(value) for value in row] for row in super().fetchall()]

    def fetchone(self) -> Any:
        row = super().fetchone()
        return row and [_number(value) for value in row]


def _number(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else value


class NotSupportedError(Exception):
    """PEP 249's."""


class FakeConnection:
    """A connection without transactions."""

    def __init__(self, new_cursor: Callable[[], Any]) -> None:
        self.cursor = new_cursor
        self.closed = False

    def commit(self) -> None:
        """Do nothing, as both do."""

    def rollback(self) -> None:
        raise NotSupportedError("there are no transactions")

    def close(self) -> None:
        self.closed = True


class FakeHook:
    """A ``DbApiHook`` as far as it is used."""

    placeholder = "%s"

    def __init__(self, database: Any) -> None:
        self.database = database
        self.cursors: list[FakeCursor] = []

    def _keep(self, cursor: FakeCursor) -> FakeCursor:
        self.cursors.append(cursor)
        return cursor


class BigQueryHook(FakeHook):
    """A new connection each time."""

    conn_type = "gcpbigquery"

    def get_conn(self) -> FakeConnection:
        return FakeConnection(lambda: self._keep(BigQueryCursor(self.database)))


class DatabricksHook(FakeHook):
    """One connection for ever, ``?`` and at most 255 values."""

    conn_type = "databricks"
    _sql_conn: Any = None

    def get_conn(self) -> FakeConnection:
        if self._sql_conn is None:
            self._sql_conn = FakeConnection(self._cursor)
        return self._sql_conn

    def _cursor(self) -> FakeCursor:
        assert not self._sql_conn.closed, "the session is closed"
        return self._keep(FakeCursor("databricks", self.database, self._native))

    @staticmethod
    def _native(sql: str, parameters: Any) -> tuple[str, list[Any]]:
        values = list(parameters or ())
        assert "%s" not in sql
        assert len(values) <= 255
        return sql, values


class SnowflakeHook(FakeHook):
    """``%s``, transactions, and DDL that commits what is open."""

    conn_type = "snowflake"

    def get_conn(self) -> Any:
        return SnowflakeConnection(self)

    def set_autocommit(self, connection: Any, autocommit: bool) -> None:
        assert autocommit is False


class SnowflakeConnection:
    """One DuckDB connection; what is open is committed before and after a CREATE, ALTER or DROP."""

    def __init__(self, hook: SnowflakeHook) -> None:
        self._hook = hook
        self._cursor = FakeCursor("snowflake", hook.database, self._format)
        self._database = self._cursor._cursor
        self._is_open = False
        hook._keep(self._cursor)

    def autocommit(self, mode: bool) -> None:
        """Only has to be there."""

    def cursor(self) -> FakeCursor:
        return self._cursor

    def _format(self, sql: str, parameters: Any) -> tuple[str, list[Any]]:
        if sql.startswith(("CREATE", "ALTER", "DROP")):
            self.commit()
        elif not self._is_open:
            self._database.execute("BEGIN TRANSACTION")
            self._is_open = True
        return sql.replace("%s", "?"), list(parameters or ())

    def commit(self) -> None:
        if self._is_open:
            self._database.execute("COMMIT")
        self._is_open = False

    def rollback(self) -> None:
        if self._is_open:
            self._database.execute("ROLLBACK")
        self._is_open = False

    def close(self) -> None:
        self._database.close()


HOOKS: dict[str, type[FakeHook]] = {
    "bigquery": BigQueryHook,
    "databricks": DatabricksHook,
    "snowflake": SnowflakeHook,
}
