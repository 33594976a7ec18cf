"""The texts of the connection form, and the form itself for Airflow before 3.2.

Later versions read the texts from ``get_provider_info``, which takes them from here, so this module imports nothing.
"""

from __future__ import annotations

from typing import Any

# Field -> label, description, JSON type, and what its JSON schema states beside the type. ``project_id`` and
# ``calls_host`` are Talkstack's.
_TALKSTACK_FIELDS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "project_id": ("Project id", "The project whose agents call and whose history is read. Required.", "string", {}),
    "calls_host": (
        "Calls host",
        "Base URL of the address that places calls. Empty: calls.talkstack.ai, or Host when that is set.",
        "string", {},
    ),
}  # fmt: skip
_FIELDS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "default_agent_id": ("Default agent id", "The agent for calls that do not name one.", "string", {}),
    "default_region": (
        "Default region", "Two-letter country of numbers written without +, such as US.",
        "string", {"pattern": "^([A-Za-z]{2})?$"},
    ),
    "requests_per_minute": (
        "Requests per minute", "Limit for this connection in one process. Empty: no limit.", "integer", {"minimum": 1},
    ),
    "connect_timeout": ("Connect timeout", "Seconds to wait for a connection. Empty: 10.", "number", {"minimum": 0}),
    "read_timeout": ("Read timeout", "Seconds to wait for more of a response. Empty: 30.", "number", {"minimum": 0}),
    "status_overrides": (
        "Status overrides", 'JSON object, a status of the vendor to one of ours: {"answered": "completed"}.',
        "string", {"format": "multiline"},
    ),
    "allow_http": (
        "Allow http", "Send the token unencrypted to a host that is not this machine.", "boolean", {"default": False},
    ),
}  # fmt: skip
_TOKEN_LABELS = {"talkover": "API token (talq_...)", "talkstack": "API key", "unleashx": "API token"}


def form_fields(connection_type: str) -> dict[str, dict[str, Any]]:
    """Return the custom fields of a form, which are kept in the connection's ``extra``.

    :param connection_type: ``talkover``, ``talkstack`` or ``unleashx``.
    :return: field name -> label, description and JSON schema, as Airflow's provider data has them.
    """
    fields = {**(_TALKSTACK_FIELDS if connection_type == "talkstack" else {}), **_FIELDS}
    return {
        name: {"label": label, "description": text, "schema": {"type": [kind, "null"], **more}}
        for name, (label, text, kind, more) in fields.items()
    }


def form_widgets(connection_type: str) -> dict[str, Any]:
    """Return the custom fields as form widgets.

    :param connection_type: ``talkover``, ``talkstack`` or ``unleashx``.
    :return: field name -> widget.
    """
    from wtforms import BooleanField, IntegerField, StringField  # only where a form is made

    kinds = {"boolean": BooleanField, "integer": IntegerField}
    return {
        name: kinds.get(field["schema"]["type"][0], StringField)(field["label"], description=field["description"])
        for name, field in form_fields(connection_type).items()
    }


def field_behaviour(connection_type: str) -> dict[str, Any]:
    """Return the labels and placeholders of a form's standard fields.

    :param connection_type: ``talkover``, ``talkstack`` or ``unleashx``.
    :return: labels, placeholders and the fields to leave out, in Airflow's form.
    """
    return {
        "hidden_fields": ["login"],
        "relabeling": {
            "password": _TOKEN_LABELS[connection_type],
            "host": "Host (empty: the vendor's own)",
            "schema": "Scheme (https)",
        },
        "placeholders": {"host": "https://...", "schema": "https"},
    }
