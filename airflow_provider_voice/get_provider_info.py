"""The provider's description for Airflow's provider manager: plain data. Importing this imports nothing else."""

from __future__ import annotations

from typing import Any

_PACKAGE = "airflow_provider_voice"
_INTEGRATIONS = {
    "Talkover": ("https://docs.talkover.ai", "TalkoverHook", "talkover"),
    "Talkstack": ("https://docs.talkstack.ai", "TalkstackHook", "talkstack"),
    "UnleashX": ("https://docs.unleashx.ai", "UnleashXHook", "unleashx"),
}


def _field(label: str, description: str, *, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


def _connection_fields(connection_type: str) -> dict[str, dict[str, Any]]:
    """Return label, description and JSON schema by name of the custom fields, which are kept in ``extra``."""
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
            "Status overrides",
            'JSON object, a status of the vendor to ours: {"answered": "completed"}.',
            format="multiline",
        ),
        "allow_http": _field(
            "Allow http",
            "Send the token unencrypted to a host that is not this machine.",
            kind="boolean",
            default=False,
        ),
    }


def field_behaviour(connection_type: str) -> dict[str, Any]:
    """Return labels and placeholders of the standard fields of a connection form.

    :param connection_type: ``talkover``, ``talkstack`` or ``unleashx``.
    :return: the ``ui-field-behaviour`` of Airflow: hidden fields, labels and placeholders by field name.
    """
    token = {"talkover": "API token (talq_...)", "talkstack": "API key", "unleashx": "API token"}[connection_type]
    return {
        "hidden-fields": ["login"],
        "relabeling": {"password": token, "host": "Host (empty: the vendor's own)", "schema": "Scheme (https)"},
        "placeholders": {"host": "https://...", "schema": "https"},
    }


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, valid against Airflow's ``provider_info.schema.json``."""
    names = list(_INTEGRATIONS)
    return {
        "package-name": "airflow-provider-voice",
        "name": "Voice",
        "description": "Place AI voice calls, follow them to their end and load call history into a warehouse.",
        "integrations": [
            {"integration-name": name, "external-doc-url": _INTEGRATIONS[name][0], "tags": ["service"]}
            for name in names
        ],
        "hooks": [{"integration-name": name, "python-modules": [f"{_PACKAGE}.hooks.voice"]} for name in names],
        "operators": [
            {
                "integration-name": name,
                "python-modules": [f"{_PACKAGE}.operators.make_call", f"{_PACKAGE}.operators.outreach"],
            }
            for name in names
        ],
        "sensors": [
            {"integration-name": name, "python-modules": [f"{_PACKAGE}.sensors.call_status"]} for name in names
        ],
        "triggers": [
            {
                "integration-name": name,
                "python-modules": [f"{_PACKAGE}.triggers.call_status", f"{_PACKAGE}.triggers.calls_finished"],
            }
            for name in names
        ],
        "transfers": [
            {
                "source-integration-name": name,
                "target-integration-name": target,
                "python-module": f"{_PACKAGE}.transfers.{module}",
            }
            for name in names
            for target, module in (
                ("Common SQL", "calls_to_warehouse"),
                ("Common IO", "calls_to_object_storage"),
            )
        ],
        "notifications": [f"{_PACKAGE}.notifications.voice_call.VoiceCallNotifier"],
        "extra-links": [f"{_PACKAGE}.utils.links.CallLink", f"{_PACKAGE}.utils.links.CampaignLink"],
        "config": {
            "voice": {
                "description": "Options of the provider for AI voice calls.",
                "options": {
                    "shared_polling": {
                        "description": "Whether all deferred tasks that wait on one connection share one poll loop "
                        "in a triggerer (Airflow 3.3+). Off: each polls for itself.",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": None,
                        "default": "True",
                    },
                    "ledger_conn_id": {
                        "description": "Connection of the ledger that the page Voice in the UI shows: PostgreSQL, "
                        "MySQL, MariaDB or SQLite. Whoever may edit this connection may pause, resume and cancel "
                        "campaigns there. Empty: the file voice_outreach.db under AIRFLOW_HOME of the API server.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "outreach_ledger",
                        "default": "",
                    },
                    "warehouse_conn_id": {
                        "description": "Connection of the database that CallsToWarehouseOperator loads calls into; the "
                        "page Voice shows the calls of the last day out of it. Empty: no calls are shown.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "warehouse",
                        "default": "",
                    },
                    "warehouse_table": {
                        "description": "The table of calls that the page Voice reads, with its schema where it is not "
                        "the connection's default.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "analytics.voice_calls",
                        "default": "voice_calls",
                    },
                },
            }
        },
        "connection-types": [
            {
                "connection-type": connection_type,
                "hook-class-name": f"{_PACKAGE}.hooks.voice.{hook}",
                "hook-name": name,
                "ui-field-behaviour": field_behaviour(connection_type),
                "conn-fields": _connection_fields(connection_type),
            }
            for name, (_, hook, connection_type) in _INTEGRATIONS.items()
        ],
    }
