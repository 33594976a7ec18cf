"""Calls that a list has shown are distinguished from new ones, and do not fill the memory."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.vendors.listed_calls import ListedCalls

IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=3)


def calls_of(ids: list[str]) -> list[Call]:
    return [Call(id=call_id, vendor="talkover", status=CallStatus.COMPLETED) for call_id in ids]


@given(st.lists(st.lists(IDS | st.sampled_from(["1", "01", "1.0", "a", "A", "a ", "null", "true"]), max_size=8)))
def test_as_a_set_would(pages: list[list[str]]) -> None:
    listed, expected = ListedCalls(), dict[str, None]()
    for ids in pages:
        new = list(dict.fromkeys(call_id for call_id in ids if call_id not in expected))
        expected.update(dict.fromkeys(ids))
        assert [call.id for call in listed.add(calls_of(ids))] == new
        assert len(listed) == len(expected)


def test_the_first_of_two_rows_of_a_call_is_returned() -> None:
    first, second = calls_of(["c1", "c1"])
    (returned,) = ListedCalls().add([first, second])
    assert returned is first


def test_the_file_goes_with_the_object() -> None:
    listed = ListedCalls()
    ids = listed._ids
    del listed
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        ids.execute("SELECT 1")


GROWTH = """
import resource
from types import SimpleNamespace
from airflow_provider_voice.vendors.listed_calls import ListedCalls

listed = ListedCalls()
for page in range(600):
    if page == 50:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    listed.add([SimpleNamespace(id=f"an id that is as long as those of vendors {page}-{row}") for row in range(500)])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_calls() -> None:
    # In a process of its own: the peak of this one is from other tests.
    done = subprocess.run([sys.executable, "-c", GROWTH], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 4 * 1024  # KiB for 275,000 ids; a set takes 20 MiB
