"""MySQL and MariaDB: times in UTC without a zone, and a named lock against other loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func
from sqlalchemy.dialects import mysql

from airflow_provider_voice.exceptions import WarehouseFailed
from airflow_provider_voice.export.rows import COLUMNS, KEY
from airflow_provider_voice.export.warehouse.dialects import ACCEPTED_TYPES, SqlDialect

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

_LOCK_SECONDS = 600
_TEXTS = ("mediumtext", "longtext")


class MySQL(SqlDialect):
    """MySQL 8 and MariaDB 10.6 or later, by mysqlclient or PyMySQL."""

    compiler = mysql.dialect
    # TEXT has 64 KB, and is no key. MySQL's JSON is never equal to a text; MariaDB's is a text, and is listed as one.
    accepts = ACCEPTED_TYPES | {"key": ("varchar",), "text": _TEXTS, "json": _TEXTS, "time": ("datetime(6)",)}
    clock = func.utc_timestamp(6)

    def _columns_query(self, table: Table) -> tuple[str, tuple[Any, ...]]:
        # With a collation that is not binary, texts that differ in case or accents are equal: ids would be merged, and
        # changes not seen. Its name before the type makes the type one that is not accepted.
        sql = (
            "SELECT column_name, IF(collation_name LIKE %s, column_type, CONCAT_WS(' ', collation_name, column_type)) "
            "FROM information_schema.columns WHERE table_schema = COALESCE(%s, DATABASE()) AND table_name = %s"
        )
        return sql, ("%bin", self._schema, table.name)

    def create(self, cursor: Any) -> None:
        """Create the table and its log where they are missing, while no load and no other creation does anything.

        Each statement that creates or changes a table is a transaction of its own.

        :param cursor: the transaction's cursor.
        """
        self.lock(cursor, "")
        super().create(cursor)

    def change_column_statement(self, name: str) -> str:
        """Return the statement by which a user changes a column of the wrong type.

        :param name: a column of :data:`~airflow_provider_voice.export.rows.COLUMNS`.
        :return: the SQL text.
        """
        return f"ALTER TABLE {self.full_name(self.table)} MODIFY {name} {self.type_of(name)}"

    def create_stage(self, cursor: Any) -> None:
        """Create the stage with the table's own types, so that an id too long for the table's column is refused here.

        MariaDB copies a long text from table to table into a shorter column without an error, whatever the sql_mode.
        The key refuses ids that differ only in blanks at their end, which the merge would take for one.

        :param cursor: the transaction's cursor.
        """
        stage, table = self.full_name(self.stage), self.full_name(self.table)
        key = f"PRIMARY KEY ({', '.join(KEY)})"
        cursor.execute(f"CREATE TEMPORARY TABLE {stage} ({key}) SELECT {', '.join(COLUMNS)} FROM {table} LIMIT 0")

    def lock(self, cursor: Any, source: str) -> None:
        """Wait for other loads of this table: a named lock, because LOCK TABLES would end the transaction.

        The database releases the lock when the connection ends.

        :param cursor: the transaction's cursor.
        :param source: not used: the lock is for all sources.
        :raises WarehouseFailed: when another load takes too long.
        """
        del source
        # SQL_MODE: a value that does not fit is an error and is not truncated; times without a zone are in UTC.
        cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), time_zone = '+00:00'")
        # With the database's name, whether schema says it or the connection; a lock's name has 64 characters.
        sql = "SELECT GET_LOCK(LEFT(CONCAT_WS(' ', 'voice', COALESCE(%s, DATABASE()), %s), 64), %s)"
        cursor.execute(sql, (self._schema, self.table.name, _LOCK_SECONDS))
        if cursor.fetchone()[0] != 1:
            raise WarehouseFailed(
                f"Another load of {self.table.name} took more than {_LOCK_SECONDS} seconds. Nothing of this one "
                "was kept; try again when that one has ended.",
                code="GET_LOCK",
            )
        cursor.execute("START TRANSACTION")

    def hour(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the SQL expression that truncates an instant to its hour.

        :param column: a column of instants, which MySQL stores in UTC.
        :return: the expression of a text, ``YYYY-MM-DD HH:00:00``.
        """
        return func.date_format(column, "%Y-%m-%d %H:00:00")
