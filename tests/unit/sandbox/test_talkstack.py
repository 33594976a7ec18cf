"""Talkstack's routes answer as its pages describe."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.sandbox.exchange import ask, credential

DONE, VOICEMAIL = "+14155552601", "+14155552604"
REQUEST = {"projectId": "project-sandbox", "agentId": "agent-sandbox", "number": DONE}


@pytest.mark.parametrize("missing", REQUEST)
def test_a_create_names_the_field_that_is_missing(sandbox, missing) -> None:
    body = {name: value for name, value in REQUEST.items() if name != missing}
    response = ask(sandbox, "talkstack", "POST", "/call/makeCall", json=body)
    assert response.status_code == 400
    assert missing in response.json()["message"]
    assert not sandbox.rings


def test_a_create_answers_with_an_id_and_no_call_status(sandbox) -> None:
    body = ask(sandbox, "talkstack", "POST", "/call/makeCall", json=REQUEST).json()
    (call,) = sandbox.calls("talkstack")
    assert body["call"] == {"call_id": call.id, "to": DONE, "from": call.from_}
    assert body["status"] == "success"


def test_one_call_is_flat_and_has_its_recording_when_it_has_ended(sandbox) -> None:
    call = sandbox.world.place("talkstack", DONE, "agent-sandbox")
    body = {"sid": call.id, "projectId": "project-sandbox"}
    assert ask(sandbox, "talkstack", "POST", "/call", json=body).json()["status"] == "queued"
    sandbox.advance(600)
    record = ask(sandbox, "talkstack", "POST", "/call", json=body).json()
    assert (record["status"], record["callSid"], record["phoneNumber"]) == ("completed", call.sid, DONE)
    assert record["seconds"] == call.course.talk_seconds
    assert len(record["recordingUrls"]) == 1
    for wrong, status in (({}, 400), ({**body, "sid": "no-such-call"}, 404), ({"sid": call.id}, 404)):
        assert ask(sandbox, "talkstack", "POST", "/call", json=wrong).status_code == status


def history(sandbox, page_size=None, **query):
    body = {"projectId": "project-sandbox", **({} if page_size is None else {"pageSize": page_size})}
    return ask(sandbox, "talkstack", "POST", "/call/get-call-history", json=body, params=query).json()["data"]


def test_the_history_has_a_page_size_and_no_second_page(sandbox) -> None:
    sandbox.seed("talkstack", 30, sandbox.now() - timedelta(hours=3), sandbox.now())
    assert len(history(sandbox)) == 20
    assert len(history(sandbox, 1000)) == 30
    assert history(sandbox, 25, page=2) == history(sandbox, 25)


def test_the_history_filters_by_whole_days_of_utc(sandbox) -> None:
    midnight = sandbox.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for hours in (-1, 1, 23, 25):
        moment = midnight + timedelta(hours=hours)
        sandbox.seed("talkstack", 1, moment, moment)
    day, next_day = midnight.date().isoformat(), (midnight + timedelta(days=1)).date().isoformat()
    assert len(history(sandbox, startTime=day)) == 2
    assert len(history(sandbox, startTimeAfter=day, startTimeBefore=next_day)) == 2
    assert len(history(sandbox, startTimeAfter=day)) == 3


def test_the_history_counts_a_voicemail_as_completed(sandbox) -> None:
    call = sandbox.world.place("talkstack", VOICEMAIL, "agent-sandbox")
    sandbox.advance(600)
    body = {"sid": call.id, "projectId": "project-sandbox"}
    assert ask(sandbox, "talkstack", "POST", "/call", json=body).json()["status"] == "voicemail"
    assert [row["status"] for row in history(sandbox, status="completed")] == ["completed"]


def test_either_credential_header_is_accepted(sandbox) -> None:
    token = credential(sandbox, "talkstack")["x-api-key"]
    assert ask(sandbox, "talkstack", "GET", "/voices").status_code == 200
    assert ask(sandbox, "talkstack", "GET", "/voices", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert ask(sandbox, "talkstack", "GET", "/voices", headers={"x-api-key": "wrong"}).status_code == 401
