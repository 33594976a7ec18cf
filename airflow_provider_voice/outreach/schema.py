"""The tables of the ledger, and their creation and migration by version."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    select,
    types,
)
from sqlalchemy.dialects import mysql

from airflow_provider_voice.exceptions import LedgerFailed

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect

#: The version this code reads and writes.
VERSION = 2
#: The longest campaign name and contact key, in characters: both together fit into an index of MySQL.
KEY_LENGTH = 250
#: The longest reason of a contact's state and the longest evidence of an unknown attempt, in characters.
REASON_LENGTH, EVIDENCE_LENGTH = 500, 1000

metadata = MetaData()


class UtcTime(types.TypeDecorator[datetime]):
    """An aware ``datetime`` in UTC, stored without its zone and with microseconds on every database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        """Return the type of one database: MySQL's own drops the fractions of a second.

        :param dialect: the database's dialect.
        :return: its type.
        """
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name in ("mysql", "mariadb") else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware time to the stored value.

        :param value: an aware time.
        :param dialect: not used.
        :return: the same in UTC, without its zone.
        """
        del dialect
        return None if value is None else value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a stored value to an aware time.

        :param value: the stored time.
        :param dialect: not used.
        :return: the same, aware.
        """
        del dialect
        return None if value is None else value.replace(tzinfo=timezone.utc)


def _text(length: int) -> types.TypeEngine[str]:
    # MySQL compares text without regard to case unless the column says otherwise: "a1" and "A1" are two contacts.
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(binary, "mysql", "mariadb")


def _long_text() -> types.TypeEngine[str]:
    binary = mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin")
    return Text().with_variant(binary, "mysql", "mariadb")


def _table(name: str, *parts: Any) -> Table:
    return Table(name, metadata, *parts, mysql_engine="InnoDB", mariadb_engine="InnoDB")


versions = _table(
    "voice_outreach_version",
    Column("component", _text(40), primary_key=True),
    Column("version", Integer, nullable=False),
)

campaigns = _table(
    "voice_outreach_campaigns",
    Column("campaign", _text(KEY_LENGTH), primary_key=True),
    # "running", "paused" or "canceled", as set by a user; see the command line.
    Column("state", _text(16), nullable=False),
    # The number of the last load of contacts that was begun, and of the last one that was whole.
    Column("load_number", Integer, nullable=False, default=0),
    Column("loaded_number", Integer, nullable=False, default=0),
    Column("begun_by", _text(KEY_LENGTH)),
    Column("plan_id", _text(80)),
    Column("created_at", UtcTime, nullable=False),
)

polls = _table(
    "voice_outreach_polls",
    # The workers of a campaign poll its calls in turns; those of another voice connection see other calls.
    Column("campaign", _text(KEY_LENGTH), primary_key=True),
    Column("voice_conn_id", _text(KEY_LENGTH), primary_key=True),
    Column("next_poll_at", UtcTime, nullable=False),
)

contacts = _table(
    "voice_outreach_contacts",
    Column("campaign", _text(KEY_LENGTH), primary_key=True),
    Column("contact_key", _text(KEY_LENGTH), primary_key=True),
    Column("state", _text(16), nullable=False),
    Column("reason", _text(REASON_LENGTH)),
    Column("to_number", _text(20)),
    Column("time_zone", _text(64)),
    Column("jurisdiction", _text(64)),
    # JSON: the values for the agent.
    Column("variables", _long_text()),
    Column("merged_into", _text(KEY_LENGTH)),
    # Attempts that rang or may have, and the number of the last one of any outcome.
    Column("attempts", Integer, nullable=False, default=0),
    Column("last_attempt", Integer, nullable=False, default=0),
    Column("due_at", UtcTime),
    Column("planned_at", UtcTime),
    # Who works on the contact until when. The fence is raised by every claim and checked by every write of a claimant.
    Column("lease_owner", _text(80)),
    Column("lease_until", UtcTime),
    Column("fence", BigInteger, nullable=False, default=0),
    # The load that brought the contact (nobody is called before it was whole), and the last one that had it.
    Column("first_load", Integer, nullable=False, default=0),
    Column("load_number", Integer, nullable=False, default=0),
    Column("row_digest", _text(64)),
    Column("updated_at", UtcTime, nullable=False),
    Index("voice_outreach_contacts_due", "campaign", "state", "due_at"),
    Index("voice_outreach_contacts_number", "campaign", "to_number"),
    # Contacts of one state, page by page.
    Index("voice_outreach_contacts_listed", "campaign", "state", "contact_key"),
    Index("voice_outreach_contacts_planned", "campaign", "planned_at"),
)

attempts = _table(
    "voice_outreach_attempts",
    # The text that is sent with the create as the call's tag.
    Column("attempt_id", _text(80), primary_key=True),
    # Empty for the calls of MakeCallOperator, whose contact_key is the call_key.
    Column("campaign", _text(KEY_LENGTH), nullable=False),
    Column("contact_key", _text(KEY_LENGTH), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("source", _text(20), nullable=False),
    Column("to_number", _text(20), nullable=False),
    Column("subject", _text(KEY_LENGTH)),
    Column("voice_conn_id", _text(KEY_LENGTH), nullable=False),
    Column("agent_id", _text(KEY_LENGTH)),
    Column("call_id", _text(KEY_LENGTH)),
    Column("state", _text(16), nullable=False),
    Column("status", _text(16)),
    Column("intended_at", UtcTime, nullable=False),
    Column("placed_at", UtcTime),
    Column("ended_at", UtcTime),
    # Seconds the vendor's clock was ahead of the ledger's when the intent was stored.
    Column("clock_offset", Double),
    Column("owner", _text(80)),
    Column("fence", BigInteger),
    # The evidence about an unknown outcome, for people.
    Column("evidence", _text(EVIDENCE_LENGTH)),
    # JSON: the dial record of a MakeCallOperator.
    Column("record", _long_text()),
    UniqueConstraint("campaign", "contact_key", "attempt", name="voice_outreach_attempts_once"),
    Index("voice_outreach_attempts_number", "to_number", "intended_at"),
    Index("voice_outreach_attempts_progress", "voice_conn_id", "state"),
    # The pace and the attempts per hour, answered from the index alone.
    Index("voice_outreach_attempts_hours", "campaign", "intended_at", "status", "placed_at"),
    Index("voice_outreach_attempts_call", "call_id"),
)

pacing = _table(
    "voice_pacing",
    # A voice connection; "*" is the row that caps across connections are checked under.
    Column("voice_conn_id", _text(KEY_LENGTH), primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("filled_at", UtcTime),
    # Nobody places a call before this: the vendor answered 429.
    Column("slow_until", UtcTime),
    # The tightest limits that a campaign at work on the connection asked for, and until when they count.
    Column("calls_per_minute", Double),
    Column("calls_limited_until", UtcTime),
    Column("max_concurrent", Integer),
    Column("concurrency_limited_until", UtcTime),
    Column("request_tokens", Double, nullable=False, default=0),
    Column("requests_filled_at", UtcTime),
)


def stored_version(connection: Connection) -> int | None:
    """Return the version of the ledger's tables; ``None`` when there are none.

    :param connection: a connection inside a transaction.
    :return: the version, or ``None``.
    """
    if not inspect(connection).has_table(versions.name):
        return None
    found = connection.execute(select(versions.c.version).where(versions.c.component == "ledger")).scalar()
    return None if found is None else int(found)


def migrate(connection: Connection) -> None:
    """Bring the tables to :data:`VERSION`; the caller holds a lock, so that only one worker does so at a time.

    :param connection: a connection inside a transaction (MySQL commits every statement of this on its own).
    :raises LedgerFailed: when the tables are of a newer version than this code.
    """
    stored = stored_version(connection)
    if stored is not None and stored > VERSION:
        raise LedgerFailed(
            f"The ledger's tables are of version {stored}, and this release reads up to {VERSION}. Upgrade "
            "airflow-provider-voice on this worker.",
            permanent=True,
        )
    if stored == VERSION:
        return
    # create_all creates missing tables, also after a creation that was broken off. Version 2 added one to version 1.
    metadata.create_all(connection)
    connection.execute(versions.delete().where(versions.c.component == "ledger"))
    connection.execute(versions.insert().values(component="ledger", version=VERSION))
