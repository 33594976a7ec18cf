"""Reads the settings of a vendor from an Airflow connection. Ranges are checked by ``Settings`` itself."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.vendors.vendor_settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Connection

_MAX_PORT = 65_535
# A host name, an address or a URL: no spaces, no control characters, nothing that a URL would have to quote.
_ADDRESS = re.compile(r"[A-Za-z0-9._~:/\[\]@!$&'()*+,;=%?#-]+")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")


def settings_of(connection: Connection, default_base_url: str) -> Settings:
    """Return the settings in a connection.

    :param connection: of any origin: metadata database, URI, JSON, environment variable, or made by hand.
    :param default_base_url: the vendor's own address; its path is used for a host that is given without one.
    :return: the settings.
    :raises InvalidRequest: naming the field that makes no sense; never with its value.
    """
    extra = _extra(connection)
    where = f"connection {connection.conn_id!r}"
    token = (connection.password or "").strip()
    if not token:
        raise InvalidRequest(f"The {where} has no token. Put it into the password field.")
    allow_http = _flag(extra, "allow_http", where)
    base_url = None
    if connection.host and connection.host.strip():
        base_url = _base_url(
            connection.host, where, default_base_url, allow_http, scheme=connection.schema, port=connection.port
        )
    calls_host = _text(extra, "calls_host", where)
    numbers = {name: _number(extra, name, where) for name in ("connect_timeout", "read_timeout", "requests_per_minute")}
    try:
        return Settings(
            token=token,
            base_url=base_url,
            calls_base_url=_base_url(calls_host, where, default_base_url, allow_http) if calls_host else None,
            project_id=_text(extra, "project_id", where),
            default_agent_id=_text(extra, "default_agent_id", where),
            default_region=_text(extra, "default_region", where),
            status_overrides=_overrides(extra, where),
            limit_key=f"{connection.conn_type} {connection.conn_id}",
            **{name: number for name, number in numbers.items() if number is not None},  # type: ignore[arg-type]  # Settings checks them
        )
    except InvalidRequest as error:
        raise InvalidRequest(f"In {where}: {error.message}") from None


def _extra(connection: Connection) -> dict[str, Any]:
    # Not extra_dejson: it logs a broken extra with its text, and goes on as if there were none.
    if not connection.extra:
        return {}
    try:
        extra = json.loads(connection.extra)
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict):
        raise InvalidRequest(f"The extra of connection {connection.conn_id!r} is not a JSON object.")
    return extra


def _base_url(
    host: str, where: str, default: str, allow_http: bool, *, scheme: str | None = None, port: int | None = None
) -> str:
    """Build the base URL: with or without scheme in ``host``; a host without a path gets the vendor's own."""
    text = str(host).strip()
    if not _ADDRESS.fullmatch(text):
        raise InvalidRequest(f"The host of {where} is not a host name or URL.")
    written_scheme, separator, rest = text.partition("://")
    if not separator:
        rest, written_scheme = text, str(scheme or "").strip().removesuffix("://")
    try:
        parts = urlsplit(f"//{rest}")
        name, written_port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidRequest(f"The host of {where} is not a host name or URL.") from None
    if not name or parts.username is not None or parts.query or parts.fragment:
        raise InvalidRequest(f"The host of {where} must be a host name or a base URL, without user, query or fragment.")
    loopback = _is_loopback(name)
    used = (written_scheme or ("http" if loopback else "https")).lower()
    if used not in ("http", "https"):
        raise InvalidRequest(f"The scheme of {where} must be https (or http).")
    if used == "http" and not (loopback or allow_http):
        raise InvalidRequest(
            f"The {where} would send its token unencrypted: use https, or set allow_http to true in its extra."
        )
    address = f"[{name}]" if ":" in name else name
    number = written_port or port
    if number and (isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= _MAX_PORT):
        raise InvalidRequest(f"The port of {where} must be an integer from 1 to {_MAX_PORT}.")
    path = parts.path.rstrip("/") or urlsplit(default).path
    return f"{used}://{address}{f':{number}' if number else ''}{path}"


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _text(extra: dict[str, Any], name: str, where: str) -> str | None:
    value = extra.get(name)
    if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
        return None if value is None else str(value).strip() or None
    raise InvalidRequest(f"{name} of {where} must be text.")


def _flag(extra: dict[str, Any], name: str, where: str) -> bool:
    value = str(extra.get(name) if extra.get(name) is not None else "").strip().lower()
    if value not in _TRUE + _FALSE:
        raise InvalidRequest(f"{name} of {where} must be true or false.")
    return value in _TRUE


def _number(extra: dict[str, Any], name: str, where: str) -> float | None:
    text = _text(extra, name, where)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        raise InvalidRequest(f"{name} of {where} must be a number.") from None
    return int(number) if number.is_integer() else number


def _overrides(extra: dict[str, Any], where: str) -> dict[str, Any]:
    value = extra.get("status_overrides")
    if isinstance(value, str):  # from a form or a URI it comes as text
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            value = False
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f'status_overrides of {where} must be a JSON object such as {{"answered": "completed"}}.')
    return value
