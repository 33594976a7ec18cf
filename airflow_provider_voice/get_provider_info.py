"""The provider's description for Airflow's provider manager: plain data. Importing this does not import Airflow."""

from __future__ import annotations

from typing import Any

from airflow_provider_voice.hooks.connection_form import field_behaviour, form_fields

_PACKAGE = "airflow_provider_voice"
# Connection type, hook and the address of the documentation follow from the name.
_VENDORS = ("Talkover", "Talkstack", "UnleashX")
_MODULES = {
    "hooks": ("hooks.voice",),
    "operators": ("operators.make_call", "operators.outreach"),
    "sensors": ("sensors.call_status",),
    "triggers": ("triggers.call_status", "triggers.calls_finished"),
}
_TRANSFERS = {"Common SQL": "calls_to_warehouse", "Common IO": "calls_to_object_storage"}
# Option of the section [voice] -> type, default, example, description.
_OPTIONS = {
    "shared_polling": (
        "boolean",
        "True",
        None,
        "Whether all deferred tasks that wait on one connection share one poll loop in a triggerer (Airflow 3.3+). "
        "Off: each polls for itself.",
    ),
    "ledger_conn_id": (
        "string",
        "",
        "outreach_ledger",
        "Connection of the ledger that the page Voice in the UI shows: PostgreSQL, MySQL, MariaDB or SQLite. Whoever "
        "may edit this connection may pause, resume and cancel campaigns there. Empty: the file voice_outreach.db "
        "under AIRFLOW_HOME of the API server.",
    ),
    "warehouse_conn_id": (
        "string",
        "",
        "warehouse",
        "Connection of the database that CallsToWarehouseOperator loads calls into; the page Voice shows the calls of "
        "the last day out of it. Empty: no calls are shown.",
    ),
    "warehouse_table": (
        "string",
        "voice_calls",
        "analytics.voice_calls",
        "The table of calls that the page Voice reads, with its schema where it is not the connection's default.",
    ),
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, valid against Airflow's ``provider_info.schema.json``."""
    modules = {
        kind: [
            {"integration-name": name, "python-modules": [f"{_PACKAGE}.{module}" for module in paths]}
            for name in _VENDORS
        ]
        for kind, paths in _MODULES.items()
    }
    options = {
        name: {"description": text, "version_added": "0.1.0", "type": kind, "example": example, "default": default}
        for name, (kind, default, example, text) in _OPTIONS.items()
    }
    return {
        "package-name": "airflow-provider-voice",
        "name": "Voice",
        "description": "Place AI voice calls, follow them to their end and load call history into a warehouse.",
        "integrations": [
            {"integration-name": name, "external-doc-url": f"https://docs.{name.lower()}.ai", "tags": ["service"]}
            for name in _VENDORS
        ],
        **modules,
        "transfers": [
            {
                "source-integration-name": name,
                "target-integration-name": target,
                "python-module": f"{_PACKAGE}.transfers.{module}",
            }
            for name in _VENDORS
            for target, module in _TRANSFERS.items()
        ],
        "notifications": [f"{_PACKAGE}.notifications.voice_call.VoiceCallNotifier"],
        "extra-links": [f"{_PACKAGE}.utils.links.CallLink", f"{_PACKAGE}.utils.links.CampaignLink"],
        "config": {"voice": {"description": "Options of the provider for AI voice calls.", "options": options}},
        "connection-types": [
            {
                "connection-type": name.lower(),
                "hook-class-name": f"{_PACKAGE}.hooks.voice.{name}Hook",
                "hook-name": name,
                "ui-field-behaviour": {
                    key.replace("_", "-"): value for key, value in field_behaviour(name.lower()).items()
                },
                "conn-fields": form_fields(name.lower()),
            }
            for name in _VENDORS
        ],
    }
