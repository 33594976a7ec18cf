"""The shipped rule files against the sentences of their sources (``golden/``)."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from airflow_provider_voice.policy import ContactPolicy, Person
from airflow_provider_voice.policy.rule_files import load_rule_file, shipped_names
from airflow_provider_voice.policy.rules import check_calendar

GOLDEN = Path(__file__).with_name("golden")
ROWS = [
    pytest.param(path.stem, entry, row, id=f"{entry['rule']}-{row['at']}")
    for path in sorted(GOLDEN.glob("*.yaml"))
    for entry in yaml.safe_load(path.read_text())
    for row in entry["rows"]
]


@pytest.mark.parametrize(("name", "entry", "row"), ROWS)
def test_what_the_source_says(name, entry, row) -> None:
    zone = ZoneInfo(entry["zone"])
    at = datetime.fromisoformat(row["at"]).replace(tzinfo=zone).astimezone(timezone.utc)
    attempts = [at - timedelta(minutes=minutes) for minutes in row.get("attempts", [])]
    person = Person(entry["to"], time_zone=entry["zone"] if entry.get("given_zone") else None)
    decision = ContactPolicy.load(name).decide(person, at=at, attempts=attempts)
    assert decision.zones == (entry["zone"],)
    assert decision.allowed is row["allowed"], decision.reason
    assert entry["rule"] in {answer.rule for answer in decision.asked}
    if not row["allowed"]:
        answers = {answer.rule: answer for answer in decision.asked}
        assert not answers[entry["rule"]].allowed
        assert decision.next_at == datetime.fromisoformat(row["next"]).replace(tzinfo=zone)


def test_every_shipped_rule_has_a_golden_row() -> None:
    golden = {entry["rule"] for path in GOLDEN.glob("*.yaml") for entry in yaml.safe_load(path.read_text())}
    assert golden == {rule.id for name in shipped_names() for rule in load_rule_file(name).rules}


def test_every_shipped_rule_names_its_source_and_the_date_it_was_read() -> None:
    for name in shipped_names():
        file = load_rule_file(name)
        assert file.title
        for rule in file.rules:
            assert rule.source, rule.id
            assert rule.as_of is not None, rule.id
            assert rule.as_of >= date(2026, 1, 1), rule.id
            assert rule.applies_to, rule.id


def test_every_shipped_calendar_exists() -> None:
    for name in shipped_names():
        for rule in load_rule_file(name).rules:
            for calendar in rule.closed_on.calendars if rule.closed_on else ():
                check_calendar(calendar)


def test_all_shipped_files_are_one_policy() -> None:
    assert shipped_names() == ("au", "ca", "fr", "in", "us")
    assert len(ContactPolicy.load(*shipped_names()).rules) > 30


def test_a_policy_needs_no_airflow_and_a_shipped_one_loads_without_calendars_and_number_tables() -> None:
    code = (
        "import sys; from airflow_provider_voice.policy import ContactPolicy, Person; import airflow_provider_voice.policy.cli;"
        "p = ContactPolicy.load('us', 'fr');"
        "early = {name.split('.')[0] for name in sys.modules};"
        "import datetime as d;"
        "p.decide(Person('+33612345678'), at=d.datetime(2026, 11, 11, 11, tzinfo=d.timezone.utc));"
        "late = {name.split('.')[0] for name in sys.modules};"
        "print('airflow' in late, 'phonenumbers' in early, 'holidays' in early, 'holidays' in late,"
        " 'phonenumbers.geocoder' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False", "True", "False"]


def test_the_policy_stands_on_phone_and_exceptions_alone() -> None:
    package = Path(load_rule_file.__code__.co_filename).parent
    for path in package.glob("*.py"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] == ["from"] and words[1].startswith("airflow"):
                room = words[1].removeprefix("airflow_provider_voice.").split(".")[0]
                assert room in {"policy", "phone", "exceptions"}, (path.name, line)


@pytest.mark.once
def test_the_wheel_holds_the_data_files(tmp_path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(root)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)
    code = (
        "from airflow_provider_voice.policy import ContactPolicy, Person; import airflow_provider_voice, datetime as d;"
        "p = ContactPolicy.load('us', 'ca', 'fr', 'in', 'au');"
        "a = p.decide(Person('+13055552601'), at=d.datetime(2026, 11, 24, 1, 30, tzinfo=d.timezone.utc));"
        "print(airflow_provider_voice.__file__, a.rule)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=unpacked)
    assert done.stdout.startswith(str(unpacked))
    assert done.stdout.split()[-1] == "us-fl-hours"
