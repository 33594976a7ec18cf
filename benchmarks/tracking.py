"""What waiting for calls costs: requests per poll and in all, ours beside one look-up per call.

N calls are placed on the sandbox (Talkover) and looked at every 30 seconds of its clock until all have ended. Ours is
``get_calls``, which the shared poll loop of the triggerer asks once for everybody. The peer asks for each call by
itself in every poll, as ``HttpSensor`` does; up to 1,000 calls its requests are really sent, above that they are
counted. Goals: at most 13 requests a poll for 1,000 calls, 105 for 10,000.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone

from airflow_provider_voice.models import CallRef
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.tracking.call_watch import CallWatch
from airflow_provider_voice.vendors.talkover import Talkover
from airflow_provider_voice.vendors.vendor_settings import Settings

COUNTS = (10, 100, 1_000, 10_000)
REALLY_SENT = 1_000
POLL_SECONDS = 30
# Noon, so that no count is spread over two days by chance.
START = datetime.now(timezone.utc).replace(hour=12, minute=0, second=0, microsecond=0)


def vendor_of(sandbox: Sandbox) -> Talkover:
    """Return the vendor; what is waited between tries does not matter here."""
    token = sandbox.connection("talkover")["password"]
    return Talkover(Settings(token=token, base_url=f"{sandbox.url}/api/v1"), sleep=lambda _: None)


def place(sandbox: Sandbox, count: int) -> list[CallRef]:
    """Place calls to different numbers, none of which is busy for ever."""
    numbers = (f"+1415{5_550_000 + number}" for number in range(10, 10 * count) if number % 100 >= 10)
    calls = [sandbox.world.place("talkover", next(numbers), "agent_sandbox", tag="benchmark") for _ in range(count)]
    return [CallRef(call.id, call.to, call.created_at, "benchmark", call.agent_id) for call in calls]


def ours(count: int) -> tuple[list[int], float]:
    """Return the requests of every poll and the seconds a poll took."""
    with Sandbox(speed=0, start=START) as sandbox:
        watch, vendor = CallWatch(place(sandbox, count)), vendor_of(sandbox)
        spent, began = [], time.perf_counter()
        while not watch.is_over:
            before = vendor.http.sent
            watch.take(vendor.find_many(watch.pending))
            spent.append(vendor.http.sent - before)
            sandbox.advance(POLL_SECONDS)
        return spent, (time.perf_counter() - began) / len(spent)


def one_by_one(count: int) -> list[int]:
    """Return the requests of every poll when each call is looked up by itself."""
    with Sandbox(speed=0, start=START) as sandbox:
        watch, vendor = CallWatch(place(sandbox, count)), vendor_of(sandbox)
        states = {call.id: call for call in sandbox.calls("talkover")}
        spent = []
        while not watch.is_over:
            before, pending = vendor.http.sent, watch.pending
            if count <= REALLY_SENT:
                looked_up = {ref.id: vendor.find(ref) for ref in pending}
                watch.take({key: call for key, call in looked_up.items() if call})
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
        (mine, seconds), theirs = ours(count), one_by_one(count)
        print(
            f"{count:>7,} {len(mine):>6} {max(mine):>12,} {sum(mine):>8,} {seconds:>9.2f}"
            f"   {max(theirs):>10,} {sum(theirs):>7,}   {sum(theirs) / sum(mine):>5.1f}x"
        )


if __name__ == "__main__":
    main()
