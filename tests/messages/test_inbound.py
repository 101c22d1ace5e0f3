"""The door in: what people answer, what providers report, and that saying it twice changes nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tidings.app import App
from tidings.clock import ManualClock
from tidings.engine.jobs import Run
from tidings.errors import InvalidInput, NotFound
from tidings.features.events.kind import event_outbox
from tidings.features.events.models import EventMessage
from tidings.messages.delivery.pipeline import Road, Ways
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.gate.policy import Rules
from tidings.messages.inbound import replies as inbound
from tidings.messages.inbound.keywords import Command
from tidings.messages.inbound.notices import Notice, notice_outbox
from tidings.messages.inbound.replies import IncomingReply, Received, StatusUpdate
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.ledger import Delivery, DeliveryStatus
from tidings.messages.statuses import Reason, Status
from tidings.providers.base import Outgoing, Receipt

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2026, 11, 24, 17, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PHONE, MAIL = "+12125550123", "ada@example.com"

_numbers = itertools.count(1)


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(database_url=database_url, clock=ManualClock(NOW))


async def person_of(app: App, **more: Any) -> int:
    person, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": PHONE, "email": MAIL, **more})
    return person.id


async def message_to(app: App, person: int, **more: Any) -> EventMessage:
    """A message that is due now."""
    now = app.clock.now()
    event = await app.events.create_event(
        {"name": "DemoCon", "date": (now + DAY).date().isoformat(), "timezone": "UTC"}
    )
    return await app.events.schedule_event_message(
        {
            "event_id": event.id,
            "contractor_id": person,
            "message_type": "sponsor_recommendation",
            "scheduled_time": now.isoformat(),
            "session_key": f"s{next(_numbers)}",
            "message_content": "How was it?",
            **more,
        }
    )


async def deliver(app: App, message_id: int) -> str:
    """Brings one event message out through the simulator."""
    outbox = event_outbox(app.policies["event-messages"])
    road = Road(outbox, app.work, Ways(app.channels), Rules(), deadline=1.0)
    return await road.deliver(message_id, Run("job", 1, last=True, request_id="req_test"))


async def sent_to(app: App, person: int, **more: Any) -> EventMessage:
    message = await message_to(app, person, **more)
    assert await deliver(app, message.id) == "sent"
    return message


async def provider_id_of(app: App, message: EventMessage) -> str:
    async with app.work.read() as session:
        found = await session.scalar(
            select(Delivery.provider_message_id).where(
                Delivery.message_id == message.id, Delivery.kind == "event-message", Delivery.outcome == "sent"
            )
        )
    assert found is not None
    return found


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
    road = Road(notice_outbox(app.policies["notices"]), app.work, Ways(app.channels), Rules(), deadline=1.0)
    for row in await all_of(app, Notice):
        await road.deliver(row.id, Run("job", 1, last=True, request_id="req_test"))


async def trust_of(app: App, person: int) -> float:
    return (await app.contacts.get_standing(person)).trust


CONFIRMATION = ("opt_out_confirmation", "sms", PHONE)


# STOP, START and HELP


async def test_a_stop_ends_everything_that_waits_and_is_confirmed_once(app: App) -> None:
    person = await person_of(app)
    waiting = [await message_to(app, person), await message_to(app, person, channel="email")]
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
        assert await deliver(app, message.id) == f"skipped: {Reason.OPTED_OUT.sentence}"
    assert len(app.simulator.messages) == 1
    [row] = await all_of(app, OptOut)
    assert (row.address, row.contact_id, row.source, row.words) == (PHONE, person, "reply", "Stop please")


async def test_a_stop_of_a_number_that_nobody_knows_is_obeyed_and_confirmed(app: App) -> None:
    received = await hear(app, "STOP")
    assert (received.action_taken, received.contact_id, received.message) == ("opted_out", None, None)
    assert await notices(app) == [CONFIRMATION]
    await send_notices(app)
    assert [sent.to for sent in app.simulator.messages] == [PHONE]
    message = await message_to(app, await person_of(app))
    assert await deliver(app, message.id) == f"skipped: {Reason.OPTED_OUT.sentence}"


async def test_a_stop_by_mail_is_confirmed_by_mail_and_counts_for_the_phone_too(app: App) -> None:
    person = await person_of(app)
    assert (await hear(app, "Please unsubscribe me", "Ada Abara <Ada@Example.com>")).contact_id == person
    await send_notices(app)
    [sent] = app.simulator.messages
    assert (sent.to, sent.subject) == (MAIL, "You are unsubscribed")
    message = await message_to(app, person)
    assert await deliver(app, message.id) == f"skipped: {Reason.OPTED_OUT.sentence}"


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


async def test_the_same_stop_delivered_ten_times_at_once_is_taken_in_once(app: App) -> None:
    await person_of(app)
    answers = await asyncio.gather(*(hear(app, "STOP", provider_message_id="SM1") for _ in range(10)))
    assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 9
    assert {(answer.id, answer.action_taken) for answer in answers} == {(answers[0].id, "opted_out")}
    assert await notices(app) == [CONFIRMATION]
    assert len(await all_of(app, StoredReply)) == 1


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
    await deliver(app, lost.id)
    app.clock.move(HOUR)
    assert (await hear(app, "START")).action_taken == "opted_in"
    assert [row.ended_at for row in await all_of(app, OptOut)] == [NOW + HOUR, NOW + HOUR]
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
    assert rows[1].response_time == NOW + 2 * HOUR
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
    assert (row.sender, row.text, row.received_at) == (PHONE, "Who is this?", NOW)


async def test_a_reply_by_mail_is_its_senders(app: App) -> None:
    person = await person_of(app)
    message = await sent_to(app, person, channel="email")
    received = await hear(app, "Great, thanks!", " ADA@example.com ")
    assert (received.contact_id, received.message) == (person, f"event-message-{message.id}")


async def test_a_reply_keeps_when_it_was_said_but_never_a_moment_to_come(app: App) -> None:
    await hear(app, "Hi", received_at=NOW - HOUR)
    await hear(app, "Hi", received_at=NOW + DAY)
    assert [row.received_at for row in await all_of(app, StoredReply)] == [NOW - HOUR, NOW]


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


async def test_ten_replies_of_one_person_at_the_same_moment_are_all_kept_and_all_count(app: App) -> None:
    person = await person_of(app)
    await asyncio.gather(*(hear(app, "I am at the door") for _ in range(10)))
    assert len(await all_of(app, StoredReply)) == 10
    assert await trust_of(app, person) == 80.0


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


async def test_a_sender_that_is_nobody_is_refused_with_a_sentence(open_app: OpenApp) -> None:
    app = await open_app()
    for sender in ("", "nobody", "12", "ada@", "+1 212 555 0123 ext. 5"):
        with pytest.raises(InvalidInput, match=r"write|leave it out"):
            await hear(app, "STOP", sender)
    assert await all_of(app, StoredReply) == []


# Delivery reports


async def status_of(app: App, message: EventMessage) -> tuple[str | None, str | None]:
    async with app.work.read() as session:
        row = (await session.scalars(select(Delivery).where(Delivery.message_id == message.id))).one()
    return row.delivery_status, row.error


async def test_a_delivery_status_only_moves_upward_and_a_failure_is_final(app: App) -> None:
    person = await person_of(app)
    steps: list[tuple[list[DeliveryStatus], DeliveryStatus]] = [
        ([DeliveryStatus.DELIVERED, DeliveryStatus.READ], DeliveryStatus.READ),
        ([DeliveryStatus.READ, DeliveryStatus.DELIVERED, DeliveryStatus.SENT], DeliveryStatus.READ),
        ([DeliveryStatus.PENDING, DeliveryStatus.SENT], DeliveryStatus.SENT),
        ([DeliveryStatus.DELIVERED, DeliveryStatus.FAILED], DeliveryStatus.DELIVERED),
        ([DeliveryStatus.FAILED, DeliveryStatus.DELIVERED, DeliveryStatus.READ], DeliveryStatus.FAILED),
        ([DeliveryStatus.DELIVERED, DeliveryStatus.DELIVERED], DeliveryStatus.DELIVERED),
    ]
    for reports, end in steps:
        message = await sent_to(app, person)
        provider_id = await provider_id_of(app, message)
        assert await status_of(app, message) == ("SENT", None)
        for report in reports:
            before = (await status_of(app, message))[0]
            changed = await app.inbound.receive_status(StatusUpdate(report, provider_id))
            assert changed == ((await status_of(app, message))[0] != before)
        assert (await status_of(app, message))[0] == end


async def test_a_failed_delivery_keeps_what_the_provider_said(app: App) -> None:
    person = await person_of(app)
    message, silent = await sent_to(app, person), await sent_to(app, person)
    await app.inbound.receive_status(
        StatusUpdate(DeliveryStatus.FAILED, message=f"event-message-{message.id}", error="landline")
    )
    await app.inbound.receive_status(StatusUpdate(DeliveryStatus.FAILED, message=f"event-message-{silent.id}"))
    assert await status_of(app, message) == ("FAILED", "landline")
    assert "not delivered" in ((await status_of(app, silent))[1] or "")
    assert (await app.events.get_message(message.id)).status == Status.SENT


async def test_a_report_that_names_the_message_both_ways_is_understood_by_either(app: App) -> None:
    """A workflow that answered at once gave no id, and knows the provider's only in its report."""
    message = await sent_to(app, await person_of(app))
    report = StatusUpdate(DeliveryStatus.DELIVERED, "SM-of-the-carrier", f"event-message-{message.id}", NOW + DAY)
    assert await app.inbound.receive_status(report)
    async with app.work.read() as session:
        [line] = await session.scalars(select(Delivery))
    assert (line.delivery_status, line.delivery_status_at) == ("DELIVERED", NOW)


async def test_a_report_about_a_message_that_never_left_is_not_found_once_patience_is_over(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "UNRECORDED", (0.001, 0.001))
    unsent = await message_to(app, await person_of(app))
    for report in (
        StatusUpdate(DeliveryStatus.DELIVERED, "never-heard-of"),
        StatusUpdate(DeliveryStatus.DELIVERED, message=f"event-message-{unsent.id}"),
        StatusUpdate(DeliveryStatus.DELIVERED, message="carrier-pigeon-1"),
    ):
        with pytest.raises(NotFound, match="sent message"):
            await app.inbound.receive_status(report)


async def test_a_report_that_comes_before_the_sending_is_recorded_is_not_lost(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "UNRECORDED", (0.01,) * 200)
    look, looked = app.inbound._move_status, asyncio.Event()

    async def look_and_tell(update: StatusUpdate) -> bool:
        try:
            return await look(update)
        finally:
            looked.set()

    monkeypatch.setattr(app.inbound, "_move_status", look_and_tell)
    message = await message_to(app, await person_of(app))
    reports: list[asyncio.Task[bool]] = []

    class ReportsAtOnce:
        name = "quick"

        async def send(self, outgoing: Outgoing) -> Receipt:
            report = app.inbound.receive_status(StatusUpdate(DeliveryStatus.DELIVERED, "quick-1"))
            reports.append(asyncio.ensure_future(report))
            await looked.wait()
            assert not reports[0].done()
            return Receipt(self.name, "quick-1")

        async def close(self) -> None:
            """Nothing to release."""

    app.channels["sms"] = ReportsAtOnce()
    assert await deliver(app, message.id) == "sent"
    assert await reports[0]
    assert (await status_of(app, message))[0] == "DELIVERED"


async def test_a_report_about_nothing_is_refused_with_how_to_name_a_message(open_app: OpenApp) -> None:
    app = await open_app()
    for message in (None, "123", "event-message-", "event-message-1e3", f"event-message-{10**20}"):
        with pytest.raises(InvalidInput, match="event-message-123") as refused:
            await app.inbound.receive_status(StatusUpdate(DeliveryStatus.DELIVERED, message=message))
        assert refused.value.field == ("message" if message else "provider_message_id")
