"""When each message leaves, and how long it is worth sending late."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidings.features.events.models import SessionKind
from tidings.features.events.rules.plan import Attendee, EventFacts, Planned, SessionFacts
from tidings.features.events.rules.timing import evening_before, plan_for, sponsor_of, useful_until
from tidings.features.events.types import MessageType

ZONES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Nuuk", "Asia/Beirut",
    "Africa/Cairo", "Antarctica/Troll", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Honolulu", "UTC",
]  # fmt: skip


def berlin(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of October 2025 on Berlin's clocks; summer time ends there in the night to the 26th."""
    return datetime(2025, 10, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)


EVENT = EventFacts(41, "Builders Day", "Hall 4", "Europe/Berlin", berlin(17, 9), berlin(17, 17))
ANNA = Attendee(56, "Anna Lee", "Lee Roofing", frozenset(), berlin(1, 12), berlin(2, 12))
BEN = Attendee(57, "Ben Cruz", None, frozenset(), berlin(1, 13), None)


def slot(key: str, start: datetime, minutes: int, kind: str = "session", **more: str) -> SessionFacts:
    facts = {"speaker": None, "sponsor": None, "room": None} | more
    end = start + timedelta(minutes=minutes)
    return SessionFacts(key, SessionKind(kind), f"Title {key}", **facts, start_time=start, end_time=end)


AGENDA = [
    slot("a", berlin(17, 9), 60, speaker="Jo Roe", room="Blue", sponsor="Acme"),
    slot("tea", berlin(17, 10), 30, "break"),
    slot("b", berlin(17, 10, 30), 60, speaker="Kim Poe"),
    slot("meet", berlin(17, 11, 30), 30, "networking", room="Foyer"),
]


def of_type(plan: list[Planned], message_type: MessageType) -> list[Planned]:
    return [message for message in plan if message.message_type == message_type]


@pytest.mark.parametrize(
    ("message_type", "expected"),
    [
        (MessageType.REGISTRATION_CONFIRMATION, {"": berlin(1, 12)}),
        (MessageType.PERSONALIZED_AGENDA, {"": berlin(2, 12)}),
        (MessageType.CHECK_IN_REMINDER_NIGHT_BEFORE, {"": berlin(16, 20)}),
        (MessageType.CHECK_IN_REMINDER_1_HOUR, {"": berlin(17, 8)}),
        (MessageType.CHECK_IN_REMINDER_EVENT_START, {"": berlin(17, 9)}),
        (MessageType.SPEAKER_ALERT, {"a": berlin(17, 8, 45), "b": berlin(17, 10, 15)}),
        (MessageType.SPONSOR_RECOMMENDATION, {"tea": berlin(17, 10)}),
        (MessageType.PEER_MATCH_NOTIFICATION, {"meet": berlin(17, 11, 30)}),
        (MessageType.PCR_REQUEST, {"a": berlin(17, 10, 7), "b": berlin(17, 11, 37)}),
        (MessageType.POST_EVENT_WRAP_UP, {"": berlin(17, 19)}),
    ],
)
def test_each_type_leaves_when_the_specification_says(message_type, expected):
    plan = plan_for(EVENT, AGENDA, ANNA, {"meet": BEN})
    assert {message.session_key: message.scheduled_time for message in of_type(plan, message_type)} == expected


def test_a_plan_is_in_order_of_time_and_the_same_whatever_the_order_of_the_agenda():
    plan = plan_for(EVENT, AGENDA, ANNA, {"meet": BEN})
    assert plan == plan_for(EVENT, AGENDA[::-1], ANNA, {"meet": BEN})
    assert [message.scheduled_time for message in plan] == sorted(message.scheduled_time for message in plan)
    assert {message.contractor_id for message in plan} == {56}


def test_chosen_sessions_limit_alerts_and_ratings_but_not_breaks_and_networking():
    plan = plan_for(EVENT, AGENDA, replace(ANNA, session_keys=frozenset({"b", "gone"})), {"meet": BEN})
    assert {message.session_key for message in plan} == {"", "b", "tea", "meet"}
    (agenda,) = of_type(plan, MessageType.PERSONALIZED_AGENDA)
    assert [line["title"] for line in agenda.personalization_data["agenda"]] == ["Title b"]


def test_no_agenda_is_sent_before_the_profile_is_complete():
    assert not of_type(plan_for(EVENT, AGENDA, BEN, {}), MessageType.PERSONALIZED_AGENDA)


def test_the_odd_one_out_gets_no_peer_message():
    assert not of_type(plan_for(EVENT, AGENDA, ANNA, {}), MessageType.PEER_MATCH_NOTIFICATION)


def test_a_message_carries_what_its_text_needs_in_local_time():
    plan = plan_for(EVENT, AGENDA, ANNA, {"meet": BEN})
    assert of_type(plan, MessageType.SPEAKER_ALERT)[0].personalization_data == {
        "event_name": "Builders Day", "event_location": "Hall 4", "event_date": "Friday, October 17",
        "start_time": "09:00", "end_time": "17:00", "session_title": "Title a", "session_room": "Blue",
        "session_time": "09:00", "session_end_time": "10:00", "speaker_name": "Jo Roe",
    }  # fmt: skip
    peer = of_type(plan, MessageType.PEER_MATCH_NOTIFICATION)[0].personalization_data
    assert (peer["peer_name"], peer["peer_company"], peer["session_room"]) == ("Ben Cruz", None, "Foyer")
    assert of_type(plan, MessageType.SPONSOR_RECOMMENDATION)[0].personalization_data["sponsor_name"] == "Acme"


def test_a_long_agenda_is_cut_and_a_new_day_is_named():
    sessions = [slot(f"s{n:02}", berlin(17 + n // 10, 9 + n % 10), 30) for n in range(15)]
    data = of_type(plan_for(EVENT, sessions, ANNA, {}), MessageType.PERSONALIZED_AGENDA)[0].personalization_data
    assert (len(data["agenda"]), data["agenda_more"]) == (12, 3)
    days = {line["title"]: line["day"] for line in data["agenda"] if "day" in line}
    assert days == {"Title s00": "Fri, Oct 17", "Title s10": "Sat, Oct 18"}


def test_times_are_whole_milliseconds():
    registered = datetime(2025, 10, 1, 12, 0, 0, 123_987, UTC)
    plan = plan_for(EVENT, AGENDA, replace(ANNA, registered_at=registered), {})
    assert of_type(plan, MessageType.REGISTRATION_CONFIRMATION)[0].scheduled_time.microsecond == 123_000


@pytest.mark.parametrize(
    ("sponsors", "expected"),
    [
        ({"tea": "Own", "a": "Before", "b": "After"}, "Own"),
        ({"early": "Earlier", "a": "Before", "b": "After"}, "Before"),
        ({"early": "Earlier", "b": "After"}, "Earlier"),
        ({"parallel": "Still on", "b": "After", "late": "Later"}, "After"),
        ({"parallel": "Still on"}, None),
        ({}, None),
    ],
)
def test_a_break_recommends_its_own_sponsor_else_the_last_sessions_else_the_next_ones(sponsors, expected):
    agenda = [
        slot("early", berlin(17, 8), 30),
        slot("parallel", berlin(17, 9), 120),
        slot("late", berlin(17, 15), 30),
    ]
    agenda = [replace(each, sponsor=sponsors.get(each.key)) for each in agenda + AGENDA]
    tea = next(each for each in agenda if each.key == "tea")
    assert sponsor_of(tea, agenda) == sponsor_of(tea, agenda[::-1]) == expected


@settings(deadline=None)
@given(
    start=st.integers(0, 32 * 366 * 86_400).map(
        lambda seconds: datetime(2005, 1, 1, tzinfo=UTC) + timedelta(0, seconds)
    ),
    zone=st.sampled_from(ZONES),
)
@example(start=datetime(2025, 10, 26, 8, tzinfo=UTC), zone="Europe/Berlin")
@example(start=datetime(2026, 3, 29, 7, tzinfo=UTC), zone="Europe/Berlin")
@example(start=datetime(2026, 3, 8, 13, tzinfo=UTC), zone="America/New_York")
@example(start=datetime(2026, 4, 4, 23, tzinfo=UTC), zone="Australia/Lord_Howe")
@example(start=datetime(2011, 12, 30, 19, tzinfo=UTC), zone="Pacific/Apia")
@example(start=datetime(2022, 3, 27, 12, tzinfo=UTC), zone="America/Nuuk")
def test_the_night_before_is_eight_in_the_evening_where_the_event_is(start, zone):
    evening = evening_before(start, zone)
    local, day = evening.astimezone(ZoneInfo(zone)), start.astimezone(ZoneInfo(zone)).date()
    assert f"{local:%H:%M:%S.%f}" == "20:00:00.000000"
    assert evening < start
    skipped_a_day = (zone, f"{day}") == ("Pacific/Apia", "2011-12-31")
    assert day - local.date() == timedelta(days=2 if skipped_a_day else 1)


def test_hours_before_are_elapsed_time_when_the_clocks_change():
    night = replace(EVENT, start_time=berlin(26, 3, 30), end_time=berlin(26, 9))
    plan = plan_for(night, [], ANNA, {})
    (hour_before,) = of_type(plan, MessageType.CHECK_IN_REMINDER_1_HOUR)
    assert night.start_time - hour_before.scheduled_time == timedelta(hours=1)
    assert f"{hour_before.scheduled_time.astimezone(ZoneInfo('Europe/Berlin')):%H:%M %Z}" == "02:30 CET"


@st.composite
def agendas(draw: st.DrawFn) -> list[SessionFacts]:
    slots = []
    for number in range(draw(st.integers(0, 12))):
        start = EVENT.start_time + timedelta(seconds=draw(st.integers(0, 3 * 86_400)))
        kind = draw(st.sampled_from(["session", "break", "networking"]))
        slots.append(slot(f"k{number}", start, draw(st.integers(0, 600)), kind))
    return slots


@settings(deadline=None)
@given(agendas(), st.frozensets(st.sampled_from([f"k{number}" for number in range(12)])), st.booleans())
def test_every_message_about_a_slot_is_one_that_the_rules_ask_for(sessions, chosen, met):
    attendee = replace(ANNA, session_keys=chosen)
    plan = plan_for(EVENT, sessions, attendee, {each.key: BEN for each in sessions} if met else {})
    expected = set()
    for each in sessions:
        if each.kind == SessionKind.SESSION and (not chosen or each.key in chosen):
            expected.add((MessageType.SPEAKER_ALERT, each.key, each.start_time - timedelta(minutes=15)))
            expected.add((MessageType.PCR_REQUEST, each.key, each.end_time + timedelta(minutes=7)))
        if each.kind == SessionKind.BREAK:
            expected.add((MessageType.SPONSOR_RECOMMENDATION, each.key, each.start_time))
        if each.kind == SessionKind.NETWORKING and met:
            expected.add((MessageType.PEER_MATCH_NOTIFICATION, each.key, each.start_time))
    found = [(each.message_type, each.session_key, each.scheduled_time) for each in plan if each.session_key]
    assert (set(found), len(found)) == (expected, len(expected))
    assert len({(each.message_type, each.session_key) for each in plan}) == len(plan)
    for each in plan:
        about = next((facts for facts in sessions if facts.key == each.session_key), None)
        assert useful_until(each.message_type, each.scheduled_time, EVENT, about) > each.scheduled_time


@pytest.mark.parametrize(
    ("message_type", "key", "expected"),
    [
        (MessageType.REGISTRATION_CONFIRMATION, "", berlin(17, 17)),
        (MessageType.PERSONALIZED_AGENDA, "", berlin(17, 17)),
        (MessageType.CHECK_IN_REMINDER_NIGHT_BEFORE, "", berlin(17, 0)),
        (MessageType.CHECK_IN_REMINDER_1_HOUR, "", berlin(17, 9)),
        (MessageType.CHECK_IN_REMINDER_EVENT_START, "", berlin(17, 10)),
        (MessageType.SPEAKER_ALERT, "a", berlin(17, 10)),
        (MessageType.SPONSOR_RECOMMENDATION, "tea", berlin(17, 10, 30)),
        (MessageType.PEER_MATCH_NOTIFICATION, "meet", berlin(17, 12)),
        (MessageType.PCR_REQUEST, "a", berlin(18, 10, 7)),
        (MessageType.POST_EVENT_WRAP_UP, "", berlin(18, 19)),
    ],
)
def test_a_late_message_is_sent_only_while_it_is_of_use(message_type, key, expected):
    plan = plan_for(EVENT, AGENDA, ANNA, {"meet": BEN})
    (message,) = (each for each in of_type(plan, message_type) if each.session_key == key)
    about = next((facts for facts in AGENDA if facts.key == key), None)
    assert useful_until(message_type, message.scheduled_time, EVENT, about) == expected


@pytest.mark.parametrize("message_type", MessageType)
def test_a_message_somebody_schedules_for_a_later_time_is_still_sent_then(message_type):
    much_later = EVENT.end_time + timedelta(days=3)
    assert useful_until(message_type, much_later, EVENT, AGENDA[0]) >= much_later + timedelta(hours=1)
    assert useful_until(message_type, much_later, EVENT, None) >= much_later + timedelta(hours=1)
