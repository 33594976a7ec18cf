"""Do-not-call lists as people write them: a doubt excludes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import create_engine

from airflow_provider_voice.exceptions import InvalidRequest, LedgerFailed
from airflow_provider_voice.outreach.gate import ListedNumbers, do_not_call_of, matching

pytestmark = pytest.mark.once
NUMBER = "+14155552671"
LONDON = "+442079460000"


@pytest.mark.parametrize(
    "entry",
    ["+14155552671", "+1 (415) 555-2671", "14155552671", "4155552671", "0014155552671", "011 1 415 555 2671",
     "04155552671", 14155552671, "+14155552671 ext. 12", "555-2671", "tel:+14155552671;ext=5",
     "(+1) 415-555-2671 ext. 5", "415-555-2671 x12", "Ann: 415.555.2671 (since 2024)", "+1 415 555 2671 / home",
     "\uff0b\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff12\uff16\uff17\uff11", "+14155552672, +14155552671",
     "415_555_2671"],
)  # fmt: skip
def test_written_forms_match(entry) -> None:
    assert matching([NUMBER, "+33123456789"], [entry]) == {NUMBER}


@pytest.mark.parametrize(
    "entry",
    ["+44 (0)20 7946 0000", "+44 (0) 20 7946 0000", "+4402079460000", "0044 (0)20 7946 0000", "020 7946 0000",
     "+44 (0)20 7946 0000-12"],
)  # fmt: skip
def test_trunk_zero_is_left_out(entry) -> None:
    assert matching([LONDON, NUMBER], [entry]) == {LONDON}


@pytest.mark.parametrize(
    ("number", "entry"),
    [
        ("+79123456789", "8 (912) 345-67-89"),
        ("+77123456789", 87123456789),
        ("+375294911911", "8 029 491-19-11"),
        ("+5491123456789", "011 15-2345-6789"),
        ("+376712345", "712 345"),
        ("+14155550000", "415.555.0000"),
        ("+821020000000", "010.2000.0000"),
        # Forms of the past, and prefixes of the trunk or of a carrier: people and their exports still write them.
        ("+525512345678", "+52 1 55 1234 5678"),
        ("+525512345678", "5215512345678"),
        ("+525512345678", "044 55 1234 5678"),
        ("+5491123456789", "+54 11 15 2345 6789"),
        ("+5492966421234", "02966 15 42-1234"),
        ("+5492966421234", "+54 2966 15 421234"),
        ("+5511987654321", "0 15 11 98765-4321"),
        ("+36201234567", "+36 (06) 20 123 4567"),
        ("+37061234567", "+370 8 612 34567"),
        ("+375291234567", "+375 80 29 1234567"),
        ("+66812325716", "0066 0812325716"),
    ],
)
def test_the_form_in_which_people_of_its_country_write_a_number_matches(number, entry) -> None:
    assert matching([number, NUMBER], [entry]) == {number}


@pytest.mark.parametrize("entry", [14155552671.0, "14155552671.0", Decimal("14155552671.00")])
def test_numbers_out_of_columns_of_numbers_match(entry) -> None:
    assert matching([NUMBER], [entry]) == {NUMBER}


def test_first_column_of_a_row_counts() -> None:
    assert matching([NUMBER], [("+14155552671", "2026-01-01"), [None, "x"]]) == {NUMBER}


@pytest.mark.parametrize("entry", [None, "", "x", "+14155552672", "555", "+4155552671", float("nan")])
def test_others_do_not(entry) -> None:
    assert matching([NUMBER], [entry]) == set()


def test_a_placeholder_of_zeros_matches_nobody() -> None:
    assert matching(["+821020000000"], ["0000000", "+0000000000"]) == set()


@pytest.mark.parametrize("entry", [{"phone": "+14155552671", "since": "2026-01-01"}, True, [], object()])
def test_entry_that_is_no_number_excludes_everybody(entry) -> None:
    with pytest.raises(InvalidRequest, match="do-not-call list"):
        matching([NUMBER], [entry])


@pytest.mark.parametrize("entries", [["Ann", "Bob"], [17, 18], [None, "n/a"], b"+14155552671"])
def test_a_list_without_any_number_excludes_everybody(entries) -> None:
    # The first column of the user's query is a name or an id.
    with pytest.raises(InvalidRequest, match="none of them is a phone number"):
        do_not_call_of(entries, None, is_expected=True).listed([NUMBER])


@pytest.mark.parametrize("entries", [[], [None], [""], ["n/a", "+14155552672"], ["555-2672", 17]])
def test_single_entries_without_a_number_are_left_out(entries) -> None:
    assert do_not_call_of(entries, None, is_expected=True).listed([NUMBER]) == set()


def test_a_list_of_the_short_numbers_of_a_small_country_is_one_of_numbers() -> None:
    assert do_not_call_of(["712 346"], None, is_expected=True).listed(["+376712345"]) == set()


def test_a_query_for_numbers_whose_first_column_is_not_the_number_excludes_everybody(tmp_path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'optout.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE optout (id INTEGER, phone TEXT)")
        connection.exec_driver_sql(f"INSERT INTO optout VALUES (1, '{NUMBER}')")
    wrong = do_not_call_of("SELECT id FROM optout WHERE phone IN :numbers", engine, is_expected=True)
    assert wrong.listed(["+14155552672"]) == set()
    with pytest.raises(InvalidRequest, match="none of them is a phone number"):
        wrong.listed([NUMBER])


def test_a_list_that_was_emptied_while_a_campaign_runs_allows_nobody() -> None:
    entries = [NUMBER]
    listed = ListedNumbers(lambda: entries)
    assert listed.listed([NUMBER]) == {NUMBER}
    entries.clear()
    with pytest.raises(LedgerFailed, match="empty now") as raised:
        listed.listed([NUMBER])
    assert not raised.value.permanent
    entries.append("+14155552672")
    assert listed.listed([NUMBER]) == set()
    assert ListedNumbers(list).listed([NUMBER]) == set()


def test_a_list_that_can_be_read_only_once_still_holds_for_the_second_call() -> None:
    listed = do_not_call_of(iter([NUMBER]), None, is_expected=True)
    assert [listed.listed([NUMBER]) for _ in range(2)] == [{NUMBER}, {NUMBER}]


@pytest.mark.parametrize("source", ["SELECT 1", 5])
def test_a_list_that_cannot_be_read_is_refused(source) -> None:
    with pytest.raises(InvalidRequest, match="do_not_call"):
        do_not_call_of(source, None, is_expected=True)
