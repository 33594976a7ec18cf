"""The crash matrix of a campaign: a worker dies at every effect, for each vendor; nobody is rung more than allowed.

Every cell is a campaign of its own. By default a few cells run for each vendor and fault, spread over the first call and
its settlement, others for each; ``VOICE_FULL_MATRIX=1`` runs them all, and on every database.
"""

from __future__ import annotations

import os
import random

import pytest

from airflow_provider_voice.outreach.redial import RedialRules
from tests.integration.outreach.effects import Effects, run_until_death
from tests.integration.outreach.rig import BUSY, COMPLETED, Rig, number, people
from tests.support import forget_calls

pytestmark = pytest.mark.once

FULL = bool(os.environ.get("VOICE_FULL_MATRIX"))
#: How many effects the first calls and their settlement take, about; the rest repeats them.
FIRST_EFFECTS = 120
RULES = RedialRules.of(max_attempts=2, redial_after={"busy": 900})
ALLOWED = {number(0, COMPLETED): 1, number(1, BUSY): 2}
# Faults of the vendor beside the crash, and whether the phone rings all the same.
FAULTS = {
    "none": {},
    "answer lost": {"kind": "lost_answer"},
    "5xx after accept": {"kind": "status", "status": 502, "accepted": True},
    "5xx without accept": {"kind": "status", "status": 503},
    "reset": {"kind": "reset"},
    "too many": {"kind": "status", "status": 429, "retry_after": 2},
}


@pytest.fixture(params=["sqlite", "postgres", "mariadb"] if FULL else ["sqlite"])
def matrix_rig(request, ticking, engine_for, vendor_name) -> Rig:
    return Rig(ticking, engine_for(request.param), vendor_name)


def run_cell(rig: Rig, index: int, fault: dict, cell: tuple[int, str] | None) -> Effects:
    """Run one campaign whose first worker dies at ``cell``; then others finish it."""
    forget_calls(rig.sandbox)
    rig.sandbox.clear_faults()
    rig.name = rig.record.campaign = f"campaign {index} {cell}"
    rig.record = type(rig.record)(rig.database, rig.name)
    rig.load(people(COMPLETED, BUSY))
    if fault:
        rig.sandbox.add_fault(**fault)
    effects = Effects(cell)
    run_until_death(effects, rig.engine, lambda: rig.turn(rules=RULES))
    rig.finish(rules=RULES)
    check(rig, f"{rig.vendor}, {fault}, died {cell} at {effects.seen[-1:] if cell else None}")
    return effects


def check(rig: Rig, shown: str) -> None:
    rings = rig.rings()
    assert all(count <= ALLOWED[to] for to, count in rings.items()), (shown, rings)
    states = rig.states()
    assert set(states.values()) <= {"reached", "exhausted", "unknown"}, (shown, states)
    unknown = [row for row in rig.attempts() if row.state == "unknown"]
    assert all(row.evidence for row in unknown), shown
    assert sum(state == "unknown" for state in states.values()) == len(unknown), shown
    # Every ring is in the ledger, and every ring of the ledger happened: the sandbox's lists show every call at once.
    rang = {row.attempt_id if rig.vendor == "unleashx" else row.call_id for row in rig.rang_attempts()}
    heard = {ring.tag if rig.vendor == "unleashx" else ring.call_id for ring in rig.sandbox.rings}
    assert rang == heard, shown
    assert not [row for row in rig.attempts() if row.state in ("intent", "placed")], shown


@pytest.mark.parametrize("fault", FAULTS)
def test_crash_matrix(matrix_rig, fault) -> None:
    settings = FAULTS[fault]
    if not FULL and matrix_rig.vendor != "talkover" and fault not in ("none", "answer lost"):
        pytest.skip("the other faults run on one vendor; VOICE_FULL_MATRIX=1 runs them all")
    clean = run_cell(matrix_rig, 0, settings, None)
    assert "vendor.create" in clean.seen
    intent = clean.seen.index("INSERT INTO voice_outreach_attempts")
    assert "commit" in clean.seen[intent : clean.seen.index("vendor.create")]
    cells = [(place, when) for place in range(len(clean.seen)) for when in ("before", "after")]
    if not FULL:
        cells = random.Random(f"{fault} {matrix_rig.vendor}").sample(
            cells[: 2 * FIRST_EFFECTS], 3 if not settings else 1
        )
    for index, cell in enumerate(cells, 1):
        run_cell(matrix_rig, index, settings, cell)
