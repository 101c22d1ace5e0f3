"""A proactive message on its way out, and what its answer or silence changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from proactive.desk import DAY, NOW, Desk, trigger
from support.sink import Sink
from tidings.app import App
from tidings.clock import AcceleratedClock, ManualClock, Stage
from tidings.engine.jobs import PostponeJob
from tidings.engine.policy import RateLimit
from tidings.features.proactive.jobs import EVERY_FIVE_MINUTES, EVERY_HOUR, IGE_AUTOMATION, PROACTIVE_MESSAGES
from tidings.features.proactive.models import ProactiveMessage
from tidings.features.proactive.safeguards import SILENCE_COST
from tidings.features.proactive.states import Suggestion
from tidings.messages.gate.trust import HELPFUL_REPLY, OPTED_OUT, UNKNOWN
from tidings.messages.inbound.replies import IncomingReply
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import Reason, Status

OpenApp = Callable[..., Awaitable[App]]
PHONE = "+18105550123"


async def sent_messages(desk: Desk, count: int) -> list[ProactiveMessage]:
    """Waits until so many messages are sent."""
    while True:
        rows = [row for row in await desk.messages() if row.status == Status.SENT]
        if len(rows) >= count:
            return rows
        await asyncio.sleep(0.01)


def test_the_queues_are_those_of_the_specification() -> None:
    assert (IGE_AUTOMATION.name, IGE_AUTOMATION.concurrency) == ("ige-automation", 1)
    assert (PROACTIVE_MESSAGES.name, PROACTIVE_MESSAGES.concurrency) == ("proactive-messages", 1)
    assert PROACTIVE_MESSAGES.rate_limit == RateLimit(1, 2.0)
    assert (EVERY_HOUR.job_type.queue, EVERY_HOUR.cron, EVERY_HOUR.seconds) == (IGE_AUTOMATION, "0 * * * *", 3600)
    assert (EVERY_FIVE_MINUTES.job_type.queue, EVERY_FIVE_MINUTES.cron) == (PROACTIVE_MESSAGES, "*/5 * * * *")


async def test_a_stalled_goal_leads_to_a_text_within_the_hour_and_nobody_has_to_do_anything(
    open_app: OpenApp, database_url: str
) -> None:
    """Both schedules, the cycle and the way out, with hours that last a second."""
    clock = AcceleratedClock(Stage(NOW, 3600))
    app = await open_app(
        database_url=database_url,
        clock=clock,
        quiet_hours="off",
        queue_settings={"PROACTIVE_MESSAGES_RATE_LIMIT": "off"},
    )
    desk = Desk(app, ManualClock(NOW))
    goal = await desk.goal(await desk.contact(), idle_days=9, checklist=["Call Ben"])
    await app.start_workers()
    [row] = await sent_messages(desk, 1)
    assert row.sent_at is not None
    assert row.sent_at - NOW < timedelta(hours=12)
    assert row.ai_reasoning == f"Goal #{goal.id} has 1 pending checklist item and no progress for 9 days"
    [text] = app.simulator.messages
    assert text.text == row.message_content


async def test_the_webhook_gets_the_payload_of_the_specification(open_app: OpenApp, database_url: str) -> None:
    async with Sink() as sink:
        app = await open_app(database_url=database_url, n8n_outbound_webhook_url=sink.url, quiet_hours="off")
        desk = Desk(app, ManualClock(app.clock.now()))
        contact = await desk.contact(name="John Doe", phone=PHONE)
        row = await desk.made(desk.proactive(deliver_now=True))
        await app.start_workers()
        [sent] = await sent_messages(desk, 1)
        [(key, payload)] = sink.taken.items()
        assert payload == {
            "phone": PHONE,
            "message": "Hi John, how are you?",
            "contractor_id": contact,
            "message_type": "test",
            "kind": "proactive-message",
            "name": f"proactive-message-{row.id}",
            "message_id": row.id,
            "contractor_name": "John Doe",
            "ai_reasoning": "Everybody is greeted",
        }
        assert key.startswith(f"proactive-message-{row.id}-")
        assert sent.sent_at is not None
        assert sent.silence_due == sent.sent_at + 7 * DAY


async def test_messages_that_are_due_together_leave_as_far_apart_as_the_queue_says(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(
        database_url=database_url, quiet_hours="off", queue_settings={"PROACTIVE_MESSAGES_RATE_LIMIT": "1/0.25"}
    )
    desk = Desk(app, ManualClock(app.clock.now()))
    for _ in range(4):
        await desk.contact()
    await desk.proactive(deliver_now=True).evaluate_proactive_triggers()
    start = app.clock.now()
    await app.start_workers()
    activities = sorted(row.sent_at for row in await sent_messages(desk, 4) if row.sent_at)
    for number, moment in enumerate(activities):  # windows open with the start of a job, which comes before its end
        assert moment - start > number * timedelta(seconds=0.24)


async def test_a_message_that_the_webhook_refuses_has_failed_and_its_contact_gets_another_one_later(
    open_app: OpenApp, database_url: str
) -> None:
    async with Sink(lambda payload: (400, {})) as sink:
        app = await open_app(database_url=database_url, n8n_outbound_webhook_url=sink.url, quiet_hours="off")
        desk = Desk(app, ManualClock(app.clock.now()))
        await desk.contact()
        row = await desk.made(desk.proactive(deliver_now=True))
        await app.start_workers()
        while (row := await app.proactive.get_message(row.id)).status != Status.FAILED:
            await asyncio.sleep(0.01)
        assert (row.sent_at, row.silence_due) == (None, None)
        assert "400" in (row.error_message or "")
        await desk.set(ProactiveMessage, row.id, created_at=app.clock.now() - 4 * DAY)
        other = trigger(Suggestion("x", "Again", "Hi"), message_type="other")
        assert (await desk.proactive(other).evaluate_proactive_triggers()).created == 1


@pytest.mark.both_databases
async def test_a_job_that_runs_twice_sends_once(desk: Desk) -> None:
    await desk.contact()
    row = await desk.sent()
    assert row.sent_at == NOW
    assert await desk.deliver(row.id) == "skipped: sent"
    assert len(desk.app.simulator.messages) == 1


async def test_the_ledger_tells_who_wrote_the_text_and_why_no_ai_did(desk: Desk) -> None:
    await desk.contact()
    row = await desk.sent()
    async with desk.app.work.read() as session:
        line = await session.scalar(select(LedgerEntry).where(LedgerEntry.message_id == row.id))
    assert line is not None
    assert line.inputs["written_by"]["author"] == "template"
    assert "OPENAI_API_KEY" in line.inputs["written_by"]["fallback"]


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (lambda desk, goal: desk.app.proactive.goals.complete(goal.id), Reason.ACTION_ITEM_COMPLETED),
        (lambda desk, goal: desk.app.proactive.goals.record_progress(goal.id, 60), Reason.OVERTAKEN),
        (
            lambda desk, goal: desk.app.proactive.goals.complete_checklist_item(goal.checklist[0].id),
            Reason.OVERTAKEN,
        ),
    ],
    ids=["goal reached", "progress", "step taken"],
)
async def test_a_message_about_a_goal_that_came_forward_since_is_not_sent(
    desk: Desk, happens: Callable[[Desk, Any], Awaitable[Any]], reason: Reason
) -> None:
    goal = await desk.goal(await desk.contact(), idle_days=9, checklist=["Call Ben"])
    row = await desk.made(desk.app.proactive)
    desk.clock.move(timedelta(minutes=1))
    await happens(desk, goal)
    await desk.app.proactive.deliver_waiting()
    await desk.deliver(row.id)
    stored = await desk.app.proactive.get_message(row.id)
    assert (stored.status, stored.status_reason) == (Status.SKIPPED, reason)
    assert not desk.app.simulator.messages


async def test_a_message_in_the_night_waits_for_the_morning_and_one_that_would_be_stale_by_then_is_skipped(
    desk: Desk,
) -> None:
    await desk.contact(timezone="Asia/Tokyo")  # midnight there
    morning = datetime.fromisoformat("2026-03-10T23:00+00:00")
    short = trigger(Suggestion("x", "why", "Hi", useful_until=NOW + timedelta(hours=2)))
    late = await desk.made(desk.proactive(deliver_now=True))
    with pytest.raises(PostponeJob) as postponed:
        await desk.deliver(late.id)
    assert postponed.value.until == morning
    assert (await desk.app.proactive.get_message(late.id)).status == Status.SCHEDULED
    other = await desk.contact(timezone="Asia/Tokyo")
    await desk.proactive(short, deliver_now=True).evaluate_proactive_triggers()
    [stale] = [row for row in await desk.messages() if row.contractor_id == other]
    await desk.deliver(stale.id)
    stored = await desk.app.proactive.get_message(stale.id)
    assert (stored.status, stored.status_reason) == (Status.SKIPPED, Reason.QUIET_HOURS)


async def answer(desk: Desk, text: str, number: int = 1) -> None:
    await desk.app.inbound.receive_reply(IncomingReply("n8n", f"reply-{number}", PHONE, text, desk.clock.now()))


async def test_an_answer_is_kept_with_its_message_and_later_ones_are_added(desk: Desk) -> None:
    contact = await desk.contact(phone=PHONE)
    row = await desk.sent()
    desk.clock.move(timedelta(minutes=90))
    await answer(desk, "Great, thank you so much!", 1)
    desk.clock.move(timedelta(minutes=5))
    await answer(desk, "And see you soon", 2)
    stored = await desk.app.proactive.get_message(row.id)
    assert stored.contractor_response == "Great, thank you so much!\nAnd see you soon"
    assert (stored.response_received_at, stored.response_minutes) == (NOW + timedelta(minutes=90), 90)
    assert stored.sentiment_score is not None
    assert stored.sentiment_score > 0.3
    assert stored.silence_due is None
    assert await desk.trust(contact) > UNKNOWN + HELPFUL_REPLY - 1
    stats = await desk.app.proactive.get_stats()
    assert (stats.replied, stats.by_trigger["test"].replied) == (1, 1)


async def test_a_stop_is_kept_as_the_answer_without_a_sentiment_and_costs_trust(desk: Desk) -> None:
    contact = await desk.contact(phone=PHONE)
    row = await desk.sent()
    await answer(desk, "STOP")
    stored = await desk.app.proactive.get_message(row.id)
    assert (stored.contractor_response, stored.sentiment_score) == ("STOP", None)
    assert await desk.trust(contact) == UNKNOWN + OPTED_OUT
    desk.clock.move(30 * DAY)
    other = trigger(Suggestion("x", "Again", "Hi"), message_type="other")
    assert (await desk.proactive(other).evaluate_proactive_triggers()).contacts == 0


async def test_a_week_of_silence_costs_trust_once(desk: Desk) -> None:
    contact = await desk.contact()
    await desk.sent()
    silent = []
    for move in (7 * DAY - timedelta(seconds=1), timedelta(seconds=1), 7 * DAY):
        desk.clock.move(move)
        silent.append((await desk.app.proactive.evaluate_proactive_triggers()).silent)
    assert silent == [0, 1, 0]
    assert await desk.trust(contact) == UNKNOWN - SILENCE_COST


@pytest.mark.both_databases
async def test_silence_is_counted_once_by_two_evaluations_at_once(desk: Desk) -> None:
    contact = await desk.contact()
    await desk.sent()
    desk.clock.move(8 * DAY)
    results = await asyncio.gather(*(desk.app.proactive.evaluate_proactive_triggers() for _ in range(4)))
    assert sum(result.silent for result in results) == 1
    assert await desk.trust(contact) == UNKNOWN - SILENCE_COST


async def test_an_answer_to_whatever_message_ends_the_silence(desk: Desk) -> None:
    contact = await desk.contact(phone=PHONE)
    row = await desk.sent()
    desk.clock.move(DAY)
    await answer(desk, "Hello there")
    await desk.set(ProactiveMessage, row.id, contractor_response=None, silence_due=NOW + 7 * DAY)
    before = await desk.trust(contact)
    desk.clock.move(9 * DAY)
    assert (await desk.app.proactive.evaluate_proactive_triggers()).silent == 0
    assert await desk.trust(contact) == before


async def test_whoever_stays_silent_ends_below_the_threshold_and_then_a_person_decides(desk: Desk) -> None:
    contact = await desk.contact()
    for number in range(3):
        proactive = desk.proactive(trigger(Suggestion(f"{number}", "why", "Hi")))
        await proactive.evaluate_proactive_triggers()
        for row in await proactive.deliver_waiting():
            await desk.deliver(row.id)
        desk.clock.move(8 * DAY)
    await desk.app.proactive.evaluate_proactive_triggers()
    assert await desk.trust(contact) == UNKNOWN - 3 * SILENCE_COST
    result = await desk.proactive(trigger(Suggestion("last", "why", "Hi"))).evaluate_proactive_triggers()
    assert (result.created, result.awaiting_approval) == (1, 1)
