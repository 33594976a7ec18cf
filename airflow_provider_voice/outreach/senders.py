"""Sends creates from a small thread pool, and classifies the results. No SQL here.

A process can be frozen at any instruction, so whether a create may still be sent is checked as late as it can be: when
the vendor's connection stands, right before the first byte of the request is written. A worker that is frozen between
that check and the system call sends when it wakes. By then another worker may have searched for the call without
finding it; the contact is ``unknown`` then and is not called again by itself, so that also this call rings only once.
"""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.dialing.no_ring_proof import proves_no_ring
from airflow_provider_voice.exceptions import (
    CallOutcomeUnknown,
    CapabilityNotSupported,
    InvalidPhoneNumber,
    InvalidRequest,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import CallRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_voice.dialing.deadline import Deadline
    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.models import Call
    from airflow_provider_voice.outreach.states import Attempt, Claimed

#: More threads than this only wait for each other: a create takes a vendor 50 ms or more.
MOST_SENDERS = 16
#: The refusals that are about one contact; every other one is about the campaign (token, agent, credit).
_ABOUT_THE_CONTACT = (InvalidPhoneNumber, InvalidRequest, RequestRejected)
#: Refusals that pass: nobody is called for a moment.
_PASSES = (RateLimited, VendorUnavailable)


@dataclass(frozen=True)
class Job:
    """One create to be sent.

    :param attempt: the stored intent.
    :param contact: the contact as it was claimed.
    :param deadline: after it the lease may be another worker's, so the create is held back.
    """

    attempt: Attempt
    contact: Claimed
    deadline: Deadline


@dataclass(frozen=True)
class Result:
    """The result of a create: a call, an error, or neither when it was held back.

    :param job: the create.
    :param call: the vendor's call.
    :param error: the vendor's refusal, or the error of a missing response.
    """

    job: Job
    call: Call | None = None
    error: VoiceError | None = None

    @property
    def kind(self) -> str:
        """Return ``placed``, ``held``, ``lost``, ``passing``, ``contact`` or ``campaign``."""
        if self.call is not None:
            return "placed"
        if self.error is None:
            return "held"
        if not proves_no_ring(self.error):
            return "lost"
        if isinstance(self.error, _PASSES):
            return "passing"
        is_contacts = isinstance(self.error, _ABOUT_THE_CONTACT) and not isinstance(self.error, CapabilityNotSupported)
        return "contact" if is_contacts else "campaign"


class _HeldBack(Exception):
    """A create was not sent: its lease may have ended, or its task is stopping."""


class Senders:
    """The thread pool of one campaign.

    :param hook: the voice connection.
    :param count: how many creates may be under way at once.
    :param context: values that come back with the vendor's events, the same for all calls.
    """

    def __init__(self, hook: VoiceHook, count: int, context: Mapping[str, Any] | None = None) -> None:
        self.count = max(1, min(count, MOST_SENDERS))
        self._hook = hook
        self._context = dict(context or {})
        self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="voice-outreach")
        self._stopping = threading.Event()
        self._jobs: dict[Future[Result], Job] = {}
        self._of_thread = threading.local()
        http = hook.vendor.http
        http.before_create = self._check
        # Every single send is checked against lease and pace, so the client must not repeat one by itself.
        http.repeats_creates = False

    @property
    def under_way(self) -> list[Job]:
        """The creates whose result was not taken yet."""
        return list(self._jobs.values())

    @property
    def idle(self) -> int:
        """How many creates could be sent at once."""
        return self.count - len(self._jobs)

    def send(self, jobs: Sequence[Job]) -> None:
        """Send creates; their results are taken by :meth:`finished`.

        :param jobs: the creates.
        """
        for job in jobs:
            self._jobs[self._pool.submit(self._send, job)] = job

    def finished(self) -> list[Result]:
        """Return the results since the last call."""
        done = [future for future in self._jobs if future.done()]
        results = []
        for future in done:
            results.append(future.result())
            del self._jobs[future]
        return results

    def wait(self, seconds: float) -> None:
        """Wait until a create has a result, or for so long.

        :param seconds: the longest wait; there is none when nothing is under way.
        """
        if self._jobs:
            wait(self._jobs, timeout=max(0.0, seconds), return_when=FIRST_COMPLETED)

    def stop(self) -> None:
        """Send nothing more; creates on their way go on."""
        self._stopping.set()

    def close(self) -> None:
        """Let the threads end."""
        self.stop()
        self._pool.shutdown(wait=False)

    def _send(self, job: Job) -> Result:
        self._of_thread.job = job
        try:
            self._check()
            return Result(job, call=self._hook.make_call(self._request(job)))
        except _HeldBack:
            return Result(job)
        except VoiceError as error:
            return Result(job, error=error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the phone may have rung
            return Result(job, error=CallOutcomeUnknown(f"The create failed with {type(error).__name__}."))

    def _check(self) -> None:
        """Raise unless the create of this thread may be sent now."""
        if self._stopping.is_set() or self._of_thread.job.deadline.has_passed:
            raise _HeldBack

    def _request(self, job: Job) -> CallRequest:
        return CallRequest(
            to=job.attempt.to,
            agent_id=job.attempt.agent_id,
            variables=job.contact.variables,
            context=self._context,
            tag=job.attempt.id,
        )
