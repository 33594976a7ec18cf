"""From an Airflow connection of any origin to a vendor."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from airflow.sdk import Connection

from airflow_provider_voice.exceptions import InvalidRequest, RequestRejected, VendorUnavailable
from airflow_provider_voice.hooks.voice import TalkoverHook, TalkstackHook, UnleashXHook, VoiceHook
from airflow_provider_voice.models import CallRef, CallRequest
from tests.support import NUMBER
from tests.unit.hooks.test_connection_settings import connection

HOOKS = {"talkover": TalkoverHook, "talkstack": TalkstackHook, "unleashx": UnleashXHook}
PROJECT = {"project_id": "p"}


@pytest.mark.parametrize("form", ["json", "uri", "plain"])
def test_connections_from_environment_uri_and_json(sandbox, vendor_name, form, monkeypatch) -> None:
    fields = sandbox.connection(vendor_name)
    if form == "uri":
        made = Connection(conn_id="x", **{**fields, "extra": json.dumps(fields["extra"])})
        value = made.get_uri()
    elif form == "json":
        value = json.dumps(fields)
    else:
        value = json.dumps({**fields, "host": sandbox.host, "port": sandbox.port, "schema": "http"})
    monkeypatch.setenv("AIRFLOW_CONN_MY_VOICE", value)
    hook = VoiceHook.for_connection("my_voice")
    assert type(hook) is HOOKS[vendor_name]
    assert hook.test_connection()[0] is True
    call = hook.make_call(CallRequest(NUMBER))
    assert hook.get_call(call.to_dict()).id == call.id
    assert set(hook.get_calls([call])) == {call.id}


def test_a_connection_of_another_type_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MY_VOICE", "http://example.org")
    with pytest.raises(InvalidRequest, match="talkover, talkstack or unleashx"):
        VoiceHook.for_connection("my_voice")


def test_a_test_server_never_rings_through_the_real_one() -> None:
    hook = TalkstackHook(connection=connection(conn_type="talkstack", host="127.0.0.1", port=1, extra=PROJECT))
    assert hook.vendor.calls_url == hook.vendor.base_url == "http://127.0.0.1:1"
    both = connection(conn_type="talkstack", host="a.example.org", extra={**PROJECT, "calls_host": "b.example.org"})
    assert TalkstackHook(connection=both).vendor.calls_url == "https://b.example.org"
    plain = connection(conn_type="talkstack", extra=PROJECT)
    assert TalkstackHook(connection=plain).vendor.calls_url == "https://calls.talkstack.ai"


def test_the_token_of_a_hand_made_connection_is_masked() -> None:
    from airflow.sdk._shared.secrets_masker import redact

    _ = TalkoverHook(connection=connection(password="very-private-token")).vendor
    assert redact("the very-private-token is masked") == "the *** is masked"


def test_a_failed_test_of_a_connection_names_the_remedy(sandbox) -> None:
    wrong = connection(host=sandbox.url, password="wrong-token")
    works, message = TalkoverHook(connection=wrong).test_connection()
    assert not works
    assert "Check the token" in message
    assert "wrong-token" not in message
    assert TalkoverHook(connection=connection(password="")).test_connection()[0] is False


def test_forms_for_airflow_before_its_declarative_ones() -> None:
    pytest.importorskip("wtforms")
    assert "project_id" in TalkstackHook.get_connection_form_widgets()
    assert VoiceHook.get_connection_form_widgets() == {}
    assert TalkstackHook.get_ui_field_behaviour()["relabeling"]["password"] == "API key"


@pytest.mark.parametrize("one", ["call_1", {"id": "call_1"}, b"call_1", 7, None], ids=str)
def test_one_call_is_not_a_list_and_a_number_not_a_request(one) -> None:
    """A text would be searched for letter by letter."""
    hook = TalkoverHook(connection=connection())
    with pytest.raises(InvalidRequest, match="get_call"):
        hook.get_calls(one)
    with pytest.raises(InvalidRequest, match="CallRequest"):
        hook.make_call(one)


def test_a_killed_task_hangs_up_where_the_vendor_can_and_raises_nothing_elsewhere(monkeypatch) -> None:
    cannot = TalkstackHook(connection=connection(conn_type="talkstack", extra={"project_id": "p"}))
    assert cannot.hang_up(CallRef("c7")) is False
    can = TalkoverHook(connection=connection())
    monkeypatch.setattr(TalkoverHook, "end_call", lambda self, ref: None)
    assert can.hang_up(CallRef("c8")) is True


def test_a_call_may_have_been_hung_up_although_the_response_was_lost(monkeypatch) -> None:
    hook = TalkoverHook(connection=connection())
    for error, expected in ((VendorUnavailable("lost"), True), (RequestRejected("not active"), False)):
        monkeypatch.setattr(TalkoverHook, "end_call", mock.Mock(side_effect=error))
        assert hook.hang_up(CallRef("c9")) is expected
