"""What a connection says about a vendor, as plain data: no Airflow, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """What a connection says about a vendor; made by the hook, or by hand without Airflow.

    :param token: the credential.
    :param base_url: where the API is; None: the vendor's own address.
    :param calls_base_url: Talkstack's second address; None: the vendor's own, or ``base_url`` where that is given, so
        that a connection to a test server never rings through the real one.
    :param project_id: Talkstack's project.
    :param default_agent_id: the agent of requests that name none.
    :param default_region: the country of numbers written without ``+``.
    :param requests_per_minute: limit kept in this process; None: none.
    :param connect_timeout: seconds, default 10.
    :param read_timeout: seconds, default 30.
    :param status_overrides: vendor word -> our status, before the vendor's own map.
    :param limit_key: who shares the limit; default: vendor and address.
    """

    token: str = field(repr=False)
    base_url: str | None = None
    calls_base_url: str | None = None
    project_id: str | None = None
    default_agent_id: str | None = None
    default_region: str | None = None
    requests_per_minute: int | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    status_overrides: Mapping[str, Any] = field(default_factory=dict)
    limit_key: str | None = None
