"""One provider is given messages as fast as it takes them, and no faster for long."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidings.messages.delivery.pacing import FORGOTTEN, LONGEST_PAUSE, RECOVERY, SHORT_PAUSE, SLOWEST, START, Pace

BRIEF = 0.0011  # seconds: a place may be taken a millisecond early


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def go(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def pace(now: Time) -> Pace:
    return Pace(now)


def take(pace: Pace, now: Time, per_second: int, seconds: int) -> None:
    """The provider takes messages at this rate for a while."""
    for number in range(per_second * seconds):
        assert pace.wait(f"before-{number}") == 0.0
        pace.taken()
        now.go(1 / per_second)


def refuse_twice(pace: Pace, now: Time) -> None:
    """The provider refuses a message, and the first one after the pause."""
    pace.throttled(None)
    now.go(pace.wait("refused"))
    assert pace.wait("refused") == 0.0
    pace.throttled(None)


# -- unlimited


def test_a_provider_that_never_refuses_is_never_waited_for(pace: Pace, now: Time) -> None:
    for number in range(10_000):
        assert pace.wait(str(number)) == 0.0
        pace.taken()
    assert pace.rate() is None


# -- the pause


@pytest.mark.parametrize("asked", [0.5, 7.0, 3600.0])
def test_nothing_goes_before_the_time_the_provider_asked_for(pace: Pace, now: Time, asked: float) -> None:
    pace.throttled(asked)
    assert pace.wait("a") == pytest.approx(asked)
    now.go(asked / 2)
    assert pace.wait("a") == pytest.approx(asked / 2)
    now.go(asked / 2)
    assert pace.wait("a") == 0.0


@pytest.mark.parametrize("asked", [None, 0.0, -5.0])
def test_a_refusal_that_names_no_time_pauses_for_longer_until_a_message_is_taken(
    pace: Pace, now: Time, asked: float | None
) -> None:
    pauses = []
    for number in range(9):
        pace.throttled(asked)
        pauses.append(pace.wait(f"{number}"))
        now.go(pauses[-1])
        assert pace.wait(f"{number}") == 0.0
    assert pauses == pytest.approx([SHORT_PAUSE, 1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE])

    pace.taken()
    pace.throttled(None)
    assert pace.wait("x") <= 1.0


def test_a_message_taken_from_before_the_refusal_does_not_shorten_the_next_pause(pace: Pace, now: Time) -> None:
    pace.throttled(None)
    pace.taken()
    now.go(pace.wait("a"))
    assert pace.wait("a") == 0.0
    pace.throttled(None)
    assert pace.wait("b") == pytest.approx(1.0)
    now.go(1.0)
    assert pace.wait("b") == 0.0
    pace.throttled(None)
    assert pace.wait("c") == pytest.approx(2.0)


def test_the_longest_pause_asked_for_in_one_burst_counts_and_moves_everybody(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=10, seconds=5)
    pace.throttled(3.0)
    first, second = pace.wait("a"), pace.wait("b")
    pace.throttled(8.0)
    pace.throttled(2.0)
    pace.throttled(None)
    assert pace.wait("a") == pytest.approx(8.0)
    assert pace.wait("b") - pace.wait("a") == pytest.approx(second - first)


# -- a refusal in a quiet system


@pytest.mark.parametrize("before", [0.05, 0.5, 2.0], ids="{}/s before".format)
def test_one_refusal_in_a_quiet_system_makes_nothing_late_by_more_than_a_moment(
    pace: Pace, now: Time, before: float
) -> None:
    for number in range(10):
        assert pace.wait(f"before-{number}") == 0.0
        pace.taken()
        now.go(1 / before)
    refused_at = now.seconds
    pace.throttled(None)
    waiting = [(pace.wait(f"m{number}"), f"m{number}") for number in range(11)]
    while waiting:
        wait, key = min(waiting)
        waiting.remove((wait, key))
        now.seconds = max(now.seconds, refused_at + wait)
        if again := pace.wait(key):
            waiting.append((now.seconds - refused_at + again, key))
        else:
            pace.taken()
    assert now.seconds - refused_at < 1.5
    now.go(1.0)
    assert pace.rate() is None
    assert pace.wait("afterwards") == 0.0


def test_a_lone_refusal_that_asks_for_a_pause_is_given_it_and_no_more(pace: Pace, now: Time) -> None:
    pace.throttled(2.0)
    waits = [pace.wait(f"m{number}") for number in range(11)]
    assert min(waits) == pytest.approx(2.0)
    assert max(waits) < 2.0 + 1.5


def test_several_refusals_at_once_pause_for_longer_than_one(pace: Pace, now: Time) -> None:
    pace.throttled(None)
    assert pace.wait("a") == pytest.approx(SHORT_PAUSE)
    pace.throttled(None)
    assert pace.wait("a") == pytest.approx(1.0)


# -- slower, once


def test_the_rate_becomes_half_of_what_was_achieved(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=40, seconds=8)
    pace.throttled(None)
    assert pace.rate() == pytest.approx(20, rel=0.05)


def test_the_rate_achieved_in_a_first_instant_is_that_of_a_second(pace: Pace, now: Time) -> None:
    for _ in range(30):
        pace.taken()
    pace.throttled(None)
    assert pace.rate() == 15


def test_the_refusals_of_one_burst_slow_down_once(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=40, seconds=8)
    pace.throttled(1.0)
    slower = pace.rate()
    for _ in range(50):
        now.go(0.01)
        pace.throttled(0.4)
    assert pace.rate() == slower
    now.go(0.6)  # after the pause come more of them, nothing having been let through
    pace.throttled(None)
    assert pace.rate() == pytest.approx(slower, rel=0.2)

    assert pace.wait("a") == 0.0
    pace.throttled(None)
    assert pace.rate() == pytest.approx(40 / 2, rel=0.3), "half of what it took"
    now.go(pace.wait("b"))
    assert pace.wait("b") == 0.0
    pace.throttled(None)
    assert pace.rate() == pytest.approx(40 / 4, rel=0.3)


def test_it_never_becomes_slower_than_the_slowest_rate(pace: Pace, now: Time) -> None:
    for number in range(20):
        pace.throttled(None)
        assert pace.rate() == (SLOWEST if number else START)
        now.go(pace.wait(f"{number}"))
        assert pace.wait(f"{number}") == 0.0


# -- the line


def test_after_a_pause_messages_leave_one_by_one_in_their_order(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=20, seconds=5)
    pace.throttled(2.0)
    waits = [pace.wait(f"{number}") for number in range(20)]
    assert waits[0] == pytest.approx(2.0)
    gaps = [later - earlier for earlier, later in itertools.pairwise(waits)]
    assert gaps[0] == pytest.approx(0.1)
    assert gaps == sorted(gaps, reverse=True), "faster and faster"
    assert [pace.wait(f"{number}") for number in range(20)] == waits, "asking again costs no place"


def test_a_message_that_comes_at_its_time_is_not_overtaken_by_new_ones(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=2, seconds=5)
    pace.throttled(1.0)
    waits = {key: pace.wait(key) for key in "abc"}
    start = now.seconds
    for key, wait in waits.items():
        now.seconds = start + wait
        assert pace.wait(f"new-{key}") > 0.0
        assert pace.wait(key) == 0.0


def test_a_second_refusal_keeps_the_order_of_the_line(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=10, seconds=5)
    pace.throttled(1.0)
    old = {key: pace.wait(key) for key in "abcdef"}
    now.go(old["a"])
    assert pace.wait("a") == 0.0
    pace.throttled(5.0)
    pace.wait("new")
    new = {key: pace.wait(key) for key in ("f", "e", "d", "c", "b", "new")}
    assert sorted(new, key=lambda key: new[key]) == ["b", "c", "d", "e", "f", "new"]
    assert new["b"] == pytest.approx(5.0)


def test_messages_that_never_come_back_keep_nobody_waiting(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=10, seconds=5)
    pace.throttled(1.0)
    waits = {number: pace.wait(f"{number}") for number in range(50)}
    start = now.seconds
    for number in (10, 30, 49):
        now.seconds = start + waits[number]
        assert pace.wait(f"{number}") == 0.0
    now.go(RECOVERY + FORGOTTEN)
    assert pace.wait("new") == 0.0
    assert pace.rate() is None


def test_a_little_late_is_in_time_and_far_too_late_is_a_new_place(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=2, seconds=5)
    refuse_twice(pace, now)
    waits = [pace.wait(f"{number}") for number in range(40)]
    now.go(waits[0] + FORGOTTEN - 0.1)
    assert pace.wait("0") == 0.0
    now.go(waits[1] - waits[0] + 0.2)
    assert pace.wait("1") > 0.0


# -- priorities


def test_an_urgent_message_does_not_wait_behind_the_others(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=70, seconds=5)
    pace.throttled(1.0)
    for number in range(3000):
        pace.wait(f"{number}", 10)
    assert pace.wait("urgent", 1) == pytest.approx(1.0)
    assert pace.wait("next urgent", 1) < 1.1
    assert pace.wait("more urgent", 0) == pytest.approx(1.0)
    assert pace.wait("urgent", 1) < 1.1


def test_who_makes_way_for_an_urgent_message_keeps_its_order_among_equals(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=10, seconds=5)
    pace.throttled(1.0)
    old = {key: pace.wait(key, 5) for key in "abc"}
    assert pace.wait("urgent", 1) == pytest.approx(old["a"])
    new = {key: pace.wait(key, 5) for key in "abc"}
    assert new["a"] == pytest.approx(old["b"])
    assert new["b"] == pytest.approx(old["c"])
    assert pace.wait("late", 9) > new["c"]
    now.go(old["a"])
    assert pace.wait("urgent", 1) == 0.0
    assert pace.wait("a", 5) > 0.0
    now.go(pace.wait("a", 5))
    assert pace.wait("a", 5) == 0.0


def test_a_refusal_keeps_the_order_of_priorities(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=10, seconds=5)
    pace.throttled(1.0)
    for key, priority in zip("abcdef", (5, 5, 1, 9, 1, 0), strict=True):
        pace.wait(key, priority)
    now.go(1.0)
    assert pace.wait("f", 0) == 0.0
    pace.throttled(5.0)
    waits = {key: pace.wait(key) for key in "abcde"}
    assert sorted(waits, key=lambda key: waits[key]) == ["c", "e", "a", "b", "d"]


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("asks"), st.lists(st.integers(0, 3), min_size=1, max_size=12)),
            st.tuples(st.just("refused"), st.none() | st.floats(0.01, 20)),
            st.tuples(st.just("passes"), st.floats(0.001, 20)),
        ),
        max_size=30,
    )
)
def test_nobody_is_early_and_nobody_is_overtaken_by_its_equals(steps: list[tuple[str, Any]]) -> None:
    now = Time()
    pace = Pace(now)
    numbers = itertools.count()
    waiting: list[tuple[float, int, int, int]] = []  # when it comes back, its number, its priority, what it knew of
    news, last = 0, None
    left: dict[int, list[int]] = {}

    def ask(number: int, priority: int, known: int | None) -> None:
        nonlocal last
        wait, rate = pace.wait(f"m{number}", priority), pace.rate()
        if wait:
            assert known != news, "it came at its time, and nothing had moved it"
            heapq.heappush(waiting, (now.seconds + wait, number, priority, news))
        else:
            assert rate is None or last is None or now.seconds - last >= 1 / rate - BRIEF
            last = None if rate is None else now.seconds
            left.setdefault(priority, []).append(number)

    def go(until: float) -> None:
        while waiting and waiting[0][0] <= until:
            now.seconds, number, priority, known = heapq.heappop(waiting)
            ask(number, priority, known)

    for what, amount in steps:
        if what == "asks":
            for priority in amount:
                news += 1
                ask(next(numbers), priority, None)
        elif what == "refused":
            pace.throttled(amount)
            news, last = news + 1, None
        else:
            until = now.seconds + amount
            go(until)
            now.seconds = until
    go(math.inf)
    assert all(numbers == sorted(numbers) for numbers in left.values())


# -- recovery


def test_it_recovers_within_about_a_minute_of_traffic(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=20, seconds=5)
    refuse_twice(pace, now)
    began, rates = now.seconds, []
    while (rate := pace.rate()) is not None:
        rates.append(rate)
        if wait := pace.wait("next"):
            now.go(wait)
            continue
        pace.taken()
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(20, rel=0.1)
    assert 20 < now.seconds - began < 75


def test_it_recovers_without_traffic_too(pace: Pace, now: Time) -> None:
    take(pace, now, per_second=20, seconds=5)
    pace.throttled(None)
    now.go(1.0 + RECOVERY)
    assert pace.rate() is None


# -- with a provider


@dataclass
class Provider:
    """Takes a message for a token, which its bucket gets at a steady rate; answers 429 when it has none."""

    rate: float
    bucket: float
    retry_after: float | None = None
    taken: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    _filled: float = 0.0
    _tokens: float = 0.0

    def take(self, at: float) -> bool:
        self._tokens = min(self._tokens + (at - self._filled) * self.rate, self.bucket)
        self._filled = at
        if self._tokens < 1:
            self.refused.append(at)
            return False
        self._tokens -= 1
        self.taken.append(at)
        return True


def deliver(
    pace: Pace,
    now: Time,
    provider: Provider,
    arrivals: list[float],
    *,
    latency: float = 0.1,
    change: tuple[float, Callable[[], None]] | None = None,
) -> None:
    """Delivers messages that arrive at these times, each again and again until it is taken."""
    order = itertools.count()
    steps = [(at, next(order), "asks", f"m{number}") for number, at in enumerate(arrivals)]
    heapq.heapify(steps)
    done: set[str] = set()
    while steps:
        now.seconds, _, what, key = heapq.heappop(steps)
        if change is not None and now.seconds >= change[0]:
            change[1]()
            change = None
        if what == "asks":
            if wait := pace.wait(key):
                heapq.heappush(steps, (now.seconds + wait, next(order), "asks", key))
            else:
                answer = "taken" if provider.take(now.seconds) else "refused"
                heapq.heappush(steps, (now.seconds + latency, next(order), answer, key))
        elif what == "taken":
            pace.taken()
            assert key not in done
            done.add(key)
        else:
            pace.throttled(provider.retry_after)
            heapq.heappush(steps, (now.seconds, next(order), "asks", key))
    assert len(done) == len(arrivals)


def burst(count: int, concurrency: int = 50, every: float = 0.1) -> list[float]:
    """When a queue's slots ask for the messages of one burst."""
    return [1000.0 + number // concurrency * every for number in range(count)]


@pytest.mark.parametrize("latency", [0.02, 0.8])
@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize(
    ("rate", "bucket", "share"),
    [
        pytest.param(5, 5, 0.6, id="five a second"),
        pytest.param(5, 1, 0.5, id="no two at once, which shows little in the first second"),
        pytest.param(5, 50, 0.6, id="a burst of fifty, which promises too much"),
        pytest.param(1, 1, 0.6, id="one a second, the usual limit of a US long code"),
        pytest.param(50, 50, 0.6, id="fifty a second"),
    ],
)
def test_a_burst_gets_through_at_nearly_the_rate_that_the_provider_takes(
    pace: Pace, now: Time, rate: float, bucket: float, share: float, retry_after: float | None, latency: float
) -> None:
    provider = Provider(rate, bucket, retry_after)
    deliver(pace, now, provider, burst(500), latency=latency)
    assert 500 / (provider.taken[-1] - provider.taken[0]) > share * rate
    assert sum(at > 1010 for at in provider.refused) < 0.1 * 500, "the first burst aside, few are refused"


def test_a_stream_of_more_than_the_provider_takes_is_seldom_refused(pace: Pace, now: Time) -> None:
    provider = Provider(rate=5, bucket=5)
    deliver(pace, now, provider, [1000 + number / 7 for number in range(1500)])
    assert 1500 / (provider.taken[-1] - provider.taken[0]) > 0.6 * 5
    assert len(provider.refused) < 0.03 * 1500


def test_when_the_provider_lifts_its_limit_the_line_hurries_and_then_nobody_waits(pace: Pace, now: Time) -> None:
    provider = Provider(rate=5, bucket=5)

    def lift() -> None:
        provider.rate = provider.bucket = 1000

    deliver(pace, now, provider, burst(2000), change=(1060, lift))
    still_there = sum(at > 1060 for at in provider.taken)
    assert still_there > 1500, "300 seconds at five a second"
    assert provider.taken[-1] < 1060 + 75
    assert not [at for at in provider.refused if at > 1060]
    now.go(RECOVERY)
    assert pace.rate() is None
    assert [pace.wait(f"new-{number}") for number in range(100)] == [0.0] * 100


# -- what holds always


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("asks"), st.integers(1, 20)),
            st.tuples(st.just("taken"), st.integers(1, 20)),
            st.tuples(st.just("refused"), st.none() | st.floats(0.01, 20)),
            st.tuples(st.just("cancelled"), st.integers(1, 5)),
            st.tuples(st.just("passes"), st.floats(0.001, 40)),
        ),
        max_size=40,
    )
)
@example([("refused", None), ("asks", 3), ("passes", 2.0), ("refused", None)])
def test_who_comes_at_its_time_is_let_through_and_never_two_at_once(steps: list[tuple[str, float | None]]) -> None:
    now = Time()
    pace = Pace(now)
    numbers = itertools.count()
    waiting: list[tuple[float, int, int]] = []  # when it comes back, its number, the refusals it knew of
    refusals, last = 0, None

    def ask(number: int, known: int | None) -> None:
        nonlocal last
        wait, rate = pace.wait(f"m{number}"), pace.rate()
        assert wait >= 0.0
        if wait:
            assert rate is not None
            assert known != refusals, "it came at its time, and no refusal had moved it"
            heapq.heappush(waiting, (now.seconds + wait, number, refusals))
        else:
            assert rate is None or last is None or now.seconds - last >= 1 / rate - BRIEF
            last = None if rate is None else now.seconds

    for what, amount in steps:
        if what == "asks":
            for _ in range(int(amount or 0)):
                ask(next(numbers), None)
        elif what == "taken":
            for _ in range(int(amount or 0)):
                pace.taken()
        elif what == "refused":
            pace.throttled(amount)
            refusals, last = refusals + 1, None
        elif what == "cancelled":
            del waiting[int(amount or 0) :]
        else:
            until = now.seconds + (amount or 0.0)
            while waiting and waiting[0][0] <= until:
                now.seconds, number, known = heapq.heappop(waiting)
                ask(number, known)
            now.seconds = until
    while waiting:
        now.seconds, number, known = heapq.heappop(waiting)
        ask(number, known)
    now.go(LONGEST_PAUSE + RECOVERY + FORGOTTEN)
    assert pace.rate() is None
