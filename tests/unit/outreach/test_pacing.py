"""The arithmetic of a token bucket."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.exceptions import LedgerFailed
from airflow_provider_voice.outreach.pacing import Limits, Pacing, RequestPace, capacity, filled
from airflow_provider_voice.vendors.rate_limit import RateLimiter

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("tokens", "since", "expected"),
    [
        (0.0, None, 1.0),  # never filled: it begins with one
        (0.0, NOON, 0.0),
        (0.5, NOON - timedelta(seconds=3), 3.5),
        (0.0, NOON - timedelta(hours=1), 4.0),  # never more than it holds
        (2.0, NOON + timedelta(seconds=30), 2.0),  # a clock that was set back takes nothing away
    ],
)
def test_a_bucket_fills(tokens, since, expected) -> None:
    assert filled(tokens, since, NOON, 60, 4.0) == pytest.approx(expected)


def test_a_bucket_holds_one_call_at_least() -> None:
    assert (capacity(1), capacity(100)) == (1.0, 4.0)


@pytest.mark.parametrize(("most", "count"), [(None, 7), (3, 3), (10, 7)])
def test_places_without_a_limit_are_as_many_as_wanted(book, most, count) -> None:
    pacing = Pacing(book.database, "voice_default", Limits(max_concurrent=most))
    assert book.database.transact(lambda connection: pacing.lock(connection, 7)).count == count


def test_a_request_does_not_wait_for_its_place_once_the_worker_stops(book) -> None:
    pacing = Pacing(book.database, "voice_default", Limits())
    book.database.transact(lambda connection: pacing.slow_down(connection, 600))
    stopped = threading.Event()
    thread = threading.Thread(target=RequestPace(book.database, pacing, 60, None, stopped).acquire)
    thread.start()
    assert thread.is_alive()
    stopped.set()
    thread.join(60)
    assert not thread.is_alive()


def test_a_ledger_that_does_not_answer_leaves_the_limit_to_this_process(book, monkeypatch) -> None:
    def gone(work):
        raise LedgerFailed("gone")

    monkeypatch.setattr(book.database, "transact", gone)
    fallback = RateLimiter(1)
    RequestPace(
        book.database, Pacing(book.database, "voice_default", Limits()), 60, fallback, threading.Event()
    ).acquire()
    assert len(fallback._starts) == 1
