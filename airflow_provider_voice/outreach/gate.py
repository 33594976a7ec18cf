"""May a contact be called now? Do-not-call list and policy are asked right before every call, and fail closed."""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import bindparam, text

from airflow_provider_voice.exceptions import InvalidRequest, LedgerFailed, VoiceError
from airflow_provider_voice.outreach.states import ON_DO_NOT_CALL_LIST, ContactState, NextState
from airflow_provider_voice.outreach.user_queries import ask
from airflow_provider_voice.phone import may_be_same_number, national_digits
from airflow_provider_voice.policy import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from airflow_provider_voice.outreach.ledger import Ledger
    from airflow_provider_voice.outreach.states import Claimed
    from airflow_provider_voice.policy import ContactPolicy, Place

T = TypeVar("T")

log = logging.getLogger(__name__)

_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
# The last digits of a number that every way of writing it has: in Argentina, a 15 may stand before the last six.
_ENDING = 6
_LENGTHS = range(_FEWEST_DIGITS, _MOST_DIGITS + 1)
_IN_PARENTHESES = re.compile(r"\(\s*:numbers\s*\)")
_PLAIN = re.compile(r"\+?[0-9]+")
_ENDING_OF_FLOAT = re.compile(r"(?<=\d)\.0+$")
#: What people write beside a number in one field: a name, an extension, another number.
_BESIDE_A_NUMBER = re.compile(r"[^\W\d_]+|[;,:|/#=]")


class DoNotCall(Protocol):
    """A list of people who must not be called."""

    def listed(self, numbers: Collection[str]) -> set[str]:
        """Return those of the E.164 numbers that are on the list; raise when the list cannot be read.

        :param numbers: E.164 numbers.
        :return: those on the list.
        """


@dataclass
class Verdicts:
    """The decisions about some contacts.

    :param allowed: may be called now.
    :param refused: may not be called now, with their next states.
    :param checked: how many attempts of each number caps were checked with; ``None``: there are no caps.
    """

    allowed: list[Claimed] = field(default_factory=list)
    refused: list[tuple[Claimed, NextState]] = field(default_factory=list)
    checked: Mapping[str, int] | None = None


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
        """Decide which contacts may be called now.

        :param claimed: the contacts.
        :return: the contacts that may be called, and the next states of the others.
        :raises VoiceError: when the list or the ledger cannot be read; then nobody may.
        """
        verdicts = Verdicts()
        if not claimed:
            return verdicts
        numbers = {contact.to for contact in claimed}
        listed = self.listed(numbers)
        history, now = self.history(numbers)
        if now is not None:
            verdicts.checked = {number: len(history.get(number, ())) for number in numbers}
        for contact in claimed:
            refusal = self.lasting_refusal(contact, is_listed=contact.to in listed)
            if refusal is None and now is not None:
                place = self.place_of(contact)
                refusal = self.refusal_at(place, now, history.get(contact.to, ()), contact.state)
            if refusal is None:
                verdicts.allowed.append(contact)
            else:
                verdicts.refused.append((contact, refusal))
        return verdicts

    def listed(self, numbers: Collection[str]) -> set[str]:
        """Return those of the numbers that are on the do-not-call list now.

        :param numbers: E.164 numbers.
        :return: those on the list; none without a list.
        :raises LedgerFailed: when the list cannot be read.
        """
        if self._do_not_call is None:
            return set()
        try:
            return self._do_not_call.listed(numbers)
        except VoiceError as error:
            if error.permanent or isinstance(error, LedgerFailed):
                raise
            name = error.code
        except Exception as error:  # noqa: BLE001 - a list that cannot be read allows nobody
            name = type(error).__name__
        raise LedgerFailed(f"The do-not-call list cannot be read ({name}), so nobody is called. It is asked again.")

    def history(self, numbers: Collection[str]) -> tuple[dict[str, list[datetime]], datetime | None]:
        """Return the earlier attempts that caps count, by number, and the ledger's time; nothing without a policy.

        :param numbers: E.164 numbers.
        :return: times by number, and the time at which they were read.
        """
        return ({}, None) if self._policy is None else self._ledger.history(numbers)

    def lasting_refusal(self, contact: Claimed, *, is_listed: bool) -> NextState | None:
        """Return why a contact is never called again; ``None`` when the policy decides.

        :param contact: the contact.
        :param is_listed: whether its number is on the do-not-call list.
        :return: its final state, or ``None``.
        """
        if contact.attempts >= self._max_attempts:
            return NextState(ContactState.EXHAUSTED, f"all of {self._max_attempts} attempts were made")
        if is_listed:
            return NextState(ContactState.EXCLUDED, ON_DO_NOT_CALL_LIST)
        return None

    def place_of(self, contact: Claimed) -> Place | NextState | None:
        """Return the properties of a contact that the policy reads, or why it cannot; ``None`` without a policy.

        :param contact: the contact.
        :return: the place; a :class:`NextState` when the policy failed.
        """
        policy = self._policy
        if policy is None:
            return None
        person = (contact.to, contact.time_zone, contact.jurisdiction)
        return _guarded(lambda: policy.place_of(Person(*person)))

    def refusal_at(
        self, place: Place | NextState | None, at: datetime, attempts: Iterable[datetime], state: ContactState
    ) -> NextState | None:
        """Return why the policy forbids a call at an instant, and the next state; ``None`` when it allows the call.

        :param place: the result of :meth:`place_of`.
        :param at: when the call would start.
        :param attempts: earlier attempts to the number.
        :param state: the contact's state, which it keeps when it may be called later.
        :return: the next state of the contact, or ``None``.
        """
        policy = self._policy
        if policy is None or place is None or isinstance(place, NextState):
            return place if isinstance(place, NextState) else None
        # An attempt never lies ahead: it was stored after the clock was read and before the attempts were.
        decision = _guarded(lambda: policy.decide_at_place(place, at, [min(attempt, at) for attempt in attempts]))
        if isinstance(decision, NextState) or decision.allowed:
            return decision if isinstance(decision, NextState) else None
        if decision.next_at is None:
            return NextState(ContactState.EXCLUDED, decision.reason)
        return NextState(state, decision.reason, decision.next_at)


def _guarded(ask: Callable[[], T]) -> T | NextState:
    """Return the policy's answer; when it fails, this contact is not called and the others are."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - see above
        said = error.message if isinstance(error, VoiceError) else type(error).__name__
        log.warning("The policy could not decide about a contact: %s", said)
        return NextState(ContactState.EXCLUDED, f"the policy could not decide: {said}")


class ListedNumbers:
    """A do-not-call list whose numbers were written by people, read as a whole.

    A list that had entries and has none now is taken for broken.

    :param read: reads the whole list as it is now; called for every batch.
    """

    def __init__(self, read: Callable[[], Iterable[object]]) -> None:
        self._read = read
        self._had_entries = False

    def listed(self, numbers: Collection[str]) -> set[str]:
        """Return those of the numbers that are on the list now.

        :param numbers: E.164 numbers.
        :return: those on the list.
        :raises LedgerFailed: when the list had entries and is empty now.
        :raises InvalidRequest: when no entry is a number.
        """
        entries = iter(self._read())
        first = list(islice(entries, 1))
        if self._had_entries and not first:
            raise LedgerFailed(
                "The do-not-call list had entries and is empty now, so nobody is called. It is asked again. If it is "
                "right, run the task again."
            )
        self._had_entries = bool(first)
        return matching(numbers, _of_numbers(chain(first, entries), numbers))


class NumbersQuery:
    """A do-not-call list in a database that looks up the numbers of a batch.

    :param engine: the list's database.
    :param sql: a query whose first column is a number; ``IN :numbers`` in it looks up the batch, as E.164.
    """

    def __init__(self, engine: Engine, sql: str) -> None:
        self._engine = engine
        # The list is written with parentheses of its own; in two pairs it would be one row of values.
        self._sql = _IN_PARENTHESES.sub(":numbers", sql)

    def listed(self, numbers: Collection[str]) -> set[str]:
        """Return those of the numbers that are on the list now.

        :param numbers: E.164 numbers.
        :return: those on the list.
        :raises InvalidRequest: when no entry is a number.
        """
        query = text(self._sql).bindparams(bindparam("numbers", list(numbers), expanding=True))
        listed = ask("do_not_call", self._engine, lambda database: database.execute(query).scalars())
        return matching(numbers, _of_numbers(listed, numbers))


def _entries(engine: Engine, sql: str) -> Iterator[object]:
    return ask("do_not_call", engine, lambda connection: connection.exec_driver_sql(sql).scalars())


def do_not_call_of(source: Any, engine: Engine | None, *, is_expected: bool) -> DoNotCall | None:
    """Return the do-not-call list that a user gave.

    :param source: SQL, a list of numbers, or nothing.
    :param engine: the database that SQL runs on.
    :param is_expected: whether nothing means that the list is missing, and not that there is none.
    :return: the list; ``None``: there is none.
    :raises InvalidRequest: when the list is missing, is SQL without a database, or is not a list.
    """
    if source is None or (isinstance(source, str) and not source.strip()):
        if is_expected:
            raise InvalidRequest(
                "do_not_call is empty: its template or the task it comes from returned nothing, or do_not_call_conn_id "
                "was given without it. Nobody is called. To exclude nobody, give an empty list: []."
            )
        return None
    if isinstance(source, str):
        if engine is None:
            raise InvalidRequest("do_not_call is SQL, so it needs do_not_call_conn_id: the connection it runs on.")
        return (
            NumbersQuery(engine, source) if ":numbers" in source else ListedNumbers(partial(_entries, engine, source))
        )
    if not isinstance(source, Iterable):
        raise InvalidRequest(f"do_not_call must be SQL or a list of numbers, not {type(source).__name__}.")
    # Kept: an iterator would be empty when it is asked before the second call.
    entries = list(source)
    return ListedNumbers(lambda: entries)


def matching(numbers: Collection[str], written: Iterable[object]) -> set[str]:
    """Return those of the E.164 numbers that a list names, however the list writes them.

    A doubt excludes. An entry matches every number that it may be as people in the number's country write it: without
    the country code, with a trunk prefix (``+44 (0)20``, Russia's ``8 912``) or in a form of the past (Mexico's
    ``+52 1``). An entry with ``+`` also matches with an extension behind its digits, one without it every number that
    its digits end in (it may begin with ``00`` or ``011``). Text beside the number is ignored.

    :param numbers: E.164 numbers.
    :param written: the entries of the list; of an entry that is a row, the first column counts.
    :return: those that an entry may mean.
    :raises InvalidRequest: when an entry is not a number, so that it is not known whom it means.
    """
    by_digits = {number.lstrip("+"): number for number in numbers}
    # A long list is compared only with the few numbers that end as an entry does.
    by_ending: dict[str, set[str]] = {}
    for digits, number in by_digits.items():
        length = min(_ENDING, len(national_digits(number).lstrip("0")))
        by_ending.setdefault(digits[-length:], set()).add(number)
    lengths = {len(ending) for ending in by_ending}
    found: set[str] = set()
    for entry in written:
        for has_plus, digits in _readings(_entry_text(entry)):
            alike = chain.from_iterable(by_ending.get(digits[-length:], ()) for length in lengths)
            found.update(number for number in alike if _may_be("+" * has_plus + digits, number))
            parts = [digits[:length] if has_plus else digits[-length:] for length in _LENGTHS]
            found.update(by_digits[part] for part in parts if part in by_digits)
    return found


def _of_numbers(entries: Iterable[object], numbers: Collection[str]) -> Iterator[object]:
    """Yield the entries of a list; raise in the end when none is long enough for a number: it is another column."""
    fewest = min((len(national_digits(number).lstrip("0")) for number in numbers), default=0)
    has_text = has_number = False
    for entry in entries:
        if not has_number:
            text = _entry_text(entry)
            has_text = has_text or bool(text)
            has_number = sum(map(str.isdecimal, text)) >= min(fewest, _FEWEST_DIGITS)
        yield entry
    if has_text and not has_number:
        raise InvalidRequest(
            "The do-not-call list has entries, and none of them is a phone number, so nobody is called. Its first "
            "column must be the number."
        )


def _may_be(written: str, number: str) -> bool:
    """Return whether digits may be a number; short ones only when they are the whole number within its country."""
    without_zeros = written.lstrip("0")
    if len(written) < _FEWEST_DIGITS:
        return without_zeros == national_digits(number).lstrip("0")
    # Nothing but zeros is a placeholder in many lists.
    return bool(without_zeros) and (may_be_same_number(written, number) or may_be_same_number(without_zeros, number))


def _entry_text(entry: object) -> str:
    """Return the text of an entry, as ``14155552671`` also for the number 14155552671.0 of a column of floats."""
    if isinstance(entry, (list, tuple)) and entry:
        entry = entry[0]
    if entry is None or (isinstance(entry, float) and math.isnan(entry)):
        return ""
    if isinstance(entry, (float, Decimal)) and entry == int(entry):
        entry = int(entry)
    if isinstance(entry, bytes):
        entry = entry.decode("utf-8", "replace")
    if isinstance(entry, bool) or not isinstance(entry, (str, int)):
        raise InvalidRequest(
            f"The do-not-call list has an entry of type {type(entry).__name__}; every entry must be a number, or a row "
            "whose first column is one. Nobody is called."
        )
    return str(entry).strip()


def _readings(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the digits of an entry in every way in which it can be read, each with whether a ``+`` stands before."""
    if _PLAIN.fullmatch(text):
        yield text.startswith("+"), text.lstrip("+")
        return
    # Signs of other scripts and widths become those of ASCII.
    text = unicodedata.normalize("NFKC", text)
    # 14155552671.0 is a number of a column of floats, 415.555.0000 a number with dots, and +49 (0)89 1234567-12 has an
    # extension, behind which phonenumbers does not see the number.
    forms = {text, _ENDING_OF_FLOAT.sub("", text), text.replace("(0)", "")}
    for part in forms.union(*map(_BESIDE_A_NUMBER.split, forms)):
        digits = "".join(str(unicodedata.decimal(char)) for char in part if char.isdecimal())
        yield part.lstrip("( \ufeff").startswith("+"), digits
