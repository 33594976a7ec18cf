"""The settings of one vendor connection as plain data: no Airflow, no HTTP."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import status_of
from airflow_provider_voice.vendors.parsing import as_float, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

# Seconds. A longer read_timeout would have no effect: transport.MAX_SECONDS ends every response.
_MAX_TIMEOUT = 120
_MAX_PER_MINUTE = 1_000_000


@dataclass(frozen=True)
class Settings:
    """The settings of one vendor connection; made by the hook, or by hand without Airflow.

    Numbers may come as text, and the map as the text of a JSON object, as from a form or a URI.

    Example::

        Talkover(Settings(token="talq_...", default_agent_id="agent_1", requests_per_minute=100))

    :param token: the credential.
    :param base_url: the API's address; None: the vendor's own.
    :param calls_base_url: Talkstack's second address; None: the vendor's own, or ``base_url`` where that is given, so
        that a connection to a test server never rings through the real one.
    :param project_id: Talkstack's project.
    :param default_agent_id: the agent of requests that name none.
    :param default_region: two-letter country of numbers written without ``+``.
    :param requests_per_minute: limit kept in this process by all users of the token, from 1; None: none.
    :param connect_timeout: the longest time to connect, seconds or a ``timedelta``, at most 120 s, default 10 s.
    :param read_timeout: the longest time without a byte, seconds or a ``timedelta``, at most 120 s, default 30 s.
    :param status_overrides: vendor status -> our status, before the vendor's own map.
    :raises InvalidRequest: naming the setting that makes no sense; never with its value.
    """

    token: str = field(repr=False)
    base_url: str | None = None
    calls_base_url: str | None = None
    project_id: str | None = None
    default_agent_id: str | None = None
    default_region: str | None = None
    requests_per_minute: int | None = None
    connect_timeout: timedelta | float = 10.0
    read_timeout: timedelta | float = 30.0
    status_overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("project_id", "default_agent_id", "default_region"):
            given, text = getattr(self, name), as_text(getattr(self, name))
            if text is None and given not in (None, ""):
                raise InvalidRequest(f"{name} must be text.")
            object.__setattr__(self, name, text)
        for name in ("connect_timeout", "read_timeout"):
            given = getattr(self, name)
            seconds = given.total_seconds() if isinstance(given, timedelta) else as_float(given)
            if seconds is None or not 0 < seconds <= _MAX_TIMEOUT:
                raise InvalidRequest(
                    f"{name} must be a timedelta or seconds, more than 0 and at most {_MAX_TIMEOUT} s."
                )
            object.__setattr__(self, name, seconds)
        if self.requests_per_minute is not None:
            limit = as_float(self.requests_per_minute)
            if limit is None or not limit.is_integer() or not 1 <= limit <= _MAX_PER_MINUTE:
                raise InvalidRequest(f"requests_per_minute must be an integer from 1 to {_MAX_PER_MINUTE}.")
            object.__setattr__(self, "requests_per_minute", int(limit))
        if self.default_region is not None and not re.fullmatch(r"[A-Za-z]{2}", self.default_region):
            raise InvalidRequest("default_region must be a two-letter country code such as 'US'.")
        try:
            given = self.status_overrides
            pairs = json.loads(given) if isinstance(given, str) else given
            overrides = {str(name): status_of(status) for name, status in pairs.items()}
        except (AttributeError, TypeError, ValueError, RecursionError):  # also an InvalidRequest
            raise InvalidRequest(
                'status_overrides must map statuses of the vendor to call statuses, such as {"answered": "completed"}.'
            ) from None
        object.__setattr__(self, "status_overrides", overrides)
