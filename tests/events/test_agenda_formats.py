"""The formats of agendas beside schedule.json: each is told from what is in the file, and reads as the others do."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.errors import InvalidInput, TooLarge
from tidings.features.events.agenda import recognition
from tidings.features.events.agenda.file import AgendaFile, read_agenda
from tidings.features.events.models import SessionKind

FILES = Path(__file__).parent.parent / "data" / "agendas"
BERLIN: dict[str, Any] = {"timezone": "Europe/Berlin", "name": "Demo"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def read(content: Any, **more: Any) -> AgendaFile:
    return read_agenda(content if isinstance(content, (str, bytes)) else json.dumps(content), **{**BERLIN, **more})


def said(agenda: AgendaFile) -> list[tuple[str, str, str, str | None, str | None]]:
    """Title, start and end in UTC, room and speaker of each session."""
    return [
        (found.title, f"{found.start_time:%m-%dT%H:%M}", f"{found.end_time:%H:%M}", found.room, found.speaker)
        for found in agenda.sessions
    ]


def refusal(content: Any, **more: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(content, **more)
    return str(caught.value)


@every_case(
    ("file", "titles", "left_out"),
    [
        ("clock-day-start.json", ["Welcome"], []),
        ("date-null.json", ["Talk"], [("Unplaced", "g2")]),
        ("long-exhibition.json", ["Talk"], [("Exhibition", "g2")]),
        ("minutes-over-59.json", ["Talk"], []),
        ("no-time-zone-naive-dst.json", ["Opening"], []),
        ("no-time-zone.json", ["Opening"], []),
        ("same-guid-2.json", ["A at 14", "B at 16"], []),
        ("zero-duration.json", ["Talk"], [("Marker", "g2")]),
    ],
)
def test_real_exporters_habits_leave_the_sessions_that_can_be_used(
    file: str, titles: list[str], left_out: list[tuple[str, str]]
) -> None:
    agenda = read_agenda((FILES / file).read_bytes(), source=file)
    assert [found.title for found in agenda.sessions] == titles
    assert [(entry.title, entry.guid) for entry in agenda.left_out] == left_out
    assert agenda.timezone == "Europe/Berlin"


def test_a_file_without_its_outer_object_reads_the_same() -> None:
    whole = json.loads((FILES / "same-guid-2.json").read_text())
    inner = whole["schedule"]
    bare = read_agenda(json.dumps(inner))
    assert bare == read_agenda(json.dumps(whole))
    assert bare == read_agenda(json.dumps(inner["conference"]))


def test_version_2_of_the_schema_has_one_list_of_events() -> None:
    event = {
        "guid": "270fa44c",
        "title": "Opening",
        "start": "2027-12-27T10:30:00+01:00",
        "end": "2027-12-27T11:00:00+01:00",
        "room": {"name": "Saal 1", "slug": "saal-1", "guid": "ba69"},
        "type": "TALK",
        "participants": [{"name": "Ada Abara", "role": "SPEAKER"}],
        "state": "CONFIRMED",
    }
    conference = {
        "acronym": "44c3",
        "title": "44C3",
        "start": "2027-12-27T09:30:00+00:00",
        "time_zone_name": "Europe/Berlin",
        "days": [{"index": 1, "date": "2027-12-27", "start": "2027-12-27T09:30:00+00:00", "end": "x"}],
    }
    pause = {"type": "BREAK", "title": "Lunch", "start": "2027-12-27T12:00:00+01:00", "duration": "PT1H"}
    gone = {**event, "guid": "other", "title": "Gone", "state": "CANCELED"}
    elsewhere = {**event, "guid": "third", "title": "Second", "room": {"guid": "ba70"}}
    conference["rooms"] = [{"guid": "ba70", "name": "Saal 2"}]
    agenda = read_agenda(
        json.dumps(
            {"schedule": {"version": "x", "conference": conference, "events": [event, pause, gone, 7, elsewhere]}}
        )
    )
    assert said(agenda) == [
        ("Opening", "12-27T09:30", "10:00", "Saal 1", "Ada Abara"),
        ("Lunch", "12-27T11:00", "12:00", None, None),
        ("Second", "12-27T09:30", "10:00", "Saal 2", "Ada Abara"),
    ]
    assert agenda.sessions[1].kind is SessionKind.BREAK
    assert [(entry.title, entry.reason[:22]) for entry in agenda.left_out] == [
        ("without a title", "7 is not an object; ex"),
        ("Gone", "is canceled"),
    ]
    assert (agenda.date, agenda.warnings) == (date(2027, 12, 27), ())


def test_xml_reads_as_json_does() -> None:
    agenda = read_agenda((FILES / "fosdem-like.xml").read_bytes())
    assert (agenda.name, agenda.slug, agenda.timezone) == ("Demo & friends", "demo-xml", "Europe/Brussels")
    assert said(agenda) == [
        ("Welcome", "02-06T08:30", "08:55", "Janson", "Ada Abara, Bo Berg"),
        ("Late night", "02-07T00:00", "00:50", "Janson", None),
        ("Coffee", "02-06T09:30", "09:45", "Foyer", None),
    ]
    assert [found.key for found in agenda.sessions] == ["0aa8", "0aa9", "9004"]
    (marker,) = agenda.left_out
    assert (marker.title, marker.path) == ("A marker", "schedule.day.0.room.Janson.event.2.duration")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_xml_in_the_encoding_that_it_names(encoding: str) -> None:
    text = (FILES / "fosdem-like.xml").read_text().replace("Ada Abara", "Zoë Ängström")
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    data = text.replace("UTF-8", declared).encode(encoding)
    assert read_agenda(data).sessions[0].speaker == "Zoë Ängström, Bo Berg"


def test_xml_with_days_that_begin_at_a_moment_and_persons_in_elements() -> None:
    agenda = read_agenda(
        "<schedule><conference><title>T</title></conference>"
        "<day date='2027-12-27' start='2027-12-27T11:00:00+01:00' end='2027-12-28T04:00:00+01:00'><room name='S'>"
        "<event guid='g'><start>02:00</start><duration>0:30</duration><title>Night</title>"
        "<persons><person><public_name>Ada</public_name></person></persons></event></room></day></schedule>",
        timezone="Europe/Berlin",
    )
    assert said(agenda) == [("Night", "12-28T01:00", "01:30", "S", "Ada")]


_LAUGHS = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))


@every_case(
    ("text", "sentence"),
    [
        (f"<!DOCTYPE s [<!ENTITY l0 'ha'>{_LAUGHS}]><schedule>&l9;</schedule>", "it defines an entity (l0)"),
        (
            "<!DOCTYPE s [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><schedule>&x;</schedule>",
            "it defines an entity (x)",
        ),
        ("<!DOCTYPE s [<!ENTITY % x SYSTEM 'http://localhost/x'>%x;]><schedule/>", "it defines an entity (x)"),
        ("<schedule>" + "x" * 1_000_001 + "</schedule>", "is longer than 1,000,000 characters"),
        ("<schedule>" + "<a>" * 100_000, "its elements are too deeply nested"),
        ("<schedule><conference>", "is not XML at line 1, column 23"),
        ("<schedule>&nbsp;</schedule>", "undefined entity"),
        ("<schedule/>", "schedule.conference: is missing; export it from pretalx or frab as XML"),
        ("<!doctype html><html><body><p>Sign in</p></body></html>", "is not a schedule: it is a web page"),
        ("<rss version='2.0'/>", "is not a schedule: it is XML that begins with <rss>"),
        (b"<?xml version='1.0' encoding='klingon'?><schedule/>", "unknown encoding"),
        (b"<\xff\xfe", "not well-formed"),
    ],
)
def test_xml_that_is_no_schedule_ends_in_a_sentence(text: str | bytes, sentence: str) -> None:
    assert sentence in refusal(text)


TALK: dict[str, Any] = {
    "code": "ABCDEF",
    "title": "Types",
    "speakers": [{"code": "X", "name": "Ada Abara"}, {"code": "Y", "name": "Bo Berg"}],
    "submission_type": {"en": "Talk", "de": "Vortrag"},
    "state": "confirmed",
    "duration": 30,
    "slots": [
        {
            "id": 7,
            "room": {"id": 1, "name": {"en": "Hall", "de": "Saal"}},
            "start": "2027-05-01T09:00:00+02:00",
            "end": "2027-05-01T09:45:00+02:00",
        }
    ],
}
TYPES = ("Types", "05-01T07:00", "07:45", "Hall", "Ada Abara, Bo Berg")


def slot(**fields: Any) -> dict[str, Any]:
    return {**TALK["slots"][0], "submission": {key: TALK[key] for key in TALK if key != "slots"}, **fields}


@every_case(
    ("content", "sessions"),
    [
        ({"count": 1, "next": None, "previous": None, "results": [TALK]}, [TYPES]),
        ([{"count": 2, "next": "…", "results": [TALK]}, {"count": 2, "results": [TALK]}], [TYPES, TYPES]),
        ([TALK], [TYPES]),
        ({"talks": [TALK]}, [TYPES]),
        ({"results": [{**TALK, "title": {"de": "Typen", "en": "Types"}}]}, [TYPES]),
        ({"results": [{**TALK, "submission_type": {"id": 3, "name": {"en": "Talk"}}}]}, [TYPES]),
        (
            {"results": [{key: TALK[key] for key in TALK if key != "slots"} | {"slot": TALK["slots"][0]}]},
            [TYPES],
        ),
        ({"id": 1, "version": "1.0", "slots": [slot()]}, [TYPES]),
        ({"results": [slot()]}, [TYPES]),
        (
            {
                "results": [
                    slot(),
                    slot(submission=None, description={"en": "Lunch"}, end="2027-05-01T10:00:00+02:00"),
                ]
            },
            [TYPES, ("Lunch", "05-01T07:00", "08:00", "Hall", None)],
        ),
        (
            {"results": [slot(end=None, duration=20)]},
            [("Types", "05-01T07:00", "07:20", "Hall", "Ada Abara, Bo Berg")],
        ),
        ({"results": [{**TALK, "slots": TALK["slots"] * 2}]}, [TYPES, TYPES]),
    ],
)
def test_answers_of_pretalx_in_all_their_shapes(content: Any, sessions: list[Any]) -> None:
    assert said(read(content)) == sessions


@every_case(
    ("entry", "reason"),
    [
        ({**TALK, "slots": []}, "date: is missing: it has no place in the agenda yet"),
        ({**TALK, "slots": [{**TALK["slots"][0], "start": None}]}, "date: is missing: it has no place"),
        ({**TALK, "state": "withdrawn"}, "state: is withdrawn"),
        (slot(submission="ABCDEF"), "names its talk only by the code 'ABCDEF'; ask for it with ?expand=submission"),
        (7, "7 is not an object"),
    ],
)
def test_entries_of_pretalx_that_cannot_be_used_are_left_out(entry: Any, reason: str) -> None:
    agenda = read({"results": [TALK, entry]})
    assert said(agenda) == [TYPES]
    (left,) = agenda.left_out
    assert reason in f"{left.path}: {left.reason}"


def test_rooms_that_are_numbers_are_no_names_for_people() -> None:
    agenda = read({"results": [slot(room=12)]})
    assert agenda.sessions[0].room is None
    assert "rooms are numbers" in agenda.warnings[0]


@every_case(
    ("content", "sentence"),
    [
        (
            {"count": 40, "next": "https://x/?page=2", "results": [TALK]},
            "is one page of several, with 1 of 40 entries",
        ),
        ({"next": "https://x/?page=2", "results": [TALK]}, "is one page of several, with 1 entries"),
        ([{"count": 40, "results": [TALK]}], "is one page of several, with 1 of 40"),
    ],
)
def test_a_page_does_not_take_the_place_of_the_whole_agenda(content: Any, sentence: str) -> None:
    assert sentence in refusal(content)


ENTRY = {
    "title": "Types",
    "start": "2027-05-01T09:00:00",
    "end": "2027-05-01T09:45:00",
    "room": "Hall",
    "speaker": "Ada Abara",
}
PLAIN = ("Types", "05-01T07:00", "07:45", "Hall", "Ada Abara")


@every_case(
    ("content", "sessions"),
    [
        ([ENTRY], [PLAIN]),
        *[({key: [ENTRY]}, [PLAIN]) for key in ("sessions", "talks", "events", "agenda", "schedule", "Program")],
        (
            [{"Title": "Types", "Start Time": "2027-05-01T09:00:00", "Duration": 45, "Room": "Hall"}],
            [(*PLAIN[:4], None)],
        ),
        (
            [{"name": "Types", "starts_at": "2027-05-01 09:00", "ends_at": "2027-05-01 09:45", "location": "Hall"}],
            [(*PLAIN[:4], None)],
        ),
        ([{**ENTRY, "start": "2027-05-01T09:00+02:00", "end": "2027-05-01T07:45Z"}], [PLAIN]),
        ([{**ENTRY, "date": "2027-05-01", "start": "09:00", "end": "09:45"}], [PLAIN]),
        (
            [
                {
                    "title": "Types",
                    "room": "Hall",
                    "persons": [{"public_name": "Ada Abara"}],
                    "start_datetime": "2027-05-01 09:00:00+02:00",
                    "start_date": "2027-05-01",
                    "start_time": "09:00",
                    "end_datetime": "2027-05-01 09:45:00+02:00",
                    "end_time": "09:45",
                }
            ],
            [PLAIN],
        ),
        ([{**ENTRY, "date": "2027-05-01", "start": "9:00 AM", "end": "9:45 am"}], [PLAIN]),
        (
            [{**ENTRY, "date": "2027-05-01", "start": "11:30 PM", "end": "12:15 AM"}],
            [("Types", "05-01T21:30", "22:15", "Hall", "Ada Abara")],
        ),
        ([{**ENTRY, "speaker": None, "speakers": [{"name": "Ada Abara"}]}], [PLAIN]),
        (
            {
                "sessions": [
                    {
                        "id": "1",
                        "title": "Types",
                        "startsAt": "2027-05-01T09:00:00",
                        "endsAt": "2027-05-01T09:45:00",
                        "roomId": 3,
                        "speakers": ["s1"],
                    }
                ],
                "speakers": [{"id": "s1", "fullName": "Ada Abara"}],
                "rooms": [{"id": 3, "name": "Hall"}],
            },
            [PLAIN],
        ),
        ([{"groupName": "All", "sessions": [ENTRY]}, {"sessions": [ENTRY]}], [PLAIN, PLAIN]),
        ([{"date": "2027-05-01", "rooms": [{"name": "Hall", "sessions": [ENTRY]}], "timeSlots": []}], [PLAIN]),
        ({"days": [{"rooms": [{"sessions": [ENTRY]}, {"sessions": [ENTRY]}]}]}, [PLAIN, PLAIN]),
        ([{**ENTRY, "rooms": ["Hall"]}], [PLAIN]),
        (
            [
                {
                    "name": "Types",
                    "event_start": "2027-05-01 09:00",
                    "event_end": "2027-05-01 09:45",
                    "venue": "Hall",
                    "speakers": [{"name": "Ada Abara"}],
                }
            ],
            [PLAIN],
        ),
    ],
)
def test_plain_lists_of_sessions(content: Any, sessions: list[Any]) -> None:
    assert said(read(content)) == sessions


def test_a_plain_list_says_what_it_could_not_use_and_knows_its_event() -> None:
    content = {
        "name": "The Meetup",
        "timezone": "Eastern Time (US & Canada)",
        "sessions": [ENTRY, {**ENTRY, "id": 4, "end": None}, {"start": "2027-05-01T10:00"}, "x"],
    }
    agenda = read_agenda(json.dumps(content))
    assert (agenda.name, agenda.slug, agenda.timezone) == ("The Meetup", "the-meetup", "America/New_York")
    assert [(entry.title, entry.guid) for entry in agenda.left_out] == [
        ("without a title", None),
        ("Types", "4"),
        ("without a title", None),
    ]


def test_a_file_that_does_not_name_its_event_asks_for_a_name() -> None:
    assert refusal([ENTRY], name=None) == "schedule.json: is missing its event's name; say it with --name"


@every_case(
    "content",
    [
        *({}, [], 7, None, "x", [[]], {"results": []}, {"sessions": []}, {"a": [ENTRY]}, [{"title": "x"}]),
        *({"type": "FeatureCollection", "features": []}, {"results": [{"id": 1, "name": "Ada"}]}),
    ],
)
def test_other_json_is_no_schedule(content: Any) -> None:
    assert "is not a schedule: " in refusal(json.dumps(content))


def test_a_file_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "LARGEST_FILE", 10)
    with pytest.raises(TooLarge, match="has 11 bytes; 10 are the most"):
        read("x" * 11)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2027-05-01T09:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "en", "results"]), inner),
    max_leaves=4,
)
_entries = st.builds(
    lambda good, fields: {**good, **fields},
    st.sampled_from([{}, ENTRY, TALK, slot()]),
    st.dictionaries(st.sampled_from([*ENTRY, *TALK, "submission", "date", "duration"]), _values, max_size=3),
)


@settings(deadline=None)
@given(st.sampled_from(["results", "slots", "sessions", ""]), st.lists(_entries | _values, max_size=4))
def test_any_list_is_an_agenda_or_one_error_for_people(wrapped: str, entries: list[Any]) -> None:
    content = {wrapped: entries} if wrapped else entries
    try:
        agenda = read(content)
    except InvalidInput:
        return
    keys = [found.key for found in agenda.sessions]
    assert len(keys) == len(set(keys))
    assert all(found.start_time < found.end_time for found in agenda.sessions)


_XML = (FILES / "fosdem-like.xml").read_bytes()


@settings(deadline=None)
@given(st.integers(0, len(_XML)), st.integers(0, 60), st.binary(max_size=4) | st.just(b"<event>"))
def test_damaged_xml_is_an_agenda_or_one_error_for_people(start: int, length: int, instead: bytes) -> None:
    try:
        read(_XML[:start] + instead + _XML[start + length :])
    except InvalidInput:
        return
