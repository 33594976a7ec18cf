"""The CRM of the demo and the examples: 200 people with appointments and a do-not-call list, in SQLite.

Not everybody in it can or may be called: some numbers are not numbers, some are listed twice, some are on the
do-not-call list, and some have no time zone that the policy could decide by.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = 200
_NOT_NUMBERS = ("", "unknown", "+1 415 555", "ask Ben", "+999 555 0100", "415-HOME")
_TWICE = 6
_TOLL_FREE = ("+1 800 555 0199", "+1 888 555 0123")
_DO_NOT_CALL = 10
# The sandbox never ends a call to the first, and ends one to the second after hours.
_ENDLESS = ("06", "07")
_NAMES = ("Ada", "Ben", "Cleo", "Dev", "Eve", "Finn", "Gus", "Hana", "Ida", "Jon")
_NOON = 12


def write_crm(path: Path) -> None:
    """Write the tables ``appointments`` and ``do_not_call`` into a new SQLite file.

    :param path: the file; it must not exist.
    """
    rng = random.Random(0)
    lines = [number for number in range(2000, 10000) if f"{number % 100:02d}" not in _ENDLESS]
    unusual = [*_NOT_NUMBERS, *_TOLL_FREE]
    numbers = [f"+1415555{line}" for line in rng.sample(lines, PEOPLE - len(unusual) - _TWICE)]
    rows: list[tuple[str, str | None]] = [(number, daytime_zone()) for number in [*numbers, *numbers[:_TWICE]]]
    rows += [(number, None) for number in unusual]
    appointments = [
        (f"c{index:03d}", number, zone, _NAMES[index % len(_NAMES)], f"{9 + index % 8}:00")
        for index, (number, zone) in enumerate(rows)
    ]
    # As people write numbers: the list is compared by digits.
    listed = [(f"({number[2:5]}) {number[5:8]}-{number[8:]}",) for number in numbers[-_DO_NOT_CALL:]]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE appointments (contact_id TEXT, phone TEXT, time_zone TEXT, name TEXT, appointment TEXT)"
        )
        connection.executemany("INSERT INTO appointments VALUES (?, ?, ?, ?, ?)", appointments)
        connection.execute("CREATE TABLE do_not_call (phone TEXT)")
        connection.executemany("INSERT INTO do_not_call VALUES (?)", listed)


def daytime_zone() -> str:
    """Return a time zone in which it is about noon now, so that a policy allows calls whenever the demo runs."""
    hours = datetime.now(timezone.utc).hour - _NOON
    # The signs of these zones are the reverse of everybody else's.
    return f"Etc/GMT{hours:+d}" if hours else "Etc/GMT"
