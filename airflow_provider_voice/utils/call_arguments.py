"""The arguments of one call: their checks when a DAG is parsed, and the masked form that Airflow may show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import check_delay, json_object
from airflow_provider_voice.phone import mask_number, mask_numbers_in, parse_number, shown
from airflow_provider_voice.utils.masking import MaskedValue
from airflow_provider_voice.utils.validation import boolean_or_text, connection_id, is_literal

if TYPE_CHECKING:
    from airflow_provider_voice.policy import ContactPolicy

_COUNTRY_CODE_LENGTH = 2
_LONGEST_TEXT = 250
_LARGEST_ID = 10**18  # a longer number is none that a vendor gave, and Python may refuse to write it as text


def masked_dialed(value: Any) -> Any:
    """Return the value to dial with a text and a serialized form that show no number, whatever type it has.

    :param value: the ``to`` of an operator; a text without a digit stays as it is.
    :return: the value, or a :class:`MaskedValue` of it.
    """
    if not isinstance(value, str):
        return MaskedValue(value, f"a value of type {type(value).__name__}, where text is needed")
    return MaskedValue(value, mask_number(value)) if any(char.isdigit() for char in value) else value


def masked_values(value: Any) -> Any:
    """Return a mapping with a text and a serialized form that show its keys only: its values are about a person.

    :param value: the ``variables`` or ``context`` of a call. Any other value is refused later, and not shown either.
    :return: the value, or a :class:`MaskedValue` of it.
    """
    if not isinstance(value, Mapping):
        return MaskedValue(value, f"a value of type {type(value).__name__}, where a mapping is needed")
    return MaskedValue(value, {mask_numbers_in(str(name)): "***" for name in value}) if value else value


def masked_list(value: Any, noun: str) -> Any:
    """Return a list of people with a text and a serialized form that only count them, and show no number of a text.

    :param value: an argument: a list, SQL, or the path of a file.
    :param noun: the name of the list's items.
    :return: the value, or a :class:`MaskedValue` of it. The name of a ``.sql`` file, which Airflow reads, stays text.
    """
    if isinstance(value, str):
        return value if value.endswith(".sql") else masked_key(value)
    return MaskedValue(value, f"{len(value)} {noun}") if hasattr(value, "__len__") else value


def text_or_none(name: str, value: object) -> str | None:
    """Return a text, or None for None and for an empty text.

    :param name: the argument, for the error text.
    :param value: the user's value.
    :return: the text.
    :raises InvalidRequest: for anything but text and None, and for a text that no column of the ledger holds.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be text, not {type(value).__name__}.")
    if len(value) > _LONGEST_TEXT:
        raise InvalidRequest(f"{name} must have at most {_LONGEST_TEXT} characters, and it has {len(value)}.")
    return value


def id_or_none(name: str, value: object) -> str | None:
    """Return an id as text; a whole number is one too, None and an empty text are no id.

    :param name: the argument, for the error text.
    :param value: the user's value.
    :return: the id; None where there is none.
    :raises InvalidRequest: for anything but text, a whole number and None.
    """
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_ID
    return text_or_none(name, str(value) if is_number else value)


def masked_key(value: Any) -> Any:
    """Return a ``call_key`` with a text that shows no phone number, because people build keys out of anything.

    :param value: the key.
    :return: the value, or a :class:`MaskedValue` of it.
    """
    text = mask_numbers_in(value) if isinstance(value, str) else shown(value)
    return value if text == value else MaskedValue(value, text)


def key_or_none(value: object) -> str | None:
    """Return a ``call_key`` as text.

    :param value: text, or a whole number such as an order's; None: the call has no key.
    :return: the key without blanks around it; None for None.
    :raises InvalidRequest: for anything else, for an empty text, and for the text ``None``, which is what a template
        makes of a missing value.
    """
    if value is None:
        return None
    key = (id_or_none("call_key", value) or "").strip()
    if key in ("", "None") or not key.isprintable():
        raise InvalidRequest("call_key must be a text that names one call, and it is empty or not plain text.")
    return key


def check_templated(arguments: Mapping[str, Any]) -> None:
    """Check those templated arguments of calls that are final when the DAG is parsed.

    :param arguments: the arguments by name; templates and other tasks' outputs are checked once they are rendered.
    :raises InvalidRequest: naming the argument.
    """
    for name, value in arguments.items():
        if name in _CHECKS and is_literal(value):
            _CHECKS[name](value)


def check_number(to: object, region: object) -> None:
    """Check a number as far as possible when a DAG is parsed.

    :param to: the number, a template, or another task's output.
    :param region: the country of a number without ``+``; None: perhaps the connection's, which is not known here.
    :raises InvalidPhoneNumber, InvalidRequest: when it cannot be a number, whatever the connection says.
    """
    if not is_literal(region):
        return
    _check_region(region)
    if not is_literal(to):
        return
    is_complete = not isinstance(to, str) or to.strip().startswith("+") or bool(region)
    if is_complete or not any(char.isdigit() for char in str(to)):
        parse_number(to, region or None)  # type: ignore[arg-type]  # it refuses everything but text


def _check_region(region: object) -> None:
    code = text_or_none("region", region)
    if code is not None and not (len(code) == _COUNTRY_CODE_LENGTH and code.isascii() and code.isalpha()):
        raise InvalidRequest(f"region must be a two-letter country code such as 'US', not {shown(region)}.")


def delay_of(value: object) -> int:
    """Return ``delay_seconds`` as a whole number of seconds.

    :param value: whole seconds as a number or text, or a ``timedelta``.
    :return: 0 to 3600.
    :raises InvalidRequest: for anything else.
    """
    seconds: Any = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, (str, float)):
        with suppress(ValueError):  # it is no number, which check_delay refuses
            seconds = int(seconds) if float(seconds).is_integer() else seconds
    check_delay(seconds)
    return int(seconds)


def check_person(policy: object, time_zone: object, jurisdiction: object, when_closed: object) -> None:
    """Check the arguments that only a contact policy reads, as far as they are known when a DAG is parsed.

    :param policy: the contact policy; None: there is none.
    :param time_zone: the IANA time zone of the person, None, a template, or another task's output.
    :param jurisdiction: the ISO 3166 code of the law that protects the person, likewise.
    :param when_closed: the task's reaction while the policy does not allow the call.
    :raises InvalidRequest: when one is given without a policy, or does not exist.
    """
    if policy is None:
        ignored = {"time_zone": time_zone, "jurisdiction": jurisdiction, "when_closed": when_closed}
        given = [name for name, value in ignored.items() if value not in (None, "", "wait")]
        if given:
            raise InvalidRequest(
                f"{', '.join(given)}: only a contact policy reads this, and the task has none. Add policy=, such as "
                "policy='us', or leave it out."
            )
        return
    from airflow_provider_voice.policy.decision import known_jurisdiction, known_zone  # see policy_of

    for check, value in ((known_zone, time_zone), (known_jurisdiction, jurisdiction)):
        if is_literal(value):
            check(value)


def policy_of(value: Any) -> ContactPolicy | None:
    """Load a policy while the DAG is parsed, so that a broken rule file is an import error.

    :param value: a ``ContactPolicy``, the name or path of a rule file, a list of them, or None.
    :return: the policy; None for None.
    :raises InvalidRequest: when it is none of these, or a file is missing or broken.
    """
    if value is None:
        return None
    from airflow_provider_voice.policy import as_policy  # YAML and calendars: only a task with a policy needs them

    return as_policy(value)


_CHECKS: dict[str, Callable[[Any], object]] = {
    "voice_conn_id": connection_id,
    "agent_id": partial(id_or_none, "agent_id"),
    "delay_seconds": delay_of,
    "is_testing": partial(boolean_or_text, "is_testing"),
    "variables": partial(json_object, "variables"),
    "context": partial(json_object, "context"),
    "region": _check_region,
    "subject": partial(text_or_none, "subject"),
    "call_key": key_or_none,
    "ledger_conn_id": lambda value: None if value is None else connection_id(value, "ledger_conn_id"),
}
