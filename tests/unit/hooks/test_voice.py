"""From an Airflow connection of any origin to a vendor."""

from __future__ import annotations

import json
import logging

import pytest
from airflow.sdk import Connection

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.hooks.connection_settings import settings_of
from airflow_provider_voice.hooks.voice import TalkoverHook, TalkstackHook, UnleashXHook, VoiceHook
from airflow_provider_voice.models import CallRequest
from airflow_provider_voice.vendors.talkover import Talkover
from tests.support import NUMBER

HOOKS = {"talkover": TalkoverHook, "talkstack": TalkstackHook, "unleashx": UnleashXHook}
DEFAULT = Talkover.default_base_url


def connection(**fields) -> Connection:
    extra = fields.pop("extra", None)
    fields = {"conn_type": "talkover", "password": "tok-123456", **fields}
    return Connection(conn_id="voice", extra=json.dumps(extra) if isinstance(extra, dict) else extra, **fields)


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


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, None),
        ({"host": "app.example.org"}, "https://app.example.org/api/v1"),
        ({"host": "app.example.org/voice/"}, "https://app.example.org/voice"),
        ({"host": "https://app.example.org:8443/voice"}, "https://app.example.org:8443/voice"),
        ({"host": "app.example.org", "port": 8443}, "https://app.example.org:8443/api/v1"),
        ({"host": "127.0.0.1", "port": 8765}, "http://127.0.0.1:8765/api/v1"),
        ({"host": "127.0.0.1", "port": 8765, "schema": "https"}, "https://127.0.0.1:8765/api/v1"),
        ({"host": "http://localhost:8765"}, "http://localhost:8765/api/v1"),
        ({"host": "[::1]", "port": 80, "schema": "http"}, "http://[::1]:80/api/v1"),
        ({"host": "voice.internal", "schema": "http", "extra": {"allow_http": "true"}}, "http://voice.internal/api/v1"),
    ],
)
def test_base_url(fields, url) -> None:
    assert settings_of(connection(**fields), DEFAULT).base_url == url


@pytest.mark.parametrize(
    "fields",
    [
        {"password": None},
        {"password": "  "},
        {"host": "http://app.example.org"},
        {"host": "app.example.org", "schema": "http"},
        {"host": "127.0.0.1.example.org", "schema": "http"},
        {"host": "ftp://app.example.org"},
        {"host": "https://user:secret@app.example.org"},
        {"host": "https://app.example.org?x=1"},
        {"host": "https://[bad"},
        {"extra": "no json"},
        {"extra": "[1]"},
        {"extra": {"requests_per_minute": "many"}},
        {"extra": {"requests_per_minute": 0}},
        {"extra": {"requests_per_minute": 1.5}},
        {"extra": {"connect_timeout": -1}},
        {"extra": {"read_timeout": "nan"}},
        {"extra": {"allow_http": "perhaps"}},
        {"extra": {"status_overrides": "{"}},
        {"extra": {"status_overrides": [1]}},
        {"extra": {"calls_host": "http://calls.example.org"}},
    ],
)
def test_a_field_that_makes_no_sense_is_named_and_never_shown(fields, caplog) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(InvalidRequest) as refused:
        settings_of(connection(**fields), DEFAULT)
    assert "tok-123456" not in refused.value.message + caplog.text
    assert "secret" not in refused.value.message + caplog.text


def test_custom_fields_as_numbers_or_as_text() -> None:
    fields = {
        "requests_per_minute": "60",
        "connect_timeout": 2,
        "read_timeout": "3.5",
        "status_overrides": '{"Answered": "completed"}',
        "default_agent_id": 101,
        "default_region": "US",
        "project_id": "p",
    }
    settings = settings_of(connection(extra=fields), DEFAULT)
    assert (settings.requests_per_minute, settings.connect_timeout, settings.read_timeout) == (60, 2.0, 3.5)
    assert (settings.default_agent_id, settings.default_region, settings.project_id) == ("101", "US", "p")
    assert Talkover(settings).read_status("answered") == "completed"
    with pytest.raises(InvalidRequest):
        Talkover(settings_of(connection(extra={"status_overrides": {"answered": "talked"}}), DEFAULT))


def test_a_test_server_never_rings_through_the_real_one() -> None:
    hook = TalkstackHook(connection=connection(conn_type="talkstack", host="127.0.0.1", port=1))
    assert hook.vendor.calls_url == hook.vendor.base_url == "http://127.0.0.1:1"
    both = connection(conn_type="talkstack", host="a.example.org", extra={"calls_host": "b.example.org"})
    assert TalkstackHook(connection=both).vendor.calls_url == "https://b.example.org"
    assert TalkstackHook(connection=connection(conn_type="talkstack")).vendor.calls_url == "https://calls.talkstack.ai"


def test_the_token_of_a_hand_made_connection_is_masked() -> None:
    from airflow.sdk._shared.secrets_masker import redact

    _ = TalkoverHook(connection=connection(password="very-private-token")).vendor
    assert redact("says very-private-token aloud") == "says *** aloud"


def test_test_connection_says_what_to_do(sandbox) -> None:
    wrong = connection(host=sandbox.url, password="wrong-token")
    works, message = TalkoverHook(connection=wrong).test_connection()
    assert not works
    assert "Check the token" in message
    assert "wrong-token" not in message
    assert TalkoverHook(connection=connection(password="")).test_connection()[0] is False


def test_forms_for_airflow_before_its_declarative_ones() -> None:
    pytest.importorskip("wtforms")
    widgets = TalkstackHook.get_connection_form_widgets()
    assert {"project_id", "calls_host", "default_agent_id", "allow_http"} <= set(widgets)
    assert TalkstackHook.get_ui_field_behaviour()["relabeling"]["password"] == "API key"
