"""The hook of a connection: the same one until the connection was edited."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import Connection

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.hooks.voice import TalkoverHook, UnleashXHook, VoiceHook
from airflow_provider_voice.triggers.connection_hook import ConnectionHook


@pytest.fixture
def fields(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the fields of the connection, which a test may edit; without fields there is no connection."""
    fields: dict[str, Any] = {"conn_type": "talkover", "password": "token", "host": "127.0.0.1", "port": 1}

    async def aget_connection(conn_id: str) -> Connection:
        if not fields:
            raise AirflowNotFoundException(conn_id)
        return Connection(conn_id=conn_id, **fields)

    monkeypatch.setattr(VoiceHook, "aget_connection", aget_connection)
    return fields


def test_an_unchanged_connection_keeps_its_hook(fields) -> None:
    async def main() -> None:
        hooks = ConnectionHook("voice")
        first = await hooks.get()
        assert await hooks.get() is first

    asyncio.run(main())


@pytest.mark.parametrize(
    "edit", [{"password": "other"}, {"conn_type": "unleashx"}, {"port": 2}, {"extra": json.dumps({"read_timeout": 5})}]
)
def test_an_edited_connection_gets_a_new_hook_and_the_old_one_is_closed(fields, edit, monkeypatch) -> None:
    async def main() -> None:
        hooks = ConnectionHook("voice")
        first = await hooks.get()
        closed = []
        monkeypatch.setattr(first.vendor, "close", lambda: closed.append(first))
        fields.update(edit)
        second = await hooks.get()
        assert second is not first
        assert closed == [first]
        assert isinstance(second, UnleashXHook if "conn_type" in edit else TalkoverHook)

    asyncio.run(main())


def test_a_deleted_or_wrong_connection_is_an_error(fields) -> None:
    async def main() -> None:
        hooks = ConnectionHook("voice")
        fields["password"] = ""
        with pytest.raises(InvalidRequest, match="no token"):
            await hooks.get()
        fields.clear()
        with pytest.raises(InvalidRequest, match="no connection 'voice'") as missing:
            await hooks.get()
        assert missing.value.permanent

    asyncio.run(main())


def test_a_connection_that_is_wrong_for_a_moment_ends_no_wait(fields) -> None:
    async def main() -> None:
        hooks = ConnectionHook("voice")
        first = await hooks.get()
        fields["password"] = ""
        with pytest.raises(InvalidRequest, match="no token") as wrong:
            await hooks.get()
        assert not wrong.value.permanent
        fields["password"] = "token"
        assert await hooks.get() is first

    asyncio.run(main())


def test_a_connection_that_cannot_be_found_any_more_is_read_again(fields) -> None:
    """A secrets backend that does not answer for a moment would otherwise end every wait of the connection."""

    async def main() -> None:
        hooks = ConnectionHook("voice")
        first = await hooks.get()
        there = dict(fields)
        fields.clear()
        with pytest.raises(InvalidRequest) as missing:
            await hooks.get()
        assert not missing.value.permanent
        fields.update(there)
        assert await hooks.get() is first

    asyncio.run(main())


def test_closing_twice_is_harmless(fields) -> None:
    async def main() -> None:
        hooks = ConnectionHook("voice")
        hooks.close()
        first = await hooks.get()
        hooks.close()
        hooks.close()
        assert await hooks.get() is not first

    asyncio.run(main())


@pytest.mark.parametrize(
    ("extra", "longest", "seconds"),
    [
        ({"requests_per_minute": 60}, 1.0, 6.0),  # half of the limit is one request in 2 s
        ({}, 30.0, 3.6),  # half of the 100 that are presumed
        ({}, 1.0, 1.0),
    ],
)
def test_polls_leave_half_of_the_limit_to_others(fields, extra, longest, seconds) -> None:
    fields["extra"] = json.dumps(extra)

    def send_three(hook: VoiceHook) -> str:
        hook.vendor.http.sent += 3
        return "done"

    result = asyncio.run(ConnectionHook("voice").request(send_three, longest=longest))
    assert result == ("done", pytest.approx(seconds))
