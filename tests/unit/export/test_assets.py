"""Lineage of an export: the table and the number of rows, through Airflow's own function for it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from airflow_provider_voice.export.assets import report_lineage

pytestmark = pytest.mark.airflow
lineage = pytest.importorskip("airflow.providers.common.sql.hooks.lineage", reason="it came with common-sql 1.31")


class Collector:
    """A stand-in for the collector of a process with a reader."""

    def __init__(self) -> None:
        self.extras: list[dict[str, Any]] = []

    def add_extra(self, **extra: Any) -> None:
        self.extras.append(extra)


def test_lineage_receives_the_table_and_the_number_of_rows(monkeypatch) -> None:
    collector, hook = Collector(), object()
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: collector)
    report_lineage(hook, '"marts".voice_calls', 3)
    (extra,) = collector.extras
    assert extra["context"] is hook
    assert extra["value"] == {"sql": 'INSERT INTO "marts".voice_calls DEFAULT VALUES', "row_count": 3}


def test_a_plugin_that_fails_does_not_fail_a_committed_load(monkeypatch) -> None:
    def broken() -> Any:
        raise RuntimeError

    monkeypatch.setattr(lineage, "get_hook_lineage_collector", broken)
    report_lineage(object(), "voice_calls", 3)


def test_an_older_provider_for_sql_has_no_lineage(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, lineage.__name__, None)
    report_lineage(object(), "voice_calls", 3)
