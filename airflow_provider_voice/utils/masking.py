"""Values that Airflow may use but not show: it stores and displays rendered templates, and people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_voice.utils.validation import is_literal

if TYPE_CHECKING:
    from collections.abc import Callable


class MaskedValue:
    """A value whose text and serialized form are masked; Airflow asks for these when it shows a template field.

    .. code-block:: python

        number = MaskedValue("+14155552671", mask_number("+14155552671"))
        str(number), plain(number)  # '+1415•••••71', '+14155552671'

    :param value: the value itself.
    :param shown: the masked form: JSON.
    """

    def __init__(self, value: Any, shown: Any) -> None:
        self.value = value
        self._shown = shown

    def serialize(self) -> Any:
        """Return the masked form; Airflow calls this for a rendered field."""
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
    """Return the value itself.

    :param value: a :class:`MaskedValue`, or any other value.
    :return: the value without its mask; any other value as it is.
    """
    return value.value if isinstance(value, MaskedValue) else value


class MaskedField:
    """A template field that is masked as soon as its value is final: Airflow renders templates into it and shows it.

    .. code-block:: python

        class RingOperator(BaseOperator):
            to = MaskedField(masked_dialed)

    :param mask: returns a final value as it is, or a :class:`MaskedValue` of it. It is not asked about None, nor about
        templates and other tasks' outputs, which are the code of the DAG and stay as they are.
    """

    def __init__(self, mask: Callable[[Any], Any]) -> None:
        self._mask = mask
        self._attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = f"_{name}"

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else getattr(instance, self._attribute)

    def __set__(self, instance: object, value: Any) -> None:
        may_be_shown = value is None or isinstance(value, MaskedValue) or not is_literal(value)
        setattr(instance, self._attribute, value if may_be_shown else self._mask(value))
