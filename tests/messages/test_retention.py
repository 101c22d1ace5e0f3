"""What grows for ever is deleted when it is old; what is still needed stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from messages.due_messages import DAY, EVENT_MESSAGE, NOON, OpenApp, Provider, message_to, outcome_of, person_of
from support.app import ledger, run_job
from tidings.app import App
from tidings.clock import ManualClock
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.customers import Customer
from tidings.features.chat.models import Chatbot, ChatMessage, Conversation
from tidings.features.events.models import EventMessage
from tidings.features.shops.models import ShopWebhookEvent
from tidings.messages import retention
from tidings.messages.dead_letters import DeadLetter, DeadLetterStatus
from tidings.messages.gate.standing import Admission
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.ledger import LedgerEntry
from tidings.messages.retention import SWEEP, SweepJob
from tidings.messages.statuses import Status
from tidings.messages.usage import AiUsage

pytestmark = pytest.mark.both_databases

OLD, YOUNG = NOON - 500 * DAY, NOON - DAY


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(
        database_url=database_url, clock=ManualClock(NOON), providers={"sms": Provider()}, frequency_caps="1/1d"
    )


async def sweep(app: App) -> Any:
    return await run_job(app, SWEEP, SweepJob())


async def add(app: App, *rows: Any) -> None:
    async with app.work.begin() as unit:
        unit.session.add_all(rows)


async def kept(app: App, model: Any) -> int:
    async with app.work.read() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


def line(at: datetime, message_id: int = 1, kind: str = EVENT_MESSAGE) -> LedgerEntry:
    return LedgerEntry(at=at, kind=kind, message_id=message_id, outcome="sent", attempt=1)


def reply(at: datetime) -> StoredReply:
    return StoredReply(
        provider="n8n", door="n8n", provider_message_id=str(at), sender="+1", text="hi", received_at=at, created_at=at
    )


def usage(at: datetime) -> AiUsage:
    return AiUsage(at=at, kind=EVENT_MESSAGE, model="m", duration_ms=1.0)


def letter(at: datetime, status: DeadLetterStatus = DeadLetterStatus.DISCARDED) -> DeadLetter:
    return DeadLetter(
        queue="notices",
        name="n",
        job_id=f"{at}-{status}",
        error="e",
        attempts=1,
        failed_at=at,
        request_id="",
        status=status,
    )


def place(at: datetime) -> Admission:
    return Admission(kind=EVENT_MESSAGE, message_id=int(at.timestamp()), contact_id=1, at=at)


@pytest.mark.parametrize("row", [line, reply, usage, letter, place])
async def test_old_rows_are_deleted_and_younger_ones_stay(app: App, row: Callable[[datetime], Any]) -> None:
    model = type(row(OLD))
    await add(app, row(OLD), row(OLD - DAY), row(YOUNG))
    assert await sweep(app) == {model.__tablename__: 2}
    assert await kept(app, model) == 1
    assert await sweep(app) == {}


async def test_what_is_old_goes_portion_by_portion_past_rows_that_stay(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(retention, "PAUSE", 0)
    message = await message_to(app, await person_of(app), scheduled_time=NOON + DAY)
    await add(app, *(line(OLD, message.id) for _ in range(7)))
    await add(app, *(line(OLD, 4711) for _ in range(8)), line(YOUNG))
    assert await sweep(app) == {"deliveries": 8}
    assert await kept(app, LedgerEntry) == 8


async def test_a_run_ends_after_so_many_rows_and_the_next_one_goes_on(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "MOST", 4)
    await add(app, *(usage(OLD) for _ in range(6)))
    assert [await sweep(app), await sweep(app), await sweep(app)] == [{"ai_usage": 4}, {"ai_usage": 2}, {}]


async def test_the_ledger_keeps_what_happened_to_a_message_that_is_still_to_go_out(app: App) -> None:
    message = await message_to(app, await person_of(app), scheduled_time=NOON + DAY)
    await add(app, line(OLD, message.id), line(OLD, message.id, kind="follow-up"))
    assert await sweep(app) == {"deliveries": 1}
    assert [entry.at for entry in await ledger(app, EVENT_MESSAGE, message.id)] == [OLD]


async def test_the_ledger_keeps_what_happened_to_a_message_that_may_have_left(app: App) -> None:
    message = await message_to(app, await person_of(app))
    async with app.work.begin() as unit:
        await unit.session.execute(
            update(EventMessage).where(EventMessage.id == message.id).values(status=Status.UNKNOWN)
        )
    await add(app, line(OLD, message.id))
    assert await sweep(app) == {}


async def test_a_dead_letter_that_nobody_has_dealt_with_stays(app: App) -> None:
    await add(app, letter(OLD, DeadLetterStatus.OPEN), letter(OLD, DeadLetterStatus.RETRIED))
    assert await sweep(app) == {"dead_letters": 1}
    assert [one.status for one in await app.dead_letters.list_letters(status=None)] == [DeadLetterStatus.OPEN]


async def test_a_place_in_the_caps_goes_when_it_counts_in_none_any_more(app: App) -> None:
    await add(app, place(NOON - 33 * DAY), place(NOON - 30 * DAY))
    assert await sweep(app) == {"admissions": 1}


async def test_nothing_goes_that_is_kept_for_ever(open_app: OpenApp, database_url: str) -> None:
    app = await open_app(database_url=database_url, clock=ManualClock(NOON), keep_ledger_days=0)
    await add(app, line(OLD))
    assert await sweep(app) == {}


async def test_messages_of_chats_go_when_they_have_ended_and_conversations_after_them(app: App) -> None:
    times = {"created_at": OLD, "updated_at": OLD}
    customer = Customer(name="C", **times)
    await add(app, customer)
    bot = Chatbot(customer_id=customer.id, name="B", widget_key="k", **times)
    await add(app, bot)
    over, alive, waiting = (
        Conversation(chatbot_id=bot.id, channel="widget", external_user_id=name, last_message_at=last, **times)
        for name, last in (("over", OLD), ("alive", YOUNG), ("waiting", OLD))
    )
    await add(app, over, alive, waiting)

    def said(conversation: Conversation, status: str) -> ChatMessage:
        return ChatMessage(
            conversation_id=conversation.id, role="user", content="x", scheduled_time=OLD, status=status, **times
        )

    await add(app, said(over, "processed"), said(over, "sent"), said(alive, "sent"), said(waiting, "waiting"))
    assert await sweep(app) == {"messages": 3, "conversations": 1}
    assert (await kept(app, ChatMessage), await kept(app, Conversation)) == (1, 2)


async def test_webhooks_go_when_they_have_ended_and_what_shops_told_when_it_was_worked_on(app: App) -> None:
    times = {"created_at": OLD, "updated_at": OLD}
    customer = Customer(name="C", **times)
    await add(app, customer)
    endpoint = WebhookEndpoint(customer_id=customer.id, url="https://a.example", secrets="", **times)
    await add(app, endpoint)
    await add(
        app,
        *(
            WebhookEvent(
                endpoint_id=endpoint.id, webhook_id=status, event="e", scheduled_time=OLD, status=status, **times
            )
            for status in ("sent", "failed", "scheduled")
        ),
    )
    shop, _ = await app.shops.accounts.create({"domain": "a.myshopify.com", "name": "A", "webhook_secret": "s" * 32})
    async with app.work.begin() as unit:
        await unit.session.execute(
            insert(ShopWebhookEvent),
            [
                {
                    "shop_id": shop.id,
                    "event_id": name,
                    "topic": "orders/create",
                    "request_id": "",
                    "received_at": OLD,
                    "evaluated_at": evaluated,
                    "missing": [],
                    "evaluation": {},
                }
                for name, evaluated in (("done", OLD), ("waiting", None))
            ],
        )
    assert await sweep(app) == {"webhook_events": 2, "shop_webhook_events": 1}


async def test_why_says_that_lines_are_gone_because_they_were_old(app: App) -> None:
    message = await message_to(app, await person_of(app))
    name = f"event-message-{message.id}"
    assert await outcome_of(app, EVENT_MESSAGE, message.id)
    assert not [one for one in (await app.why.explain(name)).sentences if "not kept any more" in one]
    clock = app.clock
    assert isinstance(clock, ManualClock)
    clock.move(401 * DAY)
    assert await sweep(app) == {"deliveries": 1}
    story = await app.why.explain(name)
    assert story.summary == "It was sent."
    [gone] = story.sentences
    assert "after 400 days (TIDINGS_KEEP_LEDGER_DAYS)" in gone
