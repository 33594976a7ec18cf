"""The description of the provider for Airflow's provider manager: plain data. Importing it imports nothing else."""

from __future__ import annotations

from typing import Any

_PACKAGE = "airflow_provider_voice"
_INTEGRATIONS = {
    "Talkover": ("https://docs.talkover.ai", "TalkoverHook", "talkover"),
    "Talkstack": ("https://docs.talkstack.ai", "TalkstackHook", "talkstack"),
    "UnleashX": ("https://docs.unleashx.ai", "UnleashXHook", "unleashx"),
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, valid against Airflow's ``provider_info.schema.json``."""
    from airflow_provider_voice.hooks.connection_form import connection_fields, field_behaviour  # keeps the import free

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
            {"integration-name": name, "python-modules": [f"{_PACKAGE}.operators.make_call"]} for name in names
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
                    }
                },
            }
        },
        "connection-types": [
            {
                "connection-type": connection_type,
                "hook-class-name": f"{_PACKAGE}.hooks.voice.{hook}",
                "hook-name": name,
                "ui-field-behaviour": field_behaviour(connection_type),
                "conn-fields": connection_fields(connection_type),
            }
            for name, (_, hook, connection_type) in _INTEGRATIONS.items()
        ],
    }
