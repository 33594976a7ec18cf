"""A question to several rules, files and possible zones; and the reason for people."""

from __future__ import annotations

from airflow_provider_voice.policy import ContactPolicy, Person
from tests.unit.policy.policies import BERLIN, INDONESIAN_MOBILE, MIAMI, SAN_FRANCISCO, berlin, load, local, rule, utc


def test_a_rule_that_begins_closes_what_another_opens() -> None:
    policy = load(
        'rules: [{id: a, hours: {wed: ["10:00-11:00"]}}, {id: b, hours: {mon-sun: []}, since: 2026-11-25, until: 2026-12-01}]'
    )
    assert berlin(policy, "2026-11-23 12:00").next_at == local("2026-12-02 10:00", "Europe/Berlin")


def test_a_year_ends_with_its_last_instant() -> None:
    policy = load(rule("hours: {mon-sun: []}\n    until: 2027-11-24"))
    opens = local("2027-11-24 00:00", "Europe/Berlin")
    assert berlin(policy, "2026-11-23 00:00").next_at == opens
    assert berlin(policy, "2026-11-22 23:59:59.999999").next_at is None


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


def test_without_a_rule_that_applies_a_placed_person_may_be_called() -> None:
    decision = ContactPolicy.load("us").decide(Person(BERLIN), at=utc("2026-11-23 02:00"))
    assert decision.allowed
    assert "No rule applies" in decision.reason


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
    at = local("2026-11-23 12:00:00.500", "Asia/Tokyo")
    decision = load(rule("at_most: {attempts: 1, hours: 1}")).decide(Person(BERLIN), at=at)
    assert (decision.allowed, decision.rule, decision.next_at) == (True, None, at)
