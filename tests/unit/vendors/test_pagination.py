"""A list that changes while it is read: each call once, and no incomplete list is taken for a complete one."""

from __future__ import annotations

import itertools
import threading
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import IncompleteHistory
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.vendors import pagination
from airflow_provider_voice.vendors.listed_calls import ListedCalls
from airflow_provider_voice.vendors.pagination import MAX_PASSES, PAUSES, Page, PagedList, search_pages

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
# Every call existed before it.
NEVER = datetime.max.replace(tzinfo=timezone.utc)


def call(call_id):
    created_at = BEGAN + timedelta(hours=1 if call_id.startswith("new") else -1)
    return Call(call_id, "vendor", CallStatus.COMPLETED, created_at=created_at)


def page_with(calls, total=None, last_page=None):
    return Page(calls, lambda one: one, total, last_page)


@pytest.fixture(autouse=True)
def _original_page_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the page sizes that a test sets."""
    monkeypatch.setattr(pagination, "PAGE_SIZE", pagination.PAGE_SIZE)


def paged_list(read_page, *, split=lambda span: (), is_in_window=bool, began=NEVER, page_concurrency=1):
    return PagedList("The list", read_page, split, is_in_window, lambda moment: began, page_concurrency)


def iter_list(read_page, *, page_size=10, **more):
    pagination.PAGE_SIZE = page_size
    listed = paged_list(lambda span, number: read_page(number), **more)
    return listed.read((BEGAN, BEGAN), MAX_PASSES, ListedCalls())


def ids_read(read_page, page_size, **more):
    return [call.id for call in iter_list(read_page, page_size=page_size, **more)]


def pages_of(items, size, *, totals, last_pages):
    def read_page(number):
        calls = [call(item) for item in items[(number - 1) * size : number * size]]
        last = max(1, -(-len(items) // size))
        return page_with(calls, total=len(items) if totals else None, last_page=last if last_pages else None)

    return read_page


@given(
    st.lists(st.integers(), unique=True, max_size=60).map(lambda numbers: [str(number) for number in numbers]),
    st.integers(1, 20),
    st.integers(1, 20),
    st.booleans(),
    st.booleans(),
)
def test_every_call_once_whatever_page_size_the_server_really_uses(
    items, asked, given_size, totals, last_pages
) -> None:
    size = min(asked, given_size)
    read_page = pages_of(items, size, totals=totals, last_pages=last_pages)
    assert ids_read(read_page, asked) == items


def test_a_search_reads_on_where_pages_are_shorter_than_asked_for_and_the_count_is_capped() -> None:
    asked = []

    def read_page(number):
        asked.append(number)
        listed = pages_of([str(item) for item in range(130)], 20, totals=False, last_pages=False)(number)
        return page_with(listed.calls, total=60, last_page=3)

    assert "125" in [found.id for found in search_pages(read_page)]
    assert asked == [1, 2, 3, 4, 5, 6, 7], "the seventh is short"


def test_a_search_in_one_short_page_costs_one_request() -> None:
    asked = []

    def read_page(number):
        asked.append(number)
        return pages_of(["1", "2"], 20, totals=True, last_pages=True)(number)

    assert [found.id for found in search_pages(read_page)] == ["1", "2"]
    assert asked == [1]


@given(st.integers(1, 40), st.integers(1, 8), st.data())
def test_calls_inserted_while_reading_lose_none_that_was_there(count, size, data) -> None:
    items = [str(number) for number in range(count)]
    inserted = iter(range(1000, 1000 + 6))

    def read_page(number):
        page = pages_of(list(items), size, totals=True, last_pages=True)(number)
        if data.draw(st.booleans()) and (new := next(inserted, None)) is not None:
            items.insert(0, str(new))
        return page

    assume(count > 0)
    try:
        got = ids_read(read_page, size)
    except IncompleteHistory:
        return  # refused instead of losing one
    assert len(got) == len(set(got))
    assert {str(number) for number in range(count)} <= set(got)


def test_pages_are_read_at_once_and_come_in_order() -> None:
    items = [str(number) for number in range(95)]
    # Pages 2 and 3, 4 and 5, ... wait for each other: read one after the other they would never come.
    pairs = {number: threading.Barrier(2, timeout=10) for number in range(1, 6)}
    plain = pages_of(items, 10, totals=True, last_pages=True)

    def read_page(number):
        if 2 <= number <= 9:
            pairs[number // 2].wait()
        return plain(number)

    calls = iter_list(read_page, page_concurrency=4)
    assert [call.id for call in calls] == items


def test_pages_are_read_while_the_consumer_is_busy_but_not_without_end() -> None:
    items = [str(number) for number in range(200)]
    plain, asked, came = pages_of(items, 10, totals=True, last_pages=True), [], threading.Event()

    def read_page(number):
        asked.append(number)
        if number == 9:
            came.set()
        return plain(number)

    calls = iter_list(read_page, page_concurrency=4)
    first = [next(calls).id for _ in range(11)]  # the consumer is at the first call of page 2
    assert came.wait(10), "pages 2 to 9 are twice as many as are read at once"
    assert max(asked) == 9
    assert first + [call.id for call in calls] == items


def test_pages_are_read_ahead_where_the_last_page_is_unknown() -> None:
    """No more ahead than have come: pages 3 and 4, 5 and 6, ... are under way together, and few are read in vain."""
    items = [str(number) for number in range(95)]
    pairs = {number: threading.Barrier(2, timeout=10) for number in range(1, 6)}
    plain, asked = pages_of(items, 10, totals=False, last_pages=False), []

    def read_page(number):
        asked.append(number)
        if 3 <= number <= 8:
            pairs[number // 2 if number % 2 == 0 else number // 2 + 1].wait()
        return plain(number)

    calls = iter_list(read_page, page_concurrency=4)
    assert [call.id for call in calls] == items
    assert set(range(1, 11)) <= set(asked)
    assert max(asked) <= 11 + 3


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 25])
def test_a_short_list_costs_few_more_requests_where_the_last_page_is_unknown(count) -> None:
    plain, asked = pages_of([str(number) for number in range(count)], 10, totals=False, last_pages=False), []

    def read_page(number):
        asked.append(number)
        return plain(number)

    calls = iter_list(read_page, page_concurrency=4)
    needed = -(-count // 10) + 1  # and the empty page that ends it
    assert len(list(calls)) == count
    assert len(asked) <= needed + 3


def test_a_list_that_never_holds_what_it_counts_is_refused() -> None:
    with pytest.raises(IncompleteHistory, match="7 calls by the vendor's count"):
        ids_read(lambda number: page_with([call("1")] if number == 1 else [], total=7, last_page=1), 10)


@pytest.mark.parametrize("wrong", ["total one too high", "an id listed twice", "a repeated last page"])
def test_a_list_that_stands_still_is_read_although_its_bookkeeping_is_wrong(wrong, caplog) -> None:
    items = [str(number) for number in range(25)]
    if wrong == "an id listed twice":
        items.insert(12, "3")

    def read_page(number):
        if wrong == "a repeated last page":
            return page_with([call(item) for item in items[(min(number, 3) - 1) * 10 : min(number, 3) * 10]])
        page = pages_of(items, 10, totals=True, last_pages=True)(number)
        return page_with(page.calls, page.total + (wrong == "total one too high"), page.last_page)

    assert sorted(ids_read(read_page, 10), key=int) == [str(number) for number in range(25)]
    assert "taken as complete" in caplog.text


def test_a_server_that_ignores_the_page_number_is_read_or_refused() -> None:
    rows = page_with([call(str(item)) for item in range(15)])
    assert len(ids_read(lambda number: rows, 100)) == 15
    with pytest.raises(IncompleteHistory):
        ids_read(lambda number: rows, 15)  # as many as were asked for: there may be more


@pytest.mark.parametrize("cap", [1, 3, 9, 15, 19])
@pytest.mark.parametrize("counts", ["none", "pages of the size asked for", "capped total", "right"])
def test_a_page_shorter_than_asked_for_is_no_end(cap, counts) -> None:
    items = [str(number) for number in range(45)]
    last = -(-len(items) // cap)
    stated = {
        "none": {},
        "pages of the size asked for": {"total": 45, "last_page": 1},
        "capped total": {"total": 2 * cap, "last_page": 2},
        "right": {"total": 45, "last_page": last},
    }[counts]

    def read_page(number):
        return page_with([call(item) for item in items[(number - 1) * cap : number * cap]], **stated)

    assert ids_read(read_page, 100) == items


@given(st.integers(1, 60), st.integers(2, 9), st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_list_to_which_calls_are_added_all_the_time_can_be_read(count, size, added, rng) -> None:
    """Between any two pages rows come and old ones move to the front; every call of the beginning is read."""
    items = [str(number) for number in range(count)]

    def read_page(number):
        page = pages_of(list(items), size, totals=True, last_pages=True)(number)
        items[:0] = [f"new {len(items)} {number}" for number in range(added)]
        if rng.random() < 0.3:
            items.insert(0, items.pop(rng.randrange(len(items))))
        return page

    calls = iter_list(
        read_page,
        page_size=size,
        began=BEGAN,
    )
    try:
        got = [call.id for call in calls]
    except IncompleteHistory as error:
        assert not error.permanent
        return
    assert len(got) == len(set(got))
    assert {str(number) for number in range(count)} <= set(got)


def test_a_list_that_only_grows_is_complete_after_a_second_pass() -> None:
    items = [str(number) for number in range(50)]
    passes = []

    def read_page(number):
        passes.append(number == 1)
        page = pages_of(list(items), 10, totals=True, last_pages=True)(number)
        items.insert(0, f"new {len(items)}")
        return page

    calls = iter_list(
        read_page,
        page_size=10,
        began=BEGAN,
    )
    assert {str(number) for number in range(50)} <= {call.id for call in calls}
    assert sum(passes) == 2


def test_a_call_that_escapes_every_pass_is_not_made_up_for_by_new_ones() -> None:
    """In every pass the same one jumps from the last page to the first, and a new one comes where it was not read."""
    items = [str(number) for number in range(10)]
    plain = pages_of(items, 5, totals=True, last_pages=True)

    def read_page(number):
        page = plain(number)
        if number == 1:
            items.remove("9")
            items[:0] = ["9"]
            items.insert(6, f"new {len(items)}")
        elif page.last_page == number:
            items[:0] = [f"new {len(items)} {place}" for place in range(5)]
        return page

    with pytest.raises(IncompleteHistory):
        list(
            iter_list(
                read_page,
                page_size=5,
                began=BEGAN,
            )
        )


def test_the_calls_of_a_first_page_in_order_existed_at_the_beginning() -> None:
    """A vendor whose records are not dated by the clock of its Date header: all its calls seem to come later."""
    minutes = list(range(30, 0, -1))  # the newest call first

    def read_page(number):
        calls = [
            Call(str(minute), "vendor", CallStatus.COMPLETED, created_at=BEGAN + timedelta(minutes=minute))
            for minute in minutes[(number - 1) * 10 : number * 10]
        ]
        page = page_with(calls, total=len(minutes), last_page=-(-len(minutes) // 10))
        minutes.insert(0, len(minutes) + 1)
        return page

    calls = iter_list(read_page, began=BEGAN)
    assert {str(minute) for minute in range(1, 31)} <= {call.id for call in calls}


def moving_list(size, *, order, added=0, touched=0):
    """Return a list of 200 calls, newest first, that changes with every page that is read of it."""
    items = [call(str(number)) for number in range(200)]
    made = itertools.count(1)

    def read_page(number, keep=lambda one: True):
        items[:0] = [
            Call(f"new {one}", "vendor", CallStatus.QUEUED, created_at=BEGAN + timedelta(seconds=one))
            for one in sorted(itertools.islice(made, added), reverse=True)
        ]
        if touched and order == "updated":
            items[:0] = [items.pop() for _ in range(touched)]
        listed = [one for one in items if keep(one)]
        return page_with(listed[(number - 1) * size : number * size])

    return read_page


def test_a_list_with_three_new_calls_a_page_is_read(page_pauses) -> None:
    calls = iter_list(moving_list(10, order="created", added=3), began=BEGAN)
    assert {str(number) for number in range(200)} <= {one.id for one in calls}
    assert page_pauses == [PAUSES[0]]


def test_a_list_that_never_stands_still_is_read_in_ever_smaller_windows() -> None:
    """The five oldest calls are touched with every page, and the list is sorted by its last change."""
    read_page = moving_list(10, order="updated", touched=5)
    spans = set()

    def read_page_of(span, number):
        spans.add(span)
        return read_page(number, lambda one: span[0] <= int(one.id) <= span[1])

    def split(span):
        middle = sum(span) // 2
        return ((span[0], middle), (middle, span[1])) if span[1] - span[0] > 1 else ()

    listed = paged_list(read_page_of, split=split, is_in_window=lambda one: 10 <= int(one.id) < 150)
    got = [one.id for one in listed.calls_in((0, 199))]
    assert sorted(got, key=int) == [str(number) for number in range(10, 150)]
    assert len(spans) > 2


def test_parts_that_show_fewer_calls_than_the_window_are_refused() -> None:
    read_page = moving_list(10, order="updated", touched=5)

    def read_page_of(span, number):
        return read_page(number) if span == (0, 9) else page_with([])

    listed = paged_list(read_page_of, split=lambda span: ((0, 4), (4, 9)))
    with pytest.raises(IncompleteHistory, match="missing from the parts"):
        list(listed.calls_in((0, 9)))


def test_the_smallest_part_that_cannot_be_read_is_refused() -> None:
    read_page = moving_list(10, order="updated", touched=5)
    listed = paged_list(lambda span, number: read_page(number))
    with pytest.raises(IncompleteHistory, match="kept changing"):
        list(listed.calls_in((0, 9)))
