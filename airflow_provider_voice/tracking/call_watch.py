"""Decides whether a wait for calls is over, goes on or has failed.

The operator, the sensor and the trigger each wait between two polls in their own way; the meaning of a poll result is
the same for all of them and is decided here. No HTTP, no event loop and no Airflow here.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import CallNotCompleted, CallNotFound, VoiceError
from airflow_provider_voice.models import CallRef
from airflow_provider_voice.phone import mask_numbers_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_voice.models import Call, CallStatus

log = logging.getLogger(__name__)

#: Seconds a vendor is given to show a new call.
GRACE_SECONDS = 300.0
#: Seconds without one readable response that are tolerated.
OUTAGE_SECONDS = 3600.0
_NAMED_CALLS = 5


class CallWatch:
    """The calls that one task waits for, and the vendor's last report of each.

    .. code-block:: python

        watch = CallWatch([CallRef("call_1", to="+14155552601")])
        while not watch.is_over:
            watch.poll(hook.get_calls)
            time.sleep(30)

    :param refs: the calls, in the order in which their results are wanted.
    :param grace: seconds from the first poll until a call that the vendor does not show is given up, default 300.
    :param outage: seconds of failed polls that are tolerated, default 3600.
    :param state: the :attr:`state` of an earlier process; None: there is none.
    """

    def __init__(
        self,
        refs: Iterable[CallRef],
        *,
        grace: float = GRACE_SECONDS,
        outage: float = OUTAGE_SECONDS,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.refs = list(refs)
        #: The calls that are not known to have ended, by id.
        self._pending = {ref.id: ref for ref in self.refs}
        self._calls: dict[str, Call] = {}
        self._grace = grace
        self._outage = outage
        self._missing_since: dict[str, float] = dict((state or {}).get("missing_since") or {})
        self._failing_since: float | None = (state or {}).get("failing_since")

    @property
    def state(self) -> dict[str, Any]:
        """Return the JSON state from which the next process continues: ids and times only."""
        return {"missing_since": self._missing_since, "failing_since": self._failing_since}

    @property
    def pending(self) -> list[CallRef]:
        """Return the calls that are not known to have ended."""
        return list(self._pending.values())

    @property
    def is_over(self) -> bool:
        """Return whether every call has ended."""
        return not self._pending

    @property
    def results(self) -> list[Call | None]:
        """Return the calls as last reported, in the order of ``refs``; None for a call that was never reported."""
        return [self._calls.get(ref.id) for ref in self.refs]

    def last_status(self, call_id: str) -> CallStatus | None:
        """Return the status that a call was last reported with.

        :param call_id: the id of the call.
        :return: the status; None when the call was never reported.
        """
        call = self._calls.get(call_id)
        return None if call is None else call.status

    def take(self, found: Mapping[str, Call]) -> None:
        """Update the watch with a poll result.

        :param found: the reported calls by id; a pending call that is absent counts as missing.
        :raises CallNotFound: when a call has been missing for longer than its grace.
        """
        self._failing_since = None
        now = time.time()
        for ref in self.pending:
            call = found.get(ref.id)
            if call is None:
                self._miss(ref, now)
                continue
            self._missing_since.pop(ref.id, None)
            if call.status != self.last_status(ref.id):
                log.info("Call %s is %s (%s: %s).", ref.id, call.status, call.vendor, _vendor_term(call))
            self._calls[ref.id] = call
            # With the number, the time and the agent of the call the next poll is cheaper.
            self._pending[ref.id] = ref.completed(CallRef.of(call))
            if call.status.is_terminal:
                del self._pending[ref.id]

    def _miss(self, ref: CallRef, now: float) -> None:
        since = self._missing_since.setdefault(ref.id, now)
        if now - since < self._grace:
            log.info("The vendor does not show call %s yet.", ref)
            return
        raise CallNotFound(
            f"The vendor has not shown call {ref} for {now - since:.0f} s. Check the id and that the connection is "
            "the one the call was placed with."
        )

    def poll(self, get_calls: Callable[[list[CallRef]], Mapping[str, Call]]) -> None:
        """Request the pending calls once and update the watch with the result.

        :param get_calls: requests calls, as ``VoiceHook.get_calls`` does.
        :raises VoiceError: when the wait has failed; see :meth:`take` and :meth:`fail`.
        """
        try:
            self.take(get_calls(self.pending))
        except VoiceError as error:
            self.fail(error)

    def fail(self, error: VoiceError) -> None:
        """Update the watch with a failed poll.

        :param error: the reason of the failure.
        :raises VoiceError: ``error`` itself, when it is permanent or polls have failed for longer than the outage.
        """
        if error.permanent:
            raise error
        now = time.time()
        since = self._failing_since = self._failing_since if self._failing_since is not None else now
        if now - since >= self._outage:
            raise error
        log.warning("Polling %d call(s) failed and is tried again: %s", len(self.pending), error.message)

    def timed_out(self) -> CallNotCompleted:
        """Return the error for calls that did not end in time.

        :return: the error, which names up to five of the calls.
        """
        named = [f"{ref} ({self.last_status(ref.id) or 'never reported'})" for ref in self.pending[:_NAMED_CALLS]]
        return CallNotCompleted(
            f"No end was reported in time for {len(self.pending)} call(s): {', '.join(named)}. Raise timeout, or check "
            "the vendor's dashboard."
        )


def _vendor_term(call: Call) -> str:
    """Return the vendor's own status for logs and errors; a vendor may write anything there, a number too."""
    return mask_numbers_in(call.vendor_status or "nothing")[:60]


def check_ending(
    call: Call, accepted: frozenset[CallStatus], *, retryable: frozenset[CallStatus] = frozenset()
) -> None:
    """Raise unless the call ended in an accepted way.

    :param call: a call that has ended.
    :param accepted: the statuses that count as a success.
    :param retryable: statuses after which the task may be retried (and rings again), default none.
    :raises CallNotCompleted: with the status; permanent unless the status is a retryable one.
    """
    if call.status in accepted:
        return
    raise CallNotCompleted(
        f"Call {call.id} ended as {call.status} ({call.vendor}: {_vendor_term(call)}); only "
        f"{' or '.join(sorted(status.value for status in accepted))} counts as a success.",
        status=call.status,
        vendor=call.vendor,
        permanent=call.status not in retryable,
    )
