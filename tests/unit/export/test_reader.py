from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from airflow_provider_voice.export import reader as reader_module
from airflow_provider_voice.export.models import Scope, Window
from airflow_provider_voice.export.reader import HistoryReader
from airflow_provider_voice.export.rows import RowMaker
from airflow_provider_voice.models import Call, CallRef, CallStatus

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
WINDOW = Window(START, START + timedelta(days=1))


def call(number: int) -> Call:
    return Call(f"c{number}", "talkover", CallStatus.COMPLETED, created_at=START + timedelta(minutes=number))


class Vendor:
    """A vendor whose list has four pages of one call each, and whose look-ups read list pages too."""

    def __init__(self) -> None:
        self.pages_read, self.pages_in_list, self.page_concurrency = 0, None, 1
        self.vendor = self

    def list_calls(self, start: datetime, end: datetime, **filters: Any) -> Any:
        for number in range(4):
            self.pages_read, self.pages_in_list = self.pages_read + 1, 4
            yield call(number)

    def get_calls(self, refs: Any) -> dict[str, Call]:
        self.pages_read, self.pages_in_list = self.pages_read + 1, 1
        return {ref.id: call(int(ref.id[1:])) for ref in refs if ref.id != "c99"}


class RowBuffer:
    def __init__(self) -> None:
        self.seen: list[tuple[str, bool, float | None]] = []
        self.left: Any = None

    def add(self, row: tuple, created_at: datetime | None = None) -> None:
        self.seen.append((row[1], created_at is not None, self.left()))


def pulled(pending: dict[str, CallRef], monkeypatch: Any) -> tuple[RowBuffer, list[str]]:
    clock = iter(range(1000, 2000))
    monkeypatch.setattr(reader_module, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    spool = RowBuffer()
    maker = RowMaker("s", "plain", START, START, timedelta(0))
    one = HistoryReader(Vendor(), maker, spool, page_concurrency=1)  # type: ignore[arg-type]  # what a pull needs of a hook
    spool.left = one.seconds_left
    return spool, one.windows_and_pending([WINDOW], Scope("s"), pending)


def test_how_long_it_takes_is_known_of_the_windows_alone(monkeypatch) -> None:
    """A load that begins ahead would otherwise hold its transaction while everything is still to come."""
    old = {"c50": CallRef("c50", placed_at=START - timedelta(days=3))}
    spool, missing = pulled(old, monkeypatch)
    assert missing == []
    assert [seen[:2] for seen in spool.seen] == [("c50", False), *((f"c{number}", True) for number in range(4))]
    lefts = [left for _, _, left in spool.seen]
    assert lefts[0] is None
    # One second a page by that clock: 1 * 3/1, 2 * 2/2, 3 * 1/3, 4 * 0/4.
    assert lefts[1:] == [3.0, 2.0, 1.0, 0.0]


def test_what_the_windows_show_is_not_asked_for_again(monkeypatch) -> None:
    pending = {key: CallRef(key, placed_at=START + timedelta(minutes=1)) for key in ("c1", "c99")}
    spool, missing = pulled(pending, monkeypatch)
    assert missing == ["c99"]
    assert [key for key, _, _ in spool.seen] == ["c0", "c1", "c2", "c3"]
