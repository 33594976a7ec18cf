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

        class RingOperator(MasksRenderedFields, BaseOperator):
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
        setattr(instance, self._attribute, value)
        if is_literal(value):
            self.mask(instance)

    def mask(self, instance: object) -> None:
        """Mask the value of the field, whatever it looks like.

        :param instance: the operator.
        """
        value = getattr(instance, self._attribute)
        if value is not None and not isinstance(value, MaskedValue):
            setattr(instance, self._attribute, self._mask(value))


class MasksRenderedFields:
    """Base of an operator with masked fields: a rendered value is final, also where it has ``{{`` or ``{%`` in it.

    .. code-block:: python

        class RingOperator(MasksRenderedFields, BaseOperator):
            to = MaskedField(masked_dialed)
    """

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        # Airflow renders both a plain and a mapped task through this method, and a value within a field, too.
        try:
            super()._do_render_template_fields(parent, *args, **kwargs)  # type: ignore[misc]  # Airflow's Templater has it
        finally:
            fields = [getattr(type(self), name, None) for name in parent.template_fields if parent is self]
            for field in fields:
                if isinstance(field, MaskedField):
                    field.mask(self)
