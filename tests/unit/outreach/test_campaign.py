"""The next state after a create that rang nobody; campaigns themselves run in ``tests/integration/outreach``."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_provider_voice.dialing.deadline import Deadline
from airflow_provider_voice.exceptions import AuthenticationFailed, RateLimited, RequestRejected
from airflow_provider_voice.outreach.campaign import CampaignSettings, _step_after
from airflow_provider_voice.outreach.senders import Job, Result
from airflow_provider_voice.outreach.states import Attempt, Claimed, ContactState

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (RequestRejected("The number is refused.", status_code=422), ContactState.REJECTED, "The number is refused."),
        (RateLimited("Too many.", status_code=429), ContactState.REDIAL, "not called: Too many."),
        (AuthenticationFailed("No token.", status_code=401), ContactState.REDIAL, "not called: No token."),
        (None, ContactState.REDIAL, "not called: the create was held back"),
    ],
)
def test_only_what_is_about_the_contact_rejects_it(error, state, reason) -> None:
    contact = Claimed("c1", "+14155552671", ContactState.REDIAL, 1, 1, 1)
    job = Job(Attempt("afv-1", "c1", contact.to, 2, None, None, NOON), contact, Deadline(60))
    step = _step_after(Result(job, error=error))
    assert (step.state, step.reason) == (state, reason)
    # Before those who have not been tried.
    assert (step.due_at is None) == (state is ContactState.REJECTED)


def test_the_defaults_of_a_campaign() -> None:
    settings = CampaignSettings("spring")
    assert (settings.limits.max_concurrent, settings.limits.calls_per_minute, settings.poll_interval) == (10, None, 30)
