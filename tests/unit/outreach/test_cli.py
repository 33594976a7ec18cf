"""``voice-outreach``: its output and the input it refuses."""

from __future__ import annotations

import os
import sys

import pytest

from airflow_provider_voice.models import CallRef
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.call_key import CallKeyStore, KeyedCall
from airflow_provider_voice.outreach.cli import main
from tests.unit.outreach.conftest import NUMBERS


def test_the_status_of_a_campaign(book, capsys) -> None:
    book.load(2)
    assert main(["status", "spring"], database=book.database) == 0
    printed = capsys.readouterr().out
    assert "spring (running)" in printed
    assert "0 of 2 done, 0 in progress" in printed


def test_unknown_contacts_with_masked_numbers(book, capsys) -> None:
    book.load(1)
    ledger = book.ledger()
    AttemptOutcomes(ledger).unknown([(book.intend(ledger)[0], "nobody knows")])
    main(["unknown", "spring"], database=book.database)
    printed = capsys.readouterr().out
    assert "evidence  nobody knows" in printed
    assert "1 contact(s)" in printed
    assert NUMBERS[0] not in printed


def test_what_others_wrote_does_not_steer_the_terminal(book, capsys) -> None:
    book.load(1)
    ledger = book.ledger()
    AttemptOutcomes(ledger).unknown([(book.intend(ledger)[0], "\x1b[2J nobody\nc9  knows")])
    main(["unknown", "spring"], database=book.database)
    printed = capsys.readouterr().out
    assert "evidence  \ufffd[2J nobody\ufffdc9  knows\n" in printed


@pytest.mark.parametrize("command", ["status", "unknown", "pause", "resume", "cancel", "resolve --rang"])
def test_a_campaign_that_does_not_exist(book, capsys, command) -> None:
    key = ["c0"] if command.startswith("resolve") else []
    assert main([*command.split(), "nobody", *key], database=book.database) == 1
    assert "no campaign 'nobody'" in capsys.readouterr().err
    book.load(1)
    main([*command.split(), "nobody", *key], database=book.database)
    assert "Its latest: 'spring'." in capsys.readouterr().err


def test_a_campaign_without_contacts_that_wait_is_done(book, capsys) -> None:
    book.load(1)
    for command in ("cancel", "resume", "status"):
        assert main([command, "spring"], database=book.database) == 0
    assert "spring (done)" in capsys.readouterr().out


@pytest.mark.airflow
@pytest.mark.parametrize(
    "arguments",
    [["--ledger-conn-id", "no_ledger", "status", "spring"], ["status", "spring", "--ledger-conn-id", "no_ledger"]],
    ids=["before the command", "behind the command"],
)
def test_a_connection_that_does_not_exist(capsys, arguments) -> None:
    assert main(arguments) == 1
    assert "There is no connection 'no_ledger'." in capsys.readouterr().err


def test_a_reader_that_wants_no_more_is_no_error(book, monkeypatch) -> None:
    book.load(1)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["cancel", "spring"], database=book.database) == 0
    assert book.contact().state == "canceled"


def test_a_contact_that_is_not_unknown_is_named_without_its_number(book, capsys) -> None:
    book.load(1)
    for key, text in (("c0", "is not in 'unknown' (it is in 'pending'"), (NUMBERS[0], "There is no contact")):
        assert main(["resolve", "spring", key, "--rang"], database=book.database) == 1
        printed = capsys.readouterr().err
        assert text in printed
        assert NUMBERS[0] not in printed


@pytest.mark.parametrize("command", [["resolve", "spring", "c0"], ["resolve-key", "invoice-7"]], ids=str)
def test_a_verdict_is_needed(book, command) -> None:
    with pytest.raises(SystemExit):
        main(command, database=book.database)


@pytest.mark.parametrize(
    "verdict",
    [["--did-not-ring", "--call-id", "c1"], ["--rang", "--call-id", " "], ["--rang", "--call-id", NUMBERS[1]]],
    ids=["did not ring", "empty", "number"],
)
def test_a_contradictory_verdict_on_a_key_settles_nothing(book, capsys, verdict) -> None:
    intent = {"generation": 1, "key": "afv-1", "state": "intent"}
    store = CallKeyStore(book.database, KeyedCall("invoice-7", NUMBERS[0], "voice_default"))
    store.set("", intent)
    book.wait(15 * 60)
    assert main(["resolve-key", "invoice-7", *verdict], database=book.database) == 1
    printed = capsys.readouterr().err
    assert "call id" in printed
    assert NUMBERS[1] not in printed
    assert store.get("") == intent


def test_a_call_that_a_person_names_is_searched_for_on_its_day(book) -> None:
    store = CallKeyStore(book.database, KeyedCall("invoice-7", NUMBERS[0], "voice_default"))
    store.set("", {"generation": 1, "key": "afv-1", "state": "intent"})
    placed_at = book.now
    book.wait(40 * 86_400)
    assert main(["resolve-key", "invoice-7", "--rang", "--call-id", " c1 "], database=book.database) == 0
    assert CallRef.of(store.get("")["call"]) == CallRef("c1", placed_at=placed_at)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [(["--rang"], "ended"), (["--rang", "--call-id", "c1"], "placed"), (["--did-not-ring"], "refused")],
    ids=str,
)
def test_a_key_without_an_outcome_is_settled_once_its_create_cannot_be_under_way(book, capsys, verdict, state) -> None:
    key = f"invoice of {NUMBERS[0]}"
    intent = {"generation": 1, "key": "afv-1", "state": "intent"}
    CallKeyStore(book.database, KeyedCall(key, NUMBERS[0], "voice_default")).set("", intent)
    book.wait(15 * 60 - 1)
    assert main(["resolve-key", key, *verdict], database=book.database) == 1
    assert "may still be under way" in capsys.readouterr().err
    book.wait(1)
    assert main(["resolve-key", key, *verdict], database=book.database) == 0
    printed = capsys.readouterr().out
    assert f"intent -> {state}" in printed
    assert NUMBERS[0] not in printed
    assert main(["resolve-key", key, *verdict], database=book.database) == 1
    assert "nothing to resolve" in capsys.readouterr().err
    assert main(["resolve-key", "another key", *verdict], database=book.database) == 1
