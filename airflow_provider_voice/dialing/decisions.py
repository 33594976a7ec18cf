"""The state machine of dialing, as two tables: what a try does, and what it does after it has looked at the vendor.

The dialer follows these tables row by row. The first row that fits decides.

======================  ===================================================================================
what this try is        meaning
======================  ===================================================================================
``first``               no earlier try of this task instance can have placed a call
``again``               a retry, a clear, or a mapped task that is new in a run that was cleared
``new call``            the first try after a user's clear, with ``on_clear="new_call"``
``redial``              a retry after an ending in ``redial_statuses``
======================  ===================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RecordedState = Literal["none", "intent", "placed", "refused", "ended"]
Occasion = Literal["first", "again", "new call", "redial"]
Step = Literal["place", "attach", "look, then place", "look, then fail", "refuse"]
Finding = Literal["one call", "nothing", "nothing for long", "unclear", "unreadable"]
Outcome = Literal["adopt", "place", "fail"]

ANY = None


@dataclass(frozen=True)
class Situation:
    """What a try finds before it does anything."""

    #: State of the stored record; ``none`` when there is no record.
    record: RecordedState
    #: Whether the record is of the same number, agent and connection as this request; True when there is no record.
    same_request: bool
    #: What this try is.
    occasion: Occasion


@dataclass(frozen=True)
class _Row:
    record: RecordedState | None
    same_request: bool | None
    occasion: Occasion | None
    step: Step

    def fits(self, situation: Situation) -> bool:
        """Tell whether every column of the row is ``ANY`` or equal to the situation's."""
        return (
            self.record in (ANY, situation.record)
            and self.same_request in (ANY, situation.same_request)
            and self.occasion in (ANY, situation.occasion)
        )


#: record, same request, occasion: step
STEPS = (
    # The user asks for another call.
    _Row(ANY, ANY, "new call", "place"),
    # The intent is stored before a create is sent, so on a first try "no record" means "nothing was sent".
    _Row("none", ANY, "first", "place"),
    # Below Airflow 3.3 there is no store. With one, the record may have been deleted (clear_on_success, its retention)
    # or hidden by one failed read; the list of a mapped task may have changed, so that another index rang this person.
    _Row("none", ANY, ANY, "look, then place"),
    # The vendor did not accept the earlier create. A corrected request may be of a person whom another index rang.
    _Row("refused", True, ANY, "place"),
    _Row("refused", False, ANY, "look, then place"),
    # Somebody else may have been rung under this record; neither call can stand for the other.
    _Row(ANY, False, ANY, "refuse"),
    _Row("ended", True, "redial", "place"),
    _Row("placed", True, ANY, "attach"),
    _Row("ended", True, ANY, "attach"),
    # A create may have been sent, and its answer is not known.
    _Row("intent", True, ANY, "look, then fail"),
)

#: (step, what the vendor's list shows): what happens. ``unclear``: several calls fit, or it is not certain that the one
#: that fits is ours.
OUTCOMES: dict[tuple[Step, Finding], Outcome] = {
    ("look, then place", "one call"): "adopt",
    ("look, then place", "nothing"): "place",
    ("look, then place", "unclear"): "fail",
    ("look, then place", "unreadable"): "fail",
    ("look, then fail", "one call"): "adopt",
    ("look, then fail", "nothing"): "fail",
    ("look, then fail", "nothing for long"): "place",  # the user allows it: redial_when_absent_for
    ("look, then fail", "unclear"): "fail",
    ("look, then fail", "unreadable"): "fail",
}


def step_for(situation: Situation) -> Step:
    """Return the first step of a try.

    :param situation: what the try finds.
    :return: the step of the first row that fits; the last rows of the table cover every situation.
    """
    return next(row.step for row in STEPS if row.fits(situation))
