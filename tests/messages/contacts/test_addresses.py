"""People with several addresses, and addresses with several people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from messages.due_messages import EVENT_MESSAGE, NOON, Provider, message_to, outcome_of
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.messages.contacts.addresses import contact_with, contacts_with
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.inbound.replies import IncomingReply

OpenApp = Callable[..., Awaitable[App]]
MOBILE, LANDLINE, OTHER = "+4915112345678", "+4930901820", "+4915187654321"
FAMILY = "+18105550101"


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(
        clock=ManualClock(NOON), database_url=database_url, providers={"sms": Provider()}, default_region="DE"
    )


async def person(app: App, name: str = "Ada Abara", **more: Any) -> Contractor:
    stored, _ = await app.events.create_contractor({"name": name, **more})
    return stored


async def shown(app: App, contact_id: int) -> tuple[str | None, str | None, list[tuple[str, str, bool]]]:
    standing = await app.contacts.get_standing(contact_id)
    rows = [(row.kind, row.value, row.is_preferred) for row in standing.addresses]
    return standing.contractor.phone, standing.contractor.email, rows


async def reply(app: App, sender: str, text: str = "Hello", **more: Any) -> Any:
    number = f"SM{sender}{text}{app.clock.now()}"
    return await app.inbound.receive_reply(IncomingReply("n8n", number, sender, text, **more))


@pytest.mark.both_databases
async def test_a_phone_that_a_family_shares_makes_several_people(app: App) -> None:
    ada = await person(app, "Ada Abara", phone=FAMILY, email="ada@example.com")
    ben = await person(app, "Ben Abara", phone=FAMILY, email="ben@example.com")
    assert ada.id != ben.id
    assert (await person(app, "B. Abara", phone=FAMILY)).id == ben.id
    again = await person(app, "Abara, Ada", phone=FAMILY, company_name="Engines")
    assert (again.id, again.phone, again.email) == (ada.id, FAMILY, "ada@example.com")
    async with app.work.read() as session:
        assert await contacts_with(session, FAMILY) == [ada.id, ben.id]


async def test_a_name_that_says_less_does_not_replace_the_known_one(app: App) -> None:
    await person(app, "Ada Abara", phone=FAMILY)
    assert (await person(app, "A. Abara", phone=FAMILY)).name == "Ada Abara"
    assert (await person(app, "Ada King", phone=FAMILY)).name == "Ada King"


async def test_two_people_of_one_name_are_not_taken_for_one_without_a_person(app: App) -> None:
    await person(app, "Ada Abara", phone=FAMILY)
    await person(app, "Ada Abara", email="ada@example.com")
    with pytest.raises(Conflict, match=r"may be contractor 1 or contractor 2.*merge them first"):
        await person(app, "Ada Abara", phone=FAMILY, email="ada@example.com")


async def test_a_reply_from_a_shared_number_is_from_whom_was_written_to_last(app: App) -> None:
    ada = await person(app, "Ada Abara", phone=FAMILY)
    ben = await person(app, "Ben Abara", phone=FAMILY)
    assert (await reply(app, FAMILY)).contact_id == ada.id
    for who in (ben, ada, ben):
        message = await message_to(app, who.id)
        assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
        app.clock.move(timedelta(minutes=1))
        assert (await reply(app, FAMILY)).contact_id == who.id


async def test_whoever_is_known_by_a_second_address_is_known_when_they_write_from_it(app: App) -> None:
    ada = await person(app, phone=MOBILE)
    await app.contacts.add_address(ada.id, "ada@work.example")
    await app.contacts.add_address(ada.id, OTHER)
    assert (await reply(app, OTHER)).contact_id == ada.id
    assert (await reply(app, "ada@work.example")).contact_id == ada.id
    assert (await person(app, phone=OTHER)).id == ada.id


@pytest.mark.both_databases
async def test_messages_go_to_the_mobile_wherever_one_is_known(app: App) -> None:
    ada = await person(app, phone=LANDLINE)
    await app.contacts.add_address(ada.id, MOBILE)
    assert await shown(app, ada.id) == (MOBILE, None, [("phone", LANDLINE, False), ("phone", MOBILE, True)])
    assert (await person(app, phone=LANDLINE)).phone == MOBILE, (
        "a landline that is told again takes no mobile's place"
    )
    await app.contacts.add_address(ada.id, OTHER)
    assert (await shown(app, ada.id))[0] == MOBILE
    await app.contacts.add_address(ada.id, LANDLINE, prefer=True)
    assert (await shown(app, ada.id))[0] == LANDLINE, "a person has said so"


async def test_an_address_of_each_kind_can_be_added_and_taken_away(app: App) -> None:
    ada = await person(app, phone=MOBILE)
    mail = await app.contacts.add_address(ada.id, "Ada <ADA@example.com>")
    whatsapp = await app.contacts.add_address(ada.id, "0151 8765 4321", kind="whatsapp")
    nameless = await app.contacts.add_address(ada.id, "DE.1234", kind="whatsapp_id")
    assert (mail.value, mail.kind, whatsapp.value, nameless.value) == ("ada@example.com", "email", OTHER, "DE.1234")
    assert (await app.contacts.add_address(ada.id, "ada@EXAMPLE.com")).id == mail.id
    assert (await shown(app, ada.id))[:2] == (MOBILE, "ada@example.com")
    async with app.work.read() as session:
        assert await contact_with(session, "DE.1234") == await contact_with(session, OTHER) == ada.id
    await app.contacts.remove_address(ada.id, mail.id)
    assert (await shown(app, ada.id))[1] is None
    [phone] = [row for row in (await app.contacts.get_standing(ada.id)).addresses if row.kind == "phone"]
    await app.contacts.add_address(ada.id, LANDLINE)
    await app.contacts.remove_address(ada.id, phone.id)
    assert (await shown(app, ada.id))[0] == LANDLINE
    with pytest.raises(NotFound):
        await app.contacts.remove_address(ada.id, phone.id)


@pytest.mark.both_databases
async def test_the_same_new_person_saved_many_times_at_once_is_one(app: App) -> None:
    told = {"name": "Ada Abara", "phone": FAMILY}
    answers = await asyncio.gather(*(app.events.create_contractor(told) for _ in range(5)), return_exceptions=True)
    assert all(not isinstance(one, BaseException) or isinstance(one, Conflict) for one in answers)
    async with app.work.read() as session:
        assert await session.scalar(select(func.count()).select_from(Contractor)) == 1


async def test_an_edit_changes_what_is_told_and_finds_the_person_by_it(app: App) -> None:
    ada = await person(app, phone=MOBILE)
    changes = {"name": "Ada King", "timezone": "Europe/London", "phone": OTHER, "email": "ada@king.example"}
    edited = await app.contacts.edit(ada.id, changes)
    assert (edited.name, edited.timezone, edited.phone, edited.email) == tuple(changes.values())
    assert [hit.contact.id for hit in (await app.contacts.find("king")).hits] == [ada.id]
    assert [row[1] for row in (await shown(app, ada.id))[2]] == [MOBILE, OTHER, "ada@king.example"]
    assert (await app.contacts.edit(ada.id, {"timezone": None})).timezone is None


async def test_an_edit_that_cannot_be_says_what_to_change_and_changes_nothing(app: App) -> None:
    ada = await person(app, phone=MOBILE)
    for changes, field, sentence in (
        ({"phone": "12"}, "phone", "area code"),
        ({"email": "ada@"}, "address", "ada@example.com"),
        ({"email": "+4915112345678"}, "address", "no mail address"),
        ({"phone": ""}, "phone", "delete it"),
        ({"name": " "}, "name", "everybody has a name"),
        ({"name": "x" * 201}, "name", "200 are the most"),
        ({"timezone": "Mars/Olympus"}, "timezone", "IANA"),
        ({"nmae": "Ada"}, "nmae", "did you mean name"),
        ({"name": 7}, "name", "no text"),
        ({"name": "a\0b"}, "name", "NUL"),
    ):
        with pytest.raises(InvalidInput, match=sentence) as refused:
            await app.contacts.edit(ada.id, {"company_name": "Engines", **changes})
        assert refused.value.field == field
    assert (await app.contacts.get_standing(ada.id)).contractor.company_name is None
    with pytest.raises(NotFound):
        await app.contacts.edit(99, {"name": "Nobody"})
    with pytest.raises(InvalidInput, match="there are phone"):
        await app.contacts.add_address(ada.id, "x", kind="pigeon")


@pytest.mark.both_databases
async def test_numbers_that_carriers_write_in_two_ways_are_one_address(app: App) -> None:
    for stored, written in (
        ("+525512345678", "+5215512345678"),
        ("+5491123456789", "+541123456789"),
        ("+5511987654321", "+551187654321"),
    ):
        ada = await person(app, "Ada Abara", phone=stored)
        assert (await person(app, "Ada Abara", phone=written)).id == ada.id
        assert [row[1] for row in (await shown(app, ada.id))[2]] == [stored]
        assert (await reply(app, written)).contact_id == ada.id
        assert [hit.contact.id for hit in (await app.contacts.find(written)).hits] == [ada.id]
