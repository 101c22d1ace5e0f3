"""What people answer: STOP, START and HELP are carried out, other replies reach the message they answer, all once."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from sqlalchemy import select

from messages.due_messages import (
    DAY,
    EVENT_MESSAGE,
    HOUR,
    MAIL,
    NOON,
    PHONE,
    OpenApp,
    message_to,
    outcome_of,
    person_of,
)
from support.app import ledger
from tidings.app import App
from tidings.clock import ManualClock
from tidings.features.events.models import EventMessage
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound.keywords import Command
from tidings.messages.inbound.notices import Notice
from tidings.messages.inbound.reply import IncomingReply, Received
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.statuses import Reason, Status

_numbers = itertools.count(1)


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(database_url=database_url, clock=ManualClock(NOON))


async def sent_to(app: App, person: int, **more: Any) -> EventMessage:
    message = await message_to(app, person, **more)
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    return message


async def provider_id_of(app: App, message: EventMessage) -> str:
    [line] = await ledger(app, EVENT_MESSAGE, message.id)
    assert line.provider_message_id is not None
    return line.provider_message_id


async def hear(app: App, text: str, sender: str = PHONE, **more: Any) -> Received:
    given = {"provider": "n8n", "provider_message_id": f"in-{next(_numbers)}", "sender": sender, "text": text, **more}
    return await app.inbound.receive_reply(IncomingReply(**given))


async def all_of(app: App, model: Any) -> list[Any]:
    async with app.work.read() as session:
        return list(await session.scalars(select(model).order_by(model.id)))


async def notices(app: App) -> list[tuple[str, str, str]]:
    return [(row.notice_type, row.channel, row.address) for row in await all_of(app, Notice)]


async def send_notices(app: App) -> None:
    """Brings every waiting notice out through the simulator."""
    for row in await all_of(app, Notice):
        await outcome_of(app, "notice", row.id, last=True)


async def trust_of(app: App, person: int) -> float:
    return (await app.contacts.get_standing(person)).trust


CONFIRMATION = ("opt_out_confirmation", "sms", PHONE)


# STOP, START and HELP


async def test_a_stop_ends_everything_that_waits_and_is_confirmed_once(app: App) -> None:
    person = await person_of(app)
    waiting, mail = [await message_to(app, person) for _ in range(2)], await message_to(app, person, channel="email")
    received = await hear(app, "Stop please", "(212) 555-0123")
    assert (received.action_taken, received.command, received.contact_id) == ("opted_out", Command.STOP, person)
    assert (received.duplicate, received.rating, received.sentiment_score) == (False, None, None)
    for again in ("STOP", "unsubscribe"):
        assert (await hear(app, again)).action_taken == "opted_out_already"
    assert await notices(app) == [CONFIRMATION]
    await send_notices(app)
    [sent] = app.simulator.messages
    assert sent.to == PHONE
    assert sent.text.startswith("Tidings: you are unsubscribed")
    for message in waiting:
        assert await outcome_of(app, EVENT_MESSAGE, message.id) == f"skipped: {Reason.OPTED_OUT.sentence}"
    assert len(app.simulator.messages) == 1
    assert await outcome_of(app, EVENT_MESSAGE, mail.id) == "sent"  # another address, and another channel
    [row] = await all_of(app, OptOut)
    assert (row.address, row.contact_id, row.source, row.words) == (PHONE, person, "reply", "Stop please")
    assert (row.tenant, row.channel, row.door, row.whole_person) == ("installation", "sms", "n8n", False)


async def test_a_stop_of_a_number_that_nobody_knows_is_obeyed_and_confirmed(app: App) -> None:
    received = await hear(app, "STOP")
    assert (received.action_taken, received.contact_id, received.message) == ("opted_out", None, None)
    assert await notices(app) == [CONFIRMATION]
    await send_notices(app)
    assert [sent.to for sent in app.simulator.messages] == [PHONE]
    message = await message_to(app, await person_of(app))
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == f"skipped: {Reason.OPTED_OUT.sentence}"


async def test_a_stop_by_mail_is_confirmed_by_mail_and_counts_for_the_phone_where_one_brand_stands_behind_all(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url, opt_outs="installation")
    person = await person_of(app)
    assert (await hear(app, "Please unsubscribe me", "Ada Abara <Ada@Example.com>")).contact_id == person
    await send_notices(app)
    [sent] = app.simulator.messages
    assert (sent.to, sent.subject) == (MAIL, "You are unsubscribed")
    message = await message_to(app, person)
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == f"skipped: {Reason.OPTED_OUT.sentence}"


@pytest.mark.both_databases
@pytest.mark.parametrize("known", [True, False], ids=["known number", "unknown number"])
async def test_ten_stops_at_the_same_moment_make_one_opt_out_and_one_confirmation(app: App, known: bool) -> None:
    person = await person_of(app) if known else None
    answers = await asyncio.gather(*(hear(app, word) for word in ["STOP", "stop", "Unsubscribe", "End", "QUIT"] * 2))
    actions = [answer.action_taken for answer in answers]
    assert (actions.count("opted_out"), actions.count("opted_out_already")) == (1, 9)
    assert await notices(app) == [CONFIRMATION]
    assert len(await all_of(app, OptOut)) == 1
    assert len(await all_of(app, StoredReply)) == 10
    if person:
        assert await trust_of(app, person) == 0.0


@pytest.mark.both_databases
async def test_the_same_stop_delivered_ten_times_at_once_is_taken_in_once(app: App) -> None:
    await person_of(app)
    answers = await asyncio.gather(*(hear(app, "STOP", provider_message_id="SM1") for _ in range(10)))
    assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 9
    assert {(answer.id, answer.action_taken) for answer in answers} == {(answers[0].id, "opted_out")}
    assert await notices(app) == [CONFIRMATION]
    assert len(await all_of(app, StoredReply)) == 1


@pytest.mark.both_databases
async def test_the_confirmation_leaves_once_although_several_workers_look_for_it(app: App) -> None:
    await person_of(app)
    await app.start_workers(["notices"])
    await app.start_workers(["notices"])
    await asyncio.gather(*(hear(app, "STOP") for _ in range(4)))
    while {row.status for row in await all_of(app, Notice)} != {Status.SENT}:
        await asyncio.sleep(0.01)
    assert len(app.simulator.messages) == 1


async def test_a_start_brings_back_what_comes_from_then_on_and_says_so(app: App) -> None:
    person = await person_of(app)
    await hear(app, "STOP")
    await hear(app, "STOP", MAIL)
    lost = await message_to(app, person)
    await outcome_of(app, EVENT_MESSAGE, lost.id)
    app.clock.move(HOUR)
    assert (await hear(app, "START")).action_taken == "opted_in"
    assert [row.ended_at for row in await all_of(app, OptOut)] == [
        NOON + HOUR,
        None,
    ]  # the mail address was not asked
    assert (await hear(app, "START", MAIL)).action_taken == "opted_in"
    assert [row.ended_at for row in await all_of(app, OptOut)] == [NOON + HOUR, NOON + HOUR]
    assert ("opt_in_confirmation", "sms", PHONE) in await notices(app)
    for channel in ("sms", "email"):
        await sent_to(app, person, channel=channel)
    assert (await app.events.get_message(lost.id)).status == Status.SKIPPED
    assert (await hear(app, "STOP")).action_taken == "opted_out"
    assert (await notices(app)).count(CONFIRMATION) == 2


async def test_help_is_answered_also_to_somebody_who_opted_out(open_app: OpenApp, database_url: str) -> None:
    app = await open_app(database_url=database_url, brand="DemoCon", support="help@democon.example")
    await hear(app, "STOP")
    assert (await hear(app, "HELP")).action_taken == "help_sent"
    assert await notices(app) == [CONFIRMATION, ("help", "sms", PHONE)]
    await send_notices(app)
    assert "help@democon.example" in app.simulator.messages[1].text
    assert app.simulator.messages[1].text.startswith("DemoCon:")


async def test_a_commands_answer_is_of_use_for_a_day(app: App) -> None:
    await hear(app, "HELP")
    app.clock.move(DAY + HOUR)
    await send_notices(app)
    assert not app.simulator.messages
    assert [row.status_reason for row in await all_of(app, Notice)] == [Reason.EXPIRED]


# What a reply answers


async def test_a_rating_goes_to_the_latest_message_that_asked_for_one_and_has_none(app: App) -> None:
    person = await person_of(app)
    early = await sent_to(app, person, message_type="pcr_request")
    app.clock.move(HOUR)
    late = await sent_to(app, person, message_type="pcr_request")
    app.clock.move(HOUR)
    other = await sent_to(app, person)
    heard = [await hear(app, text) for text in ("9", "I'd give it a 7, thanks", "8")]
    assert [one.message for one in heard] == [f"event-message-{one.id}" for one in (late, early, other)]
    assert [(one.rating, one.action_taken) for one in heard] == [
        (9, "rating_recorded"),
        (7, "rating_recorded"),
        (8, "reply_recorded"),
    ]
    rows = [await app.events.get_message(message.id) for message in (early, late, other)]
    assert [row.pcr_score for row in rows] == [7, 9, None]
    assert rows[1].response_received == "9"
    assert rows[1].response_time == NOON + 2 * HOUR
    assert rows[1].action_taken == "rating_recorded"


async def test_a_text_goes_to_the_latest_message_or_to_the_one_that_it_refers_to(app: App) -> None:
    person = await person_of(app)
    first = await sent_to(app, person)
    app.clock.move(HOUR)
    second = await sent_to(app, person)
    unsent = await message_to(app, person)
    assert (await hear(app, "See you there")).message == f"event-message-{second.id}"
    referring = {"in_reply_to": await provider_id_of(app, first)}
    assert (await hear(app, "Thanks", **referring)).message == f"event-message-{first.id}"
    assert (await hear(app, "10", **referring)).message == f"event-message-{first.id}"
    assert (await hear(app, "Who is it?", in_reply_to="never-heard-of")).message == f"event-message-{second.id}"
    assert (await app.events.get_message(second.id)).response_received == "See you there\nWho is it?"
    assert (await app.events.get_message(unsent.id)).response_received is None
    app.clock.move(15 * DAY)
    assert (await hear(app, "Hello again")).message is None


async def test_the_answer_to_a_command_is_no_message_that_people_answer(app: App) -> None:
    person = await person_of(app)
    message = await sent_to(app, person)
    app.clock.move(HOUR)
    await hear(app, "HELP")
    await send_notices(app)
    assert (await hear(app, "Thank you")).message == f"event-message-{message.id}"


async def test_what_a_stranger_says_is_kept_although_it_answers_nothing(app: App) -> None:
    received = await hear(app, "Who is this?")
    assert (received.contact_id, received.message, received.action_taken) == (None, None, "reply_recorded")
    [row] = await all_of(app, StoredReply)
    assert (row.sender, row.text, row.received_at) == (PHONE, "Who is this?", NOON)


async def test_a_reply_by_mail_is_its_senders(app: App) -> None:
    person = await person_of(app)
    message = await sent_to(app, person, channel="email")
    received = await hear(app, "Great, thanks!", " ADA@example.com ")
    assert (received.contact_id, received.message) == (person, f"event-message-{message.id}")


async def test_a_reply_keeps_when_it_was_said_but_never_a_moment_to_come(app: App) -> None:
    await hear(app, "Hi", received_at=NOON - HOUR)
    await hear(app, "Hi", received_at=NOON + DAY)
    assert [row.received_at for row in await all_of(app, StoredReply)] == [NOON - HOUR, NOON]


# What a reply changes


async def test_how_a_reply_sounds_is_kept_calls_a_person_and_moves_trust(app: App) -> None:
    person = await person_of(app)
    message = await sent_to(app, person)
    trust = 50.0
    for text, action, change in (
        ("Great, thank you so much, I love it!", "reply_recorded", 10.0),
        ("I am at the door", "reply_recorded", 3.0),
        ("This is awful, I hate it, worst event ever", "needs_person", -15.0),
    ):
        received = await hear(app, text)
        assert received.action_taken == action
        trust += change
        assert await trust_of(app, person) == trust
        row = await app.events.get_message(message.id)
        assert (row.sentiment_score, row.action_taken) == (received.sentiment_score, action)
    kept = await app.events.get_message(message.id)
    await hear(app, "STOP")
    row = await app.events.get_message(message.id)
    assert (row.sentiment_score, row.action_taken) == (kept.sentiment_score, "opted_out")
    assert await trust_of(app, person) == 0.0
    for _ in range(11):
        await hear(app, "Great, thank you so much, I love it!")
    assert await trust_of(app, person) == 100.0


@pytest.mark.both_databases
async def test_ten_replies_of_one_person_at_the_same_moment_are_all_kept_and_all_count(app: App) -> None:
    person = await person_of(app)
    await asyncio.gather(*(hear(app, "I am at the door") for _ in range(10)))
    assert len(await all_of(app, StoredReply)) == 10
    assert await trust_of(app, person) == 80.0


@pytest.mark.both_databases
async def test_a_reply_that_is_delivered_again_changes_nothing(app: App) -> None:
    person = await person_of(app)
    message = await sent_to(app, person)
    first = await hear(app, "Great, thanks", provider_message_id="SM1")
    again = await hear(app, "Great, thanks", provider_message_id="SM1")
    assert (again.duplicate, again.id, again.message) == (True, first.id, first.message)
    assert (again.action_taken, again.sentiment_score) == (first.action_taken, first.sentiment_score)
    assert (await app.events.get_message(message.id)).response_received == "Great, thanks"
    assert await trust_of(app, person) == 60.0
    assert not (await hear(app, "Great, thanks", provider="other", provider_message_id="SM1")).duplicate


async def test_a_reply_whose_sender_cannot_be_read_is_kept_for_a_person_and_never_refused(open_app: OpenApp) -> None:
    app = await open_app()
    senders = ("", "nobody", "12", "ada@", "+1 212 555 0123 ext. 5")
    for sender in senders:
        received = await hear(app, "STOP", sender)
        assert (received.action_taken, received.command) == ("sender_unreadable", Command.STOP)
    assert [row.sender for row in await all_of(app, StoredReply)] == [*senders]
    assert await all_of(app, OptOut) == await all_of(app, Notice) == []


# Whose number it is


@pytest.mark.parametrize(
    ("region", "sender", "person"),
    [
        ("DE", "4915112345678", "+4915112345678"),
        ("US", "447911123456", "+447911123456"),
        ("US", "+5215512345678", "+525512345678"),
        ("US", "551187654321", "+5511987654321"),
        ("US", "5491123456789", "+541123456789"),
        ("DE", "4915112345678@s.whatsapp.net", "+4915112345678"),
    ],
    ids=[
        "Germany without +",
        "Britain, read in the US",
        "Mexico's old 1",
        "Brazil without the 9",
        "Argentina",
        "WhatsApp",
    ],
)
async def test_a_stop_finds_its_sender_however_the_provider_writes_the_number(
    open_app: OpenApp, database_url: str, region: str, sender: str, person: str
) -> None:
    app = await open_app(database_url=database_url, default_region=region)
    ada = await person_of(app, phone=person)
    assert (await hear(app, "STOP", sender)).action_taken == "opted_out"
    message = await message_to(app, ada)
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == f"skipped: {Reason.OPTED_OUT.sentence}"
