"""When the occurrences of a series are: by the wall clock of the contractor, DST included, and never in the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.features.followups.rules.recurrence import next_occurrence, occurrence_at

ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # half an hour of DST
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Pacific/Apia",  # skipped a whole day
    "UTC",
)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


DST: list[tuple[str, str, int, int, str]] = [
    # zone, the first one's wall clock, days, which one, its wall clock with the offset from UTC
    ("America/New_York", "2025-10-27T09:00", 7, 1, "2025-10-27T09:00-04:00"),
    ("America/New_York", "2025-10-27T09:00", 7, 2, "2025-11-03T09:00-05:00"),
    ("America/New_York", "2026-03-01T09:00", 7, 3, "2026-03-15T09:00-04:00"),
    ("America/New_York", "2026-03-01T02:30", 7, 2, "2026-03-08T03:30-04:00"),  # there is no 2:30 that day
    ("America/New_York", "2026-03-01T02:30", 7, 3, "2026-03-15T02:30-04:00"),  # and it does not shift the next
    ("America/New_York", "2025-10-26T01:30", 7, 2, "2025-11-02T01:30-04:00"),  # 1:30 comes twice: the first
    ("America/New_York", "2025-10-26T01:30", 7, 3, "2025-11-09T01:30-05:00"),
    ("Europe/Berlin", "2026-03-22T02:15", 1, 8, "2026-03-29T03:15+02:00"),
    ("Europe/Berlin", "2026-03-22T02:15", 1, 9, "2026-03-30T02:15+02:00"),
    ("Europe/Berlin", "2025-10-25T12:00", 1, 2, "2025-10-26T12:00+01:00"),
    ("Australia/Lord_Howe", "2025-10-04T02:15", 1, 2, "2025-10-05T02:45+11:00"),
    ("Asia/Kathmandu", "2025-10-15T09:00", 30, 3, "2025-12-14T09:00+05:45"),
    ("UTC", "2024-02-28T00:00", 1, 2, "2024-02-29T00:00+00:00"),
]


@pytest.mark.parametrize(("zone", "first", "days", "number", "expected"), DST)
def test_an_occurrence_keeps_its_wall_clock_time_over_dst(
    zone: str, first: str, days: int, number: int, expected: str
) -> None:
    moment = occurrence_at(local(first), days, number, zone)
    assert moment == local(expected)
    assert moment.tzinfo is UTC
    assert moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local(expected).replace(tzinfo=None)


def test_occurrences_that_were_missed_are_left_out() -> None:
    first = local("2025-10-01T09:00")
    weeks_later = local("2025-11-19T10:00-05:00")
    number, moment = next_occurrence(first, 7, 1, "America/New_York", weeks_later)
    assert (number, moment) == (9, local("2025-11-26T09:00-05:00"))


def test_the_moment_of_an_occurrence_itself_is_not_later_than_itself() -> None:
    first = local("2025-10-01T09:00")
    on_time = occurrence_at(first, 7, 2, "Europe/Berlin")
    assert next_occurrence(first, 7, 1, "Europe/Berlin", on_time - timedelta(milliseconds=1)) == (2, on_time)
    assert next_occurrence(first, 7, 1, "Europe/Berlin", on_time)[0] == 3


def test_a_day_that_the_calendar_skipped_brings_no_second_message() -> None:
    first = local("2011-12-29T09:00")
    after_first = occurrence_at(first, 1, 1, "Pacific/Apia")
    number, moment = next_occurrence(first, 1, 1, "Pacific/Apia", after_first)
    after, later = next_occurrence(first, 1, number, "Pacific/Apia", moment)
    assert moment.astimezone(ZoneInfo("Pacific/Apia")).date().isoformat() == "2011-12-31"
    assert later - moment == timedelta(days=1)
    assert after == 4


wall_clocks = st.datetimes(local("2005-01-01"), local("2037-01-01")).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@settings(max_examples=150, deadline=None)
@given(wall_clocks, st.integers(1, 400), st.integers(1, 200), st.sampled_from(ZONES))
def test_the_wall_clock_time_is_the_same_except_where_a_change_skips_it(
    first: datetime, days: int, number: int, zone: str
) -> None:
    wanted = first + timedelta(days=days) * (number - 1)
    found = occurrence_at(first, days, number, zone).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    if found != wanted:
        gap = found - wanted
        assert timedelta(0) < gap <= timedelta(days=1)
        before = (wanted - timedelta(days=2)).replace(tzinfo=ZoneInfo(zone)).utcoffset()
        after = (wanted + timedelta(days=2)).replace(tzinfo=ZoneInfo(zone)).utcoffset()
        assert before is not None
        assert after is not None
        assert after > before, "only a change of the offset may move an occurrence"


@settings(max_examples=150, deadline=None)
@given(
    wall_clocks,
    st.integers(1, 400),
    st.sampled_from(ZONES),
    st.lists(st.timedeltas(timedelta(0), timedelta(days=500)), min_size=1, max_size=8),
)
def test_a_series_only_goes_forward_and_each_next_one_is_the_first_that_lies_ahead(
    first: datetime, days: int, zone: str, delays: list[timedelta]
) -> None:
    number, moment = 1, occurrence_at(first, days, 1, zone)
    for delay in delays:
        concluded = moment + delay
        following, later = next_occurrence(first, days, number, zone, concluded)
        assert following > number
        assert later > concluded >= moment
        assert later == occurrence_at(first, days, following, zone)
        assert following == number + 1 or occurrence_at(first, days, following - 1, zone) <= concluded
        number, moment = following, later
