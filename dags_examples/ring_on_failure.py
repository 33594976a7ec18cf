"""Ring the people on call when a DAG fails or is late, until somebody answers."""

# [START ring_on_failure]
from datetime import timedelta

from airflow.sdk import dag, task
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

from airflow_provider_voice.notifications.voice_call import VoiceCallNotifier

# A Variable holds the numbers, so that they stand in no DAG file; here, two numbers of the sandbox: one that nobody
# answers, and one that somebody does.
ON_CALL = "{{ var.json.get('voice_on_call', ['+14155552603', '+14155552601']) }}"
ring = VoiceCallNotifier(to=ON_CALL)


@dag(
    schedule=None,
    # Callbacks of a failed task and of its DAG ring once a run: Airflow gives them seconds, enough for one call.
    on_failure_callback=ring,
    default_args={"on_failure_callback": ring},
    # A deadline alert runs in the triggerer and stays until somebody has answered.
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=2),
        callback=AsyncCallback(VoiceCallNotifier, kwargs={"to": ON_CALL, "escalate_after": 120}),
    ),
    tags=["voice"],
)
def ring_on_failure() -> None:
    """Fail, and ring for it."""

    @task
    def load() -> None:
        """Do the work that fails."""
        raise FileNotFoundError("The file has not arrived.")

    @task(trigger_rule="one_failed", retries=0)
    def ring_until_answered(**context: object) -> None:
        """Go on to the next number for as long as it takes; a task may wait."""
        VoiceCallNotifier(to=ON_CALL, escalate_after=timedelta(seconds=10), max_wait=timedelta(minutes=30))(context)
        # Without this the run would count as a success, because its last task is one.
        raise RuntimeError("load failed; the people on call were rung.")

    load() >> ring_until_answered()


ring_on_failure()
# [END ring_on_failure]
