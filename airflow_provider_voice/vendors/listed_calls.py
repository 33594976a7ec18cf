"""The ids of the calls that a list has shown, on disk: a list may hold millions of calls."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_voice.models import Call


class ListedCalls:
    """Distinguishes the calls that a list shows for the first time from repeated ones.

    Only SQLite's cache of 2 MB is in memory; the rest is in a temporary file, which SQLite makes where it is needed and
    deletes. A Python set takes 120 MB for a million calls.

    >>> calls = ListedCalls()
    >>> from airflow_provider_voice.models import Call, CallStatus
    >>> first = Call(id="c1", vendor="talkover", status=CallStatus.COMPLETED)
    >>> [call.id for call in calls.add([first, first])], calls.add([first]), len(calls)
    (['c1'], [], 1)
    """

    def __init__(self) -> None:
        # Used by one thread at a time, but not always by the same one.
        self._ids = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._ids.execute("PRAGMA journal_mode = OFF")
        self._ids.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._count = 0

    def __del__(self) -> None:
        """Close the file, which Python 3.13 otherwise warns of."""
        self._ids.close()

    def __len__(self) -> int:
        """Return how many calls there are."""
        return self._count

    def add(self, calls: Iterable[Call]) -> list[Call]:
        """Add calls.

        :param calls: the calls, such as those of a page.
        :return: those that were not added before, each once, in their order.
        """
        new: dict[str, Call] = {}
        for call in calls:
            new.setdefault(call.id, call)
        ids = json.dumps(list(new))
        known = "SELECT value FROM json_each(?) WHERE value IN (SELECT id FROM ids)"
        for (call_id,) in self._ids.execute(known, [ids]).fetchall():
            del new[call_id]
        self._ids.execute("INSERT OR IGNORE INTO ids SELECT value FROM json_each(?)", [ids])
        self._count += len(new)
        return list(new.values())
