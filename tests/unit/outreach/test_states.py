"""States, and what workers hold of contacts and attempts."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow_provider_voice.outreach.states import OPEN, Attempt, Claimed, ContactState

NUMBER = "+14155552671"
NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)


def test_the_open_states() -> None:
    assert [str(state) for state in OPEN] == ["pending", "redial", "dialing", "in_call"]


def test_no_value_shows_its_number_or_its_variables() -> None:
    claimed = Claimed("c1", NUMBER, ContactState.PENDING, 1, 0, 0, variables={"name": "Ada"})
    attempt = Attempt("afv-1", "c1", NUMBER, 1, "agent", None, NOON)
    assert NUMBER not in repr(claimed) + repr(attempt)
    assert "Ada" not in repr(claimed)


def test_a_reference_names_the_call_and_its_tag() -> None:
    ref = Attempt("afv-1", "c1", NUMBER, 1, "agent", "call_1", NOON, placed_at=NOON).ref
    assert (ref.id, ref.to, ref.placed_at, ref.tag, ref.agent_id) == ("call_1", NUMBER, NOON, "afv-1", "agent")
