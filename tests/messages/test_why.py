"""For every message a person can ask why it did, or did not, go out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from messages.due_messages import (
    EVENT_MESSAGE,
    FOLLOW_UP,
    HOUR,
    MINUTE,
    NOON,
    PHONE,
    OpenApp,
    Provider,
    change,
    follow_up_to,
    on_terms,
    outcome_of,
    person_of,
)
from messages.due_messages import message_to as _message_to
from tidings.ai.base import Draft
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import InvalidInput, NotFound, SendError
from tidings.features.events.models import EventMessage
from tidings.features.followups.models import FollowUp
from tidings.messages.gate.terms import ConsentNeed, IfBlocked, promotional
from tidings.messages.inbound.replies import IncomingReply
from tidings.messages.inbound.reports import StatusUpdate
from tidings.messages.kind import Content, Message
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.statuses import Status

TOLL_FREE = "+18005550123"
USEFUL = "It was of use until Wed 25 Nov 2026 17:00:00 UTC."


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def app(open_app: OpenApp, database_url: str, provider: Provider) -> App:
    return await open_app(
        database_url=database_url, clock=ManualClock(NOON), providers={"sms": provider}, frequency_caps="1/1d"
    )


async def message_to(app: App, **more: Any) -> EventMessage:
    """A message that is due now, and of use for a day."""
    return await _message_to(app, await person_of(app), message_type="post_event_wrap_up", **more)


async def deliver(app: App, message: EventMessage) -> None:
    """One taking of a message, however it ends."""
    await outcome_of(app, EVENT_MESSAGE, message.id)


async def story(app: App, message: EventMessage | FollowUp) -> tuple[str, list[str]]:
    kind = app.kinds[EVENT_MESSAGE if isinstance(message, EventMessage) else FOLLOW_UP]
    answer = await app.why.explain(kind.job_id(message.id))
    assert answer.message == kind.job_id(message.id)
    async with app.work.read() as session:
        assert answer.status == await session.scalar(select(kind.model.status).where(kind.model.id == message.id))
    return answer.summary, list(answer.sentences)


async def test_a_message_that_waits_for_its_time_says_until_when(app: App) -> None:
    message = await message_to(app, scheduled_time=(NOON + 90 * MINUTE).isoformat())
    assert await story(app, message) == ("It waits until Tue 24 Nov 2026 18:30:00 UTC.", [])


async def test_a_sent_message_says_by_whom_when_and_how_late(app: App) -> None:
    message = await message_to(app)
    app.clock.move(timedelta(seconds=0.042))
    await deliver(app, message)
    assert await story(app, message) == (
        "It was sent.",
        ["Tue 24 Nov 2026 17:00:00 UTC: handed to carrier by sms, 42 ms after its time (attempt 1).", USEFUL],
    )
    late = await message_to(app)
    app.clock.move(75 * MINUTE)
    await deliver(app, late)
    assert "carrier by sms, 4,500 s after its time" in (await story(app, late))[1][0]


async def test_replies_and_delivery_reports_stand_where_they_happened(app: App) -> None:
    message = await message_to(app)
    await deliver(app, message)
    name = f"event-message-{message.id}"
    app.clock.move(MINUTE)
    await app.inbound.receive_status(StatusUpdate(DeliveryStatus.DELIVERED, message=name))
    app.clock.move(MINUTE)
    await app.inbound.receive_reply(IncomingReply("n8n", "1", PHONE, "I am at the door " + "and wait " * 20))
    app.clock.move(MINUTE)
    await app.inbound.receive_status(StatusUpdate(DeliveryStatus.READ, message=name))
    summary, sentences = await story(app, message)
    assert summary == "It was sent."
    sentences.remove(USEFUL)
    assert [sentence[16:24] for sentence in sentences] == ["17:00:00", "17:02:00", "17:03:00"]
    assert "they replied 'I am at the door and wait" in sentences[1]
    assert sentences[1].endswith("…' (reply recorded).")
    assert sentences[2].endswith("the provider reported READ.")


async def test_a_failed_delivery_says_what_the_provider_said(app: App) -> None:
    message = await message_to(app)
    await deliver(app, message)
    report = StatusUpdate(DeliveryStatus.FAILED, message=f"event-message-{message.id}", error="landline")
    await app.inbound.receive_status(report)
    assert (await story(app, message))[1][-1] == (
        "Tue 24 Nov 2026 17:00:00 UTC: the provider reported FAILED: landline."
    )


async def test_a_deferred_message_says_what_it_waits_for_and_what_the_clock_showed(app: App) -> None:
    app.clock.move(10 * HOUR)
    on_terms(app, FOLLOW_UP, promotional(IfBlocked.DEFER, ConsentNeed.NOT_REVOKED, min_trust=40.0))
    message = await follow_up_to(app, await person_of(app))
    await outcome_of(app, FOLLOW_UP, message.id)
    summary, sentences = await story(app, message)
    assert summary == "It waits until Wed 25 Nov 2026 13:00:00 UTC."
    assert sentences == [
        "Wed 25 Nov 2026 03:00:00 UTC: it was put off, because it was within the recipient's quiet hours.",
        "The recipient has not said anything about consent; such a message goes unless consent was taken back.",
        "The recipient's trust was 50 of 100; the message needed 40.",
        "Promotional messages that the recipient had lately: 0; the caps are 1/1d.",
        "It was 22:00 in America/New_York; quiet hours are 21:00-08:00.",
        "It was of use until Sat 28 Nov 2026 03:00:00 UTC.",
    ]


async def test_a_number_of_many_zones_names_some_of_them(app: App) -> None:
    app.clock.move(10 * HOUR)
    message = await follow_up_to(app, await person_of(app, phone=TOLL_FREE))
    await outcome_of(app, FOLLOW_UP, message.id)
    [clocks] = [sentence for sentence in (await story(app, message))[1] if "quiet hours are" in sentence]
    assert clocks.count(" in ") == 3
    assert "more zones; quiet hours are 21:00-08:00." in clocks


async def test_a_skipped_message_says_what_forbade_it(app: App) -> None:
    on_terms(app, FOLLOW_UP, promotional(IfBlocked.DROP, ConsentNeed.GRANTED))
    opted_out = await message_to(app)
    revoked = await follow_up_to(app, opted_out.contractor_id)
    await app.consents.record(revoked.contractor_id, granted=False)
    await outcome_of(app, FOLLOW_UP, revoked.id)
    app.clock.move(HOUR)
    await app.contacts.opt_out(PHONE)
    await deliver(app, opted_out)
    summary, sentences = await story(app, opted_out)
    assert summary == "It was not sent: the recipient has opted out."
    assert sentences == [
        "Tue 24 Nov 2026 18:00:00 UTC: it was not sent, because the recipient has opted out.",
        "The recipient had opted out at Tue 24 Nov 2026 18:00:00 UTC.",
        USEFUL,
    ]
    summary, sentences = await story(app, revoked)
    assert summary == "It was not sent: the recipient took back the consent to such messages."
    assert "The recipient has taken consent back; such a message needs consent." in sentences


async def test_a_failed_message_says_every_attempt_and_its_last_error(app: App, provider: Provider) -> None:
    message = await message_to(app)
    provider.refusals = [SendError("out of order", retryable=True), SendError("number unknown", retryable=False)]
    await deliver(app, message)
    app.clock.move(MINUTE)
    await deliver(app, message)
    assert await story(app, message) == (
        "It failed: number unknown.",
        [
            "Tue 24 Nov 2026 17:00:00 UTC: carrier did not take it (attempt 1): out of order.",
            USEFUL,
            "Tue 24 Nov 2026 17:01:00 UTC: it failed for good (attempt 2): number unknown.",
            USEFUL,
        ],
    )


async def test_a_cancelled_message_says_who_cancelled_it(app: App) -> None:
    message = await message_to(app)
    await app.events.cancel_event_message(message.id)
    assert await story(app, message) == (
        "It was cancelled: somebody asked for it.",
        ["Tue 24 Nov 2026 17:00:00 UTC: it was cancelled, because somebody asked for it."],
    )


async def test_a_message_under_way_says_so(app: App) -> None:
    message = await message_to(app)
    async with app.database.writer.begin() as connection:
        await connection.execute(update(EventMessage).values(status=Status.SENDING, held_until=NOON + MINUTE))
    assert (await story(app, message))[0].startswith("It is being sent right now")


async def test_a_text_says_who_wrote_it_and_why_not_the_model(app: App) -> None:
    drafts = {
        "Its text was written by openai (gpt-4o-mini).": Draft("Hi", "openai", "gpt-4o-mini", None, None),
        "Its text was written by template.": Draft("Hi", "template", None, None, None),
        "Its text was written by template (gpt-4o-mini), since it named a price.": Draft(
            "Hi", "template", "gpt-4o-mini", "it named a price", None
        ),
    }
    for sentence, draft in drafts.items():
        message = await message_to(app)

        async def compose(message: Message, draft: Draft = draft) -> Content:
            return Content(draft.text, draft=draft)

        change(app, EVENT_MESSAGE, compose=compose)
        await deliver(app, message)
        assert (await story(app, message))[1][-1] == sentence


async def test_notices_have_their_stories_too(app: App) -> None:
    await app.inbound.receive_reply(IncomingReply("n8n", "1", PHONE, "HELP"))
    answer = await app.why.explain("notice-1")
    assert answer.summary == "It waits until Tue 24 Nov 2026 17:00:00 UTC."


async def test_what_is_no_message_is_named_with_what_there_is(open_app: OpenApp) -> None:
    app = await open_app()
    with pytest.raises(NotFound, match="event-message 4711"):
        await app.why.explain("event-message-4711")
    with pytest.raises(NotFound, match=r"carrier-pigeon; there are .*event-message.*notice"):
        await app.why.explain("carrier-pigeon-1")
    for name in ("", "4711", "event-message", "event-message-", "event-message-x", "event-message-²"):
        with pytest.raises(InvalidInput, match="event-message-123"):
            await app.why.explain(name)
