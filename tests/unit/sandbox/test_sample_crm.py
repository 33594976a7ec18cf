"""The sample CRM has the people that the demo's table of states is about."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_voice.exceptions import InvalidPhoneNumber
from airflow_provider_voice.phone import parse_number
from airflow_provider_voice.sandbox.sample_crm import PEOPLE, daytime_zone, write_crm


def test_it_has_numbers_that_cannot_be_called_that_stand_there_twice_and_that_must_not_be_called(tmp_path) -> None:
    write_crm(tmp_path / "crm.db")
    with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
        phones = [phone for (phone,) in connection.execute("SELECT phone FROM appointments")]
        listed = [phone for (phone,) in connection.execute("SELECT phone FROM do_not_call")]
    numbers, bad = [], 0
    for phone in phones:
        try:
            numbers.append(parse_number(phone, "US"))
        except InvalidPhoneNumber:
            bad += 1
    assert len(phones) == PEOPLE
    assert bad >= 5
    assert len(set(numbers)) < len(numbers)
    assert {parse_number(phone, "US") for phone in listed} <= set(numbers)


@pytest.mark.parametrize("hour", range(24))
def test_it_is_about_noon_in_the_zone(time_machine, hour) -> None:
    time_machine.move_to(datetime(2026, 11, 1, hour, 30, tzinfo=timezone.utc))
    assert datetime.now(ZoneInfo(daytime_zone())).hour == 12
