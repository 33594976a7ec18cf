"""A history without pages is read completely or refused."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import IncompleteHistory, RequestRejected
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.vendors.base import HistoryQuery
from airflow_provider_voice.vendors.talkstack_history import TalkstackHistory
from tests.support import NUMBER, ScriptedServer, vendor_at

NOW = datetime.now(timezone.utc)


@given(count=st.integers(0, 130), cap=st.integers(10, 140), days=st.integers(1, 4))
@settings(max_examples=15)
def test_a_cut_history_is_refused(count, cap, days) -> None:
    moments = [NOW - timedelta(days=number % days) for number in range(count)]
    statuses = ("completed", "busy", "failed", "no-answer", "queued")
    every = [
        {"sid": f"CA{number}", "status": statuses[number % len(statuses)], "to": NUMBER, "date": moment.isoformat()}
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
        got = list(
            vendor_at(server.url, "talkstack").list_calls(
                HistoryQuery(NOW - timedelta(days=6), NOW + timedelta(hours=1))
            )
        )
    except IncompleteHistory:
        # Only where a day's calls of one status may fill a reply, or where no reply was larger than another one.
        assert count > cap / len(statuses) or count >= 10
    else:
        assert len(got) == count
    finally:
        server.close()


class History:
    """Answers as a history that holds at most ``largest`` rows in a reply; records the requests.

    :param rows: status and day of each call.
    :param largest: rows of a reply at most.
    :param known: the most rows of an earlier reply, of another reading.
    """

    def __init__(self, rows, largest=1000, known=0):
        self.calls = [
            (day, Call(f"c{number}", "talkstack", CallStatus.UNKNOWN, vendor_status=status))
            for number, (status, day) in enumerate(rows)
        ]
        self.largest, self.known, self.asked = largest, known, []

    def __call__(self, query, page_size):
        self.asked.append((dict(query), page_size))
        fitting = [
            call for day, call in self.calls
            if query.get("startTime") in (None, day) and query.get("status") in (None, call.vendor_status)
        ]  # fmt: skip
        return fitting[: min(page_size, self.largest)]

    def read(self, first, last):
        """Return every row that a reading finds."""
        return list(TalkstackHistory(self, self.known).read(first, last).values())


FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)


def test_a_reply_smaller_than_another_is_complete_and_costs_one_request() -> None:
    history = History([("completed", "2026-01-01")] * 5, known=50)
    assert len(history.read(FIRST, SECOND)) == 5
    assert history.asked == [({"startTimeAfter": "2026-01-01", "startTimeBefore": "2026-01-03"}, 100)]


def test_a_full_reply_is_asked_for_with_a_larger_page() -> None:
    history = History([("completed", "2026-01-01")] * 150, known=500)
    assert len(history.read(FIRST, SECOND)) == 150
    assert [size for _, size in history.asked] == [100, 1000]


def test_a_cut_window_is_split_by_day_and_by_status() -> None:
    rows = [
        (status, day) for day in ("2026-01-01", "2026-01-02") for status in ("completed", "busy") for _ in range(12)
    ]
    history = History(rows, largest=15, known=15)
    assert len(history.read(FIRST, SECOND)) == 48
    assert {query.get("startTime") for query, _ in history.asked} == {None, "2026-01-01", "2026-01-02"}
    assert {"completed", "busy"} < {query.get("status") for query, _ in history.asked}


@pytest.mark.parametrize(
    ("status", "which"), [("completed", "with status completed"), ("voicemail", "cannot filter by")]
)
def test_a_day_that_does_not_fit_is_refused(status, which) -> None:
    with pytest.raises(IncompleteHistory, match=which):
        History([(status, "2026-01-01")] * 30, largest=15, known=15).read(FIRST, FIRST)


@pytest.mark.parametrize("count", [11, 12, 13, 19, 47, 98])
@pytest.mark.parametrize("others", [["voicemail"], ["voicemail", "silence", "busy"], []])
def test_the_first_day_of_a_project_is_read_although_no_reply_is_larger(count, others) -> None:
    rows = [(status, "2026-01-01") for status in [*others, *["completed"] * (count - len(others))]]
    assert len(History(rows).read(FIRST, FIRST)) == count


@pytest.mark.parametrize("limit", [10, 20, 25, 50, 64, 75, 100])
def test_a_day_as_large_as_a_page_may_be_is_refused(limit) -> None:
    """Behind the last row there may be another one that no filter shows."""
    rows = [("voicemail" if number % limit == 0 else "completed", "2026-01-01") for number in range(limit)]
    with pytest.raises(IncompleteHistory):
        History(rows, largest=limit).read(FIRST, FIRST)


def test_a_row_that_only_a_filter_shows_proves_a_cut_at_any_size() -> None:
    rows = [(status, "2026-01-01") for status in ["completed"] * 12 + ["voicemail"] + ["busy"] * 3]
    with pytest.raises(IncompleteHistory, match="cannot filter by"):
        History(rows, largest=13).read(FIRST, FIRST)


@pytest.mark.parametrize("other", ["2025-12-31", "2026-01-02"])
def test_a_cut_day_is_refused_where_any_reply_shows_a_status_without_a_filter(other) -> None:
    """One such call may be among the rows that were cut off, where no filter shows it."""
    statuses = [*["completed"] * 9, *["busy"] * 9, "voicemail"]
    history = History([*((status, "2026-01-01") for status in statuses), ("silence", other)], largest=15)
    with pytest.raises(IncompleteHistory, match="cannot filter by"):
        TalkstackHistory(history, 0).read(date(2025, 12, 31), SECOND)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_cut_day_is_asked_for_the_statuses_that_no_page_names_as_filters(is_known) -> None:
    statuses = [*["completed"] * 9, *["busy"] * 9, *["voicemail"] * is_known]
    history = History([(status, "2026-01-01") for status in statuses], largest=15)

    def ask(query, page_size):
        if not is_known and query.get("status") in ("voicemail", "silence"):
            raise RequestRejected("There is no such status.")
        return history(query, page_size)

    if is_known:
        with pytest.raises(IncompleteHistory, match="cannot filter by"):
            TalkstackHistory(ask, 0).read(FIRST, FIRST)
    else:
        assert len(TalkstackHistory(ask, 0).read(FIRST, FIRST)) == len(statuses)


def test_a_cut_day_is_named_where_a_status_without_a_filter_may_be_missing(caplog) -> None:
    statuses = [*["completed"] * 9, *["busy"] * 9, "voicemail"]
    history = History([(status, "2026-01-01") for status in statuses], largest=15)

    def ask(query, page_size):
        return [] if query.get("status") in ("voicemail", "silence") else history(query, page_size)

    assert len(TalkstackHistory(ask, 0).read(FIRST, SECOND)) == 18
    (warning,) = (record.getMessage() for record in caplog.records)
    assert "2026-01-01" in warning
    assert "voicemail, silence and canceled" in warning


@given(
    limit=st.sampled_from([10, 20, 25, 50, 64, 100, 128]),
    statuses=st.lists(st.sampled_from(["completed", "busy", "voicemail", "silence"]), max_size=150),
)
def test_a_history_that_is_cut_at_a_usual_limit_is_never_taken_for_complete(limit, statuses) -> None:
    history = History([(status, "2026-01-01") for status in statuses], largest=limit)
    try:
        got = history.read(FIRST, FIRST)
    except IncompleteHistory:
        assert len(statuses) >= 10
    else:
        assert len(got) == len(statuses)


def test_a_larger_page_that_is_refused_leaves_the_smaller_one() -> None:
    history = History([("completed" if number % 2 else "busy", "2026-01-01") for number in range(120)], known=100)

    def ask(query, page_size):
        if page_size > 100:
            raise RequestRejected("The page is too large.")
        return history(query, page_size)

    assert len(TalkstackHistory(ask, history.known).read(FIRST, FIRST)) == 120
