"""The shapes of the facts pages that the sandbox does not show, and any shape at all."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallNotFound,
    CallOutcomeUnknown,
    IncompleteHistory,
    InsufficientCredits,
    InvalidPhoneNumber,
    InvalidRequest,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import CallRef, CallRequest, CallStatus
from tests.support import NUMBER, TOKEN, Reply, ScriptedServer, vendor_at

NOW = datetime.now(timezone.utc)
WINDOW = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))
REQUEST = CallRequest(NUMBER, agent_id="101")


@pytest.mark.parametrize(
    ("name", "status", "body", "error"),
    [
        (
            "talkover",
            400,
            {"error": {"code": "INVALID_PHONE_NUMBER", "message": "m", "details": {}}},
            InvalidPhoneNumber,
        ),
        ("talkover", 400, {"error": {"code": "AGENT_INACTIVE", "message": "m"}}, AgentNotUsable),
        ("talkover", 402, {"error": {"code": "INSUFFICIENT_CREDITS", "message": "m"}}, InsufficientCredits),
        (
            "talkover",
            404,
            {"success": False, "error": {"code": "AGENT_NOT_FOUND", "message": "m", "details": {}}},
            AgentNotUsable,
        ),
        ("talkover", 401, {"error": "TOKEN_EXPIRED", "message": "m", "status_code": 401}, AuthenticationFailed),
        ("talkover", 401, {"message": "Missing Bearer Token"}, AuthenticationFailed),
        ("talkover", 403, {"success": False, "message": "no", "code": "FORBIDDEN"}, AuthenticationFailed),
        ("talkover", 422, {"message": "m", "errors": {"to": ["bad"]}}, RequestRejected),
        ("talkover", 200, {"success": False, "message": "no"}, RequestRejected),
        ("talkstack", 400, {"message": "agentId is missing"}, AgentNotUsable),
        ("talkstack", 401, b"Unauthorized", AuthenticationFailed),
        ("talkstack", 400, b"number is missing", RequestRejected),
        ("unleashx", 200, {"error": True, "message": "Invalid Auth Key or Session Expired"}, AuthenticationFailed),
        ("unleashx", 200, {"error": True, "message": "Agent not found or not active"}, AgentNotUsable),
        ("unleashx", 404, {"error": True, "message": "Agent not found or not active"}, AgentNotUsable),
        ("unleashx", 400, {"error": True, "message": "Phone Number is required"}, InvalidPhoneNumber),
        ("unleashx", 422, {"error": True, "code": 422, "message": "text", "data": {}}, RequestRejected),
    ],
)
def test_every_error_shape_has_its_name(scripted, name, status, body, error) -> None:
    server = scripted(lambda seen: Reply(body, status=status))
    with pytest.raises(error) as refused:
        vendor_at(server.url, name).create(REQUEST)
    assert type(refused.value) is error
    assert refused.value.permanent
    assert refused.value.status_code == status
    assert refused.value.vendor == name
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": {"id": "c1"}},
        {"call_id": "c1", "status": "initiated"},
        {"id": "c1", "sid": "s", "from": "+1"},
    ],
)
def test_the_three_answers_of_talkovers_create(scripted, body) -> None:
    assert vendor_at(scripted(lambda seen: body).url, "talkover").create(REQUEST).id == "c1"


def test_what_each_create_sends(scripted) -> None:
    server = scripted(lambda seen: {"data": {"id": "c"}, "call": {"call_id": "c"}} if "agents/call" not in seen.path
                      else {"success": True, "data": {"execution_id": "c"}})  # fmt: skip
    full = CallRequest(NUMBER, agent_id="101", variables={"a": 1}, context={"b": 2}, tag="tag-1")
    vendor_at(server.url, "talkover").create(full)
    vendor_at(server.url, "unleashx").create(full)
    vendor_at(server.url, "talkstack").create(CallRequest(NUMBER, agent_id="a/1", variables={"a": 1}))
    talkover, unleashx, talkstack = server.seen
    assert talkover.path == "/agents/101/call"
    assert talkover.json == {"to": NUMBER, "payload": {"a": 1}, "context": {"b": 2, "airflow_call_tag": "tag-1"}}
    assert unleashx.path == "/agents/call"
    assert unleashx.json == {
        "agent_id": 101, "phone_number": NUMBER, "metadata": {"a": 1, "b": 2, "airflow_call_tag": "tag-1"},
    }  # fmt: skip
    assert unleashx.headers["Token"] == TOKEN
    assert talkstack.path == "/call/makeCall"
    assert talkstack.json == {
        "number": NUMBER,
        "projectId": "project-1",
        "agentId": "a/1",
        "dynamicVariables": {"a": 1},
    }
    assert talkstack.headers["X-Api-Key"] == TOKEN


def test_ids_from_users_are_quoted_in_paths(scripted) -> None:
    server = scripted(lambda seen: {"data": {"id": "c"}})
    vendor_at(server.url, "talkover").create(CallRequest(NUMBER, agent_id="../../admin?x=1#"))
    assert server.seen[0].path == "/agents/..%2F..%2Fadmin%3Fx%3D1%23/call"
    for agent_id in (".", "..", " .. "):
        with pytest.raises(InvalidRequest):
            vendor_at(server.url, "talkover").create(CallRequest(NUMBER, agent_id=agent_id))
        with pytest.raises(InvalidRequest):
            vendor_at(server.url, "talkover").end_call(CallRef("c", agent_id=agent_id))
    assert len(server.seen) == 1


@pytest.mark.parametrize("name", ["talkover", "talkstack", "unleashx"])
def test_a_number_in_a_status_word_or_an_id_does_not_reach_logs_and_errors(scripted, name, caplog) -> None:
    row = {"id": "c", "ID": "c", "callSid": "c", "created_at": NOW.isoformat(), "date": NOW.isoformat(),
           "CREATED_AT": NOW.isoformat(), "status": "to 415-555-2601", "STATUS": "to 415-555-2601"}  # fmt: skip
    server = scripted(
        lambda seen: {"data": [row], "datalist": [row]} if seen.query.get("page") in (None, ["1"]) else
        {"data": [], "datalist": []}
    )  # fmt: skip
    (call,) = vendor_at(server.url, name).list_calls(*WINDOW)
    assert call.status is CallStatus.UNKNOWN
    text = caplog.text + str(call.vendor_status)
    for ask in (
        lambda one: one.create(CallRequest(NUMBER, agent_id=NUMBER)),
        lambda one: one.end_call(CallRef(NUMBER)),
        lambda one: one.find(CallRef(NUMBER, placed_at=NOW)),
    ):
        try:
            ask(vendor_at(scripted(lambda seen: Reply({"message": "no"}, status=400)).url, name))
        except VoiceError as error:
            text += error.message
    assert "555-2601" not in text
    assert "5552601" not in text


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"status": "in-progress", "callSid": "s", "seconds": 3}, "in_progress"),
        (200, {"status": "silence", "callSid": "s"}, "voicemail"),
        (200, {"status": "completed", "to": NUMBER, "date": NOW.isoformat()}, "completed"),
        (200, {"status": "brand-new-word", "callSid": "s"}, "unknown"),
        (400, {"status": "queued"}, "queued"),
        (404, {"status": "in-progress"}, "in_progress"),
    ],
)
def test_talkstack_reads_a_status_from_the_record_of_a_call(scripted, status, body, expected) -> None:
    server = scripted(lambda seen: Reply(body, status=status))
    assert vendor_at(server.url, "talkstack").find(CallRef("s")).status == expected
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {"error": "busy"}),
        (500, {"status": "failed"}),
        (500, {"status": "failed", "callSid": "s", "to": NUMBER}),
        (502, {"message": "Failed"}),
        (400, {"status": "failed"}),
        (400, {"status": "error", "message": "silence"}),
        (200, {"status": "success", "data": {"status": "busy"}}),
        (200, {"status": "failed", "message": "Internal error"}),
        (200, "failed"),
    ],
)
def test_an_error_body_of_talkstack_is_no_ending(scripted, status, body) -> None:
    server = scripted(lambda seen: Reply(body, status=status))
    vendor = vendor_at(server.url, "talkstack")
    with pytest.raises((VendorUnavailable, RequestRejected)):
        vendor.find(CallRef("s"))
    if status == 400:
        assert vendor.find_many([CallRef("s"), CallRef("t")]) == {}  # one bad call does not hide the others


@pytest.mark.parametrize("name", ["talkover", "unleashx"])
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_list_under_a_bad_status_is_no_list(scripted, name, status) -> None:
    row = {"id": "call_1", "ID": 7, "status": "failed", "STATUS": "failed", "created_at": NOW.isoformat()}
    server = scripted(lambda seen: Reply({"data": [row], "datalist": [row]}, status=status))
    for ask in (lambda one: one.find(CallRef("call_1", NUMBER, NOW)), lambda one: list(one.list_calls(*WINDOW))):
        with pytest.raises(VoiceError):
            ask(vendor_at(server.url, name))


def test_talkstack_not_found_and_refused(scripted) -> None:
    assert (
        vendor_at(scripted(lambda seen: Reply({"message": "call not found"}, status=404)).url, "talkstack").find(
            CallRef("s")
        )
        is None
    )
    with pytest.raises(AuthenticationFailed):
        vendor_at(scripted(lambda seen: Reply({"message": "queued"}, status=401)).url, "talkstack").find(CallRef("s"))
    with pytest.raises(VendorUnavailable):
        vendor_at(scripted(lambda seen: {"message": "hello"}).url, "talkstack").find(CallRef("s"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda rows: rows,
        lambda rows: {"data": rows},
        lambda rows: {"calls": rows},
        lambda rows: {"status": "success", "data": {"calls": rows}},
    ],
)
@pytest.mark.parametrize(
    "row",
    [
        {"callSid": "CA1", "status": "completed", "seconds": 5, "cost": 0.07, "to": NUMBER, "date": "WHEN"},
        {
            "sid": "CA1",
            "status": "completed",
            "duration": "5",
            "price": "0.07",
            "to": NUMBER,
            "date_created": "WHEN",
            "direction": "outbound-api",
        },
    ],
)
def test_talkstack_history_rows_of_either_likeness(scripted, wrap, row) -> None:
    rows = [
        {
            name: (value if value != "WHEN" else NOW.strftime("%a, %d %b %Y %H:%M:%S +0000"))
            for name, value in row.items()
        }
    ]
    (call,) = vendor_at(scripted(lambda seen: wrap(rows)).url, "talkstack").list_calls(*WINDOW)
    assert (call.id, call.status, call.duration_seconds, call.cost, call.to) == ("CA1", "completed", 5, 0.07, NUMBER)


@given(count=st.integers(0, 130), cap=st.integers(10, 140), days=st.integers(1, 4))
@settings(max_examples=15)
def test_talkstack_history_is_never_cut_in_silence(count, cap, days) -> None:
    moments = [NOW - timedelta(days=number % days) for number in range(count)]
    words = ("completed", "busy", "failed", "no-answer", "queued")
    every = [
        {"sid": f"CA{number}", "status": words[number % len(words)], "to": NUMBER, "date": moment.isoformat()}
        for number, moment in enumerate(moments)
    ]

    def answer(seen):
        query = {name: values[0] for name, values in seen.query.items()}
        rows = [
            row
            for row in every
            if query.get("startTime") in (None, row["date"][:10])
            and query.get("status") in (None, row["status"])
            and row["date"][:10] >= query.get("startTimeAfter", "")
        ]
        return rows[: min(seen.json["pageSize"], cap)]

    server = ScriptedServer(answer)
    try:
        got = list(vendor_at(server.url, "talkstack").list_calls(NOW - timedelta(days=6), NOW + timedelta(hours=1)))
    except IncompleteHistory:
        # Only where a day's calls of one status may fill a reply, or where no reply was larger than another one.
        assert count > cap / len(words) or count >= 10
    else:
        assert len(got) == count
    finally:
        server.close()


@pytest.mark.parametrize(
    "wrap", [lambda rows: {"datalist": rows}, lambda rows: {"error": False, "code": 200, "data": {"datalist": rows}}]
)
def test_unleashx_rows(scripted, wrap) -> None:
    row = {
        "ID": 7, "AGENT_ID": 101, "agent_name": "A", "CALLING_NUMBER": "14155552601", "PROVIDER_NUMBER": "+14155550100",
        "STATUS": "completed", "CALL_STATUS": "AGENT-ENDED", "TOTAL_DURATION": 65, "total_duration": "1m:5s",
        "CREATED_AT": NOW.isoformat(), "FILE_PATH": "https://x/y.mp3", "INPUT_DATA": {"airflow_call_tag": "t"},
    }  # fmt: skip
    (call,) = vendor_at(
        scripted(lambda seen: wrap([row] if seen.query["page"] == ["1"] else [])).url, "unleashx"
    ).list_calls(*WINDOW)
    assert (call.id, call.tag, call.status, call.duration_seconds, call.agent_id) == ("7", "t", "completed", 65, "101")
    assert call.raw["TOTAL_DURATION"] == 65
    assert call.raw["total_duration"] == "1m:5s"
    assert call.direction == "outbound"


@pytest.mark.parametrize(
    ("call_status", "status", "expected"),
    [
        ("No Answer", "completed", "no_answer"),
        ("completed", "failed", "failed"),
        ("answered", "completed", "completed"),
        ("beamed up", "completed", "unknown"),
        ("beamed up", "failed", "failed"),
        ("running", None, "in_progress"),
        (None, "Busy", "busy"),
        (None, None, "unknown"),
    ],
)
def test_unleashx_two_statuses(scripted, call_status, status, expected) -> None:
    row = {"ID": 7, "CALL_STATUS": call_status, "STATUS": status, "CREATED_AT": NOW.isoformat()}
    (call,) = vendor_at(
        scripted(lambda seen: {"datalist": [row] if seen.query["page"] == ["1"] else []}).url, "unleashx"
    ).list_calls(*WINDOW)
    assert call.status is CallStatus(expected)


def test_unleashx_empty_history_may_be_a_404(scripted) -> None:
    body = {"error": True, "message": "No call history found for the given filters"}
    assert list(vendor_at(scripted(lambda seen: Reply(body, status=404)).url, "unleashx").list_calls(*WINDOW)) == []


@pytest.mark.parametrize("where", ["INPUT_DATA", "text", "metadata"])
def test_unleashx_finds_its_tag_and_keeps_the_execution_id(scripted, where) -> None:
    data = {"airflow_call_tag": "afv-1", "name": "Ada"}
    field = {"text": {"INPUT_DATA": json.dumps(data)}}.get(where, {where: data})
    rows = [{"ID": 6, "STATUS": "failed"}, {"ID": 7, "STATUS": "completed", "CREATED_AT": NOW.isoformat(), **field}]
    server = scripted(lambda seen: {"datalist": rows})
    call = vendor_at(server.url, "unleashx").find(CallRef("exec-uuid", NUMBER, NOW, "afv-1", "101"))
    assert (call.id, call.status, call.tag) == ("exec-uuid", "completed", "afv-1")
    assert server.seen[0].query["input_data"] == ["afv-1"]


def test_unleashx_finds_its_call_also_where_the_filter_finds_nothing(scripted) -> None:
    row = {"ID": 7, "STATUS": "busy", "CREATED_AT": NOW.isoformat(), "EXECUTION_ID": "exec-uuid"}
    server = scripted(lambda seen: {"datalist": [] if "input_data" in seen.query else [row]})
    assert vendor_at(server.url, "unleashx").find(CallRef("exec-uuid", NUMBER, NOW, "afv-1", "101")).status == "busy"


@pytest.mark.parametrize(
    "other",
    [
        {"TOTAL_DURATION": 242},
        {"INPUT_DATA": {"previous_call_id": "exec-242"}},
        {"INPUT_DATA": {"previous_call_id": 242, "note": "afv-1"}},
        {"INPUT_DATA": {"airflow_call_tag": "afv-2", "previous": "afv-1"}},
        {"SUMMARY": "exec-242", "DISPOSITION": "afv-1"},
        {"AGENT_ID": 242},
        {"RETURN_DATA": {"call_id": 242}},
    ],
)
def test_unleashx_never_takes_another_row_for_the_call(scripted, other) -> None:
    row = {"ID": 7, "STATUS": "failed", "CREATED_AT": NOW.isoformat(), **other}
    server = scripted(lambda seen: {"datalist": [row] if seen.query["page"] == ["1"] else []})
    vendor = vendor_at(server.url, "unleashx")
    refs = [
        CallRef("242", NUMBER, NOW),
        CallRef("exec-242", NUMBER, NOW, "afv-1"),
        CallRef("7", NUMBER, NOW, "afv-1"),  # an execution id that equals the list's integer of another call
        *(CallRef(f"other-{number}", NUMBER, NOW) for number in range(3)),
    ]
    assert [vendor.find(ref) for ref in refs] == [None] * len(refs)
    assert vendor.find_many(refs) == {}


def test_rows_that_cannot_be_placed_or_told_apart_are_an_error_not_a_gap(scripted) -> None:
    bodies = {
        "talkover": [{"data": [{"id": "1"}]}, {"data": [{"created_at": NOW.isoformat()}]}],
        "talkstack": [[{"sid": "1"}], [{"date": NOW.isoformat()}]],
        "unleashx": [{"datalist": [{"ID": 1}]}, {"datalist": [{"CREATED_AT": NOW.isoformat()}]}],
    }
    for name, shapes in bodies.items():
        for body in shapes:
            with pytest.raises(IncompleteHistory):
                list(vendor_at(scripted(lambda seen, body=body: body).url, name).list_calls(*WINDOW))


def test_ending_a_call(scripted) -> None:
    server = scripted(lambda seen: {"success": True})
    vendor_at(server.url, "talkover").end_call(CallRef("c/1", agent_id="a 1"))
    assert server.seen[0].path == "/agents/a%201/end-call"
    assert server.seen[0].json == {"call_sid": "c/1"}
    gone = scripted(lambda seen: Reply({"success": False, "message": "Call not found for this agent"}, status=404))
    with pytest.raises(CallNotFound):
        vendor_at(gone.url, "talkover").end_call(CallRef("c", agent_id="a"))
    over = scripted(lambda seen: Reply({"success": False, "message": "x", "code": "CALL_NOT_ACTIVE"}, status=409))
    with pytest.raises(RequestRejected) as ended:
        vendor_at(over.url, "talkover").end_call(CallRef("c", agent_id="a"))
    assert ended.value.code == "CALL_NOT_ACTIVE"


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from([NUMBER, TOKEN, "completed", "queued", NOW.isoformat(), "call_1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["data", "datalist", "id", "ID", "error", "code", "message", "status", "pagination", "total", "last_page",
                                 "call", "calls", "created_at", "CREATED_AT", "date", "sid", "agent", "to", "INPUT_DATA", "success"]),
                st.text(max_size=6),
            ),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=25,
)  # fmt: skip
ANSWERS = st.one_of(JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=60))


@pytest.fixture(scope="module")
def any_server():
    box = {}
    server = ScriptedServer(lambda seen: box["reply"])
    yield server, box
    server.close()


@pytest.mark.parametrize("name", ["talkover", "talkstack", "unleashx"])
@given(content=ANSWERS, status=st.sampled_from([200, 201, 204, 301, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503]))
@settings(max_examples=40)
def test_whatever_comes_back_nothing_but_the_named_errors_comes_out(any_server, name, content, status) -> None:
    server, box = any_server
    box["reply"] = Reply(content if status != 204 else b"", status=status)
    vendor = vendor_at(server.url, name)
    ref = CallRef("call_1", NUMBER, NOW, "afv-1", "101")
    asks = [
        lambda: vendor.create(REQUEST),
        lambda: vendor.find(ref),
        lambda: vendor.find_many(
            [ref, CallRef("2", placed_at=NOW), CallRef("3", placed_at=NOW), CallRef("4", placed_at=NOW)]
        ),
        lambda: list(vendor.list_calls(*WINDOW)),
        vendor.check,
        lambda: vendor.end_call(ref),
    ]
    for ask in asks:
        try:
            ask()
        except VoiceError as error:
            assert NUMBER.lstrip("+") not in error.message
            assert TOKEN not in error.message
            assert error.__cause__ is None
    vendor.close()


def test_rate_limits_keep_their_name(scripted) -> None:
    server = scripted(
        lambda seen: Reply({"success": False, "message": "Too many requests. Please try again later."}, status=429)
    )
    with pytest.raises(RateLimited):
        vendor_at(server.url, "talkover").check()
    assert len(server.seen) == 5


def test_deeply_nested_json_is_an_error_with_a_name(scripted) -> None:
    server = scripted(lambda seen: Reply(b'{"data":' * 100_000))
    with pytest.raises(VendorUnavailable):
        vendor_at(server.url, "talkover").find(CallRef("c", NUMBER, NOW))
    with pytest.raises(CallOutcomeUnknown):
        vendor_at(server.url, "talkover").create(REQUEST)


@pytest.mark.parametrize(
    "written", ["0001-01-01T00:00:00Z", "1970-01-02T00:00:00Z", "2999-01-01T00:00:00Z", 1e308, None]
)
def test_a_creation_time_that_is_a_placeholder_does_not_hide_the_call(scripted, written) -> None:
    """The call is looked for on the day of its creation, and nobody lists calls of the year 1."""
    server = scripted(
        lambda seen: {"success": True, "data": {"id": "c1", "status": "initiated", "created_at": written}}
    )
    call = vendor_at(server.url, "talkover").create(REQUEST)
    assert abs(call.created_at - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_a_call_with_our_tag_is_found_before_its_row_has_a_number(scripted) -> None:
    row = {"ID": 7, "AGENT_ID": 101, "CREATED_AT": NOW.isoformat(), "STATUS": "initiated", "CALLING_NUMBER": None,
           "INPUT_DATA": {"airflow_call_tag": "afv-mine-1"}}  # fmt: skip

    def answer(seen):
        is_first = seen.query["page"] == ["1"]
        return {"datalist": [row] if "input_data" in seen.query and is_first else []}

    found = list(vendor_at(scripted(answer).url, "unleashx").candidates(*WINDOW, to=NUMBER, tag="afv-mine-"))
    assert [call.tag for call in found] == ["afv-mine-1"]


@pytest.mark.parametrize("written", [NUMBER.removeprefix("+1"), f"00{NUMBER[1:]}", None])
def test_a_look_keeps_a_number_of_another_form_and_a_list_does_not(scripted, written) -> None:
    row = {"id": "c1", "status": "ringing", "to": written, "created_at": NOW.isoformat()}
    paging = {"current_page": 1, "last_page": 1, "total": 1, "per_page": 100}
    vendor = vendor_at(scripted(lambda seen: {"data": [row], "pagination": paging}).url, "talkover")
    assert len(list(vendor.candidates(*WINDOW, to=NUMBER, tag=None))) == 1
    assert list(vendor.list_calls(*WINDOW, to=NUMBER)) == []
