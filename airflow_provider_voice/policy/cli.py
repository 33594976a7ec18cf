"""``voice-policy``: ask a contact policy in a terminal, check a rule file, list the shipped rules."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.phone import mask_number
from airflow_provider_voice.policy.decision import Person
from airflow_provider_voice.policy.policy import ContactPolicy
from airflow_provider_voice.policy.rule_files import load_rule_file, shipped_names
from airflow_provider_voice.policy.zones import load_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_voice.policy.decision import Decision
    from airflow_provider_voice.policy.rules import Rule

ALLOWED, NOT_ALLOWED, BAD_INPUT = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :param argv: the arguments; ``None``: those of the process.
    :return: 0: allowed, or all is well; 1: not allowed; 2: bad input.
    """
    options = _parser().parse_args(argv)
    try:
        code, text = options.run(options)
    except VoiceError as error:
        _write(sys.stderr, f"voice-policy: {error.message}")
        return BAD_INPUT
    try:
        _write(sys.stdout, text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe, such as head, wants no more; Python would flush the rest into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="voice-policy", description="Who may be called when, and why not.")
    commands = parser.add_subparsers(required=True, metavar="command")

    explain = commands.add_parser(
        "explain",
        help="say whether a number may be called, by which rules, and if not, when",
        # The number comes first: behind --rules it would be taken for one of them.
        usage="%(prog)s number --rules RULES [RULES ...] [options]",
    )
    explain.add_argument("number", help="the number with + and country code")
    explain.add_argument("--rules", nargs="+", required=True, action="extend", help="shipped rule files or paths")
    explain.add_argument("--at", help="the instant in ISO 8601 with a time zone, 2026-11-21T08:30Z (default: now)")
    explain.add_argument("--time-zone", help="IANA zone of the person, when it is known")
    explain.add_argument("--jurisdiction", help="ISO code of the law that protects the person, such as US-FL")
    explain.add_argument("--attempt", action="append", default=[], help="instant of an earlier attempt; repeatable")
    explain.add_argument(
        "--max-zone-spread",
        type=float,
        default=5,
        help="the most hours between the person's possible zones (default 5)",
    )
    explain.add_argument("--json", action="store_true", help="print JSON")
    explain.set_defaults(run=_explain)

    check = commands.add_parser("check", help="check rule files, all together as one policy")
    check.add_argument("files", nargs="+", help="paths, or names of shipped files")
    check.set_defaults(run=_check)

    rules = commands.add_parser("rules", help="list the shipped rules with dates and sources")
    rules.add_argument("--json", action="store_true", help="print JSON")
    rules.set_defaults(run=_rules)
    return parser


def _explain(options: argparse.Namespace) -> tuple[int, str]:
    policy = ContactPolicy.load(*options.rules, max_zone_spread=options.max_zone_spread)
    person = Person(to=options.number, time_zone=options.time_zone, jurisdiction=options.jurisdiction)
    at = _instant(options.at) if options.at else datetime.now(timezone.utc).replace(microsecond=0)
    decision = policy.decide(person, at=at, attempts=[_instant(text) for text in options.attempt])
    code = ALLOWED if decision.allowed else NOT_ALLOWED
    if options.json:
        return code, _json({"to": mask_number(person.to), "at": at.isoformat(), **decision.to_dict()})
    return code, _describe(person, at, decision)


def _describe(person: Person, at: datetime, decision: Decision) -> str:
    lines = [
        f"{mask_number(person.to)} at {_local_times(at, decision)}: {'allowed' if decision.allowed else 'NOT allowed'}",
        decision.reason,
        f"Time zones: {', '.join(decision.zones) or 'not known'} (source: {decision.zone_source})",
        "Rules asked:" if decision.asked else "Rules asked: none",
    ]
    for answer in decision.asked:
        cited = ", ".join(text for text in (answer.source, answer.as_of and f"read on {answer.as_of}") if text)
        verdict = "yes" if answer.allowed else "NO "
        lines.append(f"  {verdict} {answer.rule} ({answer.file}) {answer.reason}{f' [{cited}]' if cited else ''}")
    following = "never by itself" if decision.next_at is None else _local_times(decision.next_at, decision)
    lines.append(f"Next allowed instant: {following}")
    return "\n".join(lines)


def _local_times(instant: datetime, decision: Decision) -> str:
    utc = instant.astimezone(timezone.utc)
    local = {utc.astimezone(load_zone(zone)).strftime("%a %Y-%m-%d %H:%M:%S %z"): zone for zone in decision.zones}
    return f"{utc:%Y-%m-%dT%H:%M:%SZ}" + "".join(f" = {text} {zone}" for text, zone in local.items())


def _check(options: argparse.Namespace) -> tuple[int, str]:
    policy = ContactPolicy.load(*options.files)
    lines = [f"{file.name}: {len(file.rules)} rules, correct" for file in policy.files]
    lines += [
        f"warning: rule {rule.id} never opens: no interval is longer than the margin of {rule.margin_seconds} seconds"
        for rule in policy.rules
        if rule.hours is not None and not any(rule.hours.starts)
    ]
    return ALLOWED, "\n".join(lines)


def _rules(options: argparse.Namespace) -> tuple[int, str]:
    shipped = [load_rule_file(name) for name in shipped_names()]
    if options.json:
        return ALLOWED, _json([{"file": file.name, **_facts(rule)} for file in shipped for rule in file.rules])
    lines = []
    for file in shipped:
        lines.append(f"{file.name}: {file.title}")
        for rule in file.rules:
            dates = [f"{word} {day}" for word, day in (("since", rule.since), ("until", rule.until)) if day]
            lines.append(
                f"  {rule.id} [{', '.join(rule.applies_to)}] {rule.source} "
                f"({', '.join([*dates, f'read on {rule.as_of}'])})"
            )
    return ALLOWED, "\n".join(lines)


def _facts(rule: Rule) -> dict[str, Any]:
    dates = {"since": rule.since, "until": rule.until, "as_of": rule.as_of}
    return {
        "rule": rule.id,
        "applies_to": list(rule.applies_to),
        "source": rule.source,
        **{key: day.isoformat() if day else None for key, day in dates.items()},
    }


def _instant(text: str) -> datetime:
    try:
        # Python 3.10 does not read the Z.
        return datetime.fromisoformat(text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        raise InvalidRequest(f"{text!r:.40} is not a point in time. Write it as 2026-11-21T08:30Z.") from None


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _write(stream: Any, text: str) -> None:
    """Write a line also where the terminal cannot show every character (the mask of a number is a bullet)."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, errors="replace").decode(encoding) + "\n")


if __name__ == "__main__":
    sys.exit(main())
