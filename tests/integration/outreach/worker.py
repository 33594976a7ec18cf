"""A worker of a campaign in a process of its own, which a test may kill or stop."""

from __future__ import annotations

import json
import multiprocessing
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

from airflow.sdk import Connection
from sqlalchemy import create_engine

from airflow_provider_voice.dialing import reconcile
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.outreach import lost_calls
from airflow_provider_voice.outreach.campaign import Campaign, CampaignSettings
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.pacing import Limits
from airflow_provider_voice.outreach.redial import RedialRules

LEASE_SECONDS = 2.0

# The server has imported everything once; a worker is forked from it and shares nothing with the test.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def start_worker(url: str, fields: dict[str, Any]) -> BaseProcess:
    """Start a worker on the campaign ``spring`` and return it once it works.

    :param url: of the ledger's database.
    :param fields: the voice connection.
    :return: the process.
    """
    ours, theirs = _processes.Pipe()
    worker = _processes.Process(target=_run, args=(url, fields, theirs), daemon=True)
    worker.start()
    assert ours.poll(60), "the worker did not start"
    return worker


def _run(url: str, fields: dict[str, Any], ready: Any) -> None:
    lost_calls.SEARCH_DELAYS = (0.0, 0.1)
    # The sandbox's clock runs twenty times as fast as ours, which no vendor's does.
    for name in ("CLOCK_TOLERANCE", "LATE_ARRIVAL"):
        setattr(reconcile, name, timedelta(hours=2))
    connection = Connection(conn_id="voice_default", **{**fields, "extra": json.dumps(fields["extra"])})
    hook = VoiceHook.for_connection("voice_default", connection=connection)
    settings = CampaignSettings(
        "spring",
        limits=Limits(calls_per_minute=1200, max_concurrent=20),
        poll_interval=0.3,
        rules=RedialRules.of(max_attempts=1),
    )
    ready.send("ready")
    Campaign(settings, Database(create_engine(url)), hook, lease_seconds=LEASE_SECONDS).run()
