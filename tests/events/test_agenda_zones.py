"""The timezone of an agenda: named in whatever system, told by its offsets, or asked for; never UTC in silence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.errors import InvalidInput
from tidings.features.events.agenda.file import AgendaFile, open_agenda, read_agenda
from tidings.features.events.agenda.rails_zones import RAILS_ZONES
from tidings.features.events.agenda.zone_finding import fitting
from tidings.features.events.agenda.zone_names import read_zone


def schedule(*moments: str, **conference: Any) -> str:
    talks = [
        {"guid": f"g{n}", "date": moment, "duration": "0:30", "title": f"Talk {n}"}
        for n, moment in enumerate(moments)
    ]
    days = [{"index": 1, "date": moments[0][:10], "rooms": {"Hall": talks}}]
    return json.dumps({"schedule": {"conference": {"acronym": "c", "title": "C", "days": days, **conference}}})


def refusal(file: str, **more: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_agenda(file, **more)
    return str(caught.value)


@every_case(
    ("name", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Europe/Berlin ", "Europe/Berlin"),
        ("\tEurope/Berlin\n", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("Berlin", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("Eastern Time (US & Canada)", "America/New_York"),
        ("Pacific Time (US & Canada)", "America/Los_Angeles"),
        ("Kyiv", "Europe/Kiev"),
        ("Bern", "Europe/Zurich"),
        ("Mumbai", "Asia/Kolkata"),
        ("Mid-Atlantic", "Etc/GMT+2"),
        ("(GMT-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("(GMT+01:00) Berlin", "Europe/Berlin"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        *[(utc, "UTC") for utc in ("UTC", "utc", "Z", "Coordinated Universal Time")],
    ],
)
def test_zones_by_the_names_of_several_systems(name: str, zone: str) -> None:
    found = read_zone(name)
    moment = datetime(2027, 7, 1, tzinfo=UTC)
    assert moment.astimezone(ZoneInfo(found)).utcoffset() == moment.astimezone(ZoneInfo(zone)).utcoffset()
    assert found == zone or zone in ("Europe/Kiev", "Etc/GMT+2")


def test_every_name_of_rails_means_its_zone() -> None:
    assert len(RAILS_ZONES) > 150
    also_iana = {"UTC": "UTC", "Singapore": "Singapore"}
    assert {name: read_zone(f" {name} ") for name in RAILS_ZONES} == RAILS_ZONES | also_iana


@every_case(
    ("name", "sentence"),
    [
        *[
            (name, "is an offset, which knows no summer time; write a timezone like Europe/Berlin")
            for name in ("UTC+2", "GMT+02:00", "+02:00", "utc -5", "UTC−3", "+0530")
        ],
        *[
            (name, "is not an IANA timezone")
            for name in ("Mars", "CEST+1x", "", None, 2, [], "Springfield", "localtime")
        ],
    ],
)
def test_what_is_no_zone_says_what_to_write(name: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_zone(name)


@every_case(
    ("moments", "conference", "zone", "is_guess"),
    [
        (["2027-06-05T10:00:00+05:45"], {}, "Asia/Kathmandu", False),
        (["2027-06-05T10:00:00+03:30"], {}, "Asia/Tehran", False),
        (["2027-06-05 10:00:00 +0330"], {}, "Asia/Tehran", False),
        (["2027-06-05T10:00:00+12:45"], {}, "Pacific/Chatham", False),
        (["2027-06-05T10:00:00+02:00"], {}, "Europe/Berlin", True),
        (["2027-12-05T10:00:00+01:00"], {}, "Europe/Berlin", True),
        (["2027-06-05T10:00:00+01:00"], {}, "Europe/London", True),
        (["2027-06-05T10:00:00-07:00"], {}, "America/Los_Angeles", True),
        (["2027-06-05T10:00:00-04:00"], {}, "America/New_York", True),
        (["2027-01-20T10:00:00-05:00"], {}, "America/New_York", True),
        (["2027-01-20T10:00:00-06:00"], {}, "America/Chicago", True),
        (["2027-01-20T10:00:00+05:30"], {}, "Asia/Kolkata", True),
        (["2027-01-20T10:00:00+07:00"], {}, "Asia/Jakarta", True),
        (["2027-06-05T10:00:00+02:00"], {"timezone": "Europe/Paris"}, "Europe/Paris", False),
        (["2027-06-05T10:00:00+02:00"], {"city": "Paris"}, "Europe/Paris", False),
        (["2027-06-05T10:00:00+02:00"], {"venue": "Palais, Brussels"}, "Europe/Brussels", False),
        (["2027-06-05T10:00:00+02:00"], {"country": "Schweden"}, "Europe/Stockholm", False),
        (["2027-06-05T10:00:00+02:00"], {"country": "PL"}, "Europe/Warsaw", False),
        (["2027-06-05T10:00:00+02:00"], {"city": "Tokyo"}, "Europe/Berlin", True),
        (["2027-06-05T10:00:00"], {"city": "Brussels"}, "Europe/Brussels", True),
        (["2027-06-05T10:00:00Z"], {"city": "Lisbon"}, "Europe/Lisbon", True),
        (["2027-12-05T10:00:00+01:00", "2027-12-05T09:00:00Z"], {}, "Europe/Berlin", True),
        (["2027-06-05T10:00:00+02:00"], {"time_zone_name": "Mars"}, "Europe/Berlin", True),
        (["2027-06-05T10:00:00+02:00"], {"time_zone_name": "UTC"}, "UTC", False),
    ],
)
def test_the_zone_that_a_files_offsets_fit(
    moments: list[str], conference: dict[str, Any], zone: str, is_guess: bool
) -> None:
    agenda = read_agenda(schedule(*moments, **conference))
    assert (agenda.timezone, agenda.zone.is_guess) == (zone, is_guess)


def test_both_sides_of_a_change_of_clocks_count() -> None:
    agenda = read_agenda(schedule("2027-03-27T10:00:00+01:00", "2027-03-28T10:00:00+02:00"))
    assert agenda.timezone == "Europe/Berlin"
    assert not {"Africa/Lagos", "Africa/Johannesburg"} & set(agenda.zone.candidates)
    assert {"Europe/Paris", "Europe/Warsaw"} <= set(agenda.zone.candidates)


def test_where_the_candidates_clocks_differ_around_the_event_somebody_has_to_say() -> None:
    file = schedule("2027-03-27T10:00:00+01:00")  # the clocks of Europe change the night after, Africa's do not
    said = refusal(file)
    assert "the file's times are at +01:00, as they also are in " in said
    assert "Europe/Budapest, Europe/Paris" in said
    assert "; it may be Europe/Berlin or " in said
    assert said.endswith("; say where it is, like --timezone Europe/Berlin")
    assert read_agenda(file, fallback_timezone="Africa/Lagos").timezone == "Africa/Lagos"


@every_case(
    "file",
    [
        schedule("2027-06-05T10:00:00"),
        schedule("2027-06-05T10:00:00Z"),
        schedule("2027-01-05T10:00:00+00:00"),
        schedule("2027-06-05T10:00:00", time_zone_name="UTC+2"),
        schedule("2027-06-05T10:00:00", country="US"),
        schedule("2027-06-05T10:00:00+02:00", "2027-06-05T10:00:00-07:00"),
    ],
)
def test_what_tells_no_place_is_asked_for_and_a_set_default_is_said(file: str) -> None:
    assert "say where it is, like --timezone Europe/Berlin" in refusal(file)
    agenda = read_agenda(file, fallback_timezone="Europe/Oslo")
    assert (agenda.timezone, agenda.zone.is_guess) == ("Europe/Oslo", True)
    assert read_agenda(file, timezone="Eastern Time (US & Canada)").timezone == "America/New_York"


def test_the_default_counts_only_where_the_offsets_fit_it() -> None:
    file = schedule("2027-06-05T10:00:00+02:00")
    assert read_agenda(file, fallback_timezone="Europe/Paris").timezone == "Europe/Paris"
    assert read_agenda(file, fallback_timezone="Asia/Tokyo").timezone == "Europe/Berlin"
    assert read_agenda(file, fallback_timezone="UTC").timezone == "Europe/Berlin"


def test_a_zone_that_contradicts_the_offsets_is_said() -> None:
    file = schedule("2027-06-05T10:00:00+02:00", time_zone_name="America/New_York")
    (warning,) = read_agenda(file).warnings
    assert warning.startswith("times of the file are at +02:00, which America/New_York does not have then")
    assert read_agenda(file).sessions[0].start_time == datetime(2027, 6, 5, 8, tzinfo=UTC)


def test_a_known_event_stays_where_it_is_until_somebody_says_otherwise() -> None:
    file = schedule("2027-06-05T10:00:00", time_zone_name="UTC")

    def read(**more: Any) -> AgendaFile:
        opened = open_agenda(file)
        return opened.read(opened.zone(stored="Europe/Berlin", **more))

    kept = read()
    assert (kept.timezone, kept.sessions[0].start_time.hour) == ("Europe/Berlin", 8)
    assert kept.warnings == ("the file is in UTC, the event stays in Europe/Berlin; --timezone UTC moves it",)
    assert read(timezone="UTC").sessions[0].start_time.hour == 10


_zones = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney", "America/St_Johns"]
)


@settings(deadline=None, max_examples=40)
@given(_zones, st.lists(st.integers(0, 365 * 24), min_size=1, max_size=8))
def test_the_zone_of_any_moments_is_among_those_that_they_fit(zone: str, hours: list[int]) -> None:
    start = datetime(2027, 1, 1, tzinfo=UTC)
    moments = [(start + timedelta(hours=hour)).astimezone(ZoneInfo(zone)) for hour in hours]
    found = fitting(moments)
    assert zone in found
    for other in found:
        assert all(moment.astimezone(ZoneInfo(other)).utcoffset() == moment.utcoffset() for moment in moments)
