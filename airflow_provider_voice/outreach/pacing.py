"""The pace of a voice connection, kept in the ledger: a token bucket and a limit of calls at once for all workers."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from airflow_provider_voice.exceptions import LedgerFailed
from airflow_provider_voice.outreach.clocks import Interval
from airflow_provider_voice.outreach.schema import attempts, pacing
from airflow_provider_voice.outreach.states import IN_PROGRESS, AttemptState

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.outreach.database import Database
    from airflow_provider_voice.vendors.rate_limit import Limiter

log = logging.getLogger(__name__)

#: The part of a minute's calls that may be caught up at once. A minute never sees more than 1 + BURST of its limit,
#: and a worker that was held up for this part of a minute loses nothing.
BURST = 0.04
#: How long the limits of a campaign count for others on its connection after it last asked for a place.
LIMITS_COUNT_FOR = timedelta(minutes=2)
#: Seconds without calls after a 429 that names no time.
SLOW_SECONDS = 5.0
#: The longest call, unless a campaign says otherwise: no vendor documents one. An attempt without a known ending holds
#: its place for so long.
LONGEST_CALL = timedelta(hours=4)
#: The same for the call of a task that does not wait for its ending, so that the ledger never has it.
HELD_FOR_OTHERS = timedelta(minutes=15)
_SECONDS_BETWEEN_HINTS = 60.0
#: The row that is locked where a cap over all connections must hold.
ALL_CONNECTIONS = "*"
#: The limits of a pacing row, and until when each counts.
_LIMIT_COLUMNS = {"calls_per_minute": "calls_limited_until", "max_concurrent": "concurrency_limited_until"}


@dataclass(frozen=True)
class Limits:
    """How fast a campaign may call over one voice connection.

    :param calls_per_minute: calls placed in any minute; ``None``: no limit.
    :param max_concurrent: calls in progress at once; ``None``: no limit.
    """

    calls_per_minute: float | None = None
    max_concurrent: int | None = None


@dataclass
class Places:
    """The places for new calls that a locked pacing row offers.

    :param count: how many of the wanted calls may be placed now.
    :param wait: seconds until there may be another place, when there is none now.
    :param now: the database's time.
    :param tokens: the tokens in the bucket; ``None`` without a limit.
    """

    count: int
    wait: float
    now: datetime
    tokens: float | None = None


def capacity(calls_per_minute: float) -> float:
    """Return how many calls the bucket holds.

    :param calls_per_minute: the limit.
    :return: tokens, at least one.
    """
    return max(1.0, calls_per_minute * BURST)


def filled(tokens: float, since: datetime | None, now: datetime, per_minute: float, most: float) -> float:
    """Return the tokens in a bucket after it was filled up to ``now``.

    :param tokens: the tokens in it at ``since``.
    :param since: when it was filled last; ``None``: never, so it begins with one token.
    :param per_minute: tokens that come in a minute.
    :param most: its capacity in tokens.
    :param now: the ledger's time.
    :return: the tokens at ``now``.
    """
    if since is None:
        return 1.0
    seconds = max(0.0, (now - since).total_seconds())
    return min(most, tokens + seconds * per_minute / 60.0)


class Pacing:
    """The pace of one voice connection.

    :param database: the ledger's database.
    :param voice_conn_id: the connection.
    :param limits: the limits of this campaign; of all campaigns at work, the tightest limits count.
    :param longest_call: how long an attempt of a campaign without a known ending holds its place, default 4 hours.
    """

    def __init__(
        self, database: Database, voice_conn_id: str, limits: Limits, longest_call: timedelta = LONGEST_CALL
    ) -> None:
        self._database = database
        self._conn_id = voice_conn_id
        self._limits = limits
        self._longest_call = longest_call
        self._hints = Interval(_SECONDS_BETWEEN_HINTS)

    def lock(self, connection: Connection, wanted: int = 1) -> Places:
        """Lock the connection's row and return the places it offers; :meth:`take` them in the same transaction.

        :param connection: a connection inside a transaction.
        :param wanted: how many calls are to be placed, default 1.
        :return: the places.
        """
        row = self._row(connection, self._conn_id)
        now = self._database.now(connection)
        limits = self._effective(connection, row, now)
        if row.slow_until is not None and row.slow_until > now:
            return Places(0, (row.slow_until - now).total_seconds(), now)
        count, wait, tokens = wanted, 0.0, None
        if limits.calls_per_minute is not None:
            per_minute = limits.calls_per_minute
            tokens = filled(row.tokens, row.filled_at, now, per_minute, capacity(per_minute))
            # A hair less than a whole token is a whole one: floating point must not cost a wait.
            count = min(count, int(tokens + 1e-6))
            wait = max(0.0, 1.0 - tokens) * 60.0 / per_minute
        if limits.max_concurrent is not None:
            held = self._held(connection, now)
            free = max(0, limits.max_concurrent - sum(held.values()))
            if free == 0:
                self._log_unknown(held.get(AttemptState.UNKNOWN.value, 0), limits.max_concurrent)
            # An ending frees a place; endings come by polls, so there is no sense in asking often.
            wait = max(wait, 1.0) if free == 0 else wait
            count = min(count, free)
        return Places(count, wait, now, tokens)

    def take(self, connection: Connection, places: Places, count: int) -> None:
        """Take places out of the bucket; part of the transaction that stores the intents.

        :param connection: the transaction of :meth:`lock`.
        :param places: what :meth:`lock` returned.
        :param count: how many are taken.
        """
        if places.tokens is None:
            return
        update = pacing.update().where(pacing.c.voice_conn_id == self._conn_id)
        connection.execute(update.values(tokens=places.tokens - count, filled_at=places.now))

    def slow_down(self, connection: Connection, seconds: float | None) -> None:
        """Let nobody place a call over this connection for a while: the vendor answered 429.

        :param seconds: the wait that the vendor asks for; ``None``: it named none.
        :param connection: a connection inside a transaction.
        """
        row = self._row(connection, self._conn_id)
        until = self._database.now(connection) + timedelta(seconds=SLOW_SECONDS if seconds is None else seconds)
        if row.slow_until is None or row.slow_until < until:
            update = pacing.update().where(pacing.c.voice_conn_id == self._conn_id)
            connection.execute(update.values(slow_until=until, tokens=0.0, filled_at=until))

    def take_request(self, connection: Connection, per_minute: float) -> float:
        """Take a place for one request of any kind; return the seconds to wait when there is none.

        :param per_minute: ``requests_per_minute`` of the connection.
        :param connection: a connection inside a transaction.
        :return: seconds to wait; 0 when the place is taken.
        """
        row = self._row(connection, self._conn_id)
        now = self._database.now(connection)
        if row.slow_until is not None and row.slow_until > now:
            return float((row.slow_until - now).total_seconds())
        # The vendor counts requests, so the rate leaves room for the burst: no minute exceeds the limit.
        rate = per_minute * (1.0 - BURST)
        tokens = filled(row.request_tokens, row.requests_filled_at, now, rate, capacity(per_minute))
        wait = 0.0 if tokens >= 1.0 - 1e-6 else (1.0 - tokens) * 60.0 / rate
        update = pacing.update().where(pacing.c.voice_conn_id == self._conn_id)
        left = tokens if wait else tokens - 1.0
        connection.execute(update.values(request_tokens=left, requests_filled_at=now))
        return wait

    def lock_everybody(self, connection: Connection) -> None:
        """Lock the row under which caps over all connections are checked; before :meth:`lock`, always.

        :param connection: a connection inside a transaction.
        """
        self._row(connection, ALL_CONNECTIONS)

    def _effective(self, connection: Connection, row: Any, now: datetime) -> Limits:
        """Return the tightest limits of all campaigns at work, and leave ours for the others."""
        changed: dict[str, Any] = {}
        tightest: dict[str, float | None] = {}
        for name, until_name in _LIMIT_COLUMNS.items():
            own, stored, until = getattr(self._limits, name), getattr(row, name), getattr(row, until_name)
            counts = stored is not None and until is not None and until > now
            tightest[name] = min(
                (limit for limit in (own, stored if counts else None) if limit is not None), default=None
            )
            # Written again from time to time only: the row is read with every place.
            is_fresh = counts and tightest[name] == stored and until > now + LIMITS_COUNT_FOR / 2
            if own is not None and tightest[name] == own and not is_fresh:
                changed.update({name: own, until_name: now + LIMITS_COUNT_FOR})
        if changed:
            connection.execute(pacing.update().where(pacing.c.voice_conn_id == self._conn_id).values(**changed))
        most = tightest["max_concurrent"]
        return Limits(tightest["calls_per_minute"], None if most is None else int(most))

    def _held(self, connection: Connection, now: datetime) -> dict[str, int]:
        """Return how many attempts hold a place, by their state."""
        is_campaigns = attempts.c.source == "outreach"
        query = select(attempts.c.state, func.count()).where(
            attempts.c.voice_conn_id == self._conn_id,
            attempts.c.state.in_([state.value for state in IN_PROGRESS]),
            or_(
                and_(is_campaigns, attempts.c.intended_at > now - self._longest_call),
                and_(~is_campaigns, attempts.c.intended_at > now - HELD_FOR_OTHERS),
            ),
        )
        return {row[0]: row[1] for row in connection.execute(query.group_by(attempts.c.state))}

    def _log_unknown(self, unknown: int, places: int) -> None:
        if unknown and self._hints.is_due():
            log.warning(
                "All %d places of %s are taken, %d of them by calls of unknown outcome, whose phones may be ringing. "
                "'voice-outreach resolve' frees such a place; otherwise it is free %s after the attempt.",
                places, self._conn_id, unknown, self._longest_call,
            )  # fmt: skip

    def _row(self, connection: Connection, name: str) -> Any:
        query = self._database.locked(select(pacing).where(pacing.c.voice_conn_id == name))
        row = connection.execute(query).one_or_none()
        if row is None:
            empty = {"voice_conn_id": name, "tokens": 0.0, "request_tokens": 0.0}
            self._database.insert_if_missing(connection, pacing, empty)
            row = connection.execute(query).one()
        return row


class RequestPace:
    """``requests_per_minute`` of a connection, kept in the ledger for all workers.

    :param database: the ledger's database.
    :param pacing: the pace of the connection.
    :param per_minute: requests a minute.
    :param fallback: the limiter of this process, for as long as the ledger does not answer.
    :param stopped: set when the worker stops, which ends each wait; ``None``: a wait ends only with a place.
    """

    def __init__(
        self,
        database: Database,
        pacing: Pacing,
        per_minute: float,
        fallback: Limiter | None,
        stopped: threading.Event | None = None,
    ) -> None:
        self._database = database
        self._pacing = pacing
        self._per_minute = per_minute
        self._fallback = fallback
        self._stopped = stopped or threading.Event()

    def acquire(self) -> None:
        """Wait for a place and take it."""
        while True:
            try:
                wait = self._database.transact(
                    lambda connection: self._pacing.take_request(connection, self._per_minute)
                )
            except LedgerFailed:
                if self._fallback is not None:
                    self._fallback.acquire()
                return
            if not wait or self._stopped.wait(wait):
                return


def share_requests(hook: VoiceHook, database: Database, pacing: Pacing, stopped: threading.Event | None = None) -> None:
    """Let the ``requests_per_minute`` of a hook's connection, if it has one, hold for all workers together.

    :param hook: the voice connection.
    :param database: the ledger's database.
    :param pacing: the pace of the connection.
    :param stopped: as for :class:`RequestPace`.
    """
    http, per_minute = hook.vendor.http, hook.vendor.settings.requests_per_minute
    if per_minute and not isinstance(http.limiter, RequestPace):
        http.limiter = RequestPace(database, pacing, per_minute, http.limiter, stopped)
