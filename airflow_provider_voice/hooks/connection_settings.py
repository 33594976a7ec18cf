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
    try:
        return _read(connection, _extra(connection), default_base_url)
    except InvalidRequest as error:
        raise InvalidRequest(f"In connection {connection.conn_id!r}: {error.message}") from None


def _read(connection: Connection, extra: dict[str, Any], default: str) -> Settings:
    token = (connection.password or "").strip()
    if not token:
        raise InvalidRequest("There is no token. Put it into the password field.")
    allow_http = _flag(extra, "allow_http")
    host, calls_host = (connection.host or "").strip(), _text(extra, "calls_host")
    scheme, port = connection.schema, connection.port
    numbers = {name: _number(extra, name) for name in ("connect_timeout", "read_timeout", "requests_per_minute")}
    return Settings(
        token=token,
        base_url=_base_url(host, default, allow_http, scheme=scheme, port=port) if host else None,
        calls_base_url=_base_url(calls_host, default, allow_http) if calls_host else None,
        project_id=_text(extra, "project_id"),
        default_agent_id=_text(extra, "default_agent_id"),
        default_region=_text(extra, "default_region"),
        status_overrides=_overrides(extra),
        limit_key=f"{connection.conn_type} {connection.conn_id}",
        **{name: number for name, number in numbers.items() if number is not None},  # type: ignore[arg-type]  # Settings checks them
    )


def _extra(connection: Connection) -> dict[str, Any]:
    # Not extra_dejson: it logs a broken extra with its text, and goes on as if there were none.
    try:
        extra = json.loads(connection.extra or "{}")
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict):
        raise InvalidRequest("The extra is not a JSON object.")
    return extra


def _base_url(text: str, default: str, allow_http: bool, *, scheme: str | None = None, port: int | None = None) -> str:
    """Build the base URL: with or without scheme in ``text``; a host without a path gets the vendor's own."""
    written_scheme, separator, rest = text.partition("://")
    if not separator:
        rest, written_scheme = text, str(scheme or "").strip().removesuffix("://")
    try:
        parts = urlsplit(f"//{rest}")
        name, written_port = parts.hostname or "", parts.port
    except ValueError:
        name = ""
    if not _ADDRESS.fullmatch(text) or not name:
        raise InvalidRequest("The host is not a host name or URL.")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidRequest("The host must be a host name or a base URL, without user, query or fragment.")
    loopback = _is_loopback(name)
    used = (written_scheme or ("http" if loopback else "https")).lower()
    if used not in ("http", "https"):
        raise InvalidRequest("The scheme must be https (or http).")
    if used == "http" and not (loopback or allow_http):
        raise InvalidRequest("The token would be sent unencrypted: use https, or set allow_http to true in the extra.")
    address = f"[{name}]" if ":" in name else name
    number = written_port or port
    if number and (isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= _MAX_PORT):
        raise InvalidRequest(f"The port must be an integer from 1 to {_MAX_PORT}.")
    path = parts.path.rstrip("/") or urlsplit(default).path
    return f"{used}://{address}{f':{number}' if number else ''}{path}"


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _text(extra: dict[str, Any], name: str) -> str | None:
    value = extra.get(name)
    if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
        return None if value is None else str(value).strip() or None
    raise InvalidRequest(f"{name} must be text.")


def _flag(extra: dict[str, Any], name: str) -> bool:
    value = str(extra.get(name) or "").strip().lower()
    if value not in _TRUE + _FALSE:
        raise InvalidRequest(f"{name} must be true or false.")
    return value in _TRUE


def _number(extra: dict[str, Any], name: str) -> float | None:
    text = _text(extra, name)
    try:
        number = float(text) if text else None
    except ValueError:
        raise InvalidRequest(f"{name} must be a number.") from None
    return int(number) if number is not None and number.is_integer() else number


def _overrides(extra: dict[str, Any]) -> dict[str, Any]:
    value = extra.get("status_overrides") or {}
    if isinstance(value, str):  # from a form or a URI it comes as text
        try:
            value = json.loads(value) if value.strip() else {}
        except (ValueError, RecursionError):
            value = False
    if not isinstance(value, dict):
        raise InvalidRequest('status_overrides must be a JSON object such as {"answered": "completed"}.')
    return value
