"""The gate's decision: what stops a message, in which order, and until when one that only waits has to wait."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.messages.gate.policy import Decision, Defer, Refuse, Send, Skip, Standing, decide
from tidings.messages.gate.quiet_hours import QuietHours
from tidings.messages.gate.rules import Cap, Rules, parse_caps
from tidings.messages.gate.terms import TRANSACTIONAL, ConsentNeed, IfBlocked, Purpose, Terms, promotional
from tidings.messages.kind import Message
from tidings.messages.statuses import Reason

HOUR, DAY, INSTANT = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
NEW_YORK = "America/New_York"
IN_NEW_YORK = "+12125550123"
IN_ALL_THE_USA = "+18005550123"  # toll-free: from Guam to Puerto Rico

NIGHT = QuietHours.parse("21:00-08:00")
PROMOTION = promotional(IfBlocked.DEFER, ConsentNeed.NONE)
DROPPED = promotional(IfBlocked.DROP, ConsentNeed.NONE)


def at(text: str, zone: str = NEW_YORK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


NOON = at("2026-11-24 12:00")
LATE = at("2026-11-24 22:30")
MORNING = at("2026-11-25 08:00")


def letter(terms: Terms = TRANSACTIONAL, **more: Any) -> Message:
    given: dict[str, Any] = {
        "id": 1,
        "contact_id": 7,
        "scheduled_time": NOON,
        "attempt": 1,
        "channel": "sms",
        "address": IN_NEW_YORK,
        "idempotency_key": "event-message-1",
        "row": {},
    }
    return Message(**(given | more), terms=terms)


def bare(decision: Decision) -> Decision:
    """The decision without what it was made from."""
    return replace(decision, inputs={})


# What stops a message, in the order in which it is looked at

OBSTACLES: dict[str, tuple[dict[str, dict[str, Any]], Decision]] = {
    "obsolete": ({"letter": {"obsolete": Reason.EVENT_CANCELLED}}, Skip(Reason.EVENT_CANCELLED)),
    "too late": ({"letter": {"not_after": NOON - INSTANT}}, Skip(Reason.EXPIRED)),
    "no address": (
        {"letter": {"address": None}},
        Refuse("no phone number: the contractor has none and the message names none"),
    ),
    "opted out": ({"standing": {"opted_out_since": NOON - DAY}}, Skip(Reason.OPTED_OUT)),
    "consent taken back": (
        {"terms": {"consent": ConsentNeed.NOT_REVOKED}, "standing": {"consent": False}},
        Skip(Reason.CONSENT_REVOKED),
    ),
    "no consent": ({"terms": {"consent": ConsentNeed.GRANTED}}, Skip(Reason.NO_CONSENT)),
    "little trust": ({"terms": {"min_trust": 60.0}, "standing": {"trust": 59.9}}, Skip(Reason.LOW_TRUST)),
    "cap, dropped": (
        {
            "terms": {"purpose": Purpose.PROMOTIONAL, "at_cap": IfBlocked.DROP},
            "standing": {"admitted": (NOON - HOUR,)},
            "rules": {"caps": (Cap(1, DAY),)},
        },
        Skip(Reason.FREQUENCY_CAP),
    ),
    "quiet hours, dropped": (
        {"terms": {"in_quiet_hours": IfBlocked.DROP}, "rules": {"quiet_hours": QuietHours.parse("11:00-13:00")}},
        Skip(Reason.QUIET_HOURS),
    ),
}


def decide_against(*names: str) -> Decision:
    changes: dict[str, dict[str, Any]] = {"letter": {}, "terms": {}, "standing": {}, "rules": {}}
    for name in names:
        for what, values in OBSTACLES[name][0].items():
            changes[what] = {**values, **changes[what]}  # of two that differ, the one looked at first
    terms = Terms(**changes["terms"])
    return bare(
        decide(letter(terms, **changes["letter"]), Standing(**changes["standing"]), Rules(**changes["rules"]), NOON)
    )


def test_a_message_that_nothing_stops_goes_out_now() -> None:
    assert decide_against() == Send()


@pytest.mark.parametrize("name", OBSTACLES)
def test_each_obstacle_alone_stops_a_message_and_names_itself(name: str) -> None:
    assert decide_against(name) == OBSTACLES[name][1]


@every_case(("first", "second"), list(combinations(OBSTACLES, 2)))
def test_of_two_obstacles_the_stored_reason_is_the_one_that_matters_more(first: str, second: str) -> None:
    assert decide_against(first, second) == OBSTACLES[first][1]


def test_a_mail_without_an_address_says_what_is_missing() -> None:
    decision = decide(letter(channel="email", address=None), Standing(), Rules(), NOON)
    assert isinstance(decision, Refuse)
    assert decision.error.startswith("no mail address")


@pytest.mark.parametrize("now", [NOON - HOUR, NOON], ids=["before", "at its last moment"])
def test_a_message_is_of_use_until_its_last_moment(now: datetime) -> None:
    assert bare(decide(letter(not_after=NOON), Standing(), Rules(), now)) == Send()


def test_only_answers_to_commands_go_to_somebody_who_opted_out() -> None:
    gone = Standing(opted_out_since=NOON - DAY)
    assert bare(decide(letter(Terms(despite_opt_out=True)), gone, Rules(), NOON)) == Send()
    assert bare(decide(letter(TRANSACTIONAL), gone, Rules(), NOON)) == Skip(Reason.OPTED_OUT)


@pytest.mark.parametrize(
    ("needed", "granted", "decision"),
    [
        (ConsentNeed.NONE, None, Send()),
        (ConsentNeed.NONE, False, Send()),
        (ConsentNeed.NOT_REVOKED, None, Send()),
        (ConsentNeed.NOT_REVOKED, True, Send()),
        (ConsentNeed.NOT_REVOKED, False, Skip(Reason.CONSENT_REVOKED)),
        (ConsentNeed.GRANTED, None, Skip(Reason.NO_CONSENT)),
        (ConsentNeed.GRANTED, True, Send()),
        (ConsentNeed.GRANTED, False, Skip(Reason.CONSENT_REVOKED)),
    ],
)
def test_consent_is_asked_for_as_the_terms_say(needed: ConsentNeed, granted: bool | None, decision: Decision) -> None:
    terms = Terms(consent=needed)
    assert bare(decide(letter(terms), Standing(consent=granted), Rules(), NOON)) == decision


@pytest.mark.parametrize(
    ("trust", "decision"), [(39.9, Skip(Reason.LOW_TRUST)), (40.0, Send()), (100.0, Send()), (None, Send())]
)
def test_trust_has_to_reach_what_the_message_needs(trust: float | None, decision: Decision) -> None:
    terms = promotional(IfBlocked.DEFER, ConsentNeed.NONE, min_trust=40.0)
    assert bare(decide(letter(terms), Standing(trust=trust), Rules(), NOON)) == decision


# Quiet hours

QUIET = Rules(quiet_hours=NIGHT)


@pytest.mark.parametrize(
    ("terms", "decision"),
    [
        (TRANSACTIONAL, Send()),
        (PROMOTION, Defer(MORNING, Reason.QUIET_HOURS)),
        (DROPPED, Skip(Reason.QUIET_HOURS)),
        (replace(PROMOTION, in_quiet_hours=IfBlocked.SEND), Send()),
        (replace(TRANSACTIONAL, in_quiet_hours=IfBlocked.DEFER), Defer(MORNING, Reason.QUIET_HOURS)),
    ],
)
def test_at_night_a_message_does_what_its_terms_say(terms: Terms, decision: Decision) -> None:
    assert bare(decide(letter(terms), Standing(), QUIET, LATE)) == decision
    assert bare(decide(letter(terms), Standing(), QUIET, MORNING)) == Send()


@pytest.mark.parametrize(
    ("given", "tenant", "until"),
    [
        ({}, "UTC", MORNING),
        ({"timezone": "America/Los_Angeles"}, "UTC", None),  # 19:30 there
        ({"timezone": "America/Halifax"}, "UTC", at("2026-11-25 08:00", "America/Halifax")),
        ({"channel": "email", "address": "ada@example.com"}, "Asia/Tokyo", None),
        (
            {"channel": "email", "address": "ada@example.com"},
            "Europe/Berlin",
            at("2026-11-25 08:00", "Europe/Berlin"),
        ),
        ({"channel": "email", "address": "ada@example.com", "timezone": NEW_YORK}, "Asia/Tokyo", MORNING),
    ],
    ids=[
        "where the number is from",
        "where the contact lives, earlier",
        "where the contact lives, later",
        "a mail, by the tenant's day",
        "a mail, by the tenant's night",
        "a mail to somebody whose zone is known",
    ],
)
def test_the_night_is_the_recipients(given: dict[str, Any], tenant: str, until: datetime | None) -> None:
    expected = Send() if until is None else Defer(until, Reason.QUIET_HOURS)
    decision = decide(letter(PROMOTION, **given), Standing(), replace(QUIET, timezone=tenant), LATE)
    assert bare(decision) == expected


def test_a_number_that_may_be_anywhere_is_not_written_to_when_it_is_always_night_somewhere() -> None:
    long_night = Rules(quiet_hours=QuietHours.parse("15:00-12:00"))
    for terms in (PROMOTION, DROPPED):
        decision = decide(letter(terms, address=IN_ALL_THE_USA), Standing(), long_night, NOON)
        assert bare(decision) == Skip(Reason.NEVER_ALLOWED)
    known = decide(letter(PROMOTION, address=IN_ALL_THE_USA, timezone=NEW_YORK), Standing(), long_night, NOON)
    assert bare(known) == Send()
    assert bare(decide(letter(TRANSACTIONAL, address=IN_ALL_THE_USA), Standing(), long_night, NOON)) == Send()


# Frequency caps


@pytest.mark.parametrize(
    ("caps", "ago", "wait"),
    [
        ("2/1d", [], None),
        ("2/1d", [HOUR], None),
        ("2/1d", [2 * HOUR, HOUR], 22 * HOUR),
        ("2/1d", [DAY, HOUR], None),
        ("2/1d", [DAY - INSTANT, HOUR], INSTANT),
        ("2/1d", [3 * HOUR, 2 * HOUR, HOUR], 22 * HOUR),
        ("1/1h, 2/1d", [5 * HOUR, HOUR / 2], 19 * HOUR),
        ("1/1h, 3/1d", [5 * HOUR, HOUR / 2], HOUR / 2),
        ("2/1d, 3/7d", [6 * DAY, 5 * DAY, 4 * DAY], DAY),
        ("off", [INSTANT] * 100, None),
    ],
)
def test_a_promotion_waits_until_every_cap_has_a_place(
    caps: str, ago: list[timedelta], wait: timedelta | None
) -> None:
    standing = Standing(admitted=tuple(NOON - one for one in ago))
    rules = Rules(caps=parse_caps(caps))
    assert bare(decide(letter(TRANSACTIONAL), standing, rules, NOON)) == Send()
    counting_only = replace(PROMOTION, at_cap=IfBlocked.SEND)
    assert bare(decide(letter(counting_only), standing, rules, NOON)) == Send()
    if wait is None:
        assert bare(decide(letter(PROMOTION), standing, rules, NOON)) == Send()
        assert bare(decide(letter(DROPPED), standing, rules, NOON)) == Send()
    else:
        assert bare(decide(letter(PROMOTION), standing, rules, NOON)) == Defer(NOON + wait, Reason.FREQUENCY_CAP)
        assert bare(decide(letter(DROPPED), standing, rules, NOON)) == Skip(Reason.FREQUENCY_CAP)


def test_a_cap_that_ends_at_night_defers_to_the_morning_after() -> None:
    rules = Rules(quiet_hours=NIGHT, caps=(Cap(1, DAY),))
    evening_before = Standing(admitted=(at("2026-11-23 20:59"),))
    assert bare(decide(letter(PROMOTION), evening_before, rules, NOON)) == Defer(
        at("2026-11-24 20:59"), Reason.FREQUENCY_CAP
    )
    night_before = Standing(admitted=(at("2026-11-23 21:01"),))
    assert bare(decide(letter(PROMOTION), night_before, rules, NOON)) == Defer(MORNING, Reason.FREQUENCY_CAP)


@pytest.mark.parametrize(
    ("standing", "now", "reason"),
    [
        (Standing(), LATE, Reason.QUIET_HOURS),
        (Standing(admitted=(LATE - HOUR,)), LATE, Reason.FREQUENCY_CAP),
    ],
)
def test_a_message_that_would_be_useless_after_its_wait_is_skipped_for_what_it_would_have_waited_for(
    standing: Standing, now: datetime, reason: Reason
) -> None:
    rules = Rules(quiet_hours=NIGHT, caps=(Cap(1, HOUR * 10),))
    until = decide(letter(PROMOTION), standing, rules, now)
    assert isinstance(until, Defer)
    in_time, too_late = until.until, until.until - INSTANT
    assert bare(decide(letter(PROMOTION, not_after=in_time), standing, rules, now)) == Defer(in_time, reason)
    assert bare(decide(letter(PROMOTION, not_after=too_late), standing, rules, now)) == Skip(reason)


moments_before = st.lists(
    st.integers(0, 8 * 24 * 60).map(lambda minutes: NOON - timedelta(minutes=minutes)), max_size=8
)
some_caps = st.lists(
    st.builds(Cap, st.integers(1, 4), st.integers(1, 170).map(lambda hours: hours * HOUR)), max_size=3
).map(tuple)


@settings(max_examples=150, deadline=None)
@given(admitted=moments_before, caps=some_caps, quiet=st.sampled_from([None, NIGHT, QuietHours.parse("11:30-12:30")]))
def test_a_wait_ends_at_the_first_moment_at_which_the_message_may_go(
    admitted: list[datetime], caps: tuple[Cap, ...], quiet: QuietHours | None
) -> None:
    rules = Rules(quiet_hours=quiet, caps=caps)
    standing = Standing(admitted=tuple(sorted(admitted)))
    decision = decide(letter(PROMOTION), standing, rules, NOON)
    moment = decision.until if isinstance(decision, Defer) else NOON
    assert bare(decide(letter(PROMOTION), standing, rules, moment)) == Send()
    for cap in caps:
        assert sum(one > moment - cap.window for one in admitted) < cap.most
    if isinstance(decision, Defer):
        assert not isinstance(decide(letter(PROMOTION), standing, rules, moment - INSTANT), Send)


# What the ledger keeps


def test_a_decision_keeps_what_it_was_made_from_and_nothing_that_nobody_looked_at() -> None:
    assert decide(letter(), Standing(trust=3.0, admitted=(NOON,)), QUIET, NOON).inputs == {
        "scheduled_time": "2026-11-24T17:00:00+00:00",
        "not_after": None,
        "has_address": True,
        "purpose": "transactional",
        "opted_out_since": None,
    }
    terms = promotional(IfBlocked.DEFER, ConsentNeed.GRANTED, min_trust=40.0)
    standing = Standing(NOON - DAY, None, True, 70.0, (NOON - HOUR,))
    rules = Rules(quiet_hours=NIGHT, caps=parse_caps("2/1d, 5/36h"))
    inputs = decide(letter(terms, not_after=NOON + DAY), standing, rules, NOON).inputs
    assert json.loads(json.dumps(inputs)) == {
        "scheduled_time": "2026-11-24T17:00:00+00:00",
        "not_after": "2026-11-25T17:00:00+00:00",
        "has_address": True,
        "purpose": "promotional",
        "opted_out_since": "2026-11-23T17:00:00+00:00",
        "consent": {"needed": "granted", "granted": True},
        "trust": {"needed": 40.0, "score": 70.0},
        "quiet_hours": {"hours": "21:00-08:00", "zones": [NEW_YORK]},
        "frequency": {"caps": ["2/1d", "5/36h"], "had": 1},
    }


# Caps as people write them


@pytest.mark.parametrize(
    ("text", "caps"),
    [
        ("2/1d, 5/7d", [(2, DAY), (5, 7 * DAY)]),
        ("1/36h", [(1, 36 * HOUR)]),
        (" 3 / 2 D ", [(3, 2 * DAY)]),
        ("off", []),
        ("OFF", []),
        ("  ", []),
    ],
)
def test_caps_are_read_as_people_write_them(text: str, caps: list[tuple[int, timedelta]]) -> None:
    assert parse_caps(text) == tuple(Cap(most, window) for most, window in caps)


@pytest.mark.parametrize("text", ["2/1d, 5/7d", "1/36h", "4/24h"])
def test_caps_are_shown_as_they_could_be_written(text: str) -> None:
    caps = parse_caps(text)
    assert parse_caps(", ".join(map(str, caps))) == caps


@pytest.mark.parametrize("text", ["2", "2/d", "0/1d", "2/0d", "two a day", "2/1w", "2/1d,", "-2/1d", "2/1d 5/7d"])
def test_other_caps_are_refused_with_how_to_write_them(text: str) -> None:
    with pytest.raises(ValueError, match=r"write messages/time, like 2/1d"):
        parse_caps(text)


def test_the_longest_window_is_how_far_back_anybody_has_to_look() -> None:
    assert Rules(caps=parse_caps("2/1d, 5/7d, 1/3h")).longest_window == 7 * DAY
    assert Rules().longest_window == timedelta(0)
