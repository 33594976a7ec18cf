"""The options that an export refuses before any request."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import Scope
from airflow_provider_voice.transfers.calls_to_object_storage import CallsToObjectStorageOperator
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator

pytestmark = pytest.mark.airflow
NOON = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)


def to_warehouse(**arguments: Any) -> CallsToWarehouseOperator:
    return CallsToWarehouseOperator(task_id="export", **{"warehouse_conn_id": "warehouse", **arguments})


def to_files(**arguments: Any) -> CallsToObjectStorageOperator:
    return CallsToObjectStorageOperator(task_id="export", **{"path": "file:///nowhere", **arguments})


@pytest.mark.parametrize("operator", [to_warehouse, to_files])
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"phone_numbers": "secret"}, "phone_numbers"),
        ({"page_concurrency": 0}, "page_concurrency"),
        ({"page_concurrency": True}, "page_concurrency"),
        ({"page_concurrency": "4"}, "page_concurrency"),
        ({"direction": "sideways"}, "direction"),
        ({"start": "soon"}, "start"),
        ({"start": 12}, "start"),
        ({"end": NOON}, "end needs a start"),
        ({"start": NOON, "end": NOON}, "must be after start"),
        ({"start": "2026-01-10T12:00:00Z", "end": "2026-01-09T12:00:00Z"}, "must be after start"),
    ],
)
def test_what_can_be_known_is_refused_when_the_dag_is_parsed(operator: Any, arguments: Any, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        operator(**arguments)


DURATIONS = ("settle_after", "recheck", "abandon_after")


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize(
    "value", [timedelta(seconds=-1), -1, float("nan"), float("inf"), "24", True, None, 10**400, timedelta.max, b"1"]
)
def test_values_that_are_no_durations(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=name):
        to_warehouse(**{name: value})


@pytest.mark.parametrize("name", DURATIONS)
def test_a_duration_is_a_timedelta_or_seconds(name: str) -> None:
    assert getattr(to_warehouse(**{name: 90}), name) == getattr(to_warehouse(**{name: timedelta(seconds=90)}), name)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**5000, -(10**5000), float("nan"), float("inf"), b"calls", "", " ", "\x00", "a\nb", "x" * 300]),
    st.floats(),
    st.text(max_size=30),
    st.datetimes(),
    st.datetimes(
        timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
    ),
    st.dates(),
    st.timedeltas(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.builds(object),
)
COMMON = ["voice_conn_id", "start", "end", "agent_id", "direction", "source", "phone_numbers", "page_concurrency"]


@pytest.mark.parametrize(
    ("operator", "names"),
    [
        (to_warehouse, [*COMMON, *DURATIONS, "warehouse_conn_id", "table", "schema"]),
        (to_files, [*COMMON, "path", "storage_conn_id", "file_format"]),
    ],
)
def test_an_odd_value_is_taken_or_refused_with_one_error(operator: Any, names: list[str]) -> None:
    @settings(max_examples=300, deadline=None)
    @given(st.dictionaries(st.sampled_from(names), ODD, min_size=1, max_size=2))
    def refuse(arguments: dict[str, Any]) -> None:
        with suppress(InvalidRequest):
            operator(**arguments)

    refuse()


@pytest.mark.parametrize("operator", [to_warehouse, to_files])
def test_an_odd_value_of_a_template_is_taken_or_refused_with_one_error(operator: Any) -> None:
    rendered = ["voice_conn_id", "start", "end", "agent_id", "direction", "source"]

    @settings(max_examples=300, deadline=None)
    @given(st.dictionaries(st.sampled_from(rendered), ODD, min_size=1, max_size=3))
    def refuse(values: dict[str, Any]) -> None:
        task = operator()
        for name, value in values.items():
            setattr(task, name, value)
        with suppress(InvalidRequest):
            task.scope()
            task.bounds()

    refuse()


@pytest.mark.parametrize("schema", ["marts; DROP", 3, b"marts", "x" * 51, ["marts"]])
def test_a_schema_that_is_no_name(schema: Any) -> None:
    with pytest.raises(InvalidRequest, match="schema"):
        to_warehouse(schema=schema)


@pytest.mark.parametrize("table", ["", None, 'calls"', "a.b", "1st", 3])
def test_a_table_that_is_no_name(table: Any) -> None:
    with pytest.raises(InvalidRequest, match="table"):
        to_warehouse(table=table)


@pytest.mark.parametrize("path", [None, "", 3, b"s3://x", "s3://a\x00", []])
def test_a_path_that_is_none(path: Any) -> None:
    with pytest.raises(InvalidRequest, match="path"):
        to_files(path=path)


def test_an_agent_id_becomes_text() -> None:
    assert to_warehouse(agent_id=101).scope() == Scope("voice_default", "101")
    for wrong in (-1, True, 1.5, b"101", "x" * 300):
        with pytest.raises(InvalidRequest, match="agent_id"):
            to_warehouse(agent_id=wrong)


def test_an_unknown_file_format_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="file_format"):
        to_files(file_format="csv")


@pytest.mark.parametrize("operator", [to_warehouse, to_files])
@pytest.mark.parametrize("name", ["voice_conn_id", "start", "end", "agent_id", "direction", "source"])
def test_the_output_of_another_task_is_checked_when_it_is_known(operator: Any, name: str) -> None:
    with DAG("exports", schedule=None):
        output = BaseOperator(task_id="before").output
        task = operator(**{name: output})
    assert getattr(task, name) is output
    assert task.upstream_task_ids == {"before"}


@pytest.mark.parametrize("operator", [to_warehouse, to_files])
def test_templates_are_checked_after_rendering(operator: Any) -> None:
    bounds = {"start": "{{ data_interval_start }}", "end": "{{ data_interval_end }}"}
    assert operator(**bounds, direction="{{ params.direction }}").direction == "{{ params.direction }}"


@pytest.mark.parametrize("operator", [to_warehouse, to_files])
@pytest.mark.parametrize(
    "rendered", [{"direction": "sideways"}, {"start": "soon"}, {"start": str(NOON), "end": str(NOON)}]
)
def test_what_a_template_came_to_is_refused_before_anything_is_asked(operator: Any, rendered: Any) -> None:
    class Untouched:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for")

    task = operator(start="{{ a }}", end="{{ b }}", direction="{{ c }}")
    for name, value in {"start": None, "end": None, "direction": "", **rendered}.items():
        setattr(task, name, value)
    task.hook = Untouched()
    with pytest.raises(Exception, match=r"direction|start"):
        task.execute({})


@pytest.mark.parametrize("operator", [to_warehouse, to_files])
def test_what_came_to_nothing_is_no_limit(operator: Any) -> None:
    assert operator(agent_id="", direction="", source="").scope() == Scope("voice_default")
