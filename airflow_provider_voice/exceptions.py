"""One exception class for each failure that a user can act on.

Nothing here imports Airflow. Hooks raise these errors. Operators and sensors end the task without a retry on a
permanent one and let Airflow retry the others.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any


class VoiceError(Exception):
    """Base of every error of this package.

    >>> error = InsufficientCredits("Talkover refused the call: no credit.", vendor="talkover", status_code=402)
    >>> error.permanent, error.status_code
    (True, 402)

    :param message: what happened, to which call, agent or page, and what to do; numbers masked, never a token.
    :param vendor: ``talkover``, ``talkstack`` or ``unleashx``; None when no vendor was asked.
    :param status_code: the HTTP status of the vendor's response; None when there was none.
    :param code: the vendor's own error code; None when it gave none.
    :param request_id: the vendor's id of the request, for its support desk; None when it gave none.
    :param permanent: whether the same request would fail again; None: the class's default.
    """

    permanent_by_default = True

    def __init__(
        self,
        message: str = "",
        *,
        vendor: str | None = None,
        status_code: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        permanent: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.vendor = vendor
        self.status_code = status_code
        self.code = code
        self.request_id = request_id
        self.permanent = self.permanent_by_default if permanent is None else permanent

    def to_dict(self) -> dict[str, Any]:
        """Return class name, message and fields as JSON, for :func:`error_from_dict` in another process."""
        fields = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        times = {name: value.isoformat() for name, value in fields.items() if isinstance(value, datetime)}
        return {"class": type(self).__name__, **fields, **times}

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with the message alone and lose the rest.
        return error_from_dict, (self.to_dict(),)


class InvalidRequest(VoiceError, ValueError):
    """An argument or a connection field is wrong; nothing was sent."""


class InvalidPhoneNumber(VoiceError, ValueError):
    """The number cannot be called; the message says why (too short, no such country code, ...)."""


class AuthenticationFailed(VoiceError):
    """The vendor refuses the token (HTTP 401), or the token may not do this (HTTP 403)."""


class AgentNotUsable(VoiceError):
    """The agent does not exist, is not published or may not place calls."""


class InsufficientCredits(VoiceError):
    """The vendor's account has no credit left; permanent until somebody tops it up."""


class RequestRejected(VoiceError):
    """The vendor refused the request for another reason (other 4xx; of a read also a redirect, ``success: false``)."""


class RateLimited(VoiceError):
    """The vendor asked to slow down, and kept asking for longer than the hook waits.

    :param message: the text of the error, as in :class:`VoiceError`.
    :param retry_after: seconds the vendor asks to wait; None when it does not say.
    :param kwargs: the other arguments of :class:`VoiceError`.
    """

    permanent_by_default = False

    def __init__(self, message: str = "", *, retry_after: float | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after


class VendorUnavailable(VoiceError):
    """The vendor did not respond, or its response cannot be read; a later request may succeed."""

    permanent_by_default = False


class CallOutcomeUnknown(VoiceError):
    """A create was sent and its outcome is not known: the phone may have rung.

    Permanent, because the same request could ring again, unless a retry only searches the vendor's list.
    """


class CallNotFound(VoiceError):
    """The vendor does not show the call, even after the time it is given to show new calls."""


class CallNotCompleted(VoiceError):
    """The call ended in a way the task does not count as a success.

    :param message: the text of the error, as in :class:`VoiceError`.
    :param status: the :class:`~airflow_provider_voice.models.CallStatus` value it ended with, e.g. ``busy``; ``None``
        when it did not end in time.
    :param kwargs: the other arguments of :class:`VoiceError`.
    """

    def __init__(self, message: str = "", *, status: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.status = None if status is None else str(status)


class StaleRun(VoiceError):
    """The DAG run is too old to ring anybody for it."""


class NotAllowedNow(VoiceError):
    """The contact policy does not allow the call at this time.

    :param message: the text of the error, as in :class:`VoiceError`.
    :param next_at: first instant at which the call is allowed, an aware datetime (or its ISO text); ``None`` when
        waiting does not help.
    :param kwargs: the other arguments of :class:`VoiceError`.
    """

    def __init__(self, message: str = "", *, next_at: datetime | str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.next_at = datetime.fromisoformat(next_at) if isinstance(next_at, str) else next_at


class IncompleteHistory(VoiceError):
    """The vendor's history of the requested window cannot be read completely, so nothing of it was used."""


class WarehouseFailed(VoiceError):
    """The database refused a statement or broke off; the table is as it was before.

    ``code`` is the database's SQLSTATE or error name. The database's own text is not kept, because it quotes the row.
    """

    permanent_by_default = False


class StorageFailed(VoiceError):
    """The object storage refused or broke off; the manifest is the earlier one, and a retry completes the set."""

    permanent_by_default = False


class LedgerFailed(VoiceError):
    """The ledger's database refused or did not answer; nobody is called without it."""

    permanent_by_default = False


class CapabilityNotSupported(VoiceError):
    """The vendor has no such feature (a delay, a test call, hanging up, ...)."""


def error_from_dict(data: dict[str, Any]) -> VoiceError:
    """Rebuild the error that :meth:`VoiceError.to_dict` described.

    :param data: the dictionary; an unknown class name gives a plain :class:`VoiceError`.
    :return: the error, to be raised.
    """
    fields = dict(data)
    named = globals().get(str(fields.pop("class", "")))
    error_class = named if isinstance(named, type) and issubclass(named, VoiceError) else VoiceError
    return error_class(**fields)
