"""The arguments of the outreach operators: the refused ones, the asset, and the texts that Airflow may show of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Asset

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.operators.outreach import OutreachOperator, PlanOutreachOperator, outreach_asset
from airflow_provider_voice.utils.masking import plain

NUMBER = "+14155552601"
ARGUMENTS: dict[str, Any] = {"campaign": "spring", "ledger_conn_id": "ledger"}


def test_a_plan_has_no_asset() -> None:
    assert OutreachOperator(task_id="call", contacts=[], **ARGUMENTS).outlets == [outreach_asset("spring")]
    assert PlanOutreachOperator(task_id="plan", contacts=[], **ARGUMENTS).outlets == []
    assert isinstance(outreach_asset("a b"), Asset)


@pytest.mark.parametrize(
    "change",
    [
        {"stale_run": "never"}, {"on_invalid": "x"}, {"max_concurrent": 0}, {"calls_per_minute": -1},
        {"ends_at": "2026-01-01x"}, {"max_attempts": 0}, {"redial_after": {"busy": -1}}, {"variables": "name"},
        {"campaign": ""}, {"poll_interval": 0}, {"call_timeout": timedelta(0)}, {"ends_at": "2026-01-01T12:00:00"},
        {"on_empty": "skip"}, {"contacts": "SELECT 1"}, {"contacts": "people.sql"}, {"contacts": 5}, {"contacts": None},
        {"contacts": "SELECT 1", "contacts_conn_id": ""}, {"do_not_call": "SELECT 1"}, {"do_not_call": "optout.sql"},
        {"deferrable": "False"}, {"end_calls_on_kill": "no"}, {"variables": 5}, {"region": "USA"}, {"region": 1},
        {"agent_id": True}, {"context": ["x"]}, {"context": "x"}, {"subject": 5}, {"voice_conn_id": ""},
        {"policy": "no such file.yaml"}, {"success_statuses": ["busy"], "redial_after": {"busy": 60}},
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_when_the_dag_is_parsed(change) -> None:
    with pytest.raises(InvalidRequest):
        OutreachOperator(task_id="call", **{"contacts": [], **ARGUMENTS, **change})


def test_a_bad_argument_of_a_mapped_campaign_is_not_retried() -> None:
    with pytest.raises(AirflowFailException):
        OutreachOperator(task_id="call", contacts=[], **{**ARGUMENTS, "max_concurrent": "many"})


def test_people_are_not_shown() -> None:
    operator = OutreachOperator(
        task_id="call", contacts=[{"contact_id": "c1", "to": NUMBER}], do_not_call=[NUMBER], **ARGUMENTS
    )
    assert "555" not in str(operator.contacts) + repr(operator.do_not_call)


def test_what_templates_render_shows_no_number_and_no_value_of_the_context() -> None:
    operator = OutreachOperator(
        task_id="call", contacts="{{ sql }}", contacts_conn_id="crm", do_not_call="{{ numbers }}",
        context={"customer": "{{ name }}"}, **ARGUMENTS,
    )  # fmt: skip
    sql = f"SELECT * FROM people WHERE phone = '{NUMBER}'"
    values = {"sql": sql, "numbers": f"['{NUMBER}']", "name": "Ada"}
    operator._do_render_template_fields(operator, operator.template_fields, values, operator.get_template_env(), set())
    shown = [str(getattr(operator, name)) for name in ("contacts", "do_not_call", "context")]
    assert "4155552601" not in str(shown)
    assert "Ada" not in str(shown)
    assert (plain(operator.contacts), plain(operator.context)) == (sql, {"customer": "Ada"})


def test_the_name_of_a_template_file_is_left_to_airflow() -> None:
    operator = OutreachOperator(task_id="call", contacts="sql/due_20260131.sql", contacts_conn_id="crm", **ARGUMENTS)
    assert operator.contacts == "sql/due_20260131.sql"


def test_people_with_braces_in_their_data_are_not_shown_either() -> None:
    operator = OutreachOperator(task_id="call", contacts=[], do_not_call=[], **ARGUMENTS)
    operator.contacts = people = [
        {"contact_id": "c1", "to": NUMBER, "name": "{{ nickname }}"}
    ]  # as another task's output
    operator.do_not_call = [f"{{%{NUMBER}"]
    operator._do_render_template_fields(
        operator, operator.template_fields, {}, operator.get_template_env(), {id(people), id(operator.do_not_call)}
    )
    assert "555" not in f"{operator.contacts}{operator.do_not_call}"
    assert plain(operator.contacts) == people


def test_an_asset_is_known_when_the_dag_is_parsed() -> None:
    assert outreach_asset("a b/c").uri == "x-voice-outreach://a%20b%2Fc"
    with pytest.raises(InvalidRequest, match="template"):
        outreach_asset("spring-{{ ds }}")
    assert OutreachOperator(task_id="call", contacts=[], **{**ARGUMENTS, "campaign": "spring-{{ ds }}"}).outlets == []


def test_an_asset_that_the_user_lists_is_not_listed_twice() -> None:
    operator = OutreachOperator(task_id="call", contacts=[], outlets=[outreach_asset("spring")], **ARGUMENTS)
    assert operator.outlets == [outreach_asset("spring")]


def test_templates_are_left_for_the_task() -> None:
    templated = {"max_concurrent": "{{ params.n }}", "calls_per_minute": "{{ params.n }}", "ends_at": "{{ ds }}"}
    operator = OutreachOperator(task_id="call", contacts="{{ params.path }}", **ARGUMENTS, **templated)
    assert {name: getattr(operator, name) for name in templated} == templated
