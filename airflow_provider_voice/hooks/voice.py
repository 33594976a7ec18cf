"""Hooks: an Airflow connection on one side, a vendor on the other. The three connection types are here."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseHook

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.get_provider_info import connection_fields, field_behaviour
from airflow_provider_voice.models import Call, CallRef, CallRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from airflow.sdk import Connection

    from airflow_provider_voice.vendors.base import Vendor


class VoiceHook(BaseHook):
    """One vendor through one Airflow connection.

    Use :meth:`for_connection` where the vendor does not matter, a subclass where it does.

    :param voice_conn_id: the connection, default ``voice_default``.
    :param connection: the connection itself, where it was already fetched (the triggerer does so asynchronously).
    """

    conn_name_attr = "voice_conn_id"
    default_conn_name = "voice_default"
    conn_type: ClassVar[str] = ""
    hook_name: ClassVar[str] = "Voice"

    def __init__(self, voice_conn_id: str = default_conn_name, *, connection: Connection | None = None) -> None:
        super().__init__()
        self.voice_conn_id = voice_conn_id
        self._connection = connection

    @classmethod
    def for_connection(
        cls, voice_conn_id: str = default_conn_name, *, connection: Connection | None = None
    ) -> VoiceHook:
        """Return the hook for a connection, of the subclass that its type asks for.

        :param voice_conn_id: the connection, default ``voice_default``.
        :param connection: the connection itself, where it was already fetched.
        :raises InvalidRequest: when the connection is of no voice type.
        """
        connection = connection or cls.get_connection(voice_conn_id)
        kind = (connection.conn_type or "").lower()
        for hook_class in (TalkoverHook, TalkstackHook, UnleashXHook):
            if hook_class.conn_type == kind:
                return hook_class(voice_conn_id, connection=connection)
        raise InvalidRequest(
            f"The connection {voice_conn_id!r} is of type {kind or 'none'!r:.40}; it must be talkover, talkstack or "
            "unleashx."
        )

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the custom form fields, for Airflow before 3.2, which does not read them from the provider's data."""
        if not cls.conn_type:
            return {}
        from wtforms import BooleanField, IntegerField, StringField  # only where a form is made

        kinds = {"boolean": BooleanField, "integer": IntegerField}
        return {
            name: kinds.get(field["schema"]["type"][0], StringField)(field["label"], description=field["description"])
            for name, field in connection_fields(cls.conn_type).items()
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the standard form fields look, for Airflow before 3.2."""
        if not cls.conn_type:
            return {}
        return {name.replace("-", "_"): value for name, value in field_behaviour(cls.conn_type).items()}

    @cached_property
    def vendor(self) -> Vendor:
        """The vendor of the connection.

        :raises InvalidRequest: when a field of the connection makes no sense.
        """
        from airflow.sdk.log import mask_secret

        # Imported with the first call, not with a DAG file: requests, tenacity and all that.
        from airflow_provider_voice.hooks.connection_settings import settings_of

        connection = self._connection or self.get_connection(self.voice_conn_id)
        vendor_class = self._vendor_class()
        settings = settings_of(connection, vendor_class.default_base_url)
        # Airflow masks what it loads itself; a connection made by hand is only known here.
        mask_secret(settings.token)
        return vendor_class(settings)

    def _vendor_class(self) -> type[Vendor]:
        raise InvalidRequest("VoiceHook itself has no vendor: use VoiceHook.for_connection or a subclass.")

    def get_conn(self) -> Vendor:
        """Return the vendor, which is what other hooks call a connection."""
        return self.vendor

    def make_call(self, request: CallRequest) -> Call:
        """Place one call; exactly one create request is ever accepted by the vendor.

        Calling this a second time rings a second time: tasks that may be retried use ``MakeCallOperator``.

        :param request: the call; what it leaves out is taken from the connection.
        :return: the call as the vendor's answer shows it.
        :raises InvalidPhoneNumber, InvalidRequest, CapabilityNotSupported: before anything is sent.
        :raises CallOutcomeUnknown: when it was sent and the answer was lost.
        :raises VoiceError: what the vendor's refusal means.
        """
        return self.vendor.create(request)

    def get_call(self, ref: CallRef | Call | Mapping[str, Any] | str) -> Call | None:
        """Return one call, or None when the vendor does not show it (yet).

        :param ref: what is known of it; with number and time the look-up is cheap.
        """
        return self.vendor.find(CallRef.of(ref))

    def get_calls(self, refs: Iterable[CallRef | Call | Mapping[str, Any] | str]) -> dict[str, Call]:
        """Return many calls by id, by the cheapest plan the vendor has; missing ids are absent."""
        return self.vendor.find_many([CallRef.of(ref) for ref in refs])

    def list_calls(
        self,
        start: datetime,
        end: datetime,
        *,
        agent_id: str | None = None,
        direction: str | None = None,
        status: Any = None,
        to: str | None = None,
    ) -> Iterator[Call]:
        """Yield the calls created in ``[start, end)``; see :meth:`Vendor.list_calls` for parameters and errors."""
        return self.vendor.list_calls(start, end, agent_id=agent_id, direction=direction, status=status, to=to)

    def end_call(self, ref: CallRef | Call | Mapping[str, Any] | str) -> None:
        """Hang up a call.

        :raises CapabilityNotSupported: where the vendor has no such request (Talkstack, UnleashX).
        """
        self.vendor.end_call(CallRef.of(ref))

    def test_connection(self) -> tuple[bool, str]:
        """Check the connection with a request that costs nothing and changes nothing.

        :return: whether it works, and what was found or what to do.
        """
        try:
            return True, self.vendor.check()
        except VoiceError as error:
            return False, error.message


class TalkoverHook(VoiceHook):
    """Talkover; connection type ``talkover``."""

    conn_type = "talkover"
    hook_name = "Talkover"

    def _vendor_class(self) -> type[Vendor]:
        from airflow_provider_voice.vendors.talkover import Talkover

        return Talkover


class TalkstackHook(VoiceHook):
    """Talkstack; connection type ``talkstack``."""

    conn_type = "talkstack"
    hook_name = "Talkstack"

    def _vendor_class(self) -> type[Vendor]:
        from airflow_provider_voice.vendors.talkstack import Talkstack

        return Talkstack


class UnleashXHook(VoiceHook):
    """UnleashX; connection type ``unleashx``."""

    conn_type = "unleashx"
    hook_name = "UnleashX"

    def _vendor_class(self) -> type[Vendor]:
        from airflow_provider_voice.vendors.unleashx import UnleashX

        return UnleashX
