"""Clocks: aware, in UTC, and consistent with themselves however fast they run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.clock import AcceleratedClock, ManualClock, Stage, SystemClock, to_milliseconds

NOON = datetime(2027, 5, 4, 12, tzinfo=UTC)


def test_the_systems_clock_is_aware_and_in_utc() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.seconds_until(clock.after(5)) == pytest.approx(5, abs=0.1)


def test_a_clock_moved_by_hand_stands_still_in_between() -> None:
    clock = ManualClock(NOON)
    assert clock.now() == clock.now() == NOON
    assert clock.move(timedelta(hours=1)) == NOON + timedelta(hours=1)
    assert clock.seconds_until(NOON) == -3600


@given(
    rates=st.lists(st.floats(min_value=1, max_value=10_000), min_size=1, max_size=4),
    hours=st.floats(min_value=-1, max_value=40),
)
def test_a_fast_clock_reaches_each_moment_after_the_seconds_it_said(rates: list[float], hours: float) -> None:
    clock = AcceleratedClock(*(Stage(NOON + timedelta(hours=8 * i), rate) for i, rate in enumerate(rates)))
    moment = NOON + timedelta(hours=hours)
    reached = clock.after(clock.seconds_until(moment))
    assert abs((reached - moment).total_seconds()) < 0.01 * max(rates)


def test_a_fast_clock_hurries_and_lingers_as_its_stages_say() -> None:
    clock = AcceleratedClock(Stage(NOON, 3600), Stage(NOON + timedelta(hours=10), 60))
    assert clock.seconds_until(NOON + timedelta(hours=10)) == pytest.approx(10, abs=0.1)
    assert clock.seconds_until(NOON + timedelta(hours=11)) == pytest.approx(70, abs=0.1)


def test_queue_times_are_whole_milliseconds() -> None:
    assert to_milliseconds(NOON.replace(microsecond=1999)) == NOON.replace(microsecond=1000)
