"""A policy: the zones of a person, the rules that apply, and a policy as a value that threads share."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pendulum
import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.policy import ContactPolicy, Person
from tests.unit.policy.policies import BERLIN, MIAMI, SAN_FRANCISCO, TOLL_FREE, UTC, load, rule, utc

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
    policy = load(rule("at_most: {attempts: 3, hours: 24}"))  # even when no rule needs a clock
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


# --- input


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
    at = datetime(2026, 3, 3, 2, tzinfo=UTC)
    place = policy.place_of(person)
    assert policy.decide_at_place(place, at, [at - timedelta(hours=1)]) == policy.decide(
        person, at, [at - timedelta(hours=1)]
    )
    assert hash(place) == hash(policy.place_of(person))
    assert "4155552671" not in repr(place)
