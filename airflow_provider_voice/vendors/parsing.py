"""Reading values out of a vendor's JSON, whatever type they turn out to be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_voice.models import read_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def quoted(value: object) -> str:
    """Return an id fit for one segment of a path."""
    return quote(str(value), safe="")


def rows_of(value: Any) -> list[dict[str, Any]] | None:
    """Return ``value`` when it is a list of objects; None otherwise."""
    return value if isinstance(value, list) and all(isinstance(row, dict) for row in value) else None


def as_text(value: Any) -> str | None:
    """Return an id or text of any JSON type as text; None for what is none."""
    if type(value) is str:  # what it nearly always is: an export asks a dozen times a row
        return value.strip() or None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (str, int)):
        return str(value).strip() or None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else str(value)
    return None


def as_float(value: Any) -> float | None:
    """Return a finite number, also from a text such as ``"0.077"``; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_int(value: Any) -> int | None:
    """Return a whole, non-negative number of at most 63 bits; None for what is none."""
    if type(value) is int and 0 <= value < 2**63:  # what it nearly always is
        return value
    number = as_float(value)
    return int(number) if number is not None and 0 <= number < 2**63 else None


def first_of(row: Mapping[str, Any], *names: str) -> Any:
    """Return the first value under one of the names that is neither None nor empty text."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def latest_time(*values: Any) -> datetime | None:
    """Return the latest of several vendor times; None when none can be read."""
    return max((moment for moment in map(read_time, values) if moment is not None), default=None)
