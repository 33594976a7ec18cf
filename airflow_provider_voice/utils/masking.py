"""Arguments that Airflow may use but not show: rendered templates are stored and displayed, and people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_voice.phone import mask_number

_CALL_NUMBERS = ("to", "from")


class MaskedValue:
    """A value whose text and serialized form are masked; Airflow asks for these when it shows a template field.

    :param value: the value itself.
    :param shown: what may be shown of it: JSON.
    """

    def __init__(self, value: Any, shown: Any) -> None:
        self.value = value
        self._shown = shown

    def serialize(self) -> Any:
        """Return what may be shown; Airflow calls this for a rendered field."""
        return self._shown

    def __eq__(self, other: object) -> bool:
        return bool(self.value == plain(other))

    def __hash__(self) -> int:
        return hash(str(self._shown))

    def __str__(self) -> str:
        return str(self._shown)

    def __repr__(self) -> str:
        return repr(self._shown)


def plain(value: Any) -> Any:
    """Return the value itself, hidden or not."""
    return value.value if isinstance(value, MaskedValue) else value


def masked_number(value: Any) -> Any:
    """Return a number hidden; templates and other tasks' outputs stay what they are."""
    if isinstance(value, str) and "{{" not in value and "{%" not in value and any(char.isdigit() for char in value):
        return MaskedValue(value, mask_number(value))
    return value


def masked_calls(value: Any) -> Any:
    """Return a call, or each call of a list, with its numbers hidden; ids stay what they are.

    What another task pushed comes as a lazy sequence, whose items are fetched here.
    """
    if isinstance(value, Mapping):
        shown = {
            name: mask_number(item) if name in _CALL_NUMBERS and isinstance(item, str) else item
            for name, item in value.items()
        }
        return MaskedValue(dict(value), shown)
    if isinstance(value, str):
        return value
    is_sequence = isinstance(value, Iterable) and hasattr(value, "__len__")
    return [masked_calls(item) for item in value] if is_sequence else value
