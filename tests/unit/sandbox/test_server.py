"""The server itself: its port, its connections and its controls."""

from __future__ import annotations

import json
import socket
from datetime import timedelta

import pytest
from airflow.sdk import Connection

from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.sandbox import Sandbox

DONE = "+14155552601"


def test_it_listens_while_the_block_runs_and_no_longer() -> None:
    with Sandbox(frozen=True) as sandbox:
        address = (sandbox.host, sandbox.port)
        assert address[0] == "127.0.0.1"
        socket.create_connection(address, 30).close()
    with pytest.raises(OSError):
        socket.create_connection(address, 1)


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError), Sandbox(port=taken.getsockname()[1]):
        pass


def test_two_sandboxes_share_nothing() -> None:
    with Sandbox(frozen=True) as one, Sandbox(frozen=True) as other:
        one.world.place("talkover", DONE, "agent_sandbox")
        one.advance(3600)
        assert one.port != other.port
        assert (one.rings_per_number(), other.rings_per_number()) == ({DONE: 1}, {})
        assert one.now() - other.now() > timedelta(minutes=50)


def test_its_connections_work_in_a_hook(sandbox, vendor_name) -> None:
    fields = json.loads(sandbox.connection_json(vendor_name))
    connection = Connection(conn_id="voice", **{**fields, "extra": json.dumps(fields["extra"])})
    works, text = VoiceHook.for_connection("voice", connection=connection).test_connection()
    assert works, text
    assert [(entry.vendor, entry.operation) for entry in sandbox.requests] == [(vendor_name, "check")]


@pytest.mark.parametrize("by", [90, timedelta(seconds=90)])
def test_the_clock_jumps_by_seconds_or_a_timedelta(by) -> None:
    sandbox = Sandbox(frozen=True)
    before = sandbox.now()
    sandbox.advance(by)
    assert sandbox.now() - before == timedelta(seconds=90)


def test_faults_are_removed(sandbox) -> None:
    sandbox.add_fault("reset", operation="any", times=0)
    sandbox.clear_faults()
    connection = Connection(conn_id="voice", **{**sandbox.connection("talkover"), "extra": "{}"})
    assert VoiceHook.for_connection("voice", connection=connection).test_connection()[0]


def test_its_lists_are_copies(sandbox) -> None:
    sandbox.world.place("talkover", DONE, "agent_sandbox")
    for every in (sandbox.rings, sandbox.calls("talkover")):
        every.clear()
    assert len(sandbox.rings) == len(sandbox.calls("talkover")) == 1
