"""May a contact be called now? Do-not-call list and policy are asked right before every call, and fail closed."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_provider_voice.exceptions import VoiceError
from airflow_provider_voice.outreach.ledger import NextState
from airflow_provider_voice.outreach.states import ContactState
from airflow_provider_voice.policy import Person

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from airflow_provider_voice.outreach.ledger import Claimed, Ledger
    from airflow_provider_voice.policy import ContactPolicy

log = logging.getLogger(__name__)


class DoNotCall(Protocol):
    """A list of people who must not be called."""

    def listed(self, numbers: Collection[str]) -> set[str]:
        """Return those of the E.164 numbers that are on the list; raise when the list cannot be read."""


@dataclass
class Verdicts:
    """What the gate says of some contacts.

    :param allowed: may be called now.
    :param refused: may not, with what becomes of them.
    :param checked_at: the ledger's time at which caps were checked; ``None``: there are none.
    """

    allowed: list[Claimed] = field(default_factory=list)
    refused: list[tuple[Claimed, NextState]] = field(default_factory=list)
    checked_at: datetime | None = None


class Gate:
    """Decides for claimed contacts.

    :param ledger: where earlier attempts are looked up.
    :param policy: the contact policy; ``None``: no rules.
    :param do_not_call: the do-not-call list; ``None``: there is none.
    :param max_attempts: attempts a contact gets at most.
    """

    def __init__(
        self, ledger: Ledger, policy: ContactPolicy | None, do_not_call: DoNotCall | None, max_attempts: int
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._do_not_call = do_not_call
        self._max_attempts = max_attempts

    def check(self, claimed: Sequence[Claimed]) -> Verdicts:
        """Return who may be called now.

        :raises VoiceError: when the list or the ledger cannot be read; then nobody may.
        """
        verdicts = Verdicts()
        if not claimed:
            return verdicts
        numbers = {contact.to for contact in claimed}
        listed = self._do_not_call.listed(numbers) if self._do_not_call is not None else set()
        history: dict[str, list[datetime]] = {}
        now: datetime | None = None
        if self._policy is not None:
            history, now = self._ledger.history(numbers)
            verdicts.checked_at = now
        for contact in claimed:
            refusal = self.refusal(contact, now, history.get(contact.to, ()), is_listed=contact.to in listed)
            if refusal is None:
                verdicts.allowed.append(contact)
            else:
                verdicts.refused.append((contact, refusal))
        return verdicts

    def refusal(
        self, contact: Claimed, at: datetime | None, attempts: Iterable[datetime], *, is_listed: bool
    ) -> NextState | None:
        """Return why a contact may not be called at a moment and what becomes of it; ``None`` when it may."""
        if contact.attempts >= self._max_attempts:
            return NextState(ContactState.EXHAUSTED, f"all of {self._max_attempts} attempts were made")
        if is_listed:
            return NextState(ContactState.EXCLUDED, "on the do-not-call list")
        if self._policy is None or at is None:
            return None
        try:
            person = Person(contact.to, contact.time_zone, contact.jurisdiction)
            decision = self._policy.decide(person, at, list(attempts))
        except Exception as error:  # noqa: BLE001 - whatever a rule runs into, this person is not called and others are
            said = error.message if isinstance(error, VoiceError) else type(error).__name__
            log.warning("The policy could not decide about contact %s: %s", contact.key, said)
            return NextState(ContactState.EXCLUDED, f"the policy could not decide: {said}")
        if decision.allowed:
            return None
        if decision.next_at is None:
            return NextState(ContactState.EXCLUDED, decision.reason)
        return NextState(contact.state, decision.reason, decision.next_at)


class ListedNumbers:
    """A do-not-call list whose numbers were written by people.

    :param numbers: reads the whole list, as it is now; called for every batch.
    :param region: two-letter country of numbers written without ``+``.
    """

    def __init__(self, numbers: object, region: str | None = None) -> None:
        self._numbers = numbers
        self._region = region

    def listed(self, numbers: Collection[str]) -> set[str]:
        """Return those of the numbers that are on the list now."""
        read = self._numbers() if callable(self._numbers) else self._numbers
        return matching(numbers, read, self._region)  # type: ignore[arg-type]  # a callable or the list itself


def matching(numbers: Collection[str], written: Iterable[object], region: str | None) -> set[str]:
    """Return those of the E.164 numbers that a list names, however the list writes them.

    A doubt excludes: an entry matches by its number in E.164 form where it can be read, and by its digits anyway, also
    without the country code when it has at least seven of them.
    """
    by_digits: dict[str, str] = {number.lstrip("+"): number for number in numbers}
    found: set[str] = set()
    lengths = range(7, 16)
    endings: dict[str, set[str]] = {}
    for digits, number in by_digits.items():
        for length in lengths:
            if length <= len(digits):
                endings.setdefault(digits[-length:], set()).add(number)
    for entry in written:
        digits = re.sub(r"\D", "", str(entry)) if entry is not None else ""
        if str(entry).strip().startswith("+"):
            if digits in by_digits:
                found.add(by_digits[digits])
            continue
        # Written without +: with a leading 0 or 00, with or without its country.
        found |= endings.get(digits.lstrip("0"), set())
    return found


