"""What an export refuses before anything is asked."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import Scope
from airflow_provider_voice.transfers.calls_to_object_storage import CallsToObjectStorageOperator
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator

pytestmark = pytest.mark.airflow
NOON = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)


def to_warehouse(**arguments: Any) -> CallsToWarehouseOperator:
    return CallsToWarehouseOperator(task_id="export", warehouse_conn_id="warehouse", **arguments)


def to_files(**arguments: Any) -> CallsToObjectStorageOperator:
    return CallsToObjectStorageOperator(task_id="export", path="file:///nowhere", **arguments)


@pytest.mark.parametrize("operator", [to_warehouse, to_files])
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"numbers": "secret"}, "numbers"),
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


@pytest.mark.parametrize(
    "arguments",
    [
        {"settle_after": timedelta(seconds=-1)},
        {"settle_after": 24},
        {"recheck_hours": -1},
        {"recheck_hours": float("nan")},
        {"recheck_hours": "24"},
        {"recheck_hours": True},
    ],
)
def test_spans_that_are_none(arguments: Any) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(arguments))):
        to_warehouse(**arguments)


def test_an_unknown_file_format_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="file_format"):
        to_files(file_format="csv")


@pytest.mark.parametrize("operator", [to_warehouse, to_files])
def test_templates_are_looked_at_when_they_are_rendered(operator: Any) -> None:
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
    from airflow_provider_voice.export.options import scope_of

    assert scope_of(operator(agent_id="", direction="", source="")) == Scope("voice_default")
