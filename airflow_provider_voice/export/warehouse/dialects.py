"""The tables of an export, and how databases differ.

SQLAlchemy Core writes the statements, with every value as a parameter; the connection of Airflow's hook runs them,
whatever its driver is. Each database has a file of its own beside this one.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Index, MetaData, Table, Text, func, insert
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import quoted_name

from airflow_provider_voice.export.models import check_identifier
from airflow_provider_voice.export.row_buffer import PlainRowBuffer
from airflow_provider_voice.export.rows import COLUMNS, KEY

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine.default import DefaultDialect
    from sqlalchemy.sql.elements import CompilerElement
    from sqlalchemy.types import TypeEngine

    from airflow_provider_voice.export.row_buffer import RowBuffer

# Ids that differ in case or accent are different calls.
_BINARY: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
#: The type of a column by its kind, for all databases.
TYPES: dict[str, TypeEngine[Any]] = {
    "key": Text().with_variant(mysql.VARCHAR(255, **_BINARY), "mysql"),
    # MySQL's TEXT has 64 KB.
    "text": Text().with_variant(mysql.LONGTEXT(**_BINARY), "mysql"),
    "whole": BigInteger(),
    "number": Double(),
    "flag": Boolean(),
    "time": DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql"),
    "json": Text().with_variant(JSONB(), "postgresql").with_variant(mysql.LONGTEXT(**_BINARY), "mysql"),
}
#: The accepted types of an existing column by kind, in lower case: each is a prefix; those of times differ by database.
#: A decimal number rounds a price, which would then differ from the vendor's in every run.
ACCEPTED_TYPES: dict[str, tuple[str, ...]] = {
    "key": ("text", "varchar", "character varying"),
    "text": ("text", "varchar", "character varying"),
    "whole": ("bigint", "hugeint", "numeric", "decimal"),
    "number": ("double",),
    "flag": ("boolean", "tinyint"),
    "json": ("json", "text", "varchar"),
}
LOG_COLUMNS = {
    "source": "key",
    "kind": "key",
    "name": "key",
    "window_start": "time",
    "window_end": "time",
    "at_vendor": "whole",
    "in_table": "whole",
    "changed": "whole",
    "committed_at": "time",
}
LOG_KEY = ("source", "kind", "name")


class SqlDialect:
    """One table of calls, its log and its stage in one database; a subclass for each database.

    :param table: the table's name.
    :param schema: its schema; None: the connection's default.
    :raises InvalidRequest: when a name is not a plain identifier.
    """

    #: SQLAlchemy's dialect, which writes the statements.
    compiler: ClassVar[type[DefaultDialect]]
    #: SQLAlchemy's name of the driver's mark for a parameter: ``format`` (``%s``) or ``qmark`` (``?``).
    paramstyle: ClassVar[Literal["format", "qmark"]] = "format"
    #: :data:`ACCEPTED_TYPES` and those of times.
    accepts: ClassVar[dict[str, tuple[str, ...]]]
    #: Whether a column of times keeps instants with a time zone.
    keeps_zones = False
    #: Whether the table gets indexes.
    has_indexes = True
    #: Reads the database's clock.
    clock: ClassVar[ColumnElement[Any]] = func.current_timestamp()
    #: Begins a transaction, where the driver does not.
    begin: ClassVar[tuple[str, ...]] = ()
    #: How the stage differs from an ordinary table; it lives as long as one connection or transaction.
    stage_options: ClassVar[dict[str, Any]] = {}

    def __init__(self, table: str, schema: str | None) -> None:
        check_identifier("table", table)
        if schema is not None:
            check_identifier("schema", schema)
        self._schema = schema
        self.sql = self.compiler(paramstyle=self.paramstyle)
        metadata = MetaData(schema=schema and quoted_name(schema, quote=True))
        self.table = _table(table, metadata, COLUMNS, KEY)
        self.log = _table(f"{table}_export_log", metadata, LOG_COLUMNS, LOG_KEY)
        self.stage = _table(f"{table}_stage", MetaData(), COLUMNS, prefixes=["TEMPORARY"], **self.stage_options)
        source, settled_at = self.table.c.source, self.table.c.settled_at
        # The rows that may change: a few of many, where the database can leave out the others.
        partial: dict[str, Any] = dict.fromkeys(("postgresql_where", "sqlite_where"), settled_at.is_(None))
        self.indexes = [
            Index(f"{table}_created", source, self.table.c.created_at),
            Index(f"{table}_unsettled", source, settled_at, **partial),
        ]

    def execute(self, cursor: Any, statement: CompilerElement) -> list[Any]:
        """Run a statement.

        :param cursor: the transaction's cursor.
        :param statement: a statement of SQLAlchemy Core with its values.
        :return: the rows of a query.
        """
        compiled: Any = statement.compile(dialect=self.sql, compile_kwargs={"render_postcompile": True})
        values = [compiled.params[name] for name in getattr(compiled, "positiontup", None) or ()]
        cursor.execute(str(compiled), [self.time(one) if isinstance(one, datetime) else one for one in values])
        return list(cursor.fetchall()) if cursor.description else []

    def full_name(self, table: Table) -> str:
        """Return the name of a table for a statement.

        :param table: the table, its log or its stage.
        :return: the quoted name, after the quoted schema where there is one.
        """
        return str(self.sql.identifier_preparer.format_table(table))

    def create(self, cursor: Any) -> None:
        """Create the table and its log where they are missing; later the indexes are the user's.

        A role that only loads may not create a table, not even with IF NOT EXISTS.

        :param cursor: the transaction's cursor.
        """
        if not self.stored_columns(cursor, self.table):
            self.execute(cursor, CreateTable(self.table, if_not_exists=True))
            for index in self.indexes if self.has_indexes else ():
                self.execute(cursor, CreateIndex(index))
        if not self.stored_columns(cursor, self.log):
            self.execute(cursor, CreateTable(self.log, if_not_exists=True))

    def create_stage(self, cursor: Any) -> None:
        """Create the stage.

        :param cursor: the transaction's cursor.
        """
        self.execute(cursor, CreateTable(self.stage))

    def stored_columns(self, cursor: Any, table: Table) -> dict[str, str]:
        """Return the types of a table's columns by name, both in lower case.

        :param cursor: the transaction's cursor.
        :param table: the table.
        :return: nothing when there is no such table.
        """
        cursor.execute(*self._columns_query(table))
        return {str(column).lower(): str(kind).lower() for column, kind in cursor.fetchall()}

    def _columns_query(self, table: Table) -> tuple[str, tuple[Any, ...]]:
        """Return the query for the names and types of a table's columns, and its parameters."""
        raise NotImplementedError

    def add_column_statement(self, name: str) -> str:
        """Return the statement that adds a missing column.

        :param name: a column of :data:`~airflow_provider_voice.export.rows.COLUMNS`.
        :return: the SQL text.
        """
        return f"ALTER TABLE {self.full_name(self.table)} ADD COLUMN {name} {self.type_of(name)}"

    def change_column_statement(self, name: str) -> str:
        """Return the statement by which a user changes a column of the wrong type.

        :param name: a column of :data:`~airflow_provider_voice.export.rows.COLUMNS`.
        :return: the SQL text.
        """
        return f"ALTER TABLE {self.full_name(self.table)} ALTER COLUMN {name} TYPE {self.type_of(name)}"

    def type_of(self, name: str) -> str:
        """Return the type of a column in the database's SQL.

        :param name: a column of :data:`~airflow_provider_voice.export.rows.COLUMNS`.
        :return: the type, e.g. ``BIGINT``.
        """
        return TYPES[COLUMNS[name]].compile(self.sql)

    def lock(self, cursor: Any, source: str) -> None:
        """Keep other loads of this source, or of the whole table, out of the transaction.

        :param cursor: the transaction's cursor.
        :param source: the source.
        """

    def new_buffer(self, hook: Any) -> RowBuffer:
        """Return an empty buffer for rows, to be read by :meth:`fill`.

        :param hook: the database's hook, for a buffer that already writes to the database.
        :return: the buffer.
        """
        del hook
        return PlainRowBuffer(self.time)

    def fill(self, table: Table, cursor: Any, buffer: Any) -> None:
        """Write the rows of :meth:`new_buffer` into a table.

        :param table: the stage, or the table itself.
        :param cursor: the transaction's cursor.
        :param buffer: the rows.
        """
        sql = str(insert(table).compile(dialect=self.sql))
        for batch in buffer.batches():
            cursor.executemany(sql, batch)

    def time(self, moment: datetime) -> Any:
        """Convert an instant to a value for the driver.

        :param moment: an aware instant.
        :return: the instant itself where columns keep time zones, otherwise a naive ``datetime`` in UTC.
        """
        return moment if self.keeps_zones else moment.astimezone(timezone.utc).replace(tzinfo=None)

    def hour(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the SQL expression that truncates an instant to its hour in UTC, in a session of any time zone.

        :param column: a column of instants.
        :return: the expression; :func:`~airflow_provider_voice.models.read_time` reads its values.
        """
        return func.date_trunc("hour", column.op("AT TIME ZONE")("UTC"))


def _table(name: str, metadata: MetaData, kinds: dict[str, str], key: tuple[str, ...] = (), **options: Any) -> Table:
    columns = [Column(column, TYPES[kind], primary_key=column in key) for column, kind in kinds.items()]
    return Table(quoted_name(name, quote=True), metadata, *columns, **options)
