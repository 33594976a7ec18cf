"""UnleashX's routes answer as its pages describe."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_voice.sandbox.unleashx import PREFIX
from tests.unit.sandbox.exchange import ask, credential

CREATE, LIST = f"{PREFIX}/agents/call", f"{PREFIX}/agents/executions/list"
DONE = "+14155552601"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"agent_id": 101}, 400, "Phone Number is required"),
        ({"phone_number": DONE}, 400, "Agent ID is required"),
        ({"agent_id": "101", "phone_number": DONE}, 422, "integer"),
        ({"agent_id": 102, "phone_number": DONE}, 404, "not found or not active"),
        ({"agent_id": 101, "phone_number": "555"}, 422, "not valid"),
    ],
)
def test_a_create_is_refused_with_the_documented_text(sandbox, body, status, text) -> None:
    response = ask(sandbox, "unleashx", "POST", CREATE, json=body)
    assert response.status_code == status
    assert response.json()["error"] is True
    assert text in response.json()["message"]
    assert not sandbox.rings


def test_a_create_adds_a_missing_plus_and_answers_with_an_execution_id(sandbox) -> None:
    body = {"agent_id": 101, "phone_number": DONE.lstrip("+"), "metadata": {"airflow_call_tag": "t"}}
    data = ask(sandbox, "unleashx", "POST", CREATE, json=body).json()["data"]
    (call,) = sandbox.calls("unleashx")
    assert data == {"execution_id": call.id, "agent_id": 101, "phone_number": DONE, "call_status": "initiated"}
    assert [(ring.number, ring.tag) for ring in sandbox.rings] == [(DONE, "t")]


def test_a_row_has_an_integer_id_the_metadata_and_no_execution_id(sandbox) -> None:
    call = sandbox.world.place("unleashx", DONE, "101", variables={"airflow_call_tag": "t"})
    sandbox.advance(600)
    (row,) = ask(sandbox, "unleashx", "GET", LIST).json()["datalist"]
    assert (row["ID"], row["INPUT_DATA"]) == (call.key, {"airflow_call_tag": "t"})
    assert (row["STATUS"], row["TOTAL_DURATION"]) == ("completed", call.course.talk_seconds)
    assert row["total_duration"] == f"{row['TOTAL_DURATION'] // 60}m:{row['TOTAL_DURATION'] % 60}s"
    assert call.id not in row.values()


def test_a_list_is_filtered_and_has_no_totals(sandbox) -> None:
    now = sandbox.now()
    sandbox.seed("unleashx", 15, now - timedelta(hours=3), now)
    sandbox.seed("unleashx", 2, now - timedelta(hours=3), now, agent_id="103")
    wanted = sandbox.world.place("unleashx", DONE, "101", variables={"airflow_call_tag": "afv-7"})

    def keys(**query):
        body = ask(sandbox, "unleashx", "GET", LIST, params=query).json()
        assert set(body) == {"datalist"}
        return [row["ID"] for row in body["datalist"]]

    assert [len(keys(page=page)) for page in (1, 2, 3)] == [10, 8, 0]
    assert len(keys(agent_id=103)) == 2
    assert keys(input_data="afv-7") == keys(calling_number=DONE.lstrip("+")) == [wanted.key]
    assert keys(todate=(now - timedelta(days=2)).date().isoformat()) == []


def test_either_credential_header_is_accepted(sandbox) -> None:
    token = credential(sandbox, "unleashx")["token"]
    for headers, status in (({"token": token}, 200), ({"api_access_token": token}, 200), ({"token": "wrong"}, 401)):
        assert ask(sandbox, "unleashx", "POST", f"{PREFIX}/verify", json={}, headers=headers).status_code == status
