"""Importing people: everything in one transaction, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from tidings.clock import ManualClock
from tidings.errors import Conflict, InvalidRows, NotFound
from tidings.features.events import people_import
from tidings.features.events.models import EventMessage, Registration
from tidings.features.events.people_import import import_people
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.files.people_file import Person, read_people

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


async def test_conflicts_name_their_lines_and_nothing_is_kept(app: Any) -> None:
    event_id = await an_event(app)
    await import_people(app.work, [ADA, BOB])
    await import_people(app.work, [Person(name="A. Abara", phone="+18105550125")])
    mixed = Person(name="Ada Abara", phone="+18105550125", email=ADA.email, line=3)
    new = Person(name="New", phone="+18105550199", line=2)
    with pytest.raises(InvalidRows) as refused:
        await import_people(app.work, [new, mixed], event_id, source="people.csv")
    assert [(row.line, row.field) for row in refused.value.rows] == [(3, "phone")]
    assert (await count(app, Contractor), await count(app, Registration), await jobs(app)) == (3, 0, 0)


async def test_a_conflict_after_empty_lines_names_the_line_in_the_file(app: Any) -> None:
    await import_people(app.work, [ADA, Person(name="A. Abara", phone="+18105550125")])
    text = f"name,phone,email\n\nNew,+18105550199,\n,,\n\nAda Abara,+18105550125,{ADA.email}\n"
    with pytest.raises(InvalidRows) as refused:
        await import_people(app.work, read_people(text, source="people.csv"), source="people.csv")
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
    people = read_people(text, source="family-one-phone.csv")
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
    monkeypatch.setattr(people_import, "AT_ONCE", 100)
    people = [Person(name=f"P {number}", phone=f"+1810555{number:04}") for number in range(120)]
    result = await import_people(app.work, people, event_id)
    assert (result.added, result.registered, result.messages.scheduled) == (120, 120, 600)
    again = await import_people(app.work, people, event_id)
    assert (again.completed, again.already_registered) == (120, 120)
