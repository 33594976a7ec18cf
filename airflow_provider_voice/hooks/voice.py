"""The hooks of the three connection types: an Airflow connection on one side, a vendor on the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseHook

from airflow_provider_voice.exceptions import InvalidRequest, VendorUnavailable, VoiceError
from airflow_provider_voice.hooks.connection_form import field_behaviour, form_widgets
from airflow_provider_voice.models import Call, CallRef, CallRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from airflow.sdk import Connection

    from airflow_provider_voice.models import CallStatus, Direction
    from airflow_provider_voice.vendors.base import Vendor


class VoiceHook(BaseHook):
    """One vendor through one Airflow connection.

    Use :meth:`for_connection` where the vendor does not matter, a subclass where it does. Example::

        hook = VoiceHook.for_connection("my_voice")
        for call in hook.list_calls(start, end, status="completed"):
            print(call.to_dict())

    See also :class:`~airflow_provider_voice.operators.make_call.MakeCallOperator` and the errors in
    :mod:`airflow_provider_voice.exceptions`.

    :param voice_conn_id: the connection, default ``voice_default``.
    :param connection: the connection itself, where it was already fetched (the triggerer does so asynchronously).
    """

    conn_name_attr = "voice_conn_id"
    default_conn_name = "voice_default"
    conn_type: ClassVar[str] = ""
    hook_name: ClassVar[str] = "Voice"
    #: The vendor's class, imported with the first request and not with a DAG file.
    vendor_path: ClassVar[str] = ""
    #: Whether the vendor's call list states the direction of a call.
    reports_direction: ClassVar[bool] = True

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
        :return: a :class:`TalkoverHook`, :class:`TalkstackHook` or :class:`UnleashXHook`.
        :raises InvalidRequest: when the connection is not of a voice vendor.
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
        return form_widgets(cls.conn_type) if cls.conn_type else {}

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels and placeholders of the standard form fields, for Airflow before 3.2."""
        return field_behaviour(cls.conn_type) if cls.conn_type else {}

    @cached_property
    def vendor(self) -> Vendor:
        """The vendor of the connection.

        :raises InvalidRequest: for an invalid field of the connection.
        """
        from airflow.sdk.log import mask_secret

        # Imported with the first call, not with a DAG file, because requests and tenacity are slow to import.
        from airflow_provider_voice.hooks.connection_settings import settings_of

        if not self.vendor_path:
            raise InvalidRequest("VoiceHook itself has no vendor: use VoiceHook.for_connection or a subclass.")
        connection = self._connection or self.get_connection(self.voice_conn_id)
        vendor_class: type[Vendor] = resolve_name(self.vendor_path)
        settings = settings_of(connection, vendor_class.default_base_url)
        # Airflow masks the connections that it loads; a connection made by hand is known here only.
        mask_secret(settings.token)
        return vendor_class(settings)

    def get_conn(self) -> Vendor:
        """Return the vendor, as other hooks return their connection."""
        return self.vendor

    def make_call(self, request: CallRequest) -> Call:
        """Place one call; exactly one create request is ever accepted by the vendor.

        Calling this a second time rings a second time: tasks that may be retried use ``MakeCallOperator``.

        :param request: the call; number, agent and tag are completed from the connection.
        :return: the call as the vendor's response shows it.
        :raises InvalidPhoneNumber, InvalidRequest, CapabilityNotSupported: before anything is sent.
        :raises CallOutcomeUnknown: when the phone may have rung.
        :raises VoiceError: for a refusal by the vendor, of the class that fits.
        """
        if not isinstance(request, CallRequest):
            raise InvalidRequest(f"make_call takes a CallRequest, not {type(request).__name__}.")
        return self.vendor.create(request)

    def get_call(self, ref: CallRef | Call | Mapping[str, Any] | str) -> Call | None:
        """Return one call, or None when the vendor does not show it (yet).

        :param ref: the call, its dictionary or its id; with number and time the request is cheap.
        :return: the call as the vendor shows it now.
        :raises InvalidRequest: when there is no call id in ``ref``.
        :raises VoiceError: for a refusal by the vendor, of the class that fits.
        """
        return self.vendor.find(CallRef.of(ref))

    def get_calls(self, refs: Iterable[CallRef | Call | Mapping[str, Any] | str]) -> dict[str, Call]:
        """Return many calls by id, by the cheapest plan the vendor allows; those it does not show are absent.

        :param refs: the calls, their dictionaries or ids.
        :return: call id -> call.
        :raises InvalidRequest: when there is no call id in one of them, or it is one call instead of several.
        :raises VoiceError: for a refusal by the vendor, of the class that fits.
        """
        if isinstance(refs, (str, bytes, Mapping)) or not isinstance(refs, Iterable):
            raise InvalidRequest(f"get_calls takes a list of calls, not {type(refs).__name__}. One call: get_call.")
        return self.vendor.find_many([CallRef.of(ref) for ref in refs])

    def list_calls(
        self,
        start: datetime,
        end: datetime,
        *,
        agent_id: str | None = None,
        direction: Direction | None = None,
        status: CallStatus | str | Sequence[CallStatus | str] | None = None,
        to: str | None = None,
        page_concurrency: int = 1,
    ) -> Iterator[Call]:
        """Yield the calls created in ``[start, end)``, each once.

        :param start: aware instant, included.
        :param end: aware instant, not included.
        :param agent_id: only calls of this agent.
        :param direction: ``inbound`` or ``outbound``.
        :param status: one call status or a collection of them.
        :param to: only calls to this number, E.164.
        :param page_concurrency: pages read at once where the vendor has page numbers, default 1.
        :return: an iterator that reads page after page.
        :raises InvalidRequest: at once, before the first row, for an invalid bound or filter.
        :raises CapabilityNotSupported: when the vendor's rows do not have the field of a filter.
        :raises IncompleteHistory: when the vendor's list cannot be read completely.
        """
        from airflow_provider_voice.vendors.base import HistoryQuery  # as in ``vendor``

        query = HistoryQuery(
            start, end, agent_id=agent_id, direction=direction, status=status, to=to, page_concurrency=page_concurrency
        )
        return self.vendor.list_calls(query)

    def end_call(self, ref: CallRef | Call | Mapping[str, Any] | str) -> None:
        """Hang up a call.

        :param ref: the call, its dictionary or its id.
        :raises CapabilityNotSupported: where the vendor has no such request (Talkstack, UnleashX).
        :raises CallNotFound: when the vendor has no such call.
        :raises RequestRejected: when the call is not active.
        """
        self.vendor.end_call(CallRef.of(ref))

    def hang_up(self, ref: CallRef | Call) -> bool:
        """End the call of a killed task, if the vendor can; the log says why it was not ended.

        :param ref: the call.
        :return: whether the vendor accepted the request, or may have accepted it: its response was lost.
        """
        try:
            self.end_call(ref)
        except VoiceError as error:
            self.log.warning("Could not end call %s: %s", ref.id, error.message)
            return isinstance(error, VendorUnavailable)
        self.log.info("Ended call %s, because its task was killed.", ref.id)
        return True

    def test_connection(self) -> tuple[bool, str]:
        """Check the connection with a request that costs nothing and changes nothing.

        :return: whether it works, and a sentence for people.
        """
        try:
            return True, self.vendor.check()
        except VoiceError as error:
            return False, error.message


class TalkoverHook(VoiceHook):
    """Talkover; connection type ``talkover``.

    The only vendor that can hang up::

        TalkoverHook("voice_talkover").end_call(call)
    """

    conn_type = "talkover"
    hook_name = "Talkover"
    vendor_path = "airflow_provider_voice.vendors.talkover.Talkover"


class TalkstackHook(VoiceHook):
    """Talkstack; connection type ``talkstack``.

    Its connection names a project::

        TalkstackHook("voice_talkstack").make_call(CallRequest("+14155552601", variables={"name": "Ada"}))
    """

    conn_type = "talkstack"
    hook_name = "Talkstack"
    vendor_path = "airflow_provider_voice.vendors.talkstack.Talkstack"


class UnleashXHook(VoiceHook):
    """UnleashX; connection type ``unleashx``.

    The ids of its agents are whole numbers::

        UnleashXHook("voice_unleashx").make_call(CallRequest("+14155552601", agent_id="101"))
    """

    conn_type = "unleashx"
    hook_name = "UnleashX"
    vendor_path = "airflow_provider_voice.vendors.unleashx.UnleashX"
    reports_direction = False


class HasVoiceHook:
    """Base of a task that works with one voice connection.

    .. code-block:: python

        class RingOperator(HasVoiceHook, BaseOperator):
            def execute(self, context):
                return self.hook.make_call(CallRequest("+14155552671")).id
    """

    voice_conn_id: str

    @cached_property
    def hook(self) -> VoiceHook:
        """The hook of the connection."""
        return VoiceHook.for_connection(self.voice_conn_id)
