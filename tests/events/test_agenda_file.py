from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.errors import InvalidInput
from tidings.features.events.agenda.file import AgendaFile, read_agenda
from tidings.features.events.models import AgendaSession, SessionKind
from tidings.features.events.schemas import EventIn, SessionIn

TALK: dict[str, Any] = {
    "guid": "5f1a", "date": "2026-05-01T09:00:00+02:00", "start": "09:00", "duration": "00:30", "title": "Talk"
}  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def schedule(*days: dict[str, Any], **conference: Any) -> str:
    head = {"acronym": "conf", "title": "Conf", "start": "2026-05-01", "time_zone_name": "Europe/Berlin"}
    return json.dumps({"schedule": {"version": 1.2, "conference": {**head, "days": list(days), **conference}}})


def day(*sessions: Any, room: str = "Hall 1", **fields: Any) -> dict[str, Any]:
    return {"index": 1, "date": "2026-05-01", "rooms": {room: list(sessions)}, **fields}


def session(day_fields: dict[str, Any] | None = None, without: tuple[str, ...] = (), **fields: Any) -> SessionIn:
    talk = {key: value for key, value in {**TALK, **fields}.items() if key not in without}
    (only,) = read_agenda(schedule(day(talk, **(day_fields or {})))).sessions
    return only


def refusal(text: str | bytes, *, strict: bool = False) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_agenda(text, strict=strict)
    return str(caught.value)


def left_out(**fields: Any) -> str:
    """Why the second session of a file is left out, and what refuses the file when nothing may be."""
    file = schedule(day(TALK, {**TALK, **fields}, room="Gray Room"))
    agenda = read_agenda(file)
    assert [found.title for found in agenda.sessions] == ["Talk"]
    (entry,) = agenda.left_out
    assert entry.guid == "5f1a"
    text = f"{entry.path}: {entry.reason}"
    assert text == refusal(file, strict=True)
    assert text.startswith("schedule.conference.days.0.rooms.Gray Room.1.")
    return text.removeprefix("schedule.conference.days.0.rooms.Gray Room.1.")


def warning(file: str) -> str:
    """What is ignored in a file whose session is read all the same, and refuses it when nothing may be."""
    agenda = read_agenda(file)
    (said,) = agenda.warnings
    assert (len(agenda.sessions), agenda.left_out) == (1, ())
    assert said == refusal(file, strict=True)
    return said


def democon() -> AgendaFile:
    return read_agenda((files("tidings") / "cli" / "samples" / "democon.json").read_bytes())


def test_the_demo_agenda_is_a_day_of_two_rooms() -> None:
    agenda = democon()
    assert (agenda.name, agenda.slug, agenda.timezone, agenda.date) == (
        "DemoCon",
        "democon",
        "UTC",
        date(2020, 12, 14),
    )
    assert agenda.location is None
    assert [session.room for session in agenda.sessions] == ["Gray Room"] * 9 + ["Tan Room"] * 3
    assert agenda.sessions[8].speaker == "Maria Williams, Mariah Estrada"
    assert {session.kind for session in agenda.sessions} == {SessionKind.SESSION}


def test_an_offset_says_the_instant_even_where_the_named_zone_disagrees() -> None:
    first = democon().sessions[0]
    assert first.key == "8079583e-8321-506c-95af-fd2903a5f075"
    assert (first.start_time, first.end_time) == (at("2020-12-14T08:00Z"), at("2020-12-14T08:30Z"))


def test_an_agenda_becomes_an_event_as_it_is() -> None:
    event = EventIn.model_validate(democon(), from_attributes=True)
    assert (event.slug, event.date, len(event.sessions)) == ("democon", date(2020, 12, 14), 12)


@pytest.mark.parametrize(
    ("named", "timezone"),
    [
        ({"time_zone_name": "America/New_York"}, "America/New_York"),
        ({"time_zone_name": None}, "Europe/Paris"),
        ({"time_zone_name": ""}, "Europe/Paris"),
        ({"time_zone_name": "Berlin"}, "Europe/Berlin"),
        ({"time_zone_name": "New York"}, "America/New_York"),
    ],
)
def test_the_named_zone_counts_or_else_the_fallback(named: dict[str, Any], timezone: str) -> None:
    assert read_agenda(schedule(day(TALK), **named), fallback_timezone="Europe/Paris").timezone == timezone


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        pytest.param({"date": "2026-05-01T09:00:00+02:00"}, "2026-05-01T07:00Z", id="with offset"),
        pytest.param({"date": "2026-05-01T09:00:00Z"}, "2026-05-01T09:00Z", id="in UTC"),
        pytest.param({"date": "2026-05-01T09:00:00"}, "2026-05-01T07:00Z", id="without offset, summer"),
        pytest.param({"date": "2026-01-01T09:00:00"}, "2026-01-01T08:00Z", id="without offset, winter"),
        pytest.param({"date": "2026-05-02", "start": "9:15"}, "2026-05-02T07:15Z", id="date and start"),
        pytest.param(
            {"date": "2026-05-02", "start": "01:00"}, "2026-05-01T23:00Z", id="its own date is no day of events"
        ),
        pytest.param({"date": None, "start": "2026-05-01T09:00:00+02:00"}, "2026-05-01T07:00Z", id="start alone"),
    ],
)
def test_a_session_starts_when_its_date_says(fields: dict[str, Any], start: str) -> None:
    assert session(**fields).start_time == at(start)


@pytest.mark.parametrize(
    ("day_fields", "start", "instant"),
    [
        pytest.param({}, "09:00", "2026-05-01T07:00Z", id="in the day"),
        pytest.param({}, "00:30", "2026-05-01T22:30Z", id="after midnight, by the usual change at four"),
        pytest.param({}, "04:00", "2026-05-01T02:00Z", id="at the usual change"),
        pytest.param({"day_start": "2026-05-01T11:00:00+02:00"}, "10:45", "2026-05-02T08:45Z", id="before day_start"),
        pytest.param(
            {"day_start": "2026-05-01T11:00:00"}, "02:00", "2026-05-02T00:00Z", id="day_start without offset"
        ),
        pytest.param(
            {"day_start": "2026-05-01T11:00:00+02:00", "day_end": "2026-05-02T04:00:00+02:00"},
            *("10:45", "2026-05-01T08:45Z"),
            id="before day_start, but the next morning is past day_end",
        ),
        pytest.param(
            {"day_start": "2026-05-01T06:00:00+01:00"}, "09:00", "2026-05-01T08:00Z", id="clocks of day_start"
        ),
        pytest.param(
            {"day_start": "2026-10-25T06:00:00+01:00", "date": "2026-10-24"}, "02:30", None, id="clocks change"
        ),
    ],
)
def test_a_clock_time_alone_belongs_to_its_day_which_ends_after_midnight(
    day_fields: dict[str, Any], start: str, instant: str | None
) -> None:
    found = session(day_fields, without=("date",), start=start).start_time
    assert found == at(instant or "2026-10-25T00:30Z")


def test_an_old_file_may_say_when_its_days_change() -> None:
    talk = {**TALK, "date": None, "start": "07:00"}
    (only,) = read_agenda(schedule(day(talk), day_change="08:00:00")).sessions
    assert only.start_time == at("2026-05-02T05:00Z")


@pytest.mark.parametrize(
    ("duration", "minutes"),
    [
        *[("00:30", 30), ("1:15", 75), ("25:00", 1500), ("1:00:00", 1440), ("1:03:04", 1624)],
        *[("01:30:00", 90), ("1:30:00", 90), ("0:45:00", 45), (" 00:05 ", 5), (45, 45)],
        *[("0:90", 90), ("00:75", 75), ("1:120", 180), ("1.0:00", 60), ("0.0:45", 45), ("1.0:30.0", 90)],
        *[("45", 45), ("45.0", 45), (45.0, 45), ("PT45M", 45), ("PT1H30M", 90), ("P1DT2H", 1560), ("PT5400S", 90)],
        *[("45 min", 45), ("90 minutes", 90), ("1h", 60), ("1h30", 90), ("1 h 30 m", 90), ("2 hours", 120)],
        *[("45'", 45), ("1.5h", 90), ("0,75 h", 45), ("0:45:00.000", 45)],
    ],
)
def test_durations_are_hours_and_minutes_or_days_before_them(duration: object, minutes: int) -> None:
    found = session(duration=duration)
    assert found.end_time - found.start_time == timedelta(minutes=minutes)


@pytest.mark.parametrize("end", ["2026-05-01T10:00:00+02:00", "10:00"])
def test_without_a_duration_the_end_counts(end: str) -> None:
    assert session(without=("duration",), end=end).end_time == at("2026-05-01T08:00Z")


@every_case(
    ("fields", "kind"),
    [
        *[
            ({"type": kind}, SessionKind.BREAK)
            for kind in ("Break", "lunch", "Coffee break", "PAUSE", "Mittagspause")
        ],
        *[({"title": title}, SessionKind.BREAK) for title in ("Lunch", "Dinner & drinks", "Breakfast", "Break")],
        *[({"type": kind}, SessionKind.NETWORKING) for kind in ("Networking", "Meet-up", "Social Event", "Party")],
        *[({"title": title}, SessionKind.NETWORKING) for title in ("Speakers' reception", "Meetup", "Get-together")],
        *[({"title": title}, SessionKind.SESSION) for title in ("Breaking news", "Breakout rooms", "Break-out room")],
        *[({"type": kind}, SessionKind.SESSION) for kind in ("Talk", "Workshop", "breakdown", None)],
        ({"title": "How to break PDF signatures", "persons": [{"public_name": "Ada"}]}, SessionKind.SESSION),
        ({"title": "Party", "type": "Break", "persons": [{"public_name": "DJ"}]}, SessionKind.BREAK),
    ],
)
def test_breaks_and_networking_are_known_by_their_words(fields: dict[str, Any], kind: SessionKind) -> None:
    assert session(**fields).kind is kind


@pytest.mark.parametrize(
    ("persons", "speaker"),
    [
        (
            [{"id": 1, "public_name": "Ada"}, {"name": "Bob"}, {"full_public_name": "Cid"}, "Dan"],
            "Ada, Bob, Cid, Dan",
        ),
        ([{"public_name": "Ada", "name": "Ada Lovelace"}, {"public_name": " Ada "}], "Ada"),
        ([{"public_name": None, "name": ""}, {"code": "X"}, None], None),
        *[([], None), (None, None)],
        ([{"name": f"Person {number:03}"} for number in range(99)], None),
    ],
)
def test_speakers_are_the_persons_public_names(persons: Any, speaker: str | None) -> None:
    found = session(persons=persons).speaker
    if persons and len(persons) == 99:
        assert found is not None
        assert (len(found), found[-1]) == (300, "…")
    else:
        assert found == speaker


@pytest.mark.parametrize("sponsor", ["ACME", {"name": "ACME"}, ["ACME"], [{"name": "ACME"}]])
def test_a_sponsor_is_kept(sponsor: Any) -> None:
    assert session(sponsor=sponsor).sponsor == "ACME"


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({"title": "  Opening\r\n ceremony\x00 "}, "Opening ceremony"),
        ({"title": {"de": "Eröffnung", "en": "Opening"}}, "Opening"),
        ({"title": 42}, "42"),
        ({"title": "", "type": "Coffee break"}, "Coffee break"),
        ({"title": {"fr": "Ouverture", "en": None}}, "Ouverture"),
        ({"title": "x" * 501}, "x" * 499 + "…"),
        ({"title": "half \ud83d a smile"}, "half a smile"),
        ({"title": "👩\u200d💻"}, "👩\u200d💻"),
    ],
)
def test_titles_are_one_line_that_fits(fields: dict[str, Any], title: str) -> None:
    assert session(**fields).title == title


def test_rooms_come_from_the_session_or_its_list_and_may_be_missing() -> None:
    rooms = {
        "Hall 1": [{**TALK, "room": "Hall One"}, {**TALK, "room": None}],
        "": [TALK],
        "Hall 2": [],
        "Hall 3": None,
    }
    agenda = read_agenda(schedule({"date": "2026-05-01", "rooms": rooms}))
    assert [found.room for found in agenda.sessions] == ["Hall One", "Hall 1", None]
    assert session(room="x" * 300).room == "x" * 199 + "…"


def test_days_by_their_numbers() -> None:
    file = json.loads(schedule({"date": "2026-05-01", "rooms": {"Hall 1": [TALK]}}))
    conference = file["schedule"]["conference"]
    conference["days"] = {"1": conference["days"][0]}
    assert [found.title for found in read_agenda(json.dumps(file)).sessions] == [TALK["title"]]


@pytest.mark.parametrize("rooms", [{}, [], None, {"Hall 1": []}, {"Hall 1": None}, [{"name": "Hall 1"}]])
def test_days_and_rooms_may_be_empty(rooms: Any) -> None:
    agenda = read_agenda(schedule({"date": "2026-05-02", "rooms": rooms}))
    assert (agenda.sessions, agenda.date) == ([], date(2026, 5, 2))


@pytest.mark.parametrize("key", ["events", "talks", "sessions"])
def test_rooms_may_be_a_list(key: str) -> None:
    agenda = read_agenda(schedule({"date": "2026-05-01", "rooms": [{"name": "Hall 1", key: [TALK]}]}))
    assert [found.room for found in agenda.sessions] == ["Hall 1"]


def test_the_first_day_is_the_earliest_whatever_its_place() -> None:
    days = [day({**TALK, "guid": n}, date=f"2026-05-0{n}") for n in (3, 2)]
    assert read_agenda(schedule(*days)).date == date(2026, 5, 2)
    assert read_agenda(schedule()).date == date(2026, 5, 1)
    assert read_agenda(schedule(day(TALK, date=None, day_start="2026-05-04T08:00:00+02:00"))).date == date(2026, 5, 4)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"guid": "a0a0fcfe-b7fb-46e3-84b6-97a5406016b4", "id": 7}, "a0a0fcfe-b7fb-46e3-84b6-97a5406016b4"),
        ({"guid": None, "id": 7}, "7"),
        ({"guid": "", "id": None}, "Hall 1@2026-05-01T07:00Z"),
    ],
)
def test_a_session_is_known_by_guid_or_id_or_room_and_start(fields: dict[str, Any], key: str) -> None:
    assert session(**fields).key == key


def test_a_talk_given_twice_has_two_keys_and_the_first_keeps_its_own() -> None:
    again = {**TALK, "date": "2026-05-01T15:00:00+02:00"}
    agenda = read_agenda(schedule(day({**TALK, "guid": "5f1a-2"}, TALK, again, again)))
    assert [found.key for found in agenda.sessions] == ["5f1a-2", "5f1a", "5f1a-3", "5f1a-4"]


def test_long_keys_are_shortened_the_same_way_every_time() -> None:
    long = [session(guid="x" * 65 + end).key for end in ("a", "b", "a")]
    assert long[0] == long[2] != long[1]
    assert all(key is not None and len(key) == 64 for key in long)


@pytest.mark.parametrize(
    ("conference", "slug"),
    [
        ({"acronym": "Camp2019"}, "camp2019"),
        ({"acronym": "demogoblin_strange--2020"}, "demogoblin-strange-2020"),
        ({"acronym": "-Größe-"}, "groe"),
        ({"acronym": None, "title": "Café Müller 5"}, "cafe-muller-5"),
        ({"acronym": "会議"}, "event-2026-05-01"),
        ({"acronym": "x" * 150}, "x" * 100),
        ({"acronym": 2026}, "2026"),
    ],
)
def test_the_slug_is_the_acronym_made_to_fit(conference: dict[str, Any], slug: str) -> None:
    assert read_agenda(schedule(day(TALK), **conference)).slug == slug


@pytest.mark.parametrize(
    ("conference", "location"),
    [({}, None), ({"venue": "CCH", "city": "Hamburg"}, "CCH, Hamburg"), ({"location": "Mildenberg"}, "Mildenberg")],
)
def test_the_location_is_kept_where_a_file_has_one(conference: dict[str, Any], location: str | None) -> None:
    assert read_agenda(schedule(day(TALK), **conference)).location == location


def test_without_a_title_the_acronym_is_the_name() -> None:
    assert read_agenda(schedule(day(TALK), title=None)).name == "conf"


@every_case(
    ("fields", "sentence"),
    [
        (
            {"duration": "half an hour"},
            "duration: 'half an hour' is not a duration; write how long the session lasts",
        ),
        ({"duration": "-00:30"}, "duration: '-00:30' is not a duration"),
        ({"duration": 1.5}, "duration: 1.5 is not a duration"),
        ({"duration": float("inf")}, "duration: Infinity is not a duration"),
        ({"duration": None}, "duration: is missing; write how long the session lasts as HH:MM"),
        ({"duration": {}}, "duration: an object is not a duration"),
        *[
            ({"duration": zero}, f"duration: {zero!r} is no time at all")
            for zero in ("00:00", "0:00", "0:00:00", "PT0M", "0", 0)
        ],
        ({"duration": "55:23"}, "duration: is 55 h 23 min; what lasts more than 36 hours is no session"),
        ({"duration": "135.0:00"}, "duration: is 135 h; what lasts more than 36 hours is no session"),
        ({"duration": "2:03:04"}, "duration: is 51 h 4 min"),
        ({"duration": 10**30}, "duration: is 16,666 h 40 min"),
        ({"duration": None, "end": "2026-05-04T09:00:00+02:00"}, "end: is 72 h"),
        (
            {"duration": None, "end": "2026-05-01T08:30:00+02:00"},
            "is not after the start; write when the session ends",
        ),
        ({"duration": None, "end": "2026-05-01T09:00:00+02:00"}, "end: '2026-05-01T09:00:00+02:00' is not after"),
        ({"date": "tomorrow"}, "date: 'tomorrow' is not a date; write it like 2026-05-01"),
        (
            {"date": "2026-05-01T25:00:00"},
            "date: '2026-05-01T25:00:00' is not a time; write 2026-05-01T09:00:00+02:00",
        ),
        ({"date": 1777622400}, "date: 1777622400 is not a time"),
        ({"date": ["2026-05-01"]}, "date: a list is not a time"),
        ({"date": "0001-01-01T00:00:00+05:00"}, "date: the year 1 is too far from today to be meant; check it"),
        ({"date": None, "start": "24:10"}, "start: '24:10' is not a time of day; write HH:MM"),
        ({"date": None, "start": None}, "date: is missing: it has no place in the agenda yet"),
        ({"date": "", "start": ""}, "date: is missing: it has no place in the agenda yet"),
        ({"date": "2026-05-01", "start": None}, "start: null is not a time"),
        ({"title": None}, "title: is missing; nobody can be told what it is"),
        ({"title": " "}, "title: is missing; nobody can be told what it is"),
        ({"title": None, "type": "lecture"}, "title: is missing; nobody can be told what it is"),
        ({"title": {"en": None, "de": ""}}, "title: is missing"),
        ({"title": ["a"]}, "title: a list is not text"),
        ({"title": True}, "title: true is not text"),
        ({"state": "canceled"}, "state: is canceled"),
        ({"status": "Cancelled"}, "status: is cancelled"),
    ],
)
def test_a_session_that_cannot_be_used_is_left_out_and_named_by_its_place(
    fields: dict[str, Any], sentence: str
) -> None:
    assert sentence in left_out(**fields)


@every_case(
    ("file", "sentence"),
    [
        (schedule(day({**TALK, "persons": [{"name": "Ada"}, {"name": True}]})), "persons.1.name: true is not text"),
        (schedule(day({**TALK, "persons": [["Ada"]]})), "0.persons: a list is not text"),
        (schedule(day({**TALK, "persons": 7.5, "room": []})), "0.room: a list is not text"),
        (schedule(day({**TALK, "sponsor": [{"name": {"en": ["x"]}}]})), "sponsor.0.name: a list is not text"),
        (schedule(day({**TALK, "type": [1]})), "0.type: a list is not text"),
        (schedule(day({**TALK, "guid": ["g"], "id": 3})), "0.guid: a list is not text"),
        (schedule(day(TALK, day_start="early")), "days.0.day_start: 'early' is not a time"),
        (schedule(day(TALK, date="01.05.2026")), "days.0.date: '01.05.2026' is not a date"),
        (schedule(day(TALK), acronym=[]), "conference.acronym: a list is not text"),
        (schedule(day(TALK), venue={"en": [1]}), "conference.venue: a list is not text"),
        (schedule(day(TALK), time_zone_name="Mars/Base"), "time_zone_name: 'Mars/Base' is not an IANA timezone"),
        (schedule(day(TALK), time_zone_name=2), "time_zone_name: 2 is not an IANA timezone"),
        (schedule(day(TALK), time_zone_name="UTC+2"), "'UTC+2' is an offset, which knows no summer time"),
    ],
)
def test_what_a_session_can_do_without_is_ignored_and_said(file: str, sentence: str) -> None:
    assert sentence in warning(file)


@every_case(
    ("file", "sentence"),
    [
        (schedule(day(TALK), None), "days.1: null is not an object"),  # type: ignore[arg-type]
        (schedule(day(TALK), {"date": "2026-05-01"}), "days.1.rooms: is missing; export it"),
        (schedule(day(TALK), day(rooms={"A": {}})), "days.1.rooms.A: an object is not a list"),
        (schedule(day(TALK), day(rooms=["A"])), "days.1.rooms.0: 'A' is not an object"),
        (schedule(day(TALK), day(rooms="A")), "days.1.rooms: 'A' is not a list"),
        (schedule(day(TALK, None)), "days.0.rooms.Hall 1.1: null is not an object"),
        (schedule(day(TALK), {"rooms": {"A": [{**TALK, "date": None}]}}), "days.1.date: is missing or no date"),
    ],
)
def test_a_part_of_the_agenda_that_is_damaged_leaves_the_rest(file: str, sentence: str) -> None:
    agenda = read_agenda(file)
    assert len(agenda.sessions) == 1
    (entry,) = agenda.left_out
    assert sentence in f"{entry.path}: {entry.reason}"
    assert sentence in refusal(file, strict=True)


@every_case(
    ("text", "sentence"),
    [
        ('{"schedule": {\n  "conference": }\n}', "schedule.json: is not JSON at line 2, column 17: Expecting value"),
        ("", "schedule.json: is not JSON at line 1, column 1"),
        (b"\xff\xfe\x00", "schedule.json: is not UTF-8 text at byte"),
        ("[" * 100_000, "schedule.json: is no schedule: too deeply nested"),
        ("9" * 5000, "schedule.json: is no schedule: "),
        (
            "[]",
            'schedule.json: is not a schedule: it has no object "schedule" and no list of sessions with a title and',
        ),
        ('{"schedule": null}', 'has no object "schedule"'),
        ('{"schedule": {}}', "schedule.conference: is missing or not an object"),
        (schedule(days=None), "schedule.conference.days: is missing"),
        (schedule(days={}), "schedule.conference.days: an object is not a list"),
        (schedule(title=None, acronym=""), "schedule.conference.title: is missing; write the event's name"),
        (schedule(start=None), "schedule.conference.start: is missing; write it like 2026-05-01"),
        (
            schedule(time_zone_name="Mars/Base"),
            "schedule.json: 'Mars/Base' is no timezone that is known and its times have no offset; say where it is, ",
        ),
        (
            schedule(day({**TALK, "duration": 0}, {**TALK, "title": None})),
            "schedule.json: no session of it can be used: 'Talk' (schedule.conference.days.0.rooms.Hall 1.0.duration)"
            ": 0 is no time at all; write how long it lasts as HH:MM; 'without a title'",
        ),
        (schedule(day(*[TALK] * 5001)), "Hall 1.5000: is one session too many; 5000 are the most"),
    ],
)
def test_a_file_that_is_no_schedule_says_what_is_wrong_or_missing(text: str | bytes, sentence: str) -> None:
    assert sentence in refusal(text)


def test_a_timezone_that_somebody_told_wrongly_is_not_blamed_on_the_file() -> None:
    with pytest.raises(InvalidInput, match="timezone: 'Mars' is not an IANA timezone"):
        read_agenda(schedule(), timezone="Mars")


def test_a_byte_order_mark_does_not_matter() -> None:
    text = "\ufeff" + schedule(day(TALK))
    assert read_agenda(text) == read_agenda(text.encode())


def test_what_is_cut_fits_the_table() -> None:
    columns = AgendaSession.__table__.columns
    x = "x" * 999
    long = session(guid=x, title=x, room=x, sponsor=x, persons=[x])
    for name in ("key", "title", "room", "sponsor", "speaker"):
        assert len(getattr(long, name)) == columns[name].type.length  # type: ignore[attr-defined]


_words = st.sampled_from(
    ["Ada", "Break", "09:00", "00:30", "1:00:00", "2026-05-01", "2026-05-01T09:00:00+02:00", "x" * 70]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "en", "A"]), inner, max_size=3)
    ),
    max_leaves=5,
)
_good: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{}, TALK])
_sessions = st.builds(
    lambda good, fields: {**good, **fields},
    *(_good, st.dictionaries(st.sampled_from([*TALK, "id", "type", "room", "persons", "sponsor", "end"]), _values)),
)
_rooms = st.dictionaries(st.text(max_size=4), st.lists(_sessions, max_size=4) | _values, max_size=3) | _values
_days = st.builds(
    lambda good, fields: {**good, **fields},
    *(st.just(day()), st.fixed_dictionaries({}, optional={"date": _values, "day_start": _values, "rooms": _rooms})),
)
_conferences = st.fixed_dictionaries(
    {"title": _words, "days": st.lists(_days, max_size=3) | _values},
    optional=dict.fromkeys(("acronym", "start", "time_zone_name", "venue", "day_change"), _values),
)


def check(text: str | bytes) -> None:
    try:
        agenda = read_agenda(text)
    except InvalidInput:
        return
    keys = [found.key for found in agenda.sessions]
    assert len(keys) == len(set(keys))
    assert re.fullmatch("[a-z0-9][a-z0-9-]{0,99}", agenda.slug)
    assert all(found.start_time < found.end_time for found in agenda.sessions)
    assert all(found.start_time.tzinfo is UTC for found in agenda.sessions)
    EventIn.model_validate(agenda, from_attributes=True)


@settings(deadline=None)
@given(_conferences)
def test_any_schedule_is_an_event_or_one_error_for_people(conference: Any) -> None:
    check(json.dumps({"schedule": {"conference": conference}}))


@settings(deadline=None)
@given(_values.map(json.dumps) | st.text() | st.binary())
def test_nothing_but_an_error_for_people_comes_of_any_content(content: str | bytes) -> None:
    check(content)
