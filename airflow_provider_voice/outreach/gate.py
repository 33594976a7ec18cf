"""May a contact be called now? Do-not-call list and policy are asked right before every call, and fail closed."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_provider_voice.exceptions import LedgerFailed, VoiceError
from airflow_provider_voice.outreach.ledger import NextState
from airflow_provider_voice.outreach.states import ContactState
from airflow_provider_voice.policy import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from airflow_provider_voice.outreach.ledger import Claimed, Ledger
    from airflow_provider_voice.policy import ContactPolicy

log = logging.getLogger(__name__)

_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_LENGTHS = range(_FEWEST_DIGITS, _MOST_DIGITS + 1)


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
        listed = self.listed(numbers)
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

    def listed(self, numbers: Collection[str]) -> set[str]:
        """Return those of the numbers that are on the do-not-call list now.

        :raises LedgerFailed: when the list cannot be read.
        """
        if self._do_not_call is None:
            return set()
        try:
            return self._do_not_call.listed(numbers)
        except VoiceError:
            raise
        except Exception as error:  # noqa: BLE001 - a list that cannot be read allows nobody
            name = type(error).__name__
        raise LedgerFailed(f"The do-not-call list cannot be read ({name}), so nobody is called. It is asked again.")

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
        return self._refusal_of(self._policy, contact, at, attempts)

    @staticmethod
    def _refusal_of(
        policy: ContactPolicy, contact: Claimed, at: datetime, attempts: Iterable[datetime]
    ) -> NextState | None:
        try:
            person = Person(contact.to, contact.time_zone, contact.jurisdiction)
            decision = policy.decide(person, at, list(attempts))
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

    :param read: reads the whole list as it is now; called for every batch.
    """

    def __init__(self, read: Callable[[], Iterable[object]]) -> None:
        self._read = read

    def listed(self, numbers: Collection[str]) -> set[str]:
        """Return those of the numbers that are on the list now."""
        return matching(numbers, self._read())


def matching(numbers: Collection[str], written: Iterable[object]) -> set[str]:
    """Return those of the E.164 numbers that a list names, however the list writes them.

    A doubt excludes. An entry with ``+`` matches by its digits, also with an extension behind them. An entry without it
    matches every number that ends in its digits (it may lack the country code, or have a leading zero), and every
    number that its own digits end in (it may begin with ``00`` or ``011``).

    :param numbers: E.164 numbers.
    :param written: the entries of the list.
    """
    by_digits = {number.lstrip("+"): number for number in numbers}
    endings: dict[str, set[str]] = {}
    for digits, number in by_digits.items():
        for length in range(_FEWEST_DIGITS, len(digits) + 1):
            endings.setdefault(digits[-length:], set()).add(number)
    found: set[str] = set()
    for entry in written:
        text = "" if entry is None else str(entry).strip()
        digits = re.sub(r"\D", "", text)
        parts = [digits[:length] for length in _LENGTHS]
        if not text.startswith("+"):
            found |= endings.get(digits.lstrip("0"), set())
            parts = [digits[-length:] for length in _LENGTHS]
        found.update(by_digits[part] for part in parts if part in by_digits)
    return found
