"""Nothing is sent at night, wherever the recipient may be, and whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.messages.gate.quiet_hours import OUTLOOK, QuietHours, zones_of

NIGHT = QuietHours(time(21), time(8))
LUNCH = QuietHours(time(12), time(13, 30))
NEW_YORK, BERLIN, LORD_HOWE = "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str, fold: int = 0) -> datetime:
    """The moment, UTC, when clocks in `zone` show `text`; `fold` 1 is a repeated hour's second pass."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


# -- how they are written


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("21:00-08:00", NIGHT),
        (" 21:00 - 8:00 ", NIGHT),
        ("21:00–08:00", NIGHT),
        ("12:00-13:30", LUNCH),
        ("00:00-23:59", QuietHours(time(0), time(23, 59))),
        ("off", None),
        ("OFF ", None),
    ],
)
def test_quiet_hours_are_read_as_people_write_them(text: str, hours: QuietHours | None) -> None:
    assert QuietHours.parse(text) == hours
    assert hours is None or QuietHours.parse(str(hours)) == hours


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' are no quiet hours; write them like 21:00-08:00, or off for none"),
        ("21-8", "write them like 21:00-08:00"),
        ("9pm-8am", "write them like 21:00-08:00"),
        ("21:00", "write them like 21:00-08:00"),
        ("21:00-08:00-09:00", "write them like 21:00-08:00"),
        ("21:00-24:00", "'21:00-24:00' has a time that no clock shows; the day goes from 00:00 to 23:59"),
        ("21:60-08:00", "has a time that no clock shows"),
        ("08:00-08:00", "quiet hours end when they start, at 08:00; write two times, or off for none"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        QuietHours.parse(text)
    assert sentence in str(caught.value)


def test_times_of_a_timezone_are_refused() -> None:
    with pytest.raises(ValueError, match="leave their timezone out"):
        QuietHours(time(21, tzinfo=UTC), time(8))


# -- where a recipient may be


@pytest.mark.parametrize(
    ("phone", "timezone", "zones"),
    [
        pytest.param("+18105550123", "Asia/Tokyo", ("Asia/Tokyo",), id="the recipient's own zone is enough"),
        pytest.param("+12125550100", None, (NEW_YORK,), id="an area code in one zone"),
        pytest.param("+491701234567", None, (BERLIN,), id="a country in one zone"),
        pytest.param("+12085550123", None, ("America/Boise", "America/Los_Angeles"), id="an area code in two zones"),
        pytest.param("+12125550100", "Mars/Olympus", (NEW_YORK,), id="a zone that does not exist"),
        pytest.param("+12125550100", "America", (NEW_YORK,), id="a folder of the zone database"),
        pytest.param("+12125550100", "../../etc/hosts", (NEW_YORK,), id="a path"),
        pytest.param("+12125550100", "", (NEW_YORK,), id="an empty zone"),
        pytest.param("+15555550123", None, (BERLIN,), id="an area code that nobody has"),
        pytest.param("+870773123456", None, (BERLIN,), id="a satellite phone"),
        pytest.param("nobody", None, (BERLIN,), id="no number"),
        pytest.param("", None, (BERLIN,), id="an empty number"),
        pytest.param(None, None, (BERLIN,), id="no number at all"),
    ],
)
def test_the_zones_are_those_the_recipient_may_be_in(
    phone: str | None, timezone: str | None, zones: tuple[str, ...]
) -> None:
    assert zones_of(phone, timezone, BERLIN) == zones


def test_a_mobile_number_of_a_wide_country_may_be_anywhere_in_it() -> None:
    zones = zones_of("+61412345678", None, BERLIN)
    assert {"Australia/Perth", "Australia/Sydney", LORD_HOWE} <= set(zones)


# -- what is allowed


@pytest.mark.parametrize(
    ("hours", "at", "allowed"),
    [
        (NIGHT, "2026-03-10T20:59:59.999999", True),
        (NIGHT, "2026-03-10T21:00", False),
        (NIGHT, "2026-03-11T00:00", False),
        (NIGHT, "2026-03-11T07:59:59.999999", False),
        (NIGHT, "2026-03-11T08:00", True),
        (LUNCH, "2026-03-10T11:59:59.999999", True),
        (LUNCH, "2026-03-10T12:00", False),
        (LUNCH, "2026-03-10T13:29:59.999999", False),
        (LUNCH, "2026-03-10T13:30", True),
    ],
)
def test_the_first_moment_is_quiet_and_the_last_is_not(hours: QuietHours, at: str, allowed: bool) -> None:
    assert hours.allows(local(at, NEW_YORK), [NEW_YORK]) is allowed


def test_every_zone_has_to_allow_it() -> None:
    half_past_eight = local("2026-03-10T08:30", NEW_YORK)
    assert NIGHT.allows(half_past_eight, [NEW_YORK])
    assert not NIGHT.allows(half_past_eight, [NEW_YORK, "America/Chicago"])
    assert NIGHT.next_allowed(half_past_eight, [NEW_YORK, "America/Chicago"]) == local(
        "2026-03-10T08:00", "America/Chicago"
    )


def test_a_moment_of_any_offset_is_understood_and_a_naive_one_is_refused() -> None:
    evening = datetime(2026, 3, 10, 22, tzinfo=timezone(timedelta(hours=1)))
    assert NIGHT.allows(evening, [NEW_YORK])
    assert NIGHT.next_allowed(evening, [NEW_YORK]) == evening
    for ask in (NIGHT.allows, NIGHT.next_allowed):
        with pytest.raises(ValueError, match="has no timezone"):
            ask(evening.replace(tzinfo=None), [NEW_YORK])
        with pytest.raises(ZoneInfoNotFoundError):
            ask(evening, ["Mars/Olympus"])


# -- when it is allowed next


@pytest.mark.parametrize(
    ("hours", "zone", "moment", "expected"),
    [
        pytest.param(NIGHT, NEW_YORK, "2026-03-10T22:15:30", "2026-03-11T08:00", id="in the evening"),
        pytest.param(NIGHT, NEW_YORK, "2026-03-11T03:00", "2026-03-11T08:00", id="after midnight"),
        pytest.param(NIGHT, NEW_YORK, "2026-03-11T09:00", "2026-03-11T09:00", id="in the day"),
        pytest.param(NIGHT, NEW_YORK, "2026-12-31T23:00", "2027-01-01T08:00", id="over new year"),
        pytest.param(NIGHT, NEW_YORK, "2026-03-07T22:00", "2026-03-08T08:00", id="a night of ten hours"),
        pytest.param(NIGHT, NEW_YORK, "2026-10-31T22:00", "2026-11-01T08:00", id="a night of twelve hours"),
        pytest.param(NIGHT, LORD_HOWE, "2026-04-04T22:00", "2026-04-05T08:00", id="half an hour longer"),
        pytest.param(NIGHT, LORD_HOWE, "2026-10-03T22:00", "2026-10-04T08:00", id="half an hour shorter"),
        pytest.param(NIGHT, "Africa/Casablanca", "2026-02-14T22:00", "2026-02-15T08:00", id="Ramadan begins"),
        pytest.param(NIGHT, "Africa/Cairo", "2026-04-23T22:00", "2026-04-24T08:00", id="midnight is skipped"),
        pytest.param(LUNCH, BERLIN, "2026-03-29T12:00", "2026-03-29T13:30", id="within a day"),
    ],
)
def test_it_waits_for_the_end_on_the_wall_clock(hours: QuietHours, zone: str, moment: str, expected: str) -> None:
    assert hours.next_allowed(local(moment, zone), [zone]) == local(expected, zone)


@pytest.mark.parametrize(
    ("hours", "zone", "moment", "expected"),
    [
        pytest.param("01:00-02:30", NEW_YORK, "2026-03-08T06:15", "2026-03-08T07:00", id="its end is skipped"),
        pytest.param("02:30-05:00", NEW_YORK, "2026-03-08T07:00", "2026-03-08T09:00", id="its start is skipped"),
        pytest.param("02:10-02:50", NEW_YORK, "2026-03-08T06:59", "2026-03-08T06:59", id="all of it is skipped"),
        pytest.param(
            "00:30-01:30", NEW_YORK, "2026-11-01T05:15", "2026-11-01T05:30", id="its end, before the repeat"
        ),
        pytest.param("00:30-01:30", NEW_YORK, "2026-11-01T06:00", "2026-11-01T06:30", id="its end comes twice"),
        pytest.param("01:30-02:00", NEW_YORK, "2026-11-01T05:45", "2026-11-01T06:00", id="put back before its start"),
        pytest.param("01:30-02:00", NEW_YORK, "2026-11-01T06:40", "2026-11-01T07:00", id="its start comes twice"),
        pytest.param("00:45-03:00", NEW_YORK, "2026-11-01T05:45", "2026-11-01T08:00", id="the repeat is within"),
        pytest.param("23:00-00:30", "Africa/Cairo", "2026-04-23T21:30", "2026-04-23T22:00", id="no 00:30 in Cairo"),
        pytest.param(
            "23:30-00:00", "Africa/Cairo", "2026-10-29T20:45", "2026-10-29T21:00", id="23:00 twice in Cairo"
        ),
        pytest.param("01:00-02:15", LORD_HOWE, "2026-10-03T15:00", "2026-10-03T15:30", id="half an hour is skipped"),
        pytest.param("01:40-02:00", LORD_HOWE, "2026-04-04T14:50", "2026-04-04T15:00", id="half an hour twice"),
    ],
)
def test_hours_that_a_dst_change_skips_or_repeats_are_kept(hours: str, zone: str, moment: str, expected: str) -> None:
    quiet = QuietHours.parse(hours)
    assert quiet is not None
    assert quiet.next_allowed(utc(moment), [zone]) == utc(expected)


def test_a_toll_free_number_is_reached_when_all_of_north_america_is_awake() -> None:
    zones = zones_of("+18005550123", None, BERLIN)
    assert {"Pacific/Guam", "Pacific/Pago_Pago", "Atlantic/Bermuda", "America/St_Johns"} <= set(zones)
    # 8:00 in Guam, UTC+10, while it is 18:30 in Newfoundland
    assert NIGHT.next_allowed(utc("2026-01-10T12:00"), zones) == utc("2026-01-10T22:00")
    assert NIGHT.next_allowed(utc("2026-07-10T23:30"), zones) == utc("2026-07-11T22:00")


def test_there_is_no_moment_when_it_is_always_night_somewhere() -> None:
    zones = zones_of("+18005550123", None, BERLIN)
    assert QuietHours(time(19), time(9)).next_allowed(utc("2026-07-10T12:00"), zones) is None


# -- what holds always

CHANGES = {
    NEW_YORK: ["2026-03-08T07:00", "2026-11-01T06:00"],
    LORD_HOWE: ["2026-04-04T15:00", "2026-10-03T15:30"],
    "Africa/Casablanca": ["2026-02-15T02:00", "2026-03-22T02:00"],
    "Africa/Cairo": ["2026-04-23T22:00", "2026-10-29T21:00"],
    "Asia/Kathmandu": ["2026-06-01T00:00"],
}
wall_times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))
quiet_hours = st.tuples(wall_times, wall_times).filter(lambda pair: pair[0] != pair[1]).map(lambda p: QuietHours(*p))
near_changes = st.builds(
    lambda change, offset: utc(change) + offset,
    st.sampled_from([change for changes in CHANGES.values() for change in changes]),
    st.timedeltas(timedelta(hours=-30), timedelta(hours=6)),
)
some_zones = st.lists(st.sampled_from(list(CHANGES)), min_size=1, max_size=3, unique=True)


@settings(max_examples=80, deadline=None)
@given(hours=quiet_hours, moment=near_changes, zones=some_zones)
def test_the_next_allowed_moment_is_allowed_and_none_before_it_is(
    hours: QuietHours, moment: datetime, zones: list[str]
) -> None:
    found = hours.next_allowed(moment, zones)
    if hours.allows(moment, zones):
        assert found == moment
    until = moment + OUTLOOK if found is None else found
    if found is not None:
        assert found.utcoffset() == timedelta(0)
        assert moment <= found <= moment + OUTLOOK
        assert hours.allows(found, zones)
        assert found == moment or not hours.allows(found - timedelta(microseconds=1), zones)
    # Clocks change, and these hours begin and end, on whole minutes: looking at each of those leaves nothing out.
    minute = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while minute < until:
        assert not hours.allows(minute, zones)
        minute += timedelta(minutes=1)
