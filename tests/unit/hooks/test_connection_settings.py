"""Any connection gives settings, or an error that names the field and not its value."""

from __future__ import annotations

import json
import logging

import pytest
from airflow.sdk import Connection
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.hooks.connection_settings import settings_of
from airflow_provider_voice.vendors.talkover import Talkover

DEFAULT = Talkover.default_base_url


def connection(**fields) -> Connection:
    extra = fields.pop("extra", None)
    fields = {"conn_type": "talkover", "password": "tok-123456", **fields}
    return Connection(conn_id="voice", extra=json.dumps(extra) if isinstance(extra, dict) else extra, **fields)


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
def test_an_error_names_the_field_and_not_its_value(fields, caplog) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(InvalidRequest) as refused:
        settings_of(connection(**fields), DEFAULT)
    assert "tok-123456" not in refused.value.message + caplog.text
    assert "secret" not in refused.value.message + caplog.text


def test_a_misspelt_field_is_named_without_its_value(caplog) -> None:
    settings_of(connection(extra={"calls_hots": "https://secret.example.org", "allow_http": False}), DEFAULT)
    assert "'voice' has fields that are not read: calls_hots." in caplog.text
    assert "secret" not in caplog.text


def test_custom_fields_as_numbers_or_as_text(caplog) -> None:
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
    assert not caplog.text
    assert Talkover(settings).status_fields("answered")["status"] == "completed"
    with pytest.raises(InvalidRequest):
        Talkover(settings_of(connection(extra={"status_overrides": {"answered": "talked"}}), DEFAULT))


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_custom_field_is_none(blank) -> None:
    names = (
        "requests_per_minute", "connect_timeout", "read_timeout", "default_agent_id", "default_region", "project_id",
        "calls_host", "status_overrides",
    )  # fmt: skip
    settings, without = (settings_of(connection(extra=extra), DEFAULT) for extra in (dict.fromkeys(names, blank), {}))
    assert settings == without


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.one_of(st.none(), st.integers(), st.text(max_size=8)), max_size=2),
    st.sampled_from(["inf", "-1", "1e400", "nan", "0", "true", "[::1", "a b", "..", "http://", "https://x:99999", "\x00"]),
)  # fmt: skip
EXTRAS = st.dictionaries(
    st.sampled_from([
        "requests_per_minute", "connect_timeout", "read_timeout", "status_overrides", "calls_host", "allow_http",
        "project_id", "default_agent_id", "default_region",
    ]),
    ODD,
    max_size=4,
)  # fmt: skip


class Plain:
    """A connection made by hand, which checks nothing itself."""

    conn_id, conn_type = "voice", "talkover"

    def __init__(self, **fields) -> None:
        self.__dict__.update({"host": None, "schema": None, "port": None, **fields})


@given(
    extra=EXTRAS,
    host=st.one_of(st.none(), st.text(max_size=12), st.sampled_from(["app.example.org", "https://a.example.org:8"])),
    port=st.one_of(st.none(), st.integers(-3, 70_000), st.booleans(), st.text(max_size=4), st.floats()),
    scheme=st.one_of(st.none(), st.text(max_size=5), st.just("https")),
    password=st.one_of(st.text(max_size=6), st.just("secret-token")),
)
def test_odd_fields_raise_nothing_but_invalid_request(extra, host, port, scheme, password) -> None:
    fields = {"password": password, "host": host, "port": port, "schema": scheme, "extra": json.dumps(extra)}
    try:
        settings = settings_of(Plain(**fields), DEFAULT)
        Talkover(settings).close()
    except InvalidRequest as refused:
        assert "secret-token" not in refused.message
    else:
        assert 0 < settings.connect_timeout <= 120
        assert settings.requests_per_minute is None or settings.requests_per_minute >= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "app.example.org", "port": 70_000},
        {"host": "app.example.org", "port": -1},
        {"host": "app.example.org", "port": True},
        {"host": "app example.org"},
        {"extra": {"read_timeout": "inf"}},
        {"extra": {"read_timeout": 1e9}},
        {"extra": {"requests_per_minute": "1e400"}},
        {"extra": {"default_region": "USA"}},
        {"extra": {"default_agent_id": ["a"]}},
        {"extra": {"status_overrides": {"answered": None}}},
    ],
)
def test_values_out_of_range_are_refused(fields) -> None:
    with pytest.raises(InvalidRequest):
        settings_of(Plain(password="t", **{**fields, "extra": json.dumps(fields.get("extra") or {})}), DEFAULT)
