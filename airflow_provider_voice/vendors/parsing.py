"""Reads values out of a vendor's JSON, whatever type they turn out to be."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_voice.exceptions import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def path_segment(value: object) -> str:
    """Return an id quoted for one segment of a URL's path.

    :param value: the id.
    :return: the quoted text.
    :raises InvalidRequest: for an empty id, and for ``.`` and ``..``, which would address another path.
    """
    text = str(value)
    if text.strip() in ("", ".", ".."):
        raise InvalidRequest(f"{text!r} is not an id. Give the id that the vendor shows.")
    return quote(text, safe="", errors="surrogatepass")


def as_rows(value: Any) -> list[dict[str, Any]] | None:
    """Return ``value`` when it is a list of objects; None otherwise.

    :param value: any JSON value.
    :return: the list itself.
    """
    return value if isinstance(value, list) and all(isinstance(row, dict) for row in value) else None


def as_object(value: Any) -> dict[str, Any]:
    """Return ``value`` when it is an object; an empty one otherwise.

    :param value: any JSON value.
    :return: the object itself, or a new empty one.
    """
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str | None:
    """Return an id or text of any JSON type as text; None for an empty text and for other values.

    :param value: any JSON value.
    :return: the text without blanks around it.
    """
    if isinstance(value, str):
        return value.strip() or None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return str(value) if is_number else None


def as_float(value: Any) -> float | None:
    """Return a finite number, also from a text such as ``"0.077"``; None for other values.

    :param value: any JSON value.
    :return: the number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_int(value: Any) -> int | None:
    """Return a non-negative integer of at most 63 bits; None for other values.

    :param value: any JSON value.
    :return: the number, its decimals cut off.
    """
    number = as_float(value)
    return int(number) if number is not None and 0 <= number < 2**63 else None


def first_text(row: Mapping[str, Any], *names: str) -> str | None:
    """Return the first value under one of the names that is an id or a text; see :func:`as_text`.

    :param row: an object of the vendor.
    :param names: field names, the most likely one first.
    :return: the text; None when there is none.
    """
    for name in names:
        if text := as_text(row.get(name)):
            return text
    return None


def first_id(row: Mapping[str, Any], *names: str) -> str | None:
    """Return the first value under one of the names that is an id, as the vendor writes it.

    Ids are opaque (Talkover docs: make-call): two that differ in blanks around them are two calls. But every log names
    them, so that a control character, which may begin a line of a log, becomes U+FFFD.

    :param row: an object of the vendor.
    :param names: field names, the most likely one first.
    :return: the id; None when there is none.
    """
    for name in names:
        value = row.get(name)
        if text := as_text(value):
            return _CONTROL.sub("\ufffd", value) if isinstance(value, str) else text
    return None
