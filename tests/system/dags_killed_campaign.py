"""A campaign whose tasks note their process, so that a test can kill it; leases and searches take seconds."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import dag

from airflow_provider_voice.operators.outreach import OutreachOperator

MAX_ATTEMPTS = 2
REDIAL_AFTER = {"busy": 3.0, "no_answer": 5.0}


class MortalOutreach(OutreachOperator):
    """Writes its process id into a file named by its run and try."""

    def execute(self, context: Any) -> Any:
        """Run the campaign."""
        # Imported in the worker: a DAG file that is parsed often needs none of it.
        from airflow_provider_voice.outreach import campaign, lost_calls

        # The contacts of a dead worker are taken over after six seconds instead of a minute.
        campaign.Campaign.__init__.__kwdefaults__["lease_seconds"] = 6.0
        lost_calls.SEARCH_DELAYS = (0.0, 1.0, 2.0)
        ti = context["ti"]
        part = Path(os.environ["CAMPAIGN_PIDS"]) / f"{ti.run_id}-{ti.try_number}.part"
        part.write_text(str(os.getpid()))
        part.rename(part.with_suffix(".pid"))  # a file with this name is whole
        return super().execute(context)


@dag(schedule=None, max_active_runs=2, default_args={"retries": 40, "retry_delay": timedelta(seconds=1)})
def killed_campaign() -> None:
    """Call everybody of the CRM; each run is a worker of the same campaign."""
    MortalOutreach(
        task_id="call",
        campaign="killed",
        contacts='SELECT contact_id, phone AS "to", name FROM appointments',
        contacts_conn_id="crm",
        ledger_conn_id="outreach_ledger",
        max_attempts=MAX_ATTEMPTS,
        redial_after=REDIAL_AFTER,
        calls_per_minute=360,
        max_concurrent=30,
        poll_interval=1,
    )


killed_campaign()
