"""The fields of the connection forms: plain data for the hooks and for Airflow's provider manager, without Airflow."""

from __future__ import annotations

from typing import Any


def _field(label: str, description: str, *, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


def connection_fields(connection_type: str) -> dict[str, dict[str, Any]]:
    """Return the custom fields of a connection form; they are kept in the connection's ``extra``.

    :param connection_type: ``talkover``, ``talkstack`` or ``unleashx``.
    :return: field name to label, description and JSON schema.
    """
    fields: dict[str, dict[str, Any]] = {}
    if connection_type == "talkstack":
        fields["project_id"] = _field(
            "Project id", "The project whose agents call and whose history is read. Required."
        )
        fields["calls_host"] = _field(
            "Calls host",
            "Base URL of the address that places calls. Empty: calls.talkstack.ai, or Host when that is set.",
        )
    return fields | {
        "default_agent_id": _field("Default agent id", "The agent of calls that name none."),
        "default_region": _field(
            "Default region", "Two-letter country of numbers written without +, such as US.", pattern="^([A-Za-z]{2})?$"
        ),
        "requests_per_minute": _field(
            "Requests per minute", "Limit for this connection in one process. Empty: none.", kind="integer", minimum=1
        ),
        "connect_timeout": _field("Connect timeout", "Seconds to connect. Empty: 10.", kind="number", minimum=0),
        "read_timeout": _field("Read timeout", "Seconds without a byte. Empty: 30.", kind="number", minimum=0),
        "status_overrides": _field(
            "Status overrides", 'JSON object, vendor word to our status: {"answered": "completed"}.', format="multiline"
        ),
        "allow_http": _field(
            "Allow http",
            "Send the token unencrypted to a host that is not this machine.",
            kind="boolean",
            default=False,
        ),
    }


def field_behaviour(connection_type: str) -> dict[str, Any]:
    """Return how the standard fields of a connection form look.

    :param connection_type: ``talkover``, ``talkstack`` or ``unleashx``.
    :return: hidden fields, labels and placeholders, as Airflow names them.
    """
    token = {"talkover": "API token (talq_...)", "talkstack": "API key", "unleashx": "API token"}[connection_type]
    return {
        "hidden-fields": ["login"],
        "relabeling": {"password": token, "host": "Host (empty: the vendor's own)", "schema": "Scheme (https)"},
        # Airflow 3.3 refuses to test a saved connection without a port: the form sends 0 for none.
        "placeholders": {"host": "https://...", "schema": "https", "port": "443"},
    }
