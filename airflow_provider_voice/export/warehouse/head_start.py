"""A load that begins while the last calls are still pulled."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.load import Loading

log = logging.getLogger(__name__)

#: A load begins ahead when the pull is expected to end within so many seconds: no transaction, and no lock, waits
#: long for a vendor.
HEAD_START_SECONDS = 30.0


class HeadStart:
    """Loads the chunks that are full while the last ones are still pulled.

    In a thread and a transaction of its own, which the rest of the load goes on with. It is only that, a start:
    whatever goes wrong with it is forgotten, and the load begins anew, for the spool still has every row.

    :param spool: the rows.
    :param new_loading: makes a load that has not begun.
    :param seconds_left: says how long the pull will take; None: nobody knows, and nothing begins ahead.
    """

    def __init__(
        self, spool: RowBuffer, new_loading: Callable[[], Loading], seconds_left: Callable[[], float | None]
    ) -> None:
        self._new_loading = new_loading
        self._seconds_left = seconds_left
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="voice-load")
        self._loading: Loading | None = None
        self._is_off = False
        self._steps: list[Future[None]] = []
        spool.on_chunk = self._go_on

    def __enter__(self) -> HeadStart:
        """Begin to watch the spool."""
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Roll back what :meth:`loading` did not hand on."""
        if self._loading is not None:
            self._give_up(self._loading)
        self._pool.shutdown()

    def loading(self) -> Loading | None:
        """Return the load with what it has taken so far, when it began and all went well; from now on none begins."""
        self._is_off = True
        failed = next((error for error in (step.exception() for step in self._steps) if error is not None), None)
        if failed is not None and self._loading is not None:
            self._say_broken(failed)
            self._give_up(self._loading)
            self._loading = None
        loading, self._loading = self._loading, None
        return loading

    def _go_on(self) -> None:
        """Have the chunks taken that are full; in the thread of the pull."""
        if self._loading is None and self._can_begin():
            loading = self._new_loading()
            try:
                loading.connect()
            except Exception as error:  # noqa: BLE001 - drivers share no base class; the load itself will say it
                self._say_broken(error)
                self._is_off = True
                return
            self._loading = loading
        if self._loading is not None:
            self._steps.append(self._pool.submit(self._loading.take))

    def _can_begin(self) -> bool:
        left = None if self._is_off else self._seconds_left()
        return left is not None and left <= HEAD_START_SECONDS

    @staticmethod
    def _say_broken(error: BaseException) -> None:
        # Its class alone: the text may quote a row.
        log.info("The load begun ahead broke off (%s); it begins anew.", type(error).__name__)

    def _give_up(self, loading: Loading) -> None:
        for step in self._steps:
            step.cancel()
        # Again and again: a statement may begin right after it was to be broken off.
        while wait(self._steps, timeout=0.2).not_done:
            loading.interrupt()
        self._pool.submit(_roll_back, loading).result()


def _roll_back(loading: Loading) -> None:
    with suppress(Exception):  # a connection that is gone has rolled back by itself
        loading.__exit__(RuntimeError, None, None)
