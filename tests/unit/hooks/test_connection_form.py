"""The form of Airflow before 3.2 and the provider's metadata are equal."""

from __future__ import annotations

import pytest

from airflow_provider_voice.get_provider_info import get_provider_info
from airflow_provider_voice.hooks.connection_form import field_behaviour, form_fields, form_widgets

TYPES = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}


@pytest.mark.parametrize("connection_type", TYPES)
def test_both_forms_are_the_same(connection_type) -> None:
    stated = TYPES[connection_type]
    assert form_fields(connection_type) == stated["conn-fields"]
    behaviour = {name.replace("-", "_"): value for name, value in stated["ui-field-behaviour"].items()}
    assert field_behaviour(connection_type) == behaviour


def test_widgets() -> None:
    pytest.importorskip("wtforms")
    assert {"project_id", "calls_host", "default_agent_id", "allow_http"} <= set(form_widgets("talkstack"))
    assert "project_id" not in form_widgets("talkover")
    shown = {name: widget.field_class.__name__ for name, widget in form_widgets("talkover").items()}
    assert shown == {
        **dict.fromkeys(form_fields("talkover"), "StringField"),
        "requests_per_minute": "IntegerField", "allow_http": "BooleanField",
    }  # fmt: skip
