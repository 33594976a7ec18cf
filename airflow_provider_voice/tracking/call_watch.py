"""Waiting for calls to end: what one waiting task knows, and when it gives up. No clock loop, no Airflow here.

The operator, the sensor and the trigger each have their own way to wait between two looks; what a look means is the
same for all of them and is decided here.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import CallNotCompleted, CallNotFound, VoiceError
from airflow_provider_voice.models import CallStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_voice.models import Call, CallRef

log = logging.getLogger(__name__)

#: Seconds a vendor is given to show a new call.
GRACE_SECONDS = 300.0
#: Seconds without one readable answer that are tolerated.
OUTAGE_SECONDS = 3600.0
#: Seconds between two looks that are never undercut unless ``poll_interval`` itself is shorter.
QUICKEST_SECONDS = 5.0
_SHARE_OF_AGE = 0.25


class CallWatch:
    """The calls one task waits for.

    :param refs: the calls, in the order their results are wanted.
    :param grace: seconds from the first look until a call that the vendor does not show is given up, default 300.
    :param outage: seconds of failed looks that are tolerated, default 3600.
    :param clock: seconds, ever rising; wall-clock seconds where ``state`` outlives the process.
    :param state: what an earlier process knew, see :attr:`state`.
    """

    def __init__(
        self,
        refs: Iterable[CallRef],
        *,
        grace: float = GRACE_SECONDS,
        outage: float = OUTAGE_SECONDS,
        clock: Callable[[], float] = time.time,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.refs = list(refs)
        self._by_id = {ref.id: ref for ref in self.refs}
        self._calls: dict[str, Call] = {}
        self._grace = grace
        self._outage = outage
        self._clock = clock
        self._missing_since: dict[str, float] = dict((state or {}).get("missing_since") or {})
        self._failing_since: float | None = (state or {}).get("failing_since")

    @property
    def state(self) -> dict[str, Any]:
        """What the next process must know: JSON, ids and times only."""
        return {"missing_since": self._missing_since, "failing_since": self._failing_since}

    @property
    def pending(self) -> list[CallRef]:
        """The calls that have not ended, as far as is known."""
        return [
            ref
            for ref in self._by_id.values()
            if not (ref.id in self._calls and self._calls[ref.id].status.is_terminal)
        ]

    @property
    def is_over(self) -> bool:
        """Whether every call has ended."""
        return not self.pending

    @property
    def results(self) -> list[Call | None]:
        """The calls as last seen, in the order asked for; None for one never seen."""
        return [self._calls.get(ref.id) for ref in self.refs]

    def last_status(self, call_id: str) -> CallStatus | None:
        """Return what a call was last seen as."""
        call = self._calls.get(call_id)
        return None if call is None else call.status

    def take(self, found: Mapping[str, Call]) -> None:
        """Take what a look found.

        :param found: calls by id; a pending one that is absent is missing.
        :raises CallNotFound: when a call has been missing for longer than its grace.
        """
        self._failing_since = None
        now = self._clock()
        for ref in self.pending:
            call = found.get(ref.id)
            if call is None:
                self._miss(ref, now)
                continue
            self._missing_since.pop(ref.id, None)
            if call.status != self.last_status(ref.id):
                log.info(
                    "Call %s is %s (%s says %s).", ref.id, call.status, call.vendor, call.vendor_status or "nothing"
                )
            self._calls[ref.id] = call
            # What the vendor shows makes the next look cheaper: by number instead of by days.
            self._by_id[ref.id] = replace(
                ref,
                to=ref.to or call.to,
                placed_at=ref.placed_at or call.created_at,
                agent_id=ref.agent_id or call.agent_id,
            )

    def _miss(self, ref: CallRef, now: float) -> None:
        since = self._missing_since.setdefault(ref.id, now)
        if now - since < self._grace:
            log.info("Call %s is not shown by the vendor (yet).", ref.id)
            return
        raise CallNotFound(
            f"The vendor has not shown call {ref.id} for {now - since:.0f} s. Check the id and that the connection is "
            "the one the call was placed with."
        )

    def next_look_in(self, poll_interval: float, seen: Mapping[str, Call] | None = None) -> float:
        """Return the seconds until the next look is worth its request.

        Most calls that end early (busy, failed, not answered) do so within their first minute, so a young call is
        looked at after a quarter of its age; a call that talks, after the whole interval.

        :param poll_interval: seconds, the longest that is ever returned.
        :param seen: what a look showed that was not taken yet.
        """
        now = self._clock()
        calls = {**self._calls, **(seen or {})} if seen else self._calls
        return min(
            (_worth_a_look(ref, calls.get(ref.id), now, poll_interval) for ref in self.pending), default=poll_interval
        )

    def fail(self, error: VoiceError) -> None:
        """Take a look that failed.

        :param error: raised again at once when it is permanent, or when nothing could be read for too long.
        """
        if error.permanent:
            raise error
        now = self._clock()
        since = self._failing_since = self._failing_since if self._failing_since is not None else now
        if now - since >= self._outage:
            raise error
        log.warning("Could not look at %d call(s), will look again: %s", len(self.pending), error.message)

    def timed_out(self, seconds: float) -> CallNotCompleted:
        """Return the error for calls that did not end in time."""
        pending = self.pending
        shown = ", ".join(f"{ref.id} ({self.last_status(ref.id) or 'never seen'})" for ref in pending[:5])
        more = f" and {len(pending) - 5} more" if len(pending) > 5 else ""  # noqa: PLR2004 - as many as are named
        last = self.last_status(pending[0].id) if pending else None
        return CallNotCompleted(
            f"Not ended within {seconds:.0f} s: call {shown}{more}. Raise timeout, or look at the vendor's dashboard.",
            status=last,
        )


def _worth_a_look(ref: CallRef, call: Call | None, now: float, poll_interval: float) -> float:
    placed_at = ref.placed_at or (call.created_at if call else None)
    settled = call is not None and (call.status.is_terminal or call.status is CallStatus.IN_PROGRESS)
    if placed_at is None or settled:
        return poll_interval
    age = max(0.0, now - placed_at.timestamp())
    return min(poll_interval, max(QUICKEST_SECONDS, age * _SHARE_OF_AGE))


def check_ending(
    call: Call, accepted: frozenset[CallStatus], *, retryable: frozenset[CallStatus] = frozenset()
) -> None:
    """Raise unless the call ended in an accepted way.

    :param call: a call that has ended.
    :param accepted: the statuses that count as a success.
    :param retryable: statuses after which the task may be retried (and rings again).
    :raises CallNotCompleted: with the status; permanent unless it is a retryable one.
    """
    if call.status in accepted:
        return
    raise CallNotCompleted(
        f"Call {call.id} ended as {call.status} ({call.vendor} says {call.vendor_status or 'nothing'}), and the task "
        f"wants {' or '.join(sorted(status.value for status in accepted))}.",
        status=call.status,
        vendor=call.vendor,
        permanent=call.status not in retryable,
    )
