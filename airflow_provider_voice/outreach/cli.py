"""``voice-outreach``: look at campaigns, settle what a person must decide, pause, resume and cancel.

Everything acts on the ledger, by its Airflow connection, from any machine that has Airflow's connections.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import VoiceError
from airflow_provider_voice.models import write_time
from airflow_provider_voice.outreach.campaign_record import CANCELED, PAUSED, RUNNING, CampaignRecord
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.states import ContactState
from airflow_provider_voice.outreach.views import paces_of
from airflow_provider_voice.phone import mask_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_STATES = {"pause": PAUSED, "resume": RUNNING, "cancel": CANCELED}


def main(argv: Sequence[str] | None = None, *, database: Database | None = None) -> int:
    """Run the command line.

    :param argv: the arguments; ``None``: those of the process.
    :param database: the ledger's database; ``None``: that of ``--ledger-conn-id``.
    :return: 0, or 1 with an error on standard error.
    """
    options = _parser().parse_args(argv)
    try:
        _run(options, database or _database(options.ledger_conn_id))
    except VoiceError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="voice-outreach", description="Look at and steer outreach campaigns.")
    parser.add_argument("--ledger-conn-id", help="the ledger's connection; default: the file under AIRFLOW_HOME")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("status", "print progress, counts, pace and expected end"),
        ("unknown", "list contacts that may have been rung, with the evidence"),
        ("pause", "place no more calls until resume; calls in progress go on"),
        ("resume", "go on after pause or cancel; canceled contacts stay canceled"),
        ("cancel", "cancel every contact that waits; calls in progress go on"),
    ):
        commands.add_parser(name, help=text).add_argument("campaign")
    resolve = commands.add_parser("resolve", help="settle a contact that may have been rung")
    resolve.add_argument("campaign")
    resolve.add_argument("key")
    verdict = resolve.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--rang", dest="rang", action="store_true", help="the phone rang: it is done with")
    verdict.add_argument("--did-not-ring", dest="rang", action="store_false", help="nobody was rung: it is due again")
    return parser


def _database(conn_id: str | None) -> Database:
    # Airflow is needed for its connections alone, so only here.
    from airflow_provider_voice.hooks.sql import ledger_engine

    return Database(ledger_engine(conn_id))


def _run(options: argparse.Namespace, database: Database) -> None:
    record = CampaignRecord(database, options.campaign)
    if options.command in _STATES:
        before = record.set_state(_STATES[options.command])
        _print(f"{options.campaign}: {before} -> {_STATES[options.command]}")
    elif options.command == "unknown":
        _print_unknown(record)
    elif options.command == "resolve":
        state = record.resolve(options.key, rang=options.rang)
        _print(f"{options.key}: unknown -> {state}")
    else:
        _print_status(record, database)


def _print_status(record: CampaignRecord, database: Database) -> None:
    outlook = record.outlook()
    counts = record.counts()
    done = counts["contacts"] - outlook.open
    _print(f"campaign        {record.campaign} ({outlook.state})")
    _print(f"contacts        {done} of {counts['contacts']} done, {outlook.in_call + outlook.dialing} in progress")
    _print(f"attempts        {counts['attempts']}")
    for state in ContactState:
        if counts[state.value]:
            _print(f"  {state.value:<13} {counts[state.value]}")
    for (state_name, reason), count in sorted(record.reasons().items(), key=lambda item: -item[1])[:20]:
        if reason:
            _print(f"  {count:>7} {state_name}: {reason}")
    pace = _pace(record.campaign, database)
    _print(f"pace            {pace:.1f} attempts a minute in the last 10 minutes")
    waiting = counts[ContactState.PENDING.value] + counts[ContactState.REDIAL.value]
    if outlook.state == RUNNING and waiting and pace:
        _print(f"expected end    {write_time(outlook.now + timedelta(minutes=waiting / pace))}, redials not counted")
    elif outlook.next_due_at is not None:
        _print(f"next call due   {write_time(outlook.next_due_at)}")


def _pace(campaign: str, database: Database) -> float:
    def work(connection: Connection) -> float:
        return paces_of(connection, [campaign], database.now(connection)).get(campaign, 0.0)

    return database.transact(work)


def _print_unknown(record: CampaignRecord) -> None:
    rows = record.unknown()
    for row in rows:
        _print(f"{row['contact_key']}  {mask_number(row['to_number'])}  attempt {row['attempt']}")
        _print(f"  intended  {write_time(row['intended_at'])} on {row['voice_conn_id']}, agent {row['agent_id']}")
        _print(f"  call      {row['call_id'] or 'not known'}, tag {row['attempt_id']}")
        _print(f"  evidence  {row['evidence']}")
    _print(f"{len(rows)} contact(s) may have been rung.")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    raise SystemExit(main())
