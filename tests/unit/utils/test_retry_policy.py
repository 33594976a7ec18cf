from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG

from airflow_provider_voice.exceptions import RateLimited, VendorUnavailable
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.utils.retry_policy import vendor_delay_policy


@pytest.fixture
def policy():
    pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="retry policies came with Airflow 3.3")
    return vendor_delay_policy()


@pytest.mark.parametrize(
    ("error", "own", "delay"),
    [
        (RateLimited("slow", retry_after=300), 30, 300),
        (RateLimited("slow", retry_after=300), 600, None),
        (RateLimited("slow", retry_after=10**9), 30, 6 * 3600),
        (RateLimited("slow", retry_after=float("inf")), 30, 6 * 3600),
        (RateLimited("slow", retry_after=float("nan")), 30, None),
        (RateLimited("slow"), 30, None),
        (VendorUnavailable("gone"), 30, None),
        (ValueError("other"), 30, None),
    ],
)
def test_a_retry_waits_as_long_as_the_vendor_asks(policy, error, own, delay) -> None:
    context = {"task": SimpleNamespace(retry_delay=timedelta(seconds=own))}
    decision = policy.evaluate(error, 1, 3, context)
    assert decision.action.value == ("default" if delay is None else "retry")
    assert decision.retry_delay == (None if delay is None else timedelta(seconds=delay))


def test_every_operator_has_it_unless_the_user_brings_another(policy) -> None:
    assert MakeCallOperator(task_id="a", to="{{ x }}").retry_policy is policy
    other = type(policy)()
    assert MakeCallOperator(task_id="b", to="{{ x }}", retry_policy=other).retry_policy is other
    with DAG("c", schedule=None, default_args={"retry_policy": other}):
        assert MakeCallOperator(task_id="c", to="{{ x }}").retry_policy is other
