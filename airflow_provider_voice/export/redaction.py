"""Removal of phone numbers from a row: the call's own in any form, other people's where they are written as such."""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_voice.phone import SIGNS, mask_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_voice.models import Call

#: So many digits of a number that follow each other name a person: a local number without its area code.
MIN_DIGITS = 7

_RUN = re.compile(rf"\d(?:[\W_]*\d){{{MIN_DIGITS - 1},}}")
# Separators between two digits that hold digits or letters themselves: URL escapes (also twice), JSON, Python, HTML.
_ESCAPE = re.compile(r"%(?:25)*[0-9A-Fa-f]{2}|\\+(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[nrtbf])|&#?\w{1,8};|<[^<>]{1,80}>")
_MAY_ESCAPE = re.compile(r"[%\\&<]")
# A transcript may have the digits as they were spoken.
_DIGITS = {"oh": "0"} | {word: str(digit) for digit, word in enumerate(
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
)}  # fmt: skip
_SPOKEN = re.compile(rf"\b(?:{'|'.join(_DIGITS)})\b", re.IGNORECASE)
_SPOKEN_RUN = re.compile(rf"(?:(?:{_SPOKEN.pattern}|\b\d+\b)[\W_]*){{4,}}", re.IGNORECASE)
_PREFIX = re.compile(r"(?:\+|%2[Bb]|\uFF0B)?[(\uFF08]?\Z")
# Full texts that have many digits and are not phone numbers: times in ISO 8601, and UUIDs.
_TIME_OR_ID = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
)
_OTHER_NUMBER = re.compile(
    rf"(?:\+|%2[Bb]|\uFF0B)[\s(]*(?!0)\d(?:(?:%20|[{SIGNS}/])*\d){{6,14}}(?!\d)"
    rf"|\(\d{{2,5}}\)[{SIGNS}]*\d(?:[{SIGNS}]?\d){{4,9}}(?!\d)"
    rf"|(?<![\w.\-/+])(?:1[{SIGNS}]{{1,2}})?\d{{3}}(?P<sign>[{SIGNS}])\d{{3}}(?P=sign)\d{{4}}(?![\w\-/])"
)
_NUMBER_FIELD = re.compile(r"(?i:phone|mobile|msisdn|whatsapp|caller|callee|(?:to|from|contact|customer)_?number)")
_WRITTEN_NUMBER = re.compile(r"\s*[+\uFF0B]?(?:[\s().\-/]*\d){7,15}\s*")
# sip:+14155552671@10.0.0.1, +1 415 555 2671 ext. 89
_INSIDE = re.compile(r"\+?\d[\d\s().\-]{5,}\d")
_SIGNS = str.maketrans("", "", string.punctuation + string.whitespace)
# Texts of the vendor or the user beside ``raw``, in which a phone number may stand.
_VENDOR_TEXTS = ("tag", "agent_id", "agent_name", "vendor_status", "recording_url")


def hash_number(number: str) -> str:
    """Return SHA-256 of a number's digits with ``+``, in hexadecimal.

    The same number has the same hash everywhere, so tables can still be joined by it. The hash is a pseudonym, not a
    secret: there are few enough phone numbers to try them all.

    :param number: the number, in any form with its country code.
    :return: 64 hexadecimal digits.
    """
    digits = (str(unicodedata.decimal(char)) for char in number if char.isdecimal())
    return hashlib.sha256(f"+{''.join(digits)}".encode()).hexdigest()


#: By mode, the replacement of a number. Cached: a row shows each number several times, and one caller has many calls.
REPLACEMENTS: dict[str, Callable[[str], str]] = {
    "masked": lru_cache(maxsize=4096)(mask_number),
    "hashed": lru_cache(maxsize=4096)(hash_number),
}


def redacted_call(call: Call, mode: str) -> Call:
    """Return a call without phone numbers, by the rule of :class:`PhoneRedactor`; its id stays as it is.

    :param call: the call.
    :param mode: ``masked`` or ``hashed``; any other one fails, so that no number is shown by mistake.
    :return: the copy.
    """
    replace_number = REPLACEMENTS[mode]
    redact = PhoneRedactor(mode, filter(None, (call.to, call.from_))).value
    return replace(
        call,
        to=call.to and replace_number(call.to),
        from_=call.from_ and replace_number(call.from_),
        raw=redact(dict(call.raw)),
        **{name: redact(getattr(call, name)) for name in _VENDOR_TEXTS},
    )


class PhoneRedactor:
    """Replaces phone numbers by their mask or hash.

    The rule, for texts, whole numbers and decimal numbers:

    - The call's own ``to`` and ``from`` are replaced wherever the last seven of their digits, or all digits but two,
      follow each other, with any signs but letters between them; escapes of URLs, JSON and HTML and tags count as
      signs, and digits may be English words. Text beside the number (a date, an id) stays. One of fewer digits is
      replaced where it is the whole text of a field.
    - A number of somebody else is replaced when it is written as one: with ``+`` or ``%2B``, with its area code in
      parentheses, as groups of 3, 3 and 4 digits, or in the value of a field that is named after phone numbers
      (``caller``, ``customer_phone``), also in a list. Other digits are treated as an id, a time, a duration or a
      price, and are kept.
    - A text that is a time or a UUID, and nothing else, stays.

    :param mode: ``masked`` or ``hashed``.
    :param numbers: the call's own numbers.

    >>> PhoneRedactor("masked", ["+14155552671"]).value({"note": "2026-01-10 1/415/555/2671"})
    {'note': '2026-01-10 +1415•••••71'}
    """

    def __init__(self, mode: str, numbers: Iterable[str]) -> None:
        self._replace = REPLACEMENTS[mode]
        parts = {part: re.sub(r"\D", "", part) for number in numbers for part in _numbers_in(number)}
        # As vendors write them most of the time. One digit alone is no number.
        self._written = {
            form: self._replace(part) for part, digits in parts.items() for form in (part, digits) if len(form) > 1
        }
        self._forms = {form: self._replace(part) for part, digits in parts.items() for form in _forms_of(digits)}

    def value(self, value: Any) -> Any:
        """Return a copy of a JSON value without phone numbers.

        :param value: a text, a number, or a list or object of them; the names of an object's fields count as texts.
        :return: the copy; where a phone number was a JSON number, its replacement is a text.
        """
        kind = type(value)
        if kind is str:
            return self._text(value) if len(value) >= MIN_DIGITS else value
        if kind is dict:
            return dict(map(self._field, value.items()))
        if kind is list:
            return list(map(self.value, value))
        return self._number(value) if kind is int or kind is float else value

    def _number(self, value: float) -> Any:
        """Return a JSON number, or a text when a phone number is in it."""
        written = repr(value).removesuffix(".0")
        redacted = self._text(written) if len(written) >= MIN_DIGITS else written
        return value if redacted is written else redacted

    def _field(self, field: tuple[str, Any]) -> tuple[str, Any]:
        """Return the name and the value of an object's field without phone numbers."""
        name, value = field
        has_digits, is_of_number = _kind_of_field(name)
        if type(value) is list and is_of_number:
            redacted: Any = [self._field((name, each))[1] for each in value]
        else:
            redacted = self.value(value)
        if redacted is value and type(value) is str and value in self._written:
            redacted = self._written[value]  # too short to be searched for in texts: a short code, an extension
        elif redacted is value and is_of_number and type(value) in (str, int, float):
            redacted = self._number_in_field(value)
        return self._text(name) if has_digits else name, redacted

    def _number_in_field(self, value: Any) -> Any:
        """Return the value of a field that is named after phone numbers, without any."""
        written = str(value)
        if _WRITTEN_NUMBER.fullmatch(written):
            return self._replace(written)
        return _INSIDE.sub(lambda match: self._replace(match.group()), written) if type(value) is str else value

    def _text(self, text: str) -> str:
        """Return a text without phone numbers, the very same object when there are none."""
        if text in self._written:
            return self._written[text]
        if not _may_have_number(text):
            return text
        may_escape = _MAY_ESCAPE.search(text)
        if may_escape:
            # Blanks of the same length, so that a number keeps its place in the text.
            text = self._without_own(text, _ESCAPE.sub(lambda match: " " * len(match.group()), text))
        bare = text.translate(_SIGNS)
        if may_escape or not text.isascii() or any(form in bare for form in self._forms):
            text = self._without_own(text, text)
        text = _SPOKEN_RUN.sub(self._spoken, text)
        return _OTHER_NUMBER.sub(lambda match: self._replace(unquote(match.group())), text)

    def _spoken(self, run: re.Match[str]) -> str:
        """Return a run of digits and words for digits; where the call's number is in it, without it and in digits."""
        written = _SPOKEN.sub(lambda word: _DIGITS[word.group().lower()], run.group())
        redacted = self._without_own(written, written)
        return run.group() if redacted is written else redacted

    def _without_own(self, text: str, readable: str) -> str:
        """Return ``text`` without the call's numbers.

        :param text: the text.
        :param readable: a text of the same length, in which the numbers are searched for.
        """
        pieces: list[str] = []
        end = 0
        for run in _RUN.finditer(readable):
            for start, stop, replacement in self._spans(run.group()):
                pieces += (_PREFIX.sub("", text[end : run.start() + start], count=1), replacement)
                end = run.start() + stop
        return "".join([*pieces, text[end:]]) if pieces else text

    def _spans(self, run: str) -> Iterator[tuple[int, int, str]]:
        """Yield where a run of digits and signs has a number of the call: start, end and replacement."""
        places = [place for place, sign in enumerate(run) if sign.isdecimal()]
        digits = "".join(str(unicodedata.decimal(run[place])) for place in places)
        found = []
        for form, replacement in self._forms.items():
            at = digits.find(form)
            while at >= 0:
                found.append((at, at + len(form), replacement))
                at = digits.find(form, at + 1)
        done = 0
        for first, last, replacement in sorted(found, key=lambda span: (span[0], -span[1])):
            if last > done:
                yield places[max(first, done)], places[last - 1] + 1, replacement
                done = last


def _numbers_in(number: str) -> list[str]:
    """Return a number, and the number inside of it where it is an address or has an extension."""
    # Without letters it is one number, whatever signs part it: the end of its digits is not another number.
    inside = _INSIDE.findall(number) if number.lower() != number.upper() else []
    return [number, *(part for part in inside if sum(map(str.isdigit, part)) >= MIN_DIGITS)]


def _forms_of(digits: str) -> list[str]:
    """Return the rows of digits by which a number is recognized: its end of any length, and all digits but two."""
    forms = [digits[start:] for start in range(len(digits) - MIN_DIGITS + 1)]
    return [*forms, digits[:-2], digits[:-1], digits[1:-1]] if len(digits) - 2 >= MIN_DIGITS else forms


@lru_cache(maxsize=4096)
def _may_have_number(text: str) -> bool:
    """Return whether a text has to be searched; cached, because most texts of a record are those of the one before."""
    may = any(pattern.search(text) for pattern in (_RUN, _MAY_ESCAPE, _SPOKEN_RUN))
    return may and not _TIME_OR_ID.fullmatch(text)


@lru_cache(maxsize=4096)
def _kind_of_field(name: str) -> tuple[bool, bool]:
    """Return whether a field's name may have a phone number in it, and whether it says that its value is one."""
    return _may_have_number(name), bool(_NUMBER_FIELD.search(name))
