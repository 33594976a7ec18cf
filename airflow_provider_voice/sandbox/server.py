"""The sandbox on a port: uvicorn in a thread, connections to it, and its controls."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_voice.sandbox.arguments import VendorName, seconds_of
from airflow_provider_voice.sandbox.faults import Fault, FaultKind
from airflow_provider_voice.sandbox.quirks import VendorQuirks
from airflow_provider_voice.sandbox.world import DEFAULT_AGENTS, LoggedRequest, Ring, SandboxCall, World

_STOP_SECONDS = 20.0


class Sandbox:
    """Three vendors on one free port, in a thread of this process.

    The clock of the vendors runs with real time; ``speed`` shortens calls, not the clock. At ``speed=60`` a call of 90
    seconds ends after one and a half: ``created_at``, ``updated_at`` and ``ended_at`` are real times, while its
    duration and price are those of 90 seconds.

    :param port: the port on ``host``; 0 (default): any free one.
    :param host: the address to listen on. Default: loopback; the sandbox's tokens are public.
    :param speed: the speed of calls as a multiple of real time, default 1.
    :param frozen: whether the clock moves by :meth:`advance` alone, default False.
    :param start: the time the clock starts at; ``None`` (default): now.
    :param seed: decides the outcome of numbers without a magic ending, default 0.
    :param quirks: the vendors' answers to facts that their pages leave open. Default: the likely ones.
    :raises ValueError: when ``speed`` is not greater than 0.

    >>> with Sandbox(speed=60) as sandbox:
    ...     connection = sandbox.connection("talkover")
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        speed: float = 1.0,
        frozen: bool = False,
        start: datetime | None = None,
        seed: int = 0,
        quirks: VendorQuirks | None = None,
    ) -> None:
        # Here, not above: pytest loads this module in each of its runs, and these bring starlette.
        from starlette.applications import Starlette

        from airflow_provider_voice.sandbox.talkover import TalkoverRoutes
        from airflow_provider_voice.sandbox.talkstack import TalkstackRoutes
        from airflow_provider_voice.sandbox.unleashx import UnleashXRoutes

        if speed <= 0:
            raise ValueError(
                f"speed must be greater than 0, not {speed}; for a clock that stops, use Sandbox(frozen=True)"
            )
        quirks = quirks or VendorQuirks()
        start = (start or datetime.now(timezone.utc)) + timedelta(seconds=seconds_of(quirks.clock_offset))
        self.host = host
        self.port = port
        delay = seconds_of(quirks.list_delay)
        self.world = World(frozen=frozen, start=start, seed_number=seed, speed=speed, list_delay=delay)
        vendors = [routes(self.world, quirks) for routes in (TalkoverRoutes, TalkstackRoutes, UnleashXRoutes)]
        self._vendors = {vendor.name: vendor for vendor in vendors}
        self.app = Starlette(routes=[route for vendor in vendors for route in vendor.routes()])

    def __enter__(self) -> Sandbox:
        """Start to listen."""
        import uvicorn  # only for those who start one

        sock = socket.create_server((self.host, self.port))
        self.port = sock.getsockname()[1]
        config = uvicorn.Config(self.app, log_level="critical", lifespan="off", date_header=False, http="h11")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([sock],), daemon=True, name="voice-sandbox")
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
            if not self._thread.is_alive():
                raise RuntimeError("The sandbox's server ended while it started.")
        return self

    def __exit__(self, *error: object) -> None:
        """Stop listening."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(_STOP_SECONDS)

    @property
    def url(self) -> str:
        """Where the sandbox listens."""
        return f"http://{self.host}:{self.port}"

    @property
    def rings(self) -> list[Ring]:
        """The phones that rang, in order."""
        return list(self.world.rings)

    @property
    def requests(self) -> list[LoggedRequest]:
        """Every request that came, in order."""
        return list(self.world.requests)

    def rings_per_number(self) -> dict[str, int]:
        """Return how often each number rang."""
        return dict(Counter(ring.number for ring in self.world.rings))

    def calls(self, vendor: VendorName) -> list[SandboxCall]:
        """Return every call of a vendor, also those that its lists do not show yet.

        :param vendor: ``talkover``, ``talkstack`` or ``unleashx``.
        :return: the calls, in the order in which they were added.
        """
        return list(self.world.calls[vendor])

    def advance(self, by: timedelta | float) -> None:
        """Make the sandbox's clock jump.

        :param by: how far, seconds or a ``timedelta``; calls advance by ``speed`` times as much.
        """
        self.world.advance(by)

    def now(self) -> datetime:
        """Return the sandbox's time."""
        return self.world.now()

    def add_fault(self, kind: FaultKind, **fields: Any) -> Fault:
        """Script a fault.

        :param kind: the kind of fault; see :class:`~airflow_provider_voice.sandbox.faults.Fault`.
        :param fields: the other fields of :class:`~airflow_provider_voice.sandbox.faults.Fault`.
        :return: the fault.
        """
        fault = Fault(kind, **fields)
        self.world.faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        """Remove every scripted fault."""
        self.world.faults.clear()

    def seed(self, vendor: VendorName, count: int, start: datetime, end: datetime, **fields: Any) -> list[SandboxCall]:
        """Add a history of calls; no phone rings.

        :param vendor: whose history.
        :param count: how many calls.
        :param start: the first moment at which one may be created, by the sandbox's clock.
        :param end: the end of these moments, exclusive.
        :param fields: ``agent_id``, by default the sandbox's first one, and ``direction``, by default ``outbound``.
        :return: the new calls.
        """
        return self.world.seed(vendor, count, start, end, **fields)

    def connection(self, vendor: VendorName) -> dict[str, Any]:
        """Return an Airflow connection to a vendor of this sandbox, as the fields of its JSON form.

        Host, port and scheme are separate fields: Airflow's test button refuses a connection without a port.

        :param vendor: ``talkover``, ``talkstack`` or ``unleashx``.
        :return: the fields by name; ``extra`` is a dictionary.
        """
        routes = self._vendors[vendor]
        address = {"schema": "http", "host": self.host, "port": self.port}
        extra = {"default_agent_id": DEFAULT_AGENTS[vendor], **routes.connection_extra}
        return {"conn_type": vendor, **address, "password": routes.token, "extra": extra}

    def connection_json(self, vendor: VendorName) -> str:
        """Return the connection as the text for an ``AIRFLOW_CONN_...`` variable.

        :param vendor: ``talkover``, ``talkstack`` or ``unleashx``.
        :return: JSON.
        """
        return json.dumps(self.connection(vendor))
