"""Reads the settings of a vendor from an Airflow connection. ``Settings`` checks most values itself."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.vendors.vendor_settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Connection

# A host name, an address or a URL: no spaces, no control characters, nothing that a URL would have to quote.
_ADDRESS = re.compile(r"[A-Za-z0-9._~:/\[\]@!$&'()*+,;=%?#-]+")
# The settings that stand in the extra under the same name. ``Settings`` checks them.
_PLAIN_FIELDS = {field.name for field in fields(Settings)} - {"token", "base_url", "calls_base_url"}
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")


def settings_of(connection: Connection, default_base_url: str) -> Settings:
    """Return the settings in a connection.

    :param connection: of any origin: metadata database, URI, JSON, environment variable, or made by hand.
    :param default_base_url: the vendor's own address; its path is used for a host that is given without one.
    :return: the settings.
    :raises InvalidRequest: naming the invalid field; never with its value.
    """
    try:
        return _read(connection, default_base_url)
    except InvalidRequest as error:
        raise InvalidRequest(f"In connection {connection.conn_id!r}: {error.message}") from None


def _read(connection: Connection, default: str) -> Settings:
    # Not extra_dejson: it logs a broken extra with its text, and goes on as if there were none.
    try:
        extra = json.loads(connection.extra or "{}")
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict):
        raise InvalidRequest("The extra is not a JSON object.")
    token = (connection.password or "").strip()
    if not token:
        raise InvalidRequest("There is no token. Put it into the password field.")
    allow_http = _flag(extra, "allow_http")
    host, calls_host = (connection.host or "").strip(), str(extra.get("calls_host") or "").strip()
    scheme, port = connection.schema, connection.port
    return Settings(
        token=token,
        base_url=_base_url(host, default, allow_http, scheme=scheme, port=port) if host else None,
        calls_base_url=_base_url(calls_host, default, allow_http) if calls_host else None,
        **{name: extra[name] for name in _PLAIN_FIELDS if not _is_blank(extra.get(name))},
    )


def _base_url(text: str, default: str, allow_http: bool, *, scheme: str | None = None, port: int | None = None) -> str:
    """Build the base URL: with or without scheme in ``text``; a host without a path gets the vendor's own."""
    try:
        url = parse_url(text if "://" in text else f"//{text}")
        parse_url(Url("https", host=url.host, port=port or None).url)  # which checks the port
    except LocationParseError:
        url = Url()
    if not _ADDRESS.fullmatch(text) or not url.host:
        raise InvalidRequest("The host is not a host name or URL, or the port is not a number up to 65535.")
    if url.auth or url.query is not None or url.fragment is not None:
        raise InvalidRequest("The host must be a host name or a base URL, without user, query or fragment.")
    loopback = _is_loopback(url.host.strip("[]"))
    used = url.scheme or str(scheme or "").strip().removesuffix("://").lower() or ("http" if loopback else "https")
    if used not in ("http", "https"):
        raise InvalidRequest("The scheme must be https (or http).")
    if used == "http" and not (loopback or allow_http):
        raise InvalidRequest("The token would be sent unencrypted: use https, or set allow_http to true in the extra.")
    path = (url.path or "").rstrip("/") or urlsplit(default).path
    return Url(used, host=url.host, port=url.port or port or None, path=path).url


def _is_blank(value: object) -> bool:
    """Whether a field of the form was left empty."""
    return value is None or (isinstance(value, str) and not value.strip())


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _flag(extra: dict[str, Any], name: str) -> bool:
    value = str(extra.get(name) or "").strip().lower()
    if value not in _TRUE + _FALSE:
        raise InvalidRequest(f"{name} must be true or false.")
    return value in _TRUE
