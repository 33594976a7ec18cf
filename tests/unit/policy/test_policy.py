"""Decisions: hours, margin, closed days, limits, dates in force, zones, and what a decision says."""

from __future__ import annotations

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pendulum
import pytest

from airflow_provider_voice.exceptions import InvalidPhoneNumber, InvalidRequest
from airflow_provider_voice.policy import ContactPolicy, Person
from airflow_provider_voice.policy.policy import ContactPolicy as Policy
from airflow_provider_voice.policy.rule_format import parse_rule_file

UTC = timezone.utc
BERLIN = "+493012345678"
SAN_FRANCISCO = "+14155552601"
MIAMI = "+13055552601"
TOLL_FREE = "+18005552601"
INDONESIAN_MOBILE = "+6281234567890"


def load(*texts: str, **options) -> Policy:
    files = tuple(parse_rule_file(text.encode(), f"file{number}") for number, text in enumerate(texts))
    return Policy(files, **options)


def rule(line: str, top: str = "") -> str:
    return f"{top}\nrules:\n  - id: rule\n    {line}\n"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def berlin(policy: Policy, text: str, attempts=()):
    return policy.decide(Person(BERLIN), at=local(text, "Europe/Berlin"), attempts=attempts)


# --- hours and margin


def test_hours_are_half_open_and_no_call_starts_in_the_margin() -> None:
    policy = load(rule('hours: {mon-sun: ["08:00-21:00"]}'))
    assert not berlin(policy, "2026-11-23 07:59:59.999999").allowed
    assert berlin(policy, "2026-11-23 08:00").allowed
    assert berlin(policy, "2026-11-23 20:58:59.999999").allowed
    late = berlin(policy, "2026-11-23 20:59")
    assert not late.allowed
    assert late.next_at == local("2026-11-24 08:00", "Europe/Berlin")


def test_without_a_margin_the_last_instant_before_closing_is_open() -> None:
    policy = load(rule('hours: {mon-sun: ["08:00-21:00"]}', "margin: 0"))
    assert berlin(policy, "2026-11-23 20:59:59.999999").allowed
    assert not berlin(policy, "2026-11-23 21:00").allowed


def test_several_intervals_overlap_and_touch() -> None:
    policy = load(rule('hours: {mon-sun: ["13:00-14:00", "08:00-10:00", "09:00-12:00", "12:00-12:30"]}'))
    assert berlin(policy, "2026-11-23 11:59:30").allowed  # no closing between two intervals that touch
    assert berlin(policy, "2026-11-23 12:29:30").next_at == local("2026-11-23 13:00", "Europe/Berlin")


def test_open_around_midnight_is_no_closing() -> None:
    policy = load(rule('hours: {mon-sat: ["20:00-24:00"], sun: ["00:00-02:00", "20:00-24:00"]}'))
    assert berlin(policy, "2026-11-21 23:59:30").allowed  # Saturday; Sunday goes on at 00:00
    assert not berlin(policy, "2026-11-22 23:59:30").allowed  # Sunday; Monday is closed at 00:00
    assert load(rule('hours: {mon-sun: ["00:00-24:00"]}')).decide(Person(BERLIN), at=utc("2026-11-22 22:59:30")).allowed


def test_open_around_the_end_of_the_week_is_no_closing() -> None:
    policy = load(rule('hours: {sun: ["20:00-24:00"], mon: ["00:00-02:00"]}'))
    assert berlin(policy, "2026-11-22 23:59:30").allowed
    assert not berlin(policy, "2026-11-23 01:59").allowed


def test_a_margin_may_reach_into_the_day_before() -> None:
    policy = load(rule('hours: {mon: ["20:00-24:00"], tue: ["00:00-00:05"]}', "margin: 600"))
    assert berlin(policy, "2026-11-23 23:54:59").allowed
    assert not berlin(policy, "2026-11-23 23:55").allowed
    assert not berlin(policy, "2026-11-24 00:01").allowed


def test_an_interval_that_is_shorter_than_its_margin_never_opens() -> None:
    decision = berlin(load(rule('hours: {mon: ["08:00-08:01"]}')), "2026-11-23 08:00")
    assert decision.next_at is None
    assert "no instant within a year" in decision.reason


def test_closed_all_week() -> None:
    decision = berlin(load(rule("hours: {mon-sun: []}")), "2026-11-23 08:00")
    assert (decision.allowed, decision.next_at, decision.rule) == (False, None, "rule")


def test_hours_that_the_clock_skips() -> None:
    policy = load(rule('hours: {sun: ["02:10-02:50"]}', "margin: 0"))  # Berlin goes from 02:00 to 03:00
    decision = berlin(policy, "2026-03-29 00:00")
    assert decision.next_at == local("2026-04-05 02:10", "Europe/Berlin")
    into = load(rule('hours: {sun: ["02:10-03:50"]}', "margin: 0"))
    assert berlin(into, "2026-03-29 00:00").next_at == utc("2026-03-29 01:00")


def test_hours_that_the_clock_repeats() -> None:
    policy = load(rule('hours: {sun: ["02:10-02:50"]}', "margin: 0"))  # Berlin goes from 03:00 back to 02:00
    assert berlin(policy, "2026-10-25 00:00").next_at == utc("2026-10-25 00:10")
    between = policy.decide(Person(BERLIN), at=utc("2026-10-25 00:55"))
    assert between.next_at == utc("2026-10-25 01:10")
    fold = policy.decide(Person(BERLIN), at=local("2026-10-25 02:30", "Europe/Berlin", fold=1))
    assert fold.allowed
    assert fold.next_at == utc("2026-10-25 01:30")


def test_half_an_hour_of_summer_time() -> None:
    policy = load(rule('hours: {sun: ["02:10-02:40"]}', "margin: 0"))
    person = Person(BERLIN, time_zone="Australia/Lord_Howe")  # 02:00 to 02:30 on 2026-10-04
    at = utc("2026-10-03 12:00")
    assert policy.decide(person, at=at).next_at == local("2026-10-04 02:30", "Australia/Lord_Howe")


def test_a_day_that_does_not_exist_somewhere() -> None:
    policy = load(rule('hours: {fri: ["10:00-11:00"]}', "margin: 0"))
    person = Person(BERLIN, time_zone="Pacific/Apia")  # Samoa left out Friday 2011-12-30
    assert policy.decide(person, at=utc("2011-12-29 12:00")).next_at == local("2012-01-06 10:00", "Pacific/Apia")


@pytest.mark.parametrize(
    ("zone", "opens"),
    [
        ("EST", "2026-11-24 15:00"),
        ("Etc/GMT+5", "2026-11-24 15:00"),
        ("Etc/GMT-14", "2026-11-24 20:00"),
        ("UTC", "2026-11-24 10:00"),
    ],
)
def test_zones_without_a_place(zone, opens) -> None:
    policy = load(rule('hours: {mon-sun: ["10:00-11:00"]}'))
    assert policy.decide(Person(BERLIN, time_zone=zone), at=utc("2026-11-23 21:00")).next_at == utc(opens)


# --- closed days and dates in force


def test_holidays_count_by_the_local_date_of_the_person() -> None:
    policy = load(rule("closed_on: {holidays: DE}"))
    assert berlin(policy, "2026-12-24 23:59:59").allowed
    closed = berlin(policy, "2026-12-25 00:00")
    assert "Christmas" in closed.reason or "Weihnacht" in closed.reason
    assert closed.next_at == local("2026-12-27 00:00", "Europe/Berlin")
    honolulu = Person(BERLIN, time_zone="Pacific/Honolulu")
    assert policy.decide(honolulu, at=utc("2026-12-25 09:59")).allowed


def test_calendars_of_states() -> None:
    policy = load(rule("closed_on: {holidays: [DE-BY, CA-QC]}"))
    assert not berlin(policy, "2026-01-06 12:00").allowed  # Epiphany, in Bavaria
    assert not berlin(policy, "2026-06-24 12:00").allowed  # Quebec
    assert berlin(policy, "2026-06-25 12:00").allowed


def test_a_holiday_moves_the_next_instant_over_the_year() -> None:
    policy = load(rule('hours: {mon-fri: ["10:00-11:00"]}\n    closed_on: {holidays: DE}'))
    assert berlin(policy, "2026-12-31 12:00").next_at == local("2027-01-04 10:00", "Europe/Berlin")


def test_a_leap_day() -> None:
    policy = load(rule('hours: {tue: ["10:00-11:00"]}\n    closed_on: {dates: [2028-02-22]}'))
    assert berlin(policy, "2028-02-15 12:00").next_at == local("2028-02-29 10:00", "Europe/Berlin")


def test_dates_in_force_are_local_dates() -> None:
    policy = load(rule("hours: {mon-sun: []}\n    since: 2026-11-23\n    until: 2026-11-25"))
    assert berlin(policy, "2026-11-22 23:59:59.999999").allowed
    closed = berlin(policy, "2026-11-23 00:00")
    assert not closed.allowed
    assert closed.next_at == local("2026-11-25 00:00", "Europe/Berlin")
    assert berlin(policy, "2026-11-25 00:00").allowed
    assert "is not in force" in berlin(policy, "2026-11-25 00:00").asked[0].reason


def test_a_rule_that_begins_closes_what_another_opens() -> None:
    policy = load(
        'rules: [{id: a, hours: {wed: ["10:00-11:00"]}}, {id: b, hours: {mon-sun: []}, since: 2026-11-25, until: 2026-12-01}]'
    )
    assert berlin(policy, "2026-11-23 12:00").next_at == local("2026-12-02 10:00", "Europe/Berlin")


# --- rolling limits


def test_an_attempt_leaves_the_window_exactly_a_span_later() -> None:
    policy = load(rule("at_most: {attempts: 2, hours: 24}"))
    at = utc("2026-11-23 12:00:00.000001")
    attempts = [at - timedelta(hours=24) + timedelta(microseconds=1), at - timedelta(hours=1)]
    decision = policy.decide(Person(BERLIN), at=at, attempts=attempts)
    assert decision.next_at == at + timedelta(microseconds=1)
    assert "2 attempts in 24 hours" in decision.reason
    assert policy.decide(Person(BERLIN), at=at, attempts=[at - timedelta(hours=24), at]).allowed


def test_attempts_to_come_count_when_they_come() -> None:
    policy = load(rule('at_most: {attempts: 1, hours: 24}\n    hours: {mon-sun: ["10:00-20:00"]}'))
    at = local("2026-11-23 06:00", "Europe/Berlin")
    planned = [local("2026-11-23 09:00", "Europe/Berlin"), local("2026-11-24 09:30", "Europe/Berlin")]
    decision = policy.decide(Person(BERLIN), at=at, attempts=planned)
    # Free from 09:00 on the 24th for half an hour, before the hours; then from 09:30 on the 25th.
    assert decision.next_at == local("2026-11-25 10:00", "Europe/Berlin")


def test_attempts_in_any_order_and_from_any_iterable() -> None:
    policy = load(rule("at_most: {attempts: 3, days: 30}"))
    at = utc("2026-11-23 12:00")
    made = [at - timedelta(days=days) for days in (1, 29, 5)]
    decision = policy.decide(Person(BERLIN), at=at, attempts=iter(made))
    assert decision.next_at == at + timedelta(days=1)
    assert policy.decide(Person(BERLIN), at=at, attempts=[at, at, at]).next_at == at + timedelta(days=30)


def test_a_year_ends_with_its_last_instant() -> None:
    policy = load(rule("hours: {mon-sun: []}\n    until: 2027-11-24"))
    opens = local("2027-11-24 00:00", "Europe/Berlin")
    assert berlin(policy, "2026-11-23 00:00").next_at == opens
    assert berlin(policy, "2026-11-22 23:59:59.999999").next_at is None


def test_a_limit_longer_than_a_year() -> None:
    at = utc("2026-11-23 12:00")
    year = load(rule("at_most: {attempts: 1, days: 366}")).decide(Person(BERLIN), at=at, attempts=[at])
    assert year.next_at == at + timedelta(days=366)
    longer = load(rule("at_most: {attempts: 1, days: 367}")).decide(Person(BERLIN), at=at, attempts=[at])
    assert longer.next_at is None
    assert "1 attempt in 367 days" in longer.reason


def test_a_limit_that_ends_before_the_attempts_leave() -> None:
    policy = load(rule("at_most: {attempts: 1, days: 300}\n    until: 2026-12-01"))
    at = local("2026-11-23 12:00", "Europe/Berlin")
    assert policy.decide(Person(BERLIN), at=at, attempts=[at]).next_at == local("2026-12-01 00:00", "Europe/Berlin")


def test_hours_and_limit_together() -> None:
    policy = load(rule('hours: {mon-fri: ["10:00-13:00", "14:00-20:00"]}\n    at_most: {attempts: 1, hours: 24}'))
    made = local("2026-11-26 19:30", "Europe/Berlin")
    decision = policy.decide(Person(BERLIN), at=made + timedelta(minutes=1), attempts=[made])
    assert decision.next_at == local("2026-11-27 19:30", "Europe/Berlin")
    late = local("2026-11-27 19:59:30", "Europe/Berlin")
    assert policy.decide(Person(BERLIN), at=late, attempts=[made + timedelta(minutes=29)]).next_at == local(
        "2026-11-30 10:00", "Europe/Berlin"
    )


# --- zones and to whom rules apply


def test_precedence_of_zones() -> None:
    policy = load(rule('hours: {mon-sun: ["08:00-21:00"]}'))
    at = utc("2026-11-23 18:00")

    def asked(**fields):
        decision = policy.decide(Person(MIAMI, **fields), at=at)
        return decision.zones, decision.zone_source

    assert asked() == (("America/New_York",), "number")
    assert asked(jurisdiction="US-TX") == (("America/Chicago", "America/Denver"), "jurisdiction")
    assert asked(jurisdiction="US-TX", time_zone="Asia/Tokyo") == (("Asia/Tokyo",), "given")
    assert asked(time_zone="", jurisdiction=" ") == (("America/New_York",), "number")
    assert asked(jurisdiction="us-hi") == (("Pacific/Honolulu",), "jurisdiction")
    assert asked(jurisdiction="DE-BY") == (("Europe/Berlin",), "jurisdiction")
    assert asked(jurisdiction="FR-IDF") == (("Europe/Paris",), "jurisdiction")
    assert asked(jurisdiction="FR-974") == (("Indian/Reunion",), "jurisdiction")
    assert asked(jurisdiction="US-PR") == (("America/Puerto_Rico",), "jurisdiction")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (TOLL_FREE, "toll-free"), ("+19005551234", "premium-rate"), ("+15005551234", "personal"),
        ("+448001111111", "toll-free"), ("+447012345678", "personal"), ("+33912345678", "VoIP"), ("+870773123456", "no country"),
        ("+80012345678", "toll-free"),
    ],
)  # fmt: skip
def test_a_number_without_a_place_needs_a_time_zone(number, kind) -> None:
    policy = load(rule("at_most: {attempts: 3, hours: 24}"))  # even when no rule looks at a clock
    decision = policy.decide(Person(number), at=utc("2026-11-23 18:00"))
    assert (decision.allowed, decision.next_at, decision.rule) == (False, None, None)
    assert (decision.zones, decision.zone_source) == ((), "none")
    assert "needs a time zone" in decision.reason
    assert kind in decision.reason
    assert policy.decide(Person(number, time_zone="Europe/Berlin"), at=utc("2026-11-23 18:00")).allowed
    assert policy.decide(Person(number, jurisdiction="GB"), at=utc("2026-11-23 18:00")).allowed


def test_a_jurisdiction_without_a_zone_needs_one() -> None:
    policy = load(rule("at_most: {attempts: 3, hours: 24}"))
    decision = policy.decide(Person(BERLIN, jurisdiction="BV"), at=utc("2026-11-23 18:00"))
    assert "needs a time zone: no time zone is known for BV" in decision.reason
    assert (decision.allowed, decision.next_at, decision.zone_source) == (False, None, "none")


def test_zones_too_far_apart_are_no_place() -> None:
    policy = ContactPolicy.load("au")
    russian = Person("+79161234567")
    decision = policy.decide(russian, at=utc("2026-11-23 08:00"))
    assert (decision.allowed, decision.next_at) == (False, None)
    assert "needs a time zone" in decision.reason
    assert len(decision.zones) > 10
    assert (
        ContactPolicy.load("au", max_zone_spread=timedelta(hours=12))
        .decide(russian, at=utc("2026-11-23 08:00"))
        .allowed
    )


def test_a_spread_that_grows_with_summer_time_is_waited_for() -> None:
    # New York and Honolulu: 5 hours apart in winter, 6 in summer.
    policy = load(
        rule(
            'hours: {mon: ["08:00-21:00"]}\n    closed_on: {dates: [2026-03-02]}',
            "country_zones: {US: [America/New_York, Pacific/Honolulu]}",
        )
    )
    decision = policy.decide(Person(SAN_FRANCISCO), at=utc("2026-03-03 12:00"))
    assert decision.next_at == local("2026-11-02 08:00", "Pacific/Honolulu")
    assert policy.decide(Person(SAN_FRANCISCO), at=decision.next_at).allowed
    summer = policy.decide(Person(SAN_FRANCISCO), at=utc("2026-07-06 19:00"))
    assert (summer.allowed, summer.next_at) == (False, None)


def test_open_in_all_zones_or_in_any() -> None:
    zones = "country_zones: {ID: [Asia/Jakarta, Asia/Makassar, Asia/Jayapura]}"
    hours = 'hours: {mon-sun: ["08:00-21:00"]}'
    at = utc("2026-11-22 22:00")
    everywhere = load(rule(hours, zones)).decide(Person(INDONESIAN_MOBILE), at=at)
    assert everywhere.next_at == local("2026-11-23 08:00", "Asia/Jakarta")
    assert everywhere.zones == ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura")
    somewhere = load(rule(hours, zones + "\nzones: any")).decide(Person(INDONESIAN_MOBILE), at=at)
    assert somewhere.next_at == local("2026-11-23 08:00", "Asia/Jayapura")
    assert load(rule(hours)).decide(Person(INDONESIAN_MOBILE), at=at).zones == ("Asia/Jakarta",)
    bali = load(rule(hours, zones)).decide(Person(INDONESIAN_MOBILE, jurisdiction="ID-BA"), at=at)
    assert (bali.zones, bali.zone_source) == (everywhere.zones, "jurisdiction")


def test_each_file_keeps_its_own_way_with_zones_and_its_own_margin() -> None:
    zones = "country_zones: {ID: [Asia/Jakarta, Asia/Jayapura]}"
    strict = 'margin: 600\nrules: [{id: strict, hours: {mon-sun: ["08:00-21:00"]}}]'
    loose = f'zones: any\nmargin: 0\n{zones}\nrules: [{{id: loose, hours: {{mon-sun: ["08:00-21:00"]}}}}]'
    person = Person(INDONESIAN_MOBILE)
    at = local("2026-11-23 20:59", "Asia/Jakarta")
    assert load(loose).decide(person, at=at).allowed
    both = load(strict, loose).decide(person, at=at)
    assert [(answer.rule, answer.allowed) for answer in both.asked] == [("strict", False), ("loose", True)]
    assert both.rule == "strict"


def test_any_means_one_clock_by_which_all_rules_allow() -> None:
    policy = load(
        "zones: any\ncountry_zones: {ID: [Asia/Jakarta, Asia/Jayapura]}\nmargin: 0\n"
        'rules: [{id: early, hours: {mon-sun: ["08:00-09:00"]}}, {id: late, hours: {mon-sun: ["08:30-11:00"]}}]'
    )
    # 08:15 in Jakarta (early open) is 10:15 in Jayapura (late open): no single place allows it.
    decision = policy.decide(Person(INDONESIAN_MOBILE), at=local("2026-11-23 08:15", "Asia/Jakarta"))
    assert not decision.allowed
    assert decision.next_at == local("2026-11-23 08:30", "Asia/Jakarta")
    assert decision.rule == "late"


@pytest.mark.parametrize(
    ("applies_to", "person", "applies"),
    [
        ("US", Person(MIAMI), True),
        ("US-FL", Person(MIAMI), True),
        ("US-FL", Person(SAN_FRANCISCO), False),
        ("US-FL", Person(SAN_FRANCISCO, jurisdiction="US-FL"), True),
        ("US", Person(SAN_FRANCISCO, jurisdiction="US-FL"), True),
        ("US-FL", Person(MIAMI, jurisdiction="US"), False),
        ("US-FL", Person(MIAMI, jurisdiction="US-TX"), False),
        ("US-FL", Person(MIAMI, time_zone="Asia/Tokyo"), True),
        ("JP", Person(MIAMI, time_zone="Asia/Tokyo"), False),
        ("US", Person("+14165551234"), False),
        ("CA", Person("+14165551234"), True),
        ("CA-ON", Person("+14165551234"), True),
        ("CA-QC", Person("+15145551234"), True),
        ("US", Person("+17875551234"), False),
        ("PR", Person("+17875551234"), True),
        ("PR", Person(BERLIN, jurisdiction="US-PR"), True),
        ("US", Person(BERLIN, jurisdiction="US-PR"), True),
        ("GB", Person("+442071234567"), True),
    ],
)
def test_to_whom_a_rule_applies(applies_to, person, applies) -> None:
    policy = load(rule(f"hours: {{mon-sun: []}}\n    applies_to: [{applies_to}]"))
    decision = policy.decide(person, at=utc("2026-11-23 18:00"))
    assert decision.allowed is not applies
    assert bool(decision.asked) is applies


def test_without_a_rule_that_applies_a_placed_person_may_be_called() -> None:
    decision = ContactPolicy.load("us").decide(Person(BERLIN), at=utc("2026-11-23 02:00"))
    assert decision.allowed
    assert "No rule applies" in decision.reason


# --- what a decision says


def test_a_decision_says_why_and_by_what() -> None:
    decision = ContactPolicy.load("us").decide(Person(MIAMI), at=utc("2026-11-24 01:30"))
    assert decision.rule == "us-fl-hours"
    assert decision.as_of.isoformat() == "2026-11-21"
    for words in (
        "us-fl-hours",
        "Fla. Stat. 501.616(6)(a)",
        "2026-11-21",
        "Monday",
        "20:30",
        "America/New_York",
        "08:00-20:00",
        "guess",
    ):
        assert words in decision.reason
    assert decision.reason.endswith(".")
    assert [answer.rule for answer in decision.asked] == ["us-hours", "us-fl-hours", "us-fl-attempts"]
    assert [answer.allowed for answer in decision.asked] == [True, False, True]


def test_of_several_rules_the_one_that_opens_last_is_named() -> None:
    policy = load(
        'rules: [{id: a, hours: {mon-sun: ["10:00-11:00"]}}, {id: b, hours: {fri: ["10:00-11:00"]}}, {id: c, hours: {thu: []}, until: 2020-01-01}]'
    )
    assert berlin(policy, "2026-11-23 12:00").rule == "b"


def test_an_allowed_decision_opens_now() -> None:
    at = local("2026-11-23 12:00:00.5", "Asia/Tokyo")
    decision = load(rule("at_most: {attempts: 1, hours: 1}")).decide(Person(BERLIN), at=at)
    assert (decision.allowed, decision.rule, decision.next_at) == (True, None, at)


def test_no_number_leaks() -> None:
    policy = ContactPolicy.load("us")
    for person in (Person(MIAMI), Person(TOLL_FREE), Person(SAN_FRANCISCO, jurisdiction="US")):
        decision = policy.decide(person, at=utc("2026-07-24 08:00"))
        for text in (repr(person), str(person), repr(decision), json.dumps(decision.to_dict()), repr(policy)):
            assert person.to[1:] not in text
            assert person.to[5:] not in text


def test_a_decision_is_json() -> None:
    decision = ContactPolicy.load("us").decide(Person(MIAMI), at=utc("2026-11-24 01:30"))
    data = json.loads(json.dumps(decision.to_dict()))
    assert data["next_at"] == "2026-11-24T13:00:00+00:00"
    assert data["asked"][1] == {
        "rule": "us-fl-hours",
        "file": "us",
        "allowed": False,
        "reason": decision.asked[1].reason,
        "source": "Fla. Stat. 501.616(6)(a)",
        "as_of": "2026-11-21",
    }


# --- input


@pytest.mark.parametrize("number", ["", "3055552601", "+1305", "+13055552601 x5", None, 13055552601])
def test_a_number_that_cannot_be_called(number) -> None:
    with pytest.raises(InvalidPhoneNumber):
        Person(number)


def test_a_number_as_people_write_it_is_made_e164() -> None:
    assert Person("+1 (305) 555-2601").to == MIAMI


@pytest.mark.parametrize(
    "zone",
    [
        "Mars/Base",
        "America",
        "new york",
        "Etc/Unknown",
        "Factory",
        "right/UTC",
        "posix/UTC",
        "localtime",
        "../UTC",
        "/etc/passwd",
        "Zürich",
        "\ud800",
        "UTC\0",
        5,
        "x" * 500,
    ],
)
def test_a_zone_that_does_not_exist(zone) -> None:
    with pytest.raises(InvalidRequest, match=r"time zone does not exist|takes text"):
        Person(MIAMI, time_zone=zone)


@pytest.mark.parametrize("code", ["USA", "ZZ", "US-", "US-ZZ", "-FL", "FL", "UK", "DE-XX", "US-FL-X", 1])
def test_a_jurisdiction_that_does_not_exist(code) -> None:
    with pytest.raises(InvalidRequest, match=r"jurisdiction does not exist|takes text"):
        Person(MIAMI, jurisdiction=code)


@pytest.mark.parametrize(
    "at",
    [
        utc("2026-11-23").replace(tzinfo=None),
        "2026-11-23",
        None,
        5,
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
    ],
)
def test_instants_that_make_no_sense(at) -> None:
    policy = load(rule("at_most: {attempts: 1, hours: 1}"))
    with pytest.raises(InvalidRequest, match=r"at (has|takes|is)"):
        policy.decide(Person(BERLIN), at=at)
    with pytest.raises(InvalidRequest, match=r"attempts (has|takes|is)"):
        policy.decide(Person(BERLIN), at=utc("2026-11-23 12:00"), attempts=[at])


@pytest.mark.parametrize("attempts", [None, "2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)])
def test_attempts_are_several(attempts) -> None:
    with pytest.raises(InvalidRequest, match="attempts takes several"):
        ContactPolicy.load("us").decide(Person(MIAMI), at=utc("2026-11-23 12:00"), attempts=attempts)


def test_errors_do_not_quote_what_a_row_says() -> None:
    for fields in ({"time_zone": "Jane Doe"}, {"jurisdiction": "Jane Doe"}, {"time_zone": "+14155552601"}):
        with pytest.raises(InvalidRequest) as refusal:
            Person(MIAMI, **fields)
        assert next(iter(fields.values())) not in str(refusal.value)


def test_a_person_is_a_person() -> None:
    with pytest.raises(InvalidRequest, match="takes a Person"):
        ContactPolicy.load("us").decide(MIAMI, at=utc("2026-11-23 12:00"))


def test_instants_of_other_libraries() -> None:
    decision = ContactPolicy.load("us").decide(Person(MIAMI), at=pendulum.datetime(2026, 11, 24, 1, 30))
    assert type(decision.next_at) is datetime
    assert pickle.loads(pickle.dumps(decision)) == decision


# --- sharing


def test_a_policy_is_a_value() -> None:
    policy = ContactPolicy.load("us", "fr")
    assert repr(policy) == "<ContactPolicy us, fr: 30 rules>"
    assert pickle.loads(pickle.dumps(policy)) == policy == copy.deepcopy(policy)
    assert hash(policy) == hash(ContactPolicy.load("us", "fr"))
    assert policy == ContactPolicy.load("us", "fr")
    with pytest.raises(AttributeError):
        policy.files = ()


def test_threads_share_a_policy() -> None:
    policy = ContactPolicy.load("us", "fr", "ca", "au")
    people = [Person(number) for number in (MIAMI, "+33612345678", "+14165551234", "+61212345678", "+12155551234")]
    moments = [utc("2026-11-20 00:00") + timedelta(minutes=37 * step) for step in range(200)]

    def ask(_: int) -> list:
        return [policy.decide(person, at=at) for person in people for at in moments]

    with ThreadPoolExecutor(8) as threads:
        first, *others = threads.map(ask, range(8))
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    "person",
    [
        Person("+14155552671"),
        Person("+14155552671", "America/New_York"),
        Person("+14155552671", None, "US-FL"),
        Person("+18005550199"),
    ],
)
def test_people_of_one_place_get_one_decision(person) -> None:
    policy = ContactPolicy.load("us")
    at = datetime(2026, 3, 3, 2, tzinfo=timezone.utc)
    place = policy.place_of(person)
    assert policy.decide_at_place(place, at, [at - timedelta(hours=1)]) == policy.decide(
        person, at, [at - timedelta(hours=1)]
    )
    assert hash(place) == hash(policy.place_of(person))
    assert "4155552671" not in repr(place)
