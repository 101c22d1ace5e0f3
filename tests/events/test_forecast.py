"""Forecasts: when the messages of a plan leave through BullMQ's rate limiter, and which limit would do."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.engine.policy import RateLimit
from tidings.features.events.rules.forecast import LATE, Burst, Forecast, forecast
from tidings.features.events.rules.limiter import Arrival, departures
from tidings.features.events.rules.plan import Planned
from tidings.features.events.types import MessageType
from tidings.messages.statuses import Reason

NINE = datetime(2026, 5, 1, 9, tzinfo=UTC)
EVENING_BEFORE = NINE - timedelta(hours=13)
TWENTY_A_MINUTE = RateLimit(20, 60.0)
START, ALERT = MessageType.CHECK_IN_REMINDER_EVENT_START, MessageType.SPEAKER_ALERT
CONFIRMATION, WRAP_UP = MessageType.REGISTRATION_CONFIRMATION, MessageType.POST_EVENT_WRAP_UP


def for_people(count: int, kind: MessageType = START, at: datetime = NINE, session: str = "") -> list[Planned]:
    return [Planned(number, kind, session, at) for number in range(count)]


def seen_the_evening_before(planned: list[Planned], limit: RateLimit | None = TWENTY_A_MINUTE) -> Forecast:
    return forecast(planned, EVENING_BEFORE, limit)


def minutes_late(seen: Forecast) -> dict[MessageType, float]:
    return {burst.message_type: burst.lateness.total_seconds() / 60 for burst in seen.bursts}


def test_200_people_at_20_a_minute_end_at_9_past() -> None:
    seen = seen_the_evening_before(for_people(200))
    assert seen.bursts == (Burst(NINE, START, 200, NINE + timedelta(minutes=9), timedelta(minutes=9)),)
    assert seen.worst is seen.bursts[0]
    assert seen.needed == RateLimit(200, 60.0)


@pytest.mark.parametrize(
    ("people", "limit", "late"),
    [
        (1, TWENTY_A_MINUTE, 0),
        (20, TWENTY_A_MINUTE, 0),
        (21, TWENTY_A_MINUTE, 1),
        (40, TWENTY_A_MINUTE, 1),
        (41, TWENTY_A_MINUTE, 2),
        (200, RateLimit(100, 60.0), 1),
        (200, RateLimit(200, 60.0), 0),
        (200, RateLimit(10, 1.0), 19 / 60),
        (5000, None, 0),
    ],
)
def test_the_last_of_a_burst(people: int, limit: RateLimit | None, late: float) -> None:
    assert minutes_late(seen_the_evening_before(for_people(people), limit)) == {START: late}


@pytest.mark.parametrize(
    ("people", "limit", "needed"),
    [
        (20, TWENTY_A_MINUTE, None),
        (40, TWENTY_A_MINUTE, None),  # exactly a minute late is no reason to change anything
        (41, TWENTY_A_MINUTE, RateLimit(41, 60.0)),
        (1000, RateLimit(10, 1.0), RateLimit(17, 1.0)),  # 59 windows: 17 × 59 = 1003
        (200, None, None),
    ],
)
def test_the_limit_that_would_do(people: int, limit: RateLimit | None, needed: RateLimit | None) -> None:
    assert seen_the_evening_before(for_people(people), limit).needed == needed


def test_higher_priority_goes_first_and_the_others_queue_behind() -> None:
    seen = seen_the_evening_before([*for_people(20, WRAP_UP), *for_people(20, ALERT), *for_people(20, START)])
    assert minutes_late(seen) == {START: 0, ALERT: 1, WRAP_UP: 2}


def test_a_burst_waits_for_the_window_that_an_earlier_one_opened() -> None:
    before = NINE - timedelta(seconds=10)
    seen = seen_the_evening_before([*for_people(20, ALERT, before), *for_people(20)])
    assert [(burst.message_type, burst.last_leaves) for burst in seen.bursts] == [
        (ALERT, before),
        (START, before + timedelta(seconds=60)),
    ]


def test_equals_go_in_the_order_in_which_they_came() -> None:
    seen = seen_the_evening_before(
        [*for_people(30, ALERT, NINE + timedelta(minutes=1), "b"), *for_people(30, ALERT, NINE, "a")]
    )
    assert [burst.last_leaves for burst in seen.bursts] == [
        NINE + timedelta(minutes=1),
        NINE + timedelta(minutes=2),
    ]


def test_sessions_at_the_same_time_are_one_burst() -> None:
    seen = seen_the_evening_before([*for_people(3, ALERT, session="a"), *for_people(4, ALERT, session="b")])
    assert [(burst.time, burst.count) for burst in seen.bursts] == [(NINE, 7)]


def test_what_is_past_is_skipped_and_what_leaves_at_once_has_an_hour() -> None:
    ago = {minutes: NINE - timedelta(minutes=minutes) for minutes in (1, 59, 61)}
    planned = [
        *for_people(1, ALERT, ago[1]),
        *for_people(2, CONFIRMATION, ago[59]),
        *for_people(3, CONFIRMATION, ago[61]),
    ]
    seen = forecast(planned, NINE, TWENTY_A_MINUTE)
    assert seen.bursts == (Burst(NINE, CONFIRMATION, 2, NINE, timedelta(0)),)
    assert [(skipped.message_type, skipped.count, skipped.reason) for skipped in seen.skipped] == [
        (CONFIRMATION, 3, Reason.PAST),
        (ALERT, 1, Reason.PAST),
    ]


def test_what_waits_already_leaves_however_late_it_is() -> None:
    seen = forecast([], NINE, TWENTY_A_MINUTE, waiting=for_people(30, ALERT, NINE - timedelta(minutes=5)))
    assert seen.skipped == ()
    assert [(burst.count, burst.last_leaves) for burst in seen.bursts] == [(30, NINE + timedelta(minutes=1))]


def test_other_events_take_their_places_and_are_not_shown() -> None:
    crowded = forecast(for_people(20, ALERT), EVENING_BEFORE, TWENTY_A_MINUTE, others=[Arrival(NINE, 1, 60)])
    assert minutes_late(crowded) == {ALERT: 3}
    assert crowded.needed == RateLimit(80, 60.0)


def test_what_is_of_no_use_any_more_by_its_turn_is_counted() -> None:
    seen = forecast(
        for_people(200),
        EVENING_BEFORE,
        TWENTY_A_MINUTE,
        useful_until=lambda kind, time, session: time + timedelta(minutes=5),
    )
    assert seen.bursts[0].useless == 200 - 6 * 20


def test_the_worst_is_bound_to_an_hour_whatever_leaves_at_once() -> None:
    at_once = for_people(400, CONFIRMATION, EVENING_BEFORE)
    seen = seen_the_evening_before([*at_once, *for_people(200, ALERT, NINE - timedelta(hours=1)), *for_people(200)])
    assert seen.worst is not None
    assert (seen.worst.message_type, seen.worst.lateness) == (START, timedelta(minutes=9))


def test_nothing_planned() -> None:
    seen = seen_the_evening_before([])
    assert (seen.bursts, seen.skipped, seen.worst, seen.needed) == ((), (), None, None)


arrivals = st.lists(
    st.builds(
        Arrival,
        due=st.integers(0, 300_000).map(lambda ms: NINE + timedelta(milliseconds=ms)),
        priority=st.integers(1, 10),
        count=st.integers(1, 70),
    ),
    max_size=12,
)
limits = st.builds(RateLimit, max=st.integers(1, 50), seconds=st.sampled_from([0.5, 1.0, 10.0, 60.0]))


@given(arrivals, limits)
def test_everybody_leaves_once_and_nobody_before_their_time(waiting: list[Arrival], limit: RateLimit) -> None:
    left: Counter[int] = Counter()
    for departure in departures(waiting, limit):
        assert departure.at >= waiting[departure.arrival].due
        left[departure.arrival] += departure.count
    assert left == Counter({index: arrival.count for index, arrival in enumerate(waiting)})


@given(arrivals, limits)
def test_no_window_that_opens_with_its_first_job_lets_more_than_max_start(
    waiting: list[Arrival], limit: RateLimit
) -> None:
    closes, started = NINE - timedelta(days=1), 0
    last = closes
    for departure in departures(waiting, limit):
        assert departure.at >= last
        last = departure.at
        if departure.at >= closes:
            closes, started = departure.at + timedelta(seconds=limit.seconds), 0
        started += departure.count
        assert started <= limit.max


@given(arrivals, limits)
def test_nobody_waits_while_a_place_is_free(waiting: list[Arrival], limit: RateLimit) -> None:
    """Whoever leaves late leaves when a window opens, and the one before it was full."""
    closes, started, previous = NINE - timedelta(days=1), 0, limit.max
    for departure in departures(waiting, limit):
        opened = departure.at >= closes
        if opened:
            closes, started, previous = departure.at + timedelta(seconds=limit.seconds), 0, started or limit.max
        started += departure.count
        if departure.at > waiting[departure.arrival].due and opened:
            assert previous == limit.max


@given(st.integers(1, 400), limits)
def test_the_needed_limit_is_enough(people: int, limit: RateLimit) -> None:
    seen = seen_the_evening_before(for_people(people), limit)
    assert (seen.needed is None) == (seen.worst is None)
    if seen.needed:
        assert seen.needed.max > limit.max
        assert all(burst.lateness < LATE for burst in seen_the_evening_before(for_people(people), seen.needed).bursts)
