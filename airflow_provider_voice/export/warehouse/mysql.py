"""MySQL and MariaDB: times in UTC without a zone, UPDATE ... JOIN, and a named lock against other loads."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_voice.exceptions import WarehouseFailed
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.dialects import SqlDialect

_LOCK_SECONDS = 600


class MySQL(SqlDialect):
    """MySQL 8 and MariaDB 10.6 or later, by mysqlclient or PyMySQL."""

    types: ClassVar[dict[str, str]] = {
        # utf8mb4_bin: ids that differ in case or accent are different calls.
        "key": "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
        "text": "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "whole": "BIGINT",
        "number": "DOUBLE",
        "flag": "BOOLEAN",
        "time": "DATETIME(6)",
        "json": "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    }
    accepts: ClassVar[dict[str, tuple[str, ...]]] = {
        "key": ("varchar",),
        "text": ("text", "mediumtext", "longtext", "varchar"),
        "whole": ("bigint", "decimal"),
        "number": ("double", "decimal"),
        "flag": ("tinyint",),
        "time": ("datetime(6)",),
        "json": ("longtext", "mediumtext", "json"),
    }
    differs = "NOT ({0} <=> {1})"
    clock_statement = "SELECT UTC_TIMESTAMP(6)"

    def quoted(self, name: str) -> str:
        """Return an identifier in backticks, which need no ANSI mode."""
        return f"`{name}`"

    def create_statement(self) -> str:
        """Create the indexes with the table, because MySQL's CREATE INDEX has no IF NOT EXISTS."""
        source, created, settled = map(self.quoted, ("source", "created_at", "settled_at"))
        return f"{super().create_statement()[:-1]}, INDEX ({source}, {created}), INDEX ({source}, {settled}))"

    def index_statements(self) -> list[str]:
        """Return none; see :meth:`create_statement`."""
        return []

    def columns_statement(self, name: str) -> tuple[str, tuple[Any, ...]]:
        """Ask the catalogue."""
        schema = self.mark if self._schema else "DATABASE()"
        sql = f"SELECT column_name, column_type FROM information_schema.columns WHERE table_schema = {schema}"
        return f"{sql} AND table_name = {self.mark}", (*filter(None, [self._schema]), name)

    def change_column_statement(self, name: str) -> str:
        """Return what a user can do about a column of the wrong type."""
        return f"ALTER TABLE {self.table} MODIFY {self.quoted(name)} {self.types[COLUMNS[name]]}"

    def lock(self, cursor: Any, source: str) -> None:
        """Wait for other loads of this table: a named lock, for LOCK TABLES would end the transaction."""
        del source
        name = f"voice {self._schema or ''} {self.table}".replace("`", "")[:64]
        # SQL_MODE: a value that does not fit is an error and not cut; UTC for what has no zone.
        cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), time_zone = '+00:00'")
        cursor.execute(f"SELECT GET_LOCK('{name}', {_LOCK_SECONDS})")
        if cursor.fetchone()[0] != 1:
            raise WarehouseFailed(
                f"Another load of {self.name} went on for more than {_LOCK_SECONDS} seconds. Nothing of this one was "
                "kept; try again when that one has ended.",
                code="GET_LOCK",
            )
        cursor.execute("START TRANSACTION")

    def unstage_statements(self) -> list[str]:
        """Remove the stage: TEMPORARY, for DROP TABLE alone would commit. The lock goes with the connection."""
        return [f"DROP TEMPORARY TABLE {self.stage}"]

    def update_statement(self) -> str:
        """Join the stage, because MySQL has no UPDATE ... FROM; it assigns from left to right."""
        assignments = ", ".join(f"t.{self.quoted(name)} = {value}" for name, value in self.assignments().items())
        joined = f"{self.table} t JOIN {self.stage} s ON {self._same_key('s', 't')}"
        return f"UPDATE {joined} SET {assignments} WHERE {self.is_due()}"

    def hour(self, column: str) -> str:
        """Cut the text after the hour; ``%%`` because the driver formats the statement."""
        return f"DATE_FORMAT({column}, '%%Y-%%m-%%d %%H:00:00')"
