"""``voice-policy``."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from airflow_provider_voice.policy.cli import main
from airflow_provider_voice.policy.rule_files import load_rule_file, shipped_names

NUMBER = "+13055552601"


@pytest.fixture
def company(tmp_path):
    path = tmp_path / "company.yaml"
    path.write_text(
        'rules:\n  - id: company-hours\n    hours: {mon-fri: ["09:00-18:00"]}\n  - id: tiny\n    hours: {mon: ["08:00-08:01"]}\n'
        "    applies_to: [JP]\n",
        "utf-8",
    )
    return path


def test_explain_an_allowed_call(capsys) -> None:
    assert main(["explain", NUMBER, "--at", "2026-11-23T15:00Z", "--rules", "us"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "+1305•••••01 at 2026-11-23T15:00:00Z = Mon 2026-11-23 10:00:00 -0500 America/New_York: allowed"
    )
    assert "yes us-fl-hours (us) allows a call" in out
    assert "Next allowed instant: 2026-11-23T15:00:00Z" in out


def test_explain_a_call_that_is_not_allowed(capsys, company) -> None:
    at = "2026-11-20T20:30:00-05:00"
    assert main(["explain", NUMBER, "--at", at, "--rules", "us", str(company)]) == 1
    out = capsys.readouterr().out
    for words in (
        "NOT allowed", "NO  company-hours", "NO  us-fl-hours", "yes us-hours", "47 CFR 64.1200(c)(1), read on 2026-11-21",
        "Time zones: America/New_York (source: number)", "a guess",
        "Next allowed instant: 2026-11-23T14:00:00Z = Mon 2026-11-23 09:00:00 -0500 America/New_York",
    ):  # fmt: skip
        assert words in out
    assert NUMBER not in out


def test_explain_as_json(capsys) -> None:
    arguments = [
        "--at",
        "2026-11-21T08:30Z",
        "--rules",
        "us",
        "--rules",
        "fr",
        "--time-zone",
        "Asia/Tokyo",
        "--jurisdiction",
        "US-FL",
    ]
    attempts = ["--attempt", "2026-11-21T08:00Z", "--attempt", "2026-11-21T07:00Z", "--attempt", "2026-11-21T06:00Z"]
    assert main(["explain", NUMBER, *arguments, *attempts, "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["to"] == "+1305•••••01"
    assert data["at"] == "2026-11-21T08:30:00+00:00"
    assert (data["zones"], data["zone_source"]) == (["Asia/Tokyo"], "given")
    assert data["rule"] == "us-fl-attempts"
    assert data["next_at"] == "2026-11-22T06:00:00+00:00"


def test_explain_now(capsys) -> None:
    assert main(["explain", "+493012345678", "--rules", "us"]) == 0
    assert "No rule applies" in capsys.readouterr().out


def test_explain_a_number_without_a_place(capsys) -> None:
    assert main(["explain", "+18005552601", "--at", "2026-11-21T08:30Z", "--rules", "us"]) == 1
    out = capsys.readouterr().out
    assert "needs a time zone" in out
    assert "Rules asked: none" in out
    assert "Next allowed instant: never by itself" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "12", "--rules", "us"],
        ["explain", NUMBER, "--rules", "nowhere"],
        ["explain", NUMBER, "--rules", "us", "--at", "2026-11-21T08:30"],
        ["explain", NUMBER, "--rules", "us", "--at", "tomorrow"],
        ["explain", NUMBER, "--rules", "us", "--time-zone", "Mars/Base"],
        ["explain", NUMBER, "--rules", "us", "--jurisdiction", "UK"],
        ["explain", NUMBER, "--rules", "us", "--attempt", "yesterday"],
        ["explain", NUMBER, "--rules", "us", "--max-zone-spread", "99"],
        ["check", "no-such.yaml"],
    ],
)
def test_bad_input(arguments, capsys) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("voice-policy: ")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["explain"], ["explain", NUMBER], ["check"], ["other"]])
def test_bad_arguments(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: voice-policy" in capsys.readouterr().err


def test_check(capsys, company) -> None:
    assert main(["check", str(company), "us"]) == 0
    out = capsys.readouterr().out
    assert "company.yaml: 2 rules, correct" in out
    assert "warning: rule tiny never opens" in out


def test_check_a_file_with_a_mistake(capsys, tmp_path) -> None:
    path = tmp_path / "company.yaml"
    path.write_text('rules: [{id: night, hours: {mon: ["21:00-08:00"]}}]', "utf-8")
    assert main(["check", str(path)]) == 2
    assert "company.yaml, rule night: '21:00-08:00' does not end after its start" in capsys.readouterr().err


def test_rules(capsys) -> None:
    assert main(["rules"]) == 0
    out = capsys.readouterr().out
    rules = [rule for name in shipped_names() for rule in load_rule_file(name).rules]
    for rule in rules:
        assert f"  {rule.id} [" in out
        assert rule.source in out
    assert main(["rules", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["rule"] for entry in listed] == [rule.id for rule in rules]
    assert all(entry["source"] and entry["as_of"] and entry["file"] for entry in listed)


def test_in_a_terminal_that_knows_ascii_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_voice.policy.cli", "explain", NUMBER, "--at", "2026-11-21T08:30Z", "--rules", "us"],
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(b"+1305?????01 at ")


def test_a_reader_that_wants_no_more_is_no_error(monkeypatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["rules"]) == 0
