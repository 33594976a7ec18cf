"""Links from a task instance to the page."""

from __future__ import annotations

from typing import Any, cast

import pytest

from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.operators.outreach import OutreachOperator, PlanOutreachOperator

TI_KEY = cast("Any", None)


def test_a_call_links_to_itself() -> None:
    task = MakeCallOperator(task_id="ring", to="+14155552671", agent_id="a")
    (link,) = task.operator_extra_links
    assert link.name == "Call"
    assert link.get_link(task, ti_key=TI_KEY) == ""
    task._placed = Call(id="call/1", vendor="talkover", status=CallStatus.QUEUED, vendor_status="queued", to="x")
    assert link.get_link(task, ti_key=TI_KEY) == "/voice/call?call_id=call%2F1"


@pytest.mark.parametrize("operator", [OutreachOperator, PlanOutreachOperator])
def test_a_campaign_links_to_its_page(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task = operator(task_id="call", campaign="spring 2026", contacts="SELECT 1", contacts_conn_id="db")
    (link,) = task.operator_extra_links
    assert link.get_link(task, ti_key=TI_KEY) == "/voice/campaign?name=spring+2026"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/team/")
    assert link.get_link(task, ti_key=TI_KEY) == "/team/voice/campaign?name=spring+2026"
