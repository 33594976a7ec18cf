"""A history without pages is read completely or refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import (
    IncompleteHistory,
)
from tests.support import NUMBER, ScriptedServer, vendor_at

NOW = datetime.now(timezone.utc)


@given(count=st.integers(0, 130), cap=st.integers(10, 140), days=st.integers(1, 4))
@settings(max_examples=15)
def test_talkstack_history_is_never_cut_in_silence(count, cap, days) -> None:
    moments = [NOW - timedelta(days=number % days) for number in range(count)]
    words = ("completed", "busy", "failed", "no-answer", "queued")
    every = [
        {"sid": f"CA{number}", "status": words[number % len(words)], "to": NUMBER, "date": moment.isoformat()}
        for number, moment in enumerate(moments)
    ]

    def answer(seen):
        query = {name: values[0] for name, values in seen.query.items()}
        rows = [
            row
            for row in every
            if query.get("startTime") in (None, row["date"][:10])
            and query.get("status") in (None, row["status"])
            and row["date"][:10] >= query.get("startTimeAfter", "")
        ]
        return rows[: min(seen.json["pageSize"], cap)]

    server = ScriptedServer(answer)
    try:
        got = list(vendor_at(server.url, "talkstack").list_calls(NOW - timedelta(days=6), NOW + timedelta(hours=1)))
    except IncompleteHistory:
        # Only where a day's calls of one status may fill a reply, or where no reply was larger than another one.
        assert count > cap / len(words) or count >= 10
    else:
        assert len(got) == count
    finally:
        server.close()
