"""Rule files, shipped or on disk: found by name or path, and read once until they change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.policy import ContactPolicy
from airflow_provider_voice.policy.rule_files import load_rule_file


@pytest.mark.parametrize("name", ["", "nowhere", "US", "../us", "no/such.yaml", "no-such.YML"])
def test_a_file_that_is_not_there(name) -> None:
    with pytest.raises(InvalidRequest, match=r"Write one of|Give the path|Write 'us'"):
        ContactPolicy.load(name)


def test_a_number_in_the_place_of_a_file_is_masked() -> None:
    with pytest.raises(InvalidRequest) as refused:
        ContactPolicy.load("+14155552671")
    assert "5552671" not in str(refused.value)


@pytest.mark.parametrize("source", [None, 7, b"us", ["us"]])
def test_what_is_no_file(source) -> None:
    with pytest.raises(InvalidRequest, match="name or a path"):
        ContactPolicy.load(source)


def test_a_number_in_the_path_of_a_file_is_masked() -> None:
    with pytest.raises(InvalidRequest, match="cannot be read") as refused:
        ContactPolicy.load("contacts/+14155552671")
    assert "4155552671" not in refused.value.message
    assert refused.value.__suppress_context__, "the system's error quotes the path"


def test_a_directory_is_no_file(tmp_path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        ContactPolicy.load(tmp_path)


def test_a_policy_without_files() -> None:
    with pytest.raises(InvalidRequest, match="at least one"):
        ContactPolicy.load()


@pytest.mark.parametrize("spread", [-1, 27, float("nan"), True, "5", None])
def test_a_zone_spread_that_makes_no_sense(spread) -> None:
    with pytest.raises(InvalidRequest, match="max_zone_spread"):
        ContactPolicy.load("us", max_zone_spread=spread)


def test_ids_are_unique_in_a_policy(tmp_path) -> None:
    path = tmp_path / "company.yaml"
    path.write_text("rules: [{id: us-hours, hours: {mon: []}}]\n", "utf-8")
    with pytest.raises(InvalidRequest, match=r"company\.yaml, rule us-hours: the id is not unique, us has it too"):
        ContactPolicy.load("us", path)
    with pytest.raises(InvalidRequest, match=r"us, rule us-hours: .* twice"):
        ContactPolicy.load("us", "us")


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch) -> None:
    path = tmp_path / "company.yaml"
    path.write_text("rules: [{id: a, hours: {mon: []}}]\n", "utf-8")
    first = load_rule_file(path)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read twice"))
    assert load_rule_file(str(path)) is first
    monkeypatch.undo()
    path.write_text("rules: [{id: b, hours: {mon: []}}]\n", "utf-8")
    os.utime(path, ns=(1, 1))
    assert load_rule_file(path).rules[0].id == "b"


def test_a_relative_path_is_read_where_the_process_is(tmp_path, monkeypatch) -> None:
    for name in "ab":
        path = tmp_path / name / "company.yaml"
        path.parent.mkdir()
        path.write_text(f"rules: [{{id: {name}, hours: {{mon: []}}}}]\n", "utf-8")
        os.utime(path, ns=(1, 1))
        monkeypatch.chdir(path.parent)
        assert load_rule_file("company.yaml").rules[0].id == name
