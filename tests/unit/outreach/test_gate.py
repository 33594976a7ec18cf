"""Do-not-call lists as people write them: a doubt excludes."""

from __future__ import annotations

import pytest

from airflow_provider_voice.outreach.gate import matching

pytestmark = pytest.mark.once
NUMBER = "+14155552671"


@pytest.mark.parametrize(
    "entry",
    ["+14155552671", "+1 (415) 555-2671", "14155552671", "4155552671", "0014155552671", "011 1 415 555 2671",
     "04155552671", 14155552671, "+14155552671 ext. 12", "555-2671"],
)  # fmt: skip
def test_written_forms_match(entry) -> None:
    assert matching([NUMBER, "+33123456789"], [entry]) == {NUMBER}


@pytest.mark.parametrize("entry", [None, "", "x", "+14155552672", "555", "+4155552671"])
def test_others_do_not(entry) -> None:
    assert matching([NUMBER], [entry]) == set()
