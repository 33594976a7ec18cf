"""The cost of waiting for calls: requests per poll and in all, ours beside one request per call.

N calls are placed on the sandbox (Talkover) and polled every 30 seconds of its clock until all have ended. Ours is
``get_calls``, which the shared poll loop of the triggerer requests once for every subscriber. The peer requests each
call by itself in every poll, as ``HttpSensor`` does; up to 1,000 calls its requests are really sent, above that they
are counted. "moving" lists calls by their last change and lets half a second pass with every request, so that calls
change their state and their page during a search. Goals: at most 13 requests a poll for 1,000 calls, 105 for
10,000, in both.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.models import CallRef
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.tracking.call_watch import CallWatch
from airflow_provider_voice.vendors.talkover import Talkover
from airflow_provider_voice.vendors.vendor_settings import Settings

if TYPE_CHECKING:
    from airflow_provider_voice.vendors.http import ApiResponse

COUNTS = (10, 100, 1_000, 10_000)
REALLY_SENT = 1_000
POLL_SECONDS = 30
SECONDS_A_REQUEST = 0.5
MOVING_ORDER = "changed"
# Noon, so that no count is spread over two days by chance.
START = datetime.now(timezone.utc).replace(hour=12, minute=0, second=0, microsecond=0)


def vendor_of(sandbox: Sandbox) -> Talkover:
    """Return the vendor."""
    token = sandbox.connection("talkover")["password"]
    return Talkover(Settings(token=token, base_url=f"{sandbox.url}/api/v1"))


def place(sandbox: Sandbox, count: int) -> list[CallRef]:
    """Place calls to different numbers, none of which stays busy."""
    numbers = (f"+1415{5_550_000 + number}" for number in range(10, 10 * count) if number % 100 >= 10)
    calls = [sandbox.world.place("talkover", next(numbers), "agent_sandbox", tag="benchmark") for _ in range(count)]
    return [CallRef(call.id, call.to, call.created_at, "benchmark", call.agent_id) for call in calls]


def ours(count: int, *, moving: bool = False) -> tuple[list[int], float]:
    """Return the requests of every poll and the seconds a poll took."""
    with Sandbox(frozen=True, start=START, quirks=VendorQuirks(order=MOVING_ORDER if moving else "newest")) as sandbox:
        watch, vendor = CallWatch(place(sandbox, count)), vendor_of(sandbox)
        if moving:
            let_time_pass(sandbox, vendor)
        spent, began = [], time.perf_counter()
        while not watch.is_over:
            before = vendor.http.sent
            watch.take(vendor.find_many(watch.pending))
            spent.append(vendor.http.sent - before)
            sandbox.advance(POLL_SECONDS)
        return spent, (time.perf_counter() - began) / len(spent)


def let_time_pass(sandbox: Sandbox, vendor: Talkover) -> None:
    """Advance the sandbox's clock with every request."""
    request = vendor.http.request

    def slow_request(*args: Any, **kwargs: Any) -> ApiResponse:
        sandbox.advance(SECONDS_A_REQUEST)
        return request(*args, **kwargs)

    vendor.http.request = slow_request  # type: ignore[method-assign]  # the real one, with time around it


def one_by_one(count: int) -> list[int]:
    """Return the requests of every poll when each call is searched for by itself."""
    with Sandbox(frozen=True, start=START) as sandbox:
        watch, vendor = CallWatch(place(sandbox, count)), vendor_of(sandbox)
        states = {call.id: call for call in sandbox.calls("talkover")}
        spent = []
        while not watch.is_over:
            before, pending = vendor.http.sent, watch.pending
            if count <= REALLY_SENT:
                found = {ref.id: vendor.find(ref) for ref in pending}
                watch.take({key: call for key, call in found.items() if call})
                spent.append(vendor.http.sent - before)
            else:
                spent.append(len(pending))
                going = [ref for ref in pending if not states[ref.id].status(sandbox.now()).is_terminal]
                watch = CallWatch(going)
            sandbox.advance(POLL_SECONDS)
        return spent


def main() -> None:
    """Print a line for each count."""
    logging.getLogger("airflow_provider_voice").setLevel(logging.ERROR)
    print(f"{'calls':>7} {'polls':>6} {'most a poll':>12} {'in all':>8} {'s a poll':>9}   each: most, in all   ratio")
    for count in COUNTS:
        theirs = one_by_one(count)
        for moving in (False, True):
            mine, seconds = ours(count, moving=moving)
            print(
                f"{count:>7,} {len(mine):>6} {max(mine):>12,} {sum(mine):>8,} {seconds:>9.2f}"
                f"   {max(theirs):>10,} {sum(theirs):>7,}   {sum(theirs) / sum(mine):>5.1f}x"
                f"{'  (moving)' if moving else ''}"
            )


if __name__ == "__main__":
    main()
