from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.exceptions import VendorUnavailable
from airflow_provider_voice.export.models import Scope, Window
from airflow_provider_voice.export.reader import HistoryReader, warn_of_skew
from airflow_provider_voice.export.rows import COLUMNS, RowMaker
from airflow_provider_voice.models import Call, CallRef, CallStatus

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
WINDOW = Window(START, START + timedelta(days=1))


def call(number: int) -> Call:
    return Call(f"c{number}", "talkover", CallStatus.COMPLETED, created_at=START + timedelta(minutes=number))


class Vendor:
    """A vendor whose list has four pages of one call each, and whose look-ups read list pages too."""

    def __init__(self) -> None:
        self.pages_read = 0
        self.vendor = self

    def list_calls(self, start: datetime, end: datetime, **filters: Any) -> Any:
        for number in range(4):
            self.pages_read += 1
            yield call(number)

    def get_calls(self, refs: Any) -> dict[str, Call]:
        self.pages_read += 1
        return {ref.id: call(int(ref.id[1:])) for ref in refs if ref.id != "c99"}


class RowBuffer:
    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []

    def add(self, row: tuple, created_at: datetime | None = None) -> None:
        self.seen.append((row[1], created_at is not None))


def pulled(pending: dict[str, CallRef]) -> tuple[RowBuffer, list[str]]:
    buffer = RowBuffer()
    maker = RowMaker("s", "plain", START, START)
    one = HistoryReader(Vendor(), maker, buffer, page_concurrency=1)  # type: ignore[arg-type]  # all that a reader needs of a hook
    return buffer, one.read([WINDOW], Scope("s"), pending)


def test_a_pending_call_outside_the_windows_is_read_without_being_certified() -> None:
    old = {"c50": CallRef("c50", placed_at=START - timedelta(days=3))}
    buffer, missing = pulled(old)
    assert missing == []
    assert buffer.seen == [*((f"c{number}", True) for number in range(4)), ("c50", False)]


def test_what_the_windows_show_is_not_asked_for_again() -> None:
    pending = {key: CallRef(key, placed_at=START + timedelta(minutes=1)) for key in ("c1", "c99")}
    buffer, missing = pulled(pending)
    assert missing == ["c99"]
    assert [key for key, _ in buffer.seen] == ["c0", "c1", "c2", "c3"]


class Skewed:
    """A stand-in for a hook, with the clock of its vendor."""

    def __init__(self, offset: float | None) -> None:
        self.vendor = SimpleNamespace(title="Talkover", http=SimpleNamespace(clock_offset=offset))


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (-30.0, None),
        (59.0, None),
        (3600.0, "3600 seconds ahead of"),
        (-10800.0, "10800 seconds behind"),
        (None, "sends no time"),
    ],
)
def test_a_vendors_clock_that_is_far_from_ours_is_warned_of(offset, said, caplog) -> None:
    warn_of_skew(Skewed(offset))  # type: ignore[arg-type]  # all that it needs of a hook
    assert (said in caplog.text) if said else (caplog.text == "")


def test_windows_far_apart_are_read_as_lists_of_their_own() -> None:
    """Reading from the first to the last would read all there is between them."""
    asked: list[tuple[datetime, datetime]] = []

    class Listing(Vendor):
        def list_calls(self, start: datetime, end: datetime, **filters: Any) -> Any:
            asked.append((start, end))
            return iter(())

    day = timedelta(days=1)
    windows = [WINDOW, Window(START + 2 * day, START + 3 * day), Window(START + 90 * day, START + 91 * day)]
    maker = RowMaker("s", "plain", START, START)
    HistoryReader(Listing(), maker, RowBuffer(), page_concurrency=1).read(windows, Scope("s"))  # type: ignore[arg-type]
    assert asked == [(START, START + 3 * day), (START + 90 * day, START + 91 * day)]


def test_a_row_has_the_time_at_which_its_page_was_read() -> None:
    """Pages are read ahead: a slow one keeps others waiting, which would look newer than they are."""
    reads = [100.0, 130.0, 101.0, 101.001, None]

    class ReadAhead(Vendor):
        def list_calls(self, start: datetime, end: datetime, **filters: Any) -> Any:
            return iter([replace(call(number), read_at=at) for number, at in enumerate(reads)])

    class Stamps(RowBuffer):
        def add(self, row: tuple, created_at: datetime | None = None) -> None:
            self.seen.append(row[list(COLUMNS).index("fetched_at")])

    maker, sink = RowMaker("s", "plain", START, START), Stamps()
    HistoryReader(ReadAhead(), maker, sink, page_concurrency=4, clock=lambda ticks: ticks).read([WINDOW], Scope("s"))  # type: ignore[arg-type]
    assert sink.seen[:4] == [100.0, 130.0, 101.0, 101.001]
    assert sink.seen[4] not in reads


class Failing(Vendor):
    """A vendor that answers look-ups of some calls with a server error.

    :param broken: the ids of these calls.
    """

    def __init__(self, *broken: str, status_code: int | None = 500) -> None:
        super().__init__()
        self.broken, self.status_code = broken, status_code

    def get_calls(self, refs: Any) -> dict[str, Call]:
        if any(ref.id in self.broken for ref in refs):
            raise VendorUnavailable("the vendor could not handle a call", status_code=self.status_code)
        return super().get_calls(refs)


def read_again(vendor: Vendor, count: int) -> tuple[RowBuffer, list[str]]:
    sink, maker = RowBuffer(), RowMaker("s", "plain", START, START)
    pending = {f"c{number}": CallRef(f"c{number}") for number in range(10, 10 + count)}
    reader = HistoryReader(vendor, maker, sink, page_concurrency=1)  # type: ignore[arg-type]  # all that it needs of a hook
    return sink, reader.read([], Scope("s"), pending)


def test_calls_that_bring_a_server_error_are_missing_and_all_others_are_read() -> None:
    sink, missing = read_again(Failing("c11", "c17"), 9)
    assert missing == ["c11", "c17"]
    assert {key for key, _ in sink.seen} == {f"c{number}" for number in range(10, 19)} - {"c11", "c17"}


def test_many_server_errors_are_an_outage() -> None:
    five, six = ([f"c{number}" for number in range(10, 10 + count)] for count in (5, 6))
    assert read_again(Failing(*five), 9)[1] == five
    with pytest.raises(VendorUnavailable):
        read_again(Failing(*six), 9)


def test_a_vendor_that_does_not_answer_is_an_outage() -> None:
    with pytest.raises(VendorUnavailable):
        read_again(Failing("c11", status_code=None), 9)
