"""Phone numbers: parsing to E.164, masking, candidate time zones.

``phonenumbers`` is imported with the first number that is parsed: its metadata would slow down every DAG file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import InvalidPhoneNumber

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

MASK = "•"

#: The signs that people write between the digits of a number, as part of a regular expression's ``[...]``.
SIGNS = r"\s()\uFF08\uFF09.\-\u2010-\u2015\u2212\uFF0D"
# A lenient parser would cut or guess anything else (letters, two numbers in one cell, an extension), and a call to a
# guessed number reaches a stranger.
_WRITTEN = re.compile(rf"(?:tel:)?\s*[+\uFF0B]?[{SIGNS}\d]+")
_MIN_DIGITS = 7
_MAX_E164_DIGITS = 15
# A date, or (as the group) a run of digits with the signs that people and URLs put between them. The date comes first,
# so that a number right behind it is a match of its own.
_DATE_OR_NUMBER = re.compile(
    r"(?:19|20)\d{2}-[01]\d-[0-3]\d(?!\d)"
    rf"|((?:\+|%2[Bb]|\uFF0B)?[(\uFF08]?\d(?:(?:%20|[{SIGNS}/])*\d){{6,}})"
)
_MASKED = re.compile(r"[*•xX#]{2}")


def parse_number(text: str, region: str | None = None) -> str:
    """Parse a phone number.

    >>> parse_number("(415) 555-2671", "US")
    '+14155552671'

    :param text: the number as people write it: ``+1 415 555 2671``, ``tel:+14155552671``, or a local form when
        ``region`` is given.
    :param region: two-letter ISO country for numbers written without ``+``; None: such numbers are refused.
    :return: the number with ``+`` and digits only, e.g. ``+14155552671``.
    :raises InvalidPhoneNumber: with the reason; the message shows the number masked.
    """
    import phonenumbers

    if not isinstance(text, str):
        raise InvalidPhoneNumber(f"A phone number must be text in quotes, such as '+1...', not {type(text).__name__}.")
    region = checked_region(region)
    written = text.strip()
    if not _WRITTEN.fullmatch(written) or not re.search(r"\d", written):
        raise _refused(text, "it is empty, or has letters, an extension or signs that are not part of one phone number")
    if region is None and not written.removeprefix("tel:").strip().startswith(("+", "\uff0b")):
        raise _refused(text, "it has no country code; write it with + or give a region")
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException as error:
        reasons = {error.INVALID_COUNTRY_CODE: "no such country code", error.TOO_LONG: "too long"}
        raise _refused(text, reasons.get(error.error_type, "too short")) from None
    if reason := _possible_reason(number):
        raise _refused(text, reason)
    if not phonenumbers.is_valid_number(number):
        raise _refused(text, f"no such number range in country code {number.country_code}")
    written_e164 = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    # phonenumbers knows national numbers that are longer than the standard allows, in Germany for one.
    if len(written_e164) > 1 + _MAX_E164_DIGITS:
        raise _refused(text, f"too long: an E.164 number has at most {_MAX_E164_DIGITS} digits")
    return written_e164


def checked_region(region: str | None) -> str | None:
    """Return the country of numbers that are written without ``+``.

    :param region: two-letter ISO country in any case; None or an empty text: there is none.
    :return: the country in upper case; None where there is none.
    :raises InvalidPhoneNumber: when there is no such country.
    """
    import phonenumbers

    if region is None or region == "":
        return None
    if not isinstance(region, str) or region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidPhoneNumber(
            f"{mask_numbers_in(repr(region))[:12]} is not a country code. Give a two-letter code such as 'US'."
        )
    return region.upper()


def _possible_reason(number: PhoneNumber) -> str | None:
    from phonenumbers import ValidationResult, is_possible_number_with_reason

    return {
        ValidationResult.TOO_SHORT: "too short",
        ValidationResult.TOO_LONG: "too long",
        ValidationResult.INVALID_LENGTH: "wrong length for its country",
        ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "it has no area code",
    }.get(is_possible_number_with_reason(number))


def _refused(text: str, reason: str) -> InvalidPhoneNumber:
    return InvalidPhoneNumber(f"{mask_number(text)} cannot be called: {reason}.")


def mask_number(number: str | None) -> str:
    """Mask the middle of a number, for logs and messages.

    :param number: any text; None gives ``"-"``.
    :return: e.g. ``+1415•••••71``; fewer than seven digits are masked completely.

    >>> mask_number("+14155552671")
    '+1415•••••71'
    """
    if number is None:
        return "-"
    number = re.sub(r"^%2[Bb]", "+", number.strip())
    digits = "".join(str(int(char)) for char in number if char.isdecimal())
    plus = "+" if number.startswith(("+", "\uff0b", "tel:+")) else ""
    if len(digits) < _MIN_DIGITS:
        return plus + MASK * max(len(digits), 3)
    head = 4 if len(digits) >= 10 else 2  # noqa: PLR2004 - country code and area code of a usual number
    return plus + digits[:head] + MASK * (len(digits) - head - 2) + digits[-2:]


def mask_numbers_in(text: str) -> str:
    """Mask everything in a text that may be a phone number.

    Meant for text that others have written (a vendor's message, a URL): a date stays readable, and any other run of
    seven or more digits counts as a number.

    :param text: any text.
    :return: the text with its numbers masked.
    """
    return _DATE_OR_NUMBER.sub(lambda found: mask_number(found[1]) if found[1] else found[0], text)


def shown(value: object) -> str:
    """Return a value for an error text: short, with phone numbers masked.

    :param value: any value.
    :return: at most 40 characters of its ``repr``.
    """
    try:
        return mask_numbers_in(repr(value))[:40]
    except Exception:  # noqa: BLE001 - a repr may raise anything; Python's own does for an integer of 5,000 digits
        return f"a value of type {type(value).__name__}"


def same_number(one: str | None, other: str | None) -> bool:
    """Return whether two texts are the same number, comparing digits only: vendors drop the ``+``.

    :param one: a number, or None.
    :param other: another one.
    :return: False when one of them is missing.
    """
    digits, other_digits = (re.sub(r"\D", "", text or "") for text in (one, other))
    return bool(digits) and digits == other_digits


def may_be_same_number(written: str | None, number: str) -> bool:
    """Return whether a text may be a number: also in its national form, with an exit code, masked or without a digit.

    For searches that must not overlook a call. Where :func:`same_number` is false, a true answer is a possibility only.

    :param written: the number as a vendor writes it, or None.
    :param number: an E.164 number.
    :return: False when it is certainly another number.
    """
    written = written or ""
    if not re.search(r"\d", written) or _MASKED.search(written) or same_number(written, number):
        return True
    from phonenumbers import MatchType, is_number_match

    return is_number_match(written, number) not in (MatchType.NOT_A_NUMBER, MatchType.NO_MATCH)


def national_digits(number: str) -> str:
    """Return the digits of a number as people in its country write it, with the prefix of their calls within it.

    >>> national_digits("+79123456789")
    '89123456789'

    :param number: an E.164 number.
    :return: digits; a leading zero is kept.
    """
    import phonenumbers

    form = phonenumbers.format_number(phonenumbers.parse(number, None), phonenumbers.PhoneNumberFormat.NATIONAL)
    return re.sub(r"\D", "", form)


def time_zones_of(parsed: PhoneNumber) -> tuple[str, ...]:
    """Return the IANA time zones in which a number may be.

    :param parsed: a number that ``phonenumbers`` has parsed.
    :return: zone names, e.g. ``("America/Los_Angeles",)``; empty when nothing is known: "unknown" is never UTC.
    """
    from phonenumbers import timezone  # its own metadata, larger than that of the numbers

    return tuple(zone for zone in timezone.time_zones_for_number(parsed) if zone != timezone.UNKNOWN_TIMEZONE)
