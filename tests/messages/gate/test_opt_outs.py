"""Whoever opted out gets nothing, at no address and from no feature, until the opt-out ends."""

from __future__ import annotations

import asyncio

import pytest

from messages.due_messages import EVENT_MESSAGE, MAIL, PHONE, OpenApp, Provider, message_to, outcome_of, person_of
from tidings.errors import InvalidInput
from tidings.messages.statuses import Reason

OPTED_OUT = f"skipped: {Reason.OPTED_OUT.sentence}"


async def test_where_one_brand_stands_behind_all_an_opt_out_of_any_address_stops_both_channels_until_it_ends(
    open_app: OpenApp, database_url: str
) -> None:
    provider = Provider()
    app = await open_app(
        database_url=database_url, providers={"sms": provider, "email": provider}, opt_outs="installation"
    )
    person = await person_of(app)
    other = await person_of(app, name="Ben", phone="+12125550124", email="ben@example.com")
    for address in (PHONE, "(212) 555-0123", MAIL, "Ada Abara <ADA@example.com>"):
        provider.sent.clear()
        assert await app.contacts.opt_out(address)
        assert not await app.contacts.opt_out(address)
        for channel in ("sms", "email"):
            message = await message_to(app, person, channel=channel)
            assert await outcome_of(app, EVENT_MESSAGE, message.id) == OPTED_OUT
        assert await outcome_of(app, EVENT_MESSAGE, (await message_to(app, other)).id) == "sent"
        assert await app.contacts.opt_in(PHONE)
        assert not await app.contacts.opt_in(PHONE)
        for channel in ("sms", "email"):
            message = await message_to(app, person, channel=channel)
            assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
        assert provider.sent == ["+12125550124", PHONE, MAIL]


async def test_a_number_that_opted_out_before_anybody_knew_it_stays_opted_out(
    open_app: OpenApp, database_url: str
) -> None:
    provider = Provider()
    app = await open_app(database_url=database_url, providers={"sms": provider})
    await app.contacts.opt_out(PHONE)
    message = await message_to(app, await person_of(app))
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == OPTED_OUT
    assert not provider.asked


async def test_where_one_brand_stands_behind_all_a_new_number_of_a_person_who_opted_out_gets_nothing_either(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url, providers={"sms": Provider()}, opt_outs="installation")
    person = await person_of(app)
    await app.contacts.opt_out(PHONE)
    await app.events.create_contractor({"name": "Ada Abara", "email": MAIL, "phone": "+12125550199"})
    for message in (await message_to(app, person), await message_to(app, person, phone="+12125550155")):
        assert await outcome_of(app, EVENT_MESSAGE, message.id) == OPTED_OUT


@pytest.mark.both_databases
async def test_an_opt_out_is_stored_although_others_say_something_about_the_person_at_the_same_moment(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    await person_of(app)
    answers = await asyncio.gather(*(app.contacts.opt_out(address) for address in [PHONE, MAIL] * 4))
    assert answers.count(True) == 2  # one for each address


async def test_what_is_no_address_is_refused_with_a_sentence(open_app: OpenApp) -> None:
    app = await open_app()
    for address in ("", "nobody", "ada@", "@example.com", "12", "ada@exa mple.com"):
        for change in (app.contacts.opt_out, app.contacts.opt_in):
            with pytest.raises(InvalidInput, match="write"):
                await change(address)
