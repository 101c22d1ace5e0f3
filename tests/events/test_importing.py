"""Importing people: everything in one transaction, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from tidings.clock import ManualClock
from tidings.errors import Conflict, InvalidRows, NotFound
from tidings.features.events import imported_people
from tidings.features.events.models import EventMessage, Registration
from tidings.features.events.people_import import import_people
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.files.people_file import Person, read_people
from tidings.messages.contacts.files.statuses import Attendance
from tidings.messages.gate.opt_outs import Reach

NOW = datetime(2030, 4, 1, 12, tzinfo=UTC)
ADA = Person(name="Ada", phone="+18105550123", email="ada@example.org", company_name="Engines")
BOB = Person(name="Bob", phone="+18105550124")


@pytest.fixture
async def app(open_app: Any, database_url: str) -> Any:
    return await open_app(clock=ManualClock(NOW), database_url=database_url)


async def an_event(app: Any, **values: Any) -> int:
    event = await app.events.create_event({"name": "Conf", "date": "2030-05-01", "timezone": "UTC", **values})
    return int(event.id)


async def count(app: Any, model: Any) -> int:
    async with app.work.read() as session:
        return int(await session.scalar(select(func.count()).select_from(model)))


async def jobs(app: Any) -> int:
    return int((await app.events.get_queue_stats())["total"])


async def test_people_registrations_messages_and_jobs(app: Any) -> None:
    event_id = await an_event(app)
    heard: list[tuple[str, int, int]] = []
    result = await import_people(app.work, [ADA, BOB], event_id, on_progress=lambda *step: heard.append(step))
    assert (result.added, result.completed, result.registered, result.already_registered) == (2, 0, 2, 0)
    assert result.messages.scheduled == await count(app, EventMessage) == await jobs(app) == 11
    assert heard == [("people", 2, 2), ("messages", 2, 2)]


@pytest.mark.both_databases
async def test_the_same_as_registering_one_by_one(app: Any) -> None:
    together, single = await an_event(app), await an_event(app)
    await import_people(app.work, [ADA, BOB], together)
    for contractor_id in (1, 2):
        await app.events.register(single, {"contractor_id": contractor_id})
    fields = ("contractor_id", "message_type", "session_key", "scheduled_time", "status", "status_reason")
    schedules = [
        sorted([tuple(row[field] for field in fields) for row in await app.events.list_messages(event_id=event_id)])
        for event_id in (together, single)
    ]
    assert schedules[0] == schedules[1] != []


async def test_again_changes_nothing(app: Any) -> None:
    event_id = await an_event(app)
    await import_people(app.work, [ADA, BOB], event_id)
    result = await import_people(app.work, [ADA, BOB], event_id)
    assert (result.added, result.completed, result.registered, result.already_registered) == (0, 2, 0, 2)
    assert not any(result.messages.as_dict().values())


async def test_a_cancelled_registration_comes_back(app: Any) -> None:
    event_id = await an_event(app)
    await import_people(app.work, [ADA], event_id)
    await app.events.registrations.cancel(event_id, 1)
    result = await import_people(app.work, [ADA], event_id)
    assert (result.registered, result.already_registered) == (1, 0)
    assert await jobs(app) == await count(app, EventMessage) == 6


async def test_a_completed_profile_brings_the_agenda_of_every_event_to_come(app: Any) -> None:
    first, second = await an_event(app), await an_event(app)
    await import_people(app.work, [Person(name="Ada", phone=ADA.phone)], first)
    result = await import_people(app.work, [ADA], second)
    assert (result.completed, result.registered) == (1, 1)
    agendas = [
        row["event_id"] for row in await app.events.list_messages() if row["message_type"] == "personalized_agenda"
    ]
    assert sorted(agendas) == [first, second]


async def test_asked_strictly_conflicts_name_their_lines_and_nothing_is_kept(app: Any) -> None:
    event_id = await an_event(app)
    await import_people(app.work, [ADA, BOB])
    await import_people(app.work, [Person(name="A. Abara", phone="+18105550125")])
    mixed = Person(name="Ada Abara", phone="+18105550125", email=ADA.email, line=3)
    new = Person(name="New", phone="+18105550199", line=2)
    with pytest.raises(InvalidRows) as refused:
        await import_people(app.work, [new, mixed], event_id, source="people.csv", strict=True)
    assert [(row.line, row.field) for row in refused.value.rows] == [(3, "phone")]
    assert (await count(app, Contractor), await count(app, Registration), await jobs(app)) == (3, 0, 0)


async def test_a_conflict_after_empty_lines_names_the_line_in_the_file(app: Any) -> None:
    await import_people(app.work, [ADA, Person(name="A. Abara", phone="+18105550125")])
    text = f"name,phone,email\n\nNew,+18105550199,\n,,\n\nAda Abara,+18105550125,{ADA.email}\n"
    with pytest.raises(InvalidRows) as refused:
        await import_people(app.work, read_people(text, source="people.csv").people, source="people.csv", strict=True)
    assert [(row.line, row.field) for row in refused.value.rows] == [(6, "phone")]


@pytest.mark.both_databases
async def test_two_lines_about_one_new_person_make_one(app: Any) -> None:
    event_id = await an_event(app)
    again = Person(name="Bob Boyd", phone=BOB.phone, email="bob@example.org")
    result = await import_people(app.work, [BOB, again], event_id)
    assert (result.added, result.completed, result.registered) == (1, 1, 1)
    [bob] = (await app.contacts.list_contacts()).contacts
    assert (bob.name, bob.phone, bob.email) == ("Bob Boyd", BOB.phone, "bob@example.org")


@pytest.mark.both_databases
async def test_a_family_with_one_phone_is_imported_as_several_people_and_stays_so(app: Any) -> None:
    event_id = await an_event(app)
    text = (
        "First Name,Last Name,Email,Phone\n"
        "Ada,Abara,ada@example.com,8105550101\n"
        "Ben,Abara,ben@example.com,8105550101\n"
    )
    people = read_people(text, source="family-one-phone.csv").people
    result = await import_people(app.work, people, event_id)
    assert (result.added, result.completed, result.registered) == (2, 0, 2)
    again = await import_people(app.work, people, event_id)
    assert (again.added, again.completed, again.already_registered) == (0, 2, 2)
    family = (await app.contacts.list_contacts(phone="+18105550101")).contacts
    assert [(one.name, one.phone) for one in family] == [("Ada Abara", "+18105550101"), ("Ben Abara", "+18105550101")]


async def test_two_lines_about_one_known_person_register_them_once(app: Any) -> None:
    event_id = await an_event(app)
    await import_people(app.work, [ADA])
    by_phone, by_mail = Person(name="Ada", phone=ADA.phone), Person(name="Ada", email=ADA.email)
    result = await import_people(app.work, [by_phone, by_mail], event_id)
    assert (result.completed, result.registered) == (2, 1)


async def test_only_living_events_take_people(app: Any) -> None:
    with pytest.raises(NotFound):
        await import_people(app.work, [ADA], 99)
    event_id = await an_event(app)
    await app.events.program.cancel_event(event_id)
    with pytest.raises(Conflict, match="is cancelled"):
        await import_people(app.work, [ADA], event_id)
    assert await count(app, Contractor) == 0


@pytest.mark.both_databases
async def test_more_than_one_batch(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    event_id = await an_event(app, date=(NOW + timedelta(days=9)).date())
    monkeypatch.setattr(imported_people, "AT_ONCE", 100)
    people = [Person(name=f"P {number}", phone=f"+1810555{number:04}") for number in range(120)]
    result = await import_people(app.work, people, event_id)
    assert (result.added, result.registered, result.messages.scheduled) == (120, 120, 600)
    again = await import_people(app.work, people, event_id)
    assert (again.completed, again.already_registered) == (120, 120)


def person(name: str, number: int, **values: Any) -> Person:
    return Person(name=name, phone=f"+181055501{number:02}", email=f"{name.lower()}@example.org", **values)


async def places(app: Any, event_id: int) -> dict[str, bool]:
    """Who has a place at an event, and whether it holds."""
    async with app.work.read() as session:
        rows = await session.execute(
            select(Contractor.name, Registration.cancelled_at)
            .join(Registration, Registration.contractor_id == Contractor.id)
            .where(Registration.event_id == event_id)
        )
    return {name: cancelled_at is None for name, cancelled_at in rows}


@pytest.mark.both_databases
async def test_who_does_not_come_is_saved_and_not_registered(app: Any) -> None:
    event_id = await an_event(app)
    people = [
        person("Ada", 1),
        *[person(status.title(), 10 + number, attendance=status) for number, status in enumerate(Attendance)],
    ]
    result = await import_people(app.work, people, event_id)
    assert (result.added, result.registered) == (7, 2)
    assert result.not_registered == {one: 1 for one in Attendance if one is not Attendance.REGISTERED}
    assert await places(app, event_id) == {"Ada": True, "Registered": True}


@pytest.mark.both_databases
async def test_who_was_registered_and_has_cancelled_since_loses_the_place_and_its_messages(app: Any) -> None:
    event_id, other = await an_event(app), await an_event(app)
    ada, bob, cyd = person("Ada", 1), person("Bob", 2), person("Cyd", 3)
    await import_people(app.work, [ada, bob, cyd], event_id)
    await import_people(app.work, [ada], other)
    before = await jobs(app)
    said = [
        replace(ada, attendance=Attendance.CANCELLED),
        replace(bob, attendance=Attendance.WAITING),
        replace(cyd, attendance=Attendance.DECLINED),
    ]
    result = await import_people(app.work, said, event_id)
    assert (result.cancelled, result.left_registered, result.registered) == (2, 1, 0)
    assert await places(app, event_id) == {"Ada": False, "Bob": True, "Cyd": False}
    assert await places(app, other) == {"Ada": True}
    assert result.messages.cancelled == before - await jobs(app) > 0
    again = await import_people(app.work, said, event_id)
    assert (again.cancelled, again.messages.cancelled) == (0, 0)
    back = await import_people(app.work, [ada], event_id)
    assert (back.registered, await places(app, event_id)) == (1, {"Ada": True, "Bob": True, "Cyd": False})


async def test_two_tickets_of_a_known_person_one_of_them_cancelled_leave_the_place(app: Any) -> None:
    event_id = await an_event(app)
    ada = person("Ada", 1)
    await import_people(app.work, [ada], event_id)
    by_phone = Person(name="Ada", phone=ada.phone, attendance=Attendance.CANCELLED)
    by_mail = Person(name="Ada", email=ada.email)
    result = await import_people(app.work, [by_phone, by_mail], event_id)
    assert (result.cancelled, result.already_registered) == (0, 1)
    assert await places(app, event_id) == {"Ada": True}


@pytest.mark.both_databases
async def test_whoever_is_not_to_be_disturbed_gets_nothing_there_and_who_refuses_marketing_gets_the_rest(
    app: Any,
) -> None:
    event_id = await an_event(app)
    people = [
        person("Ada", 1, stops={"*": "DND: true"}, line=2),
        person("Bob", 2, stops={"email": "Email Opt Out: true"}, addresses=("bob@work.example",), line=3),
        person("Cyd", 3, consents={"sms": (False, "Accepts SMS Marketing")}, line=4),
        person("Dan", 4, consents={"sms": (True, "Accepts SMS Marketing"), "email": (False, "Newsletter")}, line=5),
    ]
    result = await import_people(app.work, people, event_id, source="people.csv")
    assert result.wishes.opted_out == 2
    assert result.wishes.consents == {("sms", True): 1, ("sms", False): 1, ("email", False): 1}
    opted_out = (await app.opt_outs.list()).rows
    assert sorted((row.address, row.channel, row.tenant, row.stops, row.words) for row in opted_out) == [
        ("+18105550101", "*", "installation", "all", "DND: true"),
        ("ada@example.org", "*", "installation", "all", "DND: true"),
        ("bob@example.org", "email", "installation", "all", "Email Opt Out: true"),
        ("bob@work.example", "email", "installation", "all", "Email Opt Out: true"),
    ]
    consents = (await app.consents.list()).rows
    assert sorted((row.address, row.channel, row.granted, row.tenant, row.source, row.proof) for row in consents) == [
        ("+18105550103", "sms", False, "installation", "import: Accepts SMS Marketing", "people.csv, line 4"),
        ("+18105550104", "sms", True, "installation", "import: Accepts SMS Marketing", "people.csv, line 5"),
        ("dan@example.org", "email", False, "installation", "import: Newsletter", "people.csv, line 5"),
    ]
    await import_people(app.work, people, event_id, source="people.csv")
    assert len((await app.opt_outs.list()).rows) == 4
    assert len((await app.consents.list()).rows) == 3


async def test_one_brand_for_all_opts_out_of_everything(app: Any) -> None:
    ada = person("Ada", 1, stops={"sms": "DND SMS: true"})
    await import_people(app.work, [ada], reach=Reach(everywhere=True))
    [row] = (await app.opt_outs.list()).rows
    assert (row.tenant, row.channel, row.whole_person) == ("*", "*", True)


@pytest.mark.both_databases
async def test_further_addresses_are_kept_and_found(app: Any) -> None:
    ada = person("Ada", 1, addresses=("+18105550199", "ada@work.example"))
    await import_people(app.work, [ada])
    again = await import_people(app.work, [ada])
    assert (again.added, again.completed) == (0, 1)
    shown = await app.contacts.get_standing(1)
    assert sorted((one.value, one.is_preferred) for one in shown.addresses) == [
        *(("+18105550101", True), ("+18105550199", False), ("ada@example.org", True), ("ada@work.example", False)),
    ]
    for query in ("810 555 0199", "ada@work.example"):
        assert [hit.contact.id for hit in (await app.contacts.find(query)).hits] == [1]
    by_work = await import_people(app.work, [Person(name="Ada Abara", email="ada@work.example")])
    assert (by_work.added, by_work.completed) == (0, 1)


@pytest.mark.both_databases
async def test_people_choose_sessions_by_key_or_title(app: Any) -> None:
    sessions = [
        {"key": key, "title": title, "start_time": f"2030-05-01T{hour}:00:00", "end_time": f"2030-05-01T{hour}:45:00"}
        for key, title, hour in (("a", "Opening", 10), ("b", "Naïve Bayes; explained", 12), ("c", "Closing", 14))
    ]
    event_id = await an_event(app, sessions=sessions)
    people = [
        person("Ada", 1, sessions=("b", "opening"), line=2),
        person("Bob", 2, sessions=("Openning", "Closing"), line=3),
        person("Cyd", 3, sessions=("Nothing",), line=4),
        person("Dan", 4),
        person("Eve", 5, sessions=("Opening, Closing",), line=6),
        person("Fay", 6, sessions=("all",), line=7),
    ]
    result = await import_people(app.work, people, event_id)
    chosen = {"Ada": ["a", "b"], "Bob": ["c"], "Cyd": [], "Dan": [], "Eve": ["a", "c"], "Fay": []}
    assert await _chosen(app, event_id) == chosen
    assert [str(row) for row in result.bad] == [
        "line 3: sessions: the agenda has no session 'Openning'; did you mean 'Opening'?",
        "line 4: sessions: the agenda has no session 'Nothing' (registered for all sessions)",
    ]
    again = await import_people(app.work, [replace(people[0], sessions=("c",)), people[3]], event_id)
    assert (again.rebooked, again.already_registered) == (1, 2)
    assert (await _chosen(app, event_id))["Ada"] == ["c"]
    about = {
        (row["contractor_id"], row["session_key"])
        for row in await app.events.list_messages(event_id=event_id)
        if row["session_key"] and row["status"] == "scheduled"
    }
    assert {key for contractor_id, key in about if contractor_id == 1} == {"c"}


async def _chosen(app: Any, event_id: int) -> dict[str, list[str]]:
    async with app.work.read() as session:
        rows = await session.execute(
            select(Contractor.name, Registration.session_keys)
            .join(Registration, Registration.contractor_id == Contractor.id)
            .where(Registration.event_id == event_id)
        )
    return {row.name: row.session_keys for row in rows}


@pytest.mark.both_databases
async def test_a_dry_run_says_what_would_be_and_leaves_no_trace(app: Any) -> None:
    event_id = await an_event(app)
    await import_people(app.work, [ADA], event_id)
    before = await jobs(app)
    people = [
        replace(ADA, attendance=Attendance.CANCELLED),
        person("Bob", 2, stops={"*": "DND: true"}, consents={"sms": (True, "SMS")}, addresses=("b@example.org",)),
    ]
    result = await import_people(app.work, people, event_id, dry_run=True)
    assert (result.added, result.completed, result.cancelled, result.wishes.opted_out) == (1, 1, 1, 1)
    assert (await count(app, Contractor), await count(app, Registration), await jobs(app)) == (1, 1, before)
    assert (await places(app, event_id), (await app.opt_outs.list()).rows) == ({"Ada": True}, [])
    assert (await app.consents.list()).rows == []


async def test_who_may_be_one_of_two_is_left_out_and_the_others_are_registered(app: Any) -> None:
    event_id = await an_event(app)
    await import_people(app.work, [ADA])
    await import_people(app.work, [Person(name="A. Abara", phone="+18105550125")])
    mixed = Person(name="Ada Abara", phone="+18105550125", email=ADA.email, line=3)
    result = await import_people(app.work, [person("New", 99, line=2), mixed], event_id)
    assert (result.added, result.registered) == (1, 1)
    assert [(row.line, row.field) for row in result.left_out] == [(3, "phone")]


async def test_somebody_without_a_name_is_known_by_the_address_and_named_later(app: Any) -> None:
    event_id = await an_event(app)
    await import_people(app.work, [Person(name="", phone="+18105550101")], event_id)
    result = await import_people(app.work, [Person(name="Ada", first_name="Ada", phone="+18105550101")], event_id)
    assert (result.added, result.completed) == (0, 1)
    nameless = await import_people(app.work, [Person(name="", phone="+18105550101")], event_id)
    assert (nameless.added, nameless.completed) == (0, 1)
    assert (await app.contacts.get_standing(1)).contractor.name == "Ada"
