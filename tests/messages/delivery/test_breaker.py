"""Who may try a provider that is away, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import SendError
from tidings.messages.delivery.breaker import JITTER, LONGEST, SHARE, SHORTEST, Breaker, read_sentence

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
GONE = SendError("connection refused", retryable=True, away=True)


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def moment(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1000)

    def go(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def breaker(now: Time) -> Breaker:
    return Breaker("carrier", now, now.moment)


def opened(breaker: Breaker, now: Time, key: str = "first") -> None:
    assert breaker.lets(key)
    breaker.away(key, GONE, now())


def test_while_the_provider_takes_messages_all_may_go(breaker: Breaker) -> None:
    for number in range(100):
        assert breaker.lets(str(number))
        breaker.answered(str(number))
    assert not breaker.is_open


def test_after_one_that_was_not_handed_over_the_others_wait_for_a_moment(breaker: Breaker, now: Time) -> None:
    opened(breaker, now)
    assert not breaker.lets("second")
    now.go(SHORTEST)
    assert breaker.lets("second")


def test_one_tries_at_a_time(breaker: Breaker, now: Time) -> None:
    opened(breaker, now)
    now.go(SHORTEST)
    assert [breaker.lets(key) for key in "abc"] == [True, False, False]
    assert breaker.lets("a"), "it is the one that tries"


def test_an_answer_to_the_one_that_tries_lets_all_go(breaker: Breaker, now: Time) -> None:
    opened(breaker, now)
    now.go(SHORTEST)
    assert breaker.lets("a")
    breaker.answered("a")
    assert [breaker.lets(key) for key in "bcd"] == [True] * 3
    assert breaker.returns == 1


def test_an_answer_to_one_that_was_under_way_before_says_nothing(breaker: Breaker, now: Time) -> None:
    opened(breaker, now)
    breaker.answered("earlier")
    assert breaker.is_open


def test_what_comes_late_of_the_outage_does_not_open_it_again(breaker: Breaker, now: Time) -> None:
    began = now()
    opened(breaker, now)
    now.go(SHORTEST)
    assert breaker.lets("a")
    breaker.answered("a")
    now.go(4)
    breaker.away("slow", GONE, began)
    assert not breaker.is_open


def test_one_that_tries_and_does_not_go_on_leaves_its_turn_to_another_one(breaker: Breaker, now: Time) -> None:
    opened(breaker, now)
    now.go(SHORTEST)
    assert breaker.lets("a")
    breaker.withdrawn("a")
    assert breaker.seconds_to_ask() == 0.0
    assert breaker.lets("b")


def test_silence_is_no_answer_and_the_next_pause_begins(breaker: Breaker, now: Time) -> None:
    opened(breaker, now)
    now.go(SHORTEST)
    assert breaker.lets("a")
    breaker.silent("a")
    assert not breaker.lets("b")
    now.go(SHORTEST)
    assert breaker.lets("b")


@pytest.mark.parametrize("outage", [2.0, 20.0, 60.0, 300.0, 3600.0, 86_400.0])
def test_it_is_tried_often_at_first_and_found_to_be_back_within_a_twentieth_of_its_absence(
    breaker: Breaker, now: Time, outage: float
) -> None:
    began, tries = now(), 0
    opened(breaker, now)
    while True:
        wait = breaker.seconds_to_ask()
        assert wait is not None
        assert SHORTEST * (1 - JITTER) <= wait <= LONGEST
        now.go(wait)
        assert breaker.lets("a")
        tries += 1
        if now() - began >= outage:
            breaker.answered("a")
            break
        breaker.away("a", GONE, now())
    assert now() - began - outage <= max(SHORTEST, SHARE * now.seconds, 1.0)
    assert now() - began - outage <= min(max(SHORTEST, 1.1 * SHARE * outage), LONGEST)
    assert tries < 110 + outage / (LONGEST * (1 - JITTER))


def test_a_pause_that_the_provider_asks_for_is_kept(breaker: Breaker, now: Time) -> None:
    assert breaker.lets("a")
    breaker.away("a", SendError("503", retryable=True, away=True, retry_after=120.0), now())
    breaker.away("b", SendError("503", retryable=True, away=True, retry_after=180.0), now())
    now.go(179)
    assert not breaker.lets("c")
    now.go(1)
    assert breaker.lets("c")


def test_a_message_that_alone_is_not_handed_over_keeps_nobody_waiting_for_long(breaker: Breaker, now: Time) -> None:
    waited = []
    for _ in range(6):
        assert breaker.lets("odd")
        breaker.away("odd", GONE, now())
        waited.append(breaker.pause_of("odd"))
        if breaker.is_open:
            now.go(SHORTEST)
        assert breaker.lets("usual")
        breaker.answered("usual")
        now.go(waited[-1])
    assert breaker.returns == 1, "only the first time it may have been the provider"
    assert waited == sorted(waited)
    assert waited[-1] >= 16.0


def test_each_message_is_told_once_in_an_outage(breaker: Breaker, now: Time) -> None:
    opened(breaker, now)
    assert [breaker.waits("a"), breaker.waits("a"), breaker.waits("b")] == [True, False, True]


def test_where_nobody_comes_who_was_asked_another_one_is_asked_and_more_and_more_seldom(
    breaker: Breaker, now: Time
) -> None:
    opened(breaker, now)
    waits = []
    for _ in range(8):
        wait = breaker.seconds_to_ask()
        assert wait is not None
        waits.append(wait)
        now.go(wait)
        breaker.asked()
    assert waits[1:] == sorted(waits[1:])
    assert waits[-1] == LONGEST


def test_people_read_since_when_and_why_and_so_do_other_processes(breaker: Breaker, now: Time) -> None:
    opened(breaker, now)
    assert breaker.sentence == "carrier is away since 24 Nov 2026 12:00:00 UTC: connection refused"
    assert read_sentence(breaker.sentence) == ("carrier", NOON, "connection refused")
    assert read_sentence("n8n answered 500: Bob is away since Monday") is None


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["asks", "away", "answered", "silent", "withdrawn", "passes"]), st.integers(0, 4)),
        max_size=60,
    )
)
def test_whatever_happens_no_two_try_at_once_and_somebody_may_always_try_within_the_longest_pause(
    steps: list[tuple[str, int]],
) -> None:
    now = Time()
    breaker = Breaker("carrier", now, now.moment)
    under_way: dict[str, float] = {}
    for what, number in steps:
        key = str(number)
        if what == "passes":
            now.go(number)
        elif what == "asks" and key not in under_way:
            was_open = breaker.is_open
            if breaker.lets(key):
                assert not was_open or not breaker.lets("other")
                under_way[key] = now()
        elif key in under_way:
            began = under_way.pop(key)
            if what == "away":
                breaker.away(key, GONE, began)
            elif what == "answered":
                breaker.answered(key)
            elif what == "silent":
                breaker.silent(key)
            breaker.withdrawn(key)
    for key in under_way:
        breaker.withdrawn(key)
    now.go(LONGEST)
    assert breaker.lets("in the end")
