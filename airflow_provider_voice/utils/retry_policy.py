"""Delays a retry for as long as the vendor asks, through Airflow's retry policy (3.3+)."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The longest delay that a vendor can cause.
MAX_DELAY = timedelta(hours=6)


@cache
def vendor_delay_policy() -> Any | None:
    """Return a policy that retries no sooner than the ``retry_after`` of the exception, bounded by :data:`MAX_DELAY`.

    :return: the policy; None below Airflow 3.3.
    """
    try:
        from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
    except ImportError:
        return None

    class VendorDelayPolicy(RetryPolicy):
        """Waits for as long as the vendor asks; everything else is left to ``retry_delay``."""

        def evaluate(
            self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
        ) -> RetryDecision:
            del try_number, max_tries
            asked = getattr(exception, "retry_after", None)
            if not isinstance(asked, (int, float)) or not asked > 0:
                return RetryDecision.default()
            delay = timedelta(seconds=min(asked, MAX_DELAY.total_seconds()))
            own = getattr((context or {}).get("task"), "retry_delay", None)
            if isinstance(own, timedelta) and own >= delay:
                return RetryDecision.default()
            return RetryDecision.retry(delay, f"the vendor asks to wait {asked:.0f} s")

    return VendorDelayPolicy()
