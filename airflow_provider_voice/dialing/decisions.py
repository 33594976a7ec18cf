"""The state machine of dialing as one table: what a try does, by the record of earlier tries.

The dialer follows the table row by row. The first row that matches decides.

======================  ===================================================================================
occasion of the try     meaning
======================  ===================================================================================
``first``               no earlier try of this task instance can have placed a call
``again``               a retry, a clear, or a mapped task that is new in a run that was cleared
``new call``            the first try after a user's clear, with ``on_clear="new_call"``
``redial``              a retry after an ending in ``redial_statuses``
======================  ===================================================================================

A *search* reads the vendor's list for the call of an earlier create. What the list shows decides:

=========================================================  ================================================
the vendor's list                                          what happens
=========================================================  ================================================
shows one call that is certainly ours                      the try adopts the call
shows several, or one that may not be ours                 the try fails; nothing is sent
cannot be read completely                                  the try fails; nothing is sent
shows no call                                              the second half of the step: place, or fail
has shown no call for as long as the user demands before   the try places the call
a stored intent is given up (``redial_when_absent_for``)
=========================================================  ================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_provider_voice.dialing.record import RecordState

Occasion = Literal["first", "again", "new call", "redial"]
Step = Literal["place", "attach", "search, then place", "search, then fail", "refuse"]

ANY = None

#: State of the stored record (``none``: there is no record), whether the record is of the same number, agent and
#: connection as this request (True when there is no record), occasion of the try: step.
STEPS: tuple[tuple[RecordState | Literal["none"] | None, bool | None, Occasion | None, Step], ...] = (
    # The user asks for another call.
    (ANY, ANY, "new call", "place"),
    # The intent is stored before a create is sent, so on a first try "no record" means "nothing was sent".
    ("none", ANY, "first", "place"),
    # Below Airflow 3.3 there is no store. With one, the record may have been deleted (clear_on_success, its retention),
    # or one read may have failed to return it. The list of a mapped task may have changed, so that another index rang
    # this person.
    ("none", ANY, ANY, "search, then place"),
    # The vendor did not accept the earlier create. A corrected request may be of a person whom another index rang.
    ("refused", True, ANY, "place"),
    ("refused", False, ANY, "search, then place"),
    # Somebody else may have been rung under this record; neither call can stand for the other.
    (ANY, False, ANY, "refuse"),
    ("ended", True, "redial", "place"),
    ("placed", True, ANY, "attach"),
    ("ended", True, ANY, "attach"),
    # A create may have been sent, and its answer is not known.
    ("intent", True, ANY, "search, then fail"),
)


def step_for(record: RecordState | Literal["none"], same_request: bool, occasion: Occasion) -> Step:
    """Return the step of the first row of :data:`STEPS` that matches a situation.

    :param record: state of the stored record; ``none`` when there is no record.
    :param same_request: whether the record is of the same request; True when there is no record.
    :param occasion: occasion of the try.
    :return: the step; the last rows of the table match every situation.
    """
    situation = (record, same_request, occasion)
    return next(
        step
        for *row, step in STEPS
        if all(column in (ANY, value) for column, value in zip(row, situation, strict=True))
    )
