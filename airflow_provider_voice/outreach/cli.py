"""``voice-outreach``: show campaigns, settle unknown contacts and call keys, pause, resume and cancel.

Everything acts on the ledger, by its Airflow connection, from any machine that has Airflow's connections.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.models import write_time
from airflow_provider_voice.outreach.call_key import resolve_key
from airflow_provider_voice.outreach.campaign_record import ACTIONS, CampaignRecord
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.states import ContactState
from airflow_provider_voice.outreach.views import LedgerViews
from airflow_provider_voice.phone import mask_number, mask_numbers_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_voice.outreach.views import CampaignSummary

_REASONS_SHOWN, _UNKNOWN_SHOWN, _CAMPAIGNS_NAMED = 20, 10_000, 5


def main(argv: Sequence[str] | None = None, *, database: Database | None = None) -> int:
    """Run the command line.

    :param argv: the arguments; ``None``: those of the process.
    :param database: the ledger's database; ``None``: that of ``--ledger-conn-id``.
    :return: 0, or 1 with an error on standard error.
    """
    options = _parser().parse_args(argv)
    try:
        _run(options, database or _database(getattr(options, "ledger_conn_id", None)))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe, such as head, wants no more; Python would flush the rest into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except VoiceError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    # For before and after the command. Suppressed, or a command's default would hide an option before it.
    ledger = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    ledger.add_argument("--ledger-conn-id", help="the ledger's connection; default: the file under AIRFLOW_HOME")
    parser = argparse.ArgumentParser("voice-outreach", description="Show and steer campaigns.", parents=[ledger])
    commands = parser.add_subparsers(dest="command", required=True)
    campaign = "the operator's campaign, as rendered"
    for name, text in (
        ("status", "print progress, counts, pace and expected end"),
        ("unknown", "list the contacts that a person must decide about, with the evidence"),
        ("pause", "place no more calls until resume; calls in progress continue"),
        ("resume", "continue after pause or cancel; canceled contacts stay canceled"),
        ("cancel", "cancel every contact that waits; calls in progress continue"),
    ):
        commands.add_parser(name, help=text, parents=[ledger]).add_argument("campaign", help=campaign)
    resolve = commands.add_parser("resolve", help="settle a contact that 'unknown' lists", parents=[ledger])
    resolve.add_argument("campaign", help=campaign)
    resolve.add_argument("key", help="the key of the contact, as 'unknown' lists it")
    keyed = commands.add_parser("resolve-key", help="settle a call_key whose outcome is unknown", parents=[ledger])
    keyed.add_argument("key", help="the call_key, as rendered")
    keyed.add_argument("--call-id", help="with --rang: the vendor's id of the call; tasks attach to it")
    for command in (resolve, keyed):
        verdict = command.add_mutually_exclusive_group(required=True)
        verdict.add_argument("--rang", dest="rang", action="store_true", help="the phone rang; do not call again")
        verdict.add_argument("--did-not-ring", dest="rang", action="store_false", help="nobody was rung; call again")
    return parser


def _database(conn_id: str | None) -> Database:
    # Airflow is needed for its connections alone, so only here.
    from airflow_provider_voice.hooks.sql import existing_ledger_engine

    return Database(existing_ledger_engine(conn_id))


def _run(options: argparse.Namespace, database: Database) -> None:
    if options.command == "resolve-key":
        settled = resolve_key(database, options.key, rang=options.rang, call_id=options.call_id)
        _print(f"{mask_numbers_in(options.key)}: intent -> {settled}")
        return
    record, views = CampaignRecord(database, options.campaign), LedgerViews(database)
    summary = _existing(options.campaign, views)
    if options.command in ACTIONS:
        before = record.set_state(ACTIONS[options.command])
        _print(f"{options.campaign}: {before} -> {ACTIONS[options.command]}")
    elif options.command == "unknown":
        _print_unknown(options.campaign, views)
    elif options.command == "resolve":
        state = record.resolve(options.key, rang=options.rang)
        _print(f"{options.key}: unknown -> {state}")
    else:
        _print_status(record, summary, views)


def _existing(campaign: str, views: LedgerViews) -> CampaignSummary:
    summary = views.campaign(campaign)
    if summary is None:
        latest = ", ".join(repr(one.campaign) for one in views.campaigns(limit=_CAMPAIGNS_NAMED))
        others = f"Its latest: {latest}." if latest else "It has none; is this the ledger that your operators have?"
        raise InvalidRequest(f"There is no campaign {campaign!r:.80} in this ledger. {others}")
    return summary


def _print_status(record: CampaignRecord, summary: CampaignSummary, views: LedgerViews) -> None:
    counts = record.counts()
    _print(f"campaign        {record.campaign} ({summary.progress})")
    _print(f"contacts        {summary.done} of {summary.total} done, {summary.left - summary.waiting} in progress")
    _print(f"attempts        {counts['attempts']}")
    for state in ContactState:
        if counts[state.value]:
            _print(f"  {state.value:<13} {counts[state.value]}")
    for reason in views.reasons(record.campaign, _REASONS_SHOWN):
        _print(f"  {reason.count:>7} {reason.state}: {reason.reason}")
    _print(f"pace            {summary.pace:.1f} attempts a minute in the last 10 minutes")
    if summary.expected_end is not None:
        _print(f"expected end    {write_time(summary.expected_end.replace(microsecond=0))}")
    if summary.next_due_at is not None and not summary.due:
        _print(f"next call due   {write_time(summary.next_due_at)}")


def _print_unknown(campaign: str, views: LedgerViews) -> None:
    rows = views.undecided(campaign=campaign, limit=_UNKNOWN_SHOWN)
    for row in rows:
        _print(f"{row.contact_key}  {mask_number(row.to_number)}  attempt {row.attempt}")
        _print(f"  intended  {write_time(row.intended_at)} on {row.voice_conn_id}, agent {row.agent_id}")
        _print(f"  call      {row.call_id or 'not known'}, tag {row.attempt_id}")
        _print(f"  evidence  {row.evidence}")
    _print(f"{len(rows)} contact(s) to decide about.")


def _print(text: str) -> None:
    # A key or an evidence of others must not steer the terminal, nor write lines of its own.
    text = "".join(char if char.isprintable() else "\ufffd" for char in text)
    # Also where the terminal cannot show every character: the mask of a number is a bullet.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{text}\n".encode(encoding, "replace").decode(encoding))


if __name__ == "__main__":
    raise SystemExit(main())
