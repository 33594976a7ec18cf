"""The digest of a plan: the same in every process, and another one when contacts or settings change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_voice.outreach.contacts import Columns, contacts_of
from airflow_provider_voice.outreach.plan import PlanDigest
from airflow_provider_voice.policy import ContactPolicy

ROWS = [{"contact_id": "a", "to": "+14155552671", "name": "Ada"}, {"contact_id": "b", "to": "12"}]
PRINT_DIGEST = """
from airflow_provider_voice.outreach.plan import PlanDigest
from airflow_provider_voice.policy import ContactPolicy
print(PlanDigest({"policy": ContactPolicy.load("us", "fr"), "context": {"a": {1, "x", None}}}).plan_id)
"""
RULES = "title: t\nas_of: 2026-01-01\nrules:\n  - {{id: one, hours: {{mon-fri: ['{hours}']}}}}\n"


def plan_id(rows: list[dict], **settings: object) -> str:
    digest = PlanDigest({"policy": None, **settings})
    assert len(list(digest.read(contacts_of(rows, Columns())))) == len(rows)
    return digest.plan_id


def test_every_process_has_the_same_digest() -> None:
    # Sets have another order in every process, because the hash of a text is seeded.
    ids = {
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST], check=True, capture_output=True, text=True,
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": str(Path(__file__).parents[3])},
        ).stdout
        for seed in range(3)
    }  # fmt: skip
    assert len(ids) == 1


def test_the_order_of_the_contacts_does_not_matter() -> None:
    assert plan_id(ROWS) == plan_id(ROWS[::-1])


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:1],
        [*ROWS, {"contact_id": "c", "to": "+14155552672"}],
        [{**ROWS[0], "to": "+14155552672"}, ROWS[1]],
        [{**ROWS[0], "name": "Grace"}, ROWS[1]],
        [{**ROWS[0], "time_zone": "America/New_York"}, ROWS[1]],
        [{**ROWS[0], "jurisdiction": "US-FL"}, ROWS[1]],
        [ROWS[0], {**ROWS[1], "to": "+14155552673"}],
    ],
    ids=["fewer", "more", "number", "variable", "time zone", "jurisdiction", "can be called now"],
)
def test_a_changed_contact_changes_the_digest(rows) -> None:
    assert plan_id(rows) != plan_id(ROWS)


def test_a_changed_rule_file_changes_the_digest(tmp_path) -> None:
    path = tmp_path / "rules.yaml"
    found = []
    for hours in ("08:00-20:00", "08:00-21:00"):
        path.write_text(RULES.format(hours=hours))
        found.append(plan_id(ROWS, policy=ContactPolicy.load(path)))
    found.append(plan_id(ROWS, policy=ContactPolicy.load(path, max_zone_spread=2)))
    assert len({*found, plan_id(ROWS)}) == 4


def test_changed_settings_change_the_digest() -> None:
    assert len({plan_id(ROWS, limits=limits) for limits in ([None, 10], [60, 10], [60, 20])}) == 3


def test_the_order_of_rows_with_one_key_matters() -> None:
    # The first one is called.
    rows = [{"contact_id": "a", "to": "+14155552671"}, {"contact_id": "a", "to": "+14155552672"}]
    assert plan_id(rows) != plan_id(rows[::-1])
