"""The calls that a sensor or a trigger is given: parsed, checked, and masked for display.

A template such as ``"{{ ti.xcom_pull(task_ids='ring') }}"`` renders to the *text* of a call, with its numbers in it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import CallRef
from airflow_provider_voice.phone import mask_number, mask_numbers_in
from airflow_provider_voice.utils.masking import MaskedValue, plain

# The fields of a call that help the reader of a rendered template; any other one may hold a number or a secret.
_SHOWN_FIELDS = ("vendor", "status", "how")
# No vendor's id holds a blank within, a bracket or a quote, nor begins with "+", as a number does.
_CALL_ID = re.compile(r"(?!\+|%2B)[^\s()\[\]{}<>'\"]{1,200}", re.IGNORECASE)


def call_refs(value: Any) -> list[CallRef]:
    """Return the references to the calls that a user gave.

    :param value: a call as a dict, as the text of a dict (JSON or a Python literal), a call id, or a list of these;
        each may be a :class:`MaskedValue`.
    :return: one reference per call; an empty list for an empty list.
    :raises InvalidRequest: when a call has no usable id. The message repeats nothing of the value.
    """
    value = _calls_from_text(plain(value))
    items = value if isinstance(value, (list, tuple)) else [value]
    return [_call_ref(plain(item)) for item in items]


def _call_ref(value: Any) -> CallRef:
    value, ref = _calls_from_text(value), CallRef("")
    with suppress(ValueError):  # there is no id, or it is an integer of thousands of digits
        ref = CallRef.of(value)
    # The blanks around an id that a vendor wrote are part of it.
    if not _CALL_ID.fullmatch(ref.id.strip()):
        raise InvalidRequest(
            "This value is not a call id (it is a phone number, or several words). Give the "
            "result of MakeCallOperator, or its XCom call_id."
        )
    # References become trigger arguments, which Airflow logs.
    return replace(ref, tag=_id_or_none(ref.tag), agent_id=_id_or_none(ref.agent_id))


def _id_or_none(text: str | None) -> str | None:
    return text if text and _CALL_ID.fullmatch(text) else None


def _calls_from_text(value: Any) -> Any:
    """Parse the text that a template rendered: a dict, a list or a quoted id, as JSON or as a Python literal.

    A call id, and a value that is not text, is returned as it is; other text is refused without repeating it.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _CALL_ID.fullmatch(text) and text.lower() not in ("none", "null"):
        return text
    if text[:1] in "{[(\"'":
        for parse in (json.loads, ast.literal_eval):
            try:
                return parse(text)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                continue
    raise InvalidRequest(
        "The call to wait for is a text that is neither a call id nor the JSON of a call. Give the output of "
        "MakeCallOperator itself (operator.output), or '{{ ti.xcom_pull(task_ids=..., key=\"call_id\") }}'."
    )


def masked_calls(value: Any) -> Any:
    """Return a call, or each call of a list, masked for display.

    :param value: as for :func:`call_refs`. The items of a lazy sequence, as the output of another task is
        one, are fetched here.
    :return: a :class:`MaskedValue`, or a list of them; call ids and values of other types stay as they are.
    """
    value = plain(value)
    if isinstance(value, str):
        try:
            parsed = _calls_from_text(value)
        except InvalidRequest:  # raised again, where a task can fail of it, by call_refs
            return MaskedValue(value, f"<a text of {len(value)} characters, not a call>")
        return parsed if isinstance(parsed, str) else masked_calls(parsed)
    if isinstance(value, Mapping):
        return MaskedValue(dict(value), _shown_call(value))
    is_sequence = (
        isinstance(value, Iterable) and hasattr(value, "__len__") and not isinstance(value, (bytes, bytearray))
    )
    return [masked_calls(item) for item in value] if is_sequence else value


def _shown_call(call: Mapping[Any, Any]) -> dict[str, Any]:
    texts = {name: value for name, value in call.items() if isinstance(value, str)}
    shown = {name: mask_numbers_in(texts[name]) for name in _SHOWN_FIELDS if name in texts}
    if "id" in texts:
        shown["id"] = texts["id"] if _CALL_ID.fullmatch(texts["id"]) else mask_numbers_in(texts["id"])
    return {**shown, "to": mask_number(texts["to"])} if "to" in texts else shown
