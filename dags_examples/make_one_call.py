"""Place one call, wait for its end without holding a worker, and use its result."""

# [START make_one_call]
from datetime import timedelta

from airflow.sdk import Param, dag, task

from airflow_provider_voice.operators.make_call import MakeCallOperator


@dag(
    schedule=None,
    params={"to": Param("+14155552601", type="string", description="The number to call, with its country code")},
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
    tags=["voice"],
)
def make_one_call() -> None:
    """Call one number. A retry never rings it a second time."""
    call = MakeCallOperator(
        task_id="ring",
        voice_conn_id="voice_default",
        to="{{ params.to }}",
        variables={"name": "Ada"},
        wait_for_completion=True,
        deferrable=True,
        success_statuses=["completed", "voicemail"],
    )

    @task
    def report(ended: dict[str, object]) -> str:
        """Report how the call ended."""
        return f"Call {ended['id']} ended as {ended['status']} after {ended['duration_seconds']} s."

    report(call.output)


make_one_call()
# [END make_one_call]
