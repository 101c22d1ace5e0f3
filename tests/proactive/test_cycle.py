"""Delivery cycles: twenty at a time, two seconds apart, nobody twice; or at once where that is wanted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from proactive.desk import NOW, Desk
from support.app import restore_jobs
from tidings.errors import Conflict
from tidings.features.proactive.models import ProactiveMessage
from tidings.features.proactive.safeguards import STALE_AFTER
from tidings.messages.statuses import Reason, Status


async def crowd(desk: Desk, contacts: int, **options: Any) -> None:
    """So many waiting messages."""
    for _ in range(contacts):
        await desk.contact()
    assert (await desk.proactive(**options).evaluate_proactive_triggers()).created == contacts


async def test_a_cycle_takes_the_twenty_oldest_two_seconds_apart_and_the_next_one_the_rest(desk: Desk) -> None:
    await crowd(desk, 21)
    ids = [row.id for row in await desk.messages()]
    desk.clock.move(timedelta(minutes=1))
    start = desk.clock.now()
    taken = await desk.app.proactive.deliver_waiting()
    assert [row.id for row in taken] == ids[:20]
    assert [row.scheduled_time for row in taken] == [start + timedelta(seconds=2 * number) for number in range(20)]
    assert {row.status for row in taken} == {Status.SCHEDULED}
    assert await desk.due_in(ids[0]) == pytest.approx(0, abs=10)
    assert await desk.due_in(ids[19]) == pytest.approx(38, abs=10)
    assert await desk.due_in(ids[20]) is None
    assert [row.id for row in await desk.app.proactive.deliver_waiting()] == ids[20:]
    assert await desk.app.proactive.deliver_waiting() == []


@pytest.mark.both_databases
async def test_two_cycles_at_once_never_take_the_same_message(desk: Desk) -> None:
    await crowd(desk, 30)
    taken = await asyncio.gather(*(desk.app.proactive.deliver_waiting() for _ in range(4)))
    ids = [row.id for rows in taken for row in rows]
    assert len(ids) == len(set(ids)) == 30


@pytest.mark.both_databases
async def test_recovery_lets_waiting_messages_be_and_restores_lost_jobs_of_scheduled_ones(desk: Desk) -> None:
    await crowd(desk, 2)
    assert await restore_jobs(desk.app) == 0
    [first, second] = await desk.app.proactive.deliver_waiting()
    assert await restore_jobs(desk.app) == 0
    await desk.app.queues.disarm("proactive-messages", [f"proactive-message-{second.id}"])
    assert await restore_jobs(desk.app) == 1
    assert await desk.due_in(first.id) is not None
    assert await desk.due_in(second.id) is not None


async def test_a_message_that_nobody_took_for_three_days_is_stale_and_its_line_says_so(desk: Desk) -> None:
    await crowd(desk, 1)
    [row] = await desk.messages()
    desk.clock.move(STALE_AFTER - timedelta(seconds=1))
    assert (await desk.app.proactive.evaluate_proactive_triggers()).stale == 0
    desk.clock.move(timedelta(seconds=1))
    assert await desk.app.proactive.deliver_waiting() == []
    stored = await desk.app.proactive.get_message(row.id)
    assert (stored.status, stored.status_reason) == (Status.SKIPPED, Reason.EXPIRED)
    assert await desk.lines(row.id) == [("skipped", "expired")]


async def test_with_deliver_now_a_written_message_is_scheduled_at_once(desk: Desk) -> None:
    await crowd(desk, 2, deliver_now=True)
    for row in await desk.messages():
        assert (row.status, row.scheduled_time) == (Status.SCHEDULED, NOW)
        assert await desk.due_in(row.id) == pytest.approx(0, abs=10)
    assert await desk.app.proactive.deliver_waiting() == []


async def test_with_deliver_now_a_message_that_needs_approval_is_scheduled_when_it_has_it(desk: Desk) -> None:
    await desk.contact(trust=30)
    proactive = desk.proactive(deliver_now=True)
    row = await desk.made(proactive)
    assert row.status == Status.WAITING
    desk.clock.move(timedelta(hours=1))
    await proactive.approvals.approve(row.id, "Ben")
    stored = await proactive.get_message(row.id)
    assert (stored.status, stored.scheduled_time) == (Status.SCHEDULED, NOW + timedelta(hours=1))
    assert await desk.due_in(row.id) == pytest.approx(0, abs=10)


async def test_a_waiting_or_scheduled_message_can_be_cancelled_and_then_never_goes(desk: Desk) -> None:
    await crowd(desk, 2)
    [first, second] = await desk.messages()
    await desk.app.proactive.cancel(first.id)
    [taken] = await desk.app.proactive.deliver_waiting()
    assert taken.id == second.id
    for _ in range(2):
        assert (await desk.app.proactive.cancel(second.id)).status == Status.CANCELLED
    assert await desk.due_in(second.id) is None
    for row in (first, second):
        assert await desk.lines(row.id) == [("cancelled", "by_request")]
        assert await desk.deliver(row.id) == "skipped: cancelled"
    assert not desk.app.simulator.messages


async def test_what_was_sent_or_is_being_sent_cannot_be_cancelled(desk: Desk) -> None:
    await desk.contact()
    row = await desk.sent()
    with pytest.raises(Conflict, match="is sent already"):
        await desk.app.proactive.cancel(row.id)
    await desk.set(ProactiveMessage, row.id, status=Status.SENDING)
    with pytest.raises(Conflict, match="being sent right now"):
        await desk.app.proactive.cancel(row.id)


@pytest.mark.both_databases
async def test_figures_count_every_status_for_each_trigger_and_in_all(desk: Desk) -> None:
    await crowd(desk, 3)
    await desk.contact(trust=30)
    await desk.proactive().evaluate_proactive_triggers()
    await desk.goal(await desk.contact(), idle_days=11)
    await desk.app.proactive.evaluate_proactive_triggers()
    [one, two, *_] = await desk.messages()
    await desk.app.proactive.cancel(one.id)
    await desk.app.proactive.deliver_waiting()
    await desk.deliver(two.id)
    stats = await desk.app.proactive.get_stats()
    assert stats.by_trigger["test"].model_dump(exclude_defaults=True) == {
        "waiting": 1,
        "awaiting_approval": 1,
        "scheduled": 1,
        "sent": 1,
        "cancelled": 1,
    }
    assert stats.by_trigger["stalled_goal"].model_dump(exclude_defaults=True) == {"scheduled": 1}
    assert (stats.scheduled, stats.sent, stats.waiting, stats.replied) == (2, 1, 1, 0)
    assert stats.queue["total"] == 3  # of the one sent by hand too


async def test_messages_are_listed_with_names_by_contact_type_and_status(desk: Desk) -> None:
    ada = await desk.contact(name="Ada Abara")
    await desk.proactive().evaluate_proactive_triggers()
    ben = await desk.contact(name="Ben Bako")
    await desk.proactive().evaluate_proactive_triggers()
    [first, second] = await desk.app.proactive.list_messages()
    assert [first["contractor_name"], second["contractor_name"]] == ["Ada Abara", "Ben Bako"]
    await desk.app.proactive.cancel(first["id"])
    listed = desk.app.proactive.list_messages
    assert [row["id"] for row in await listed(contractor_id=ben)] == [second["id"]]
    assert [row["id"] for row in await listed(status="cancelled", contractor_id=ada)] == [first["id"]]
    assert [row["id"] for row in await listed(message_type="test", limit=1)] == [first["id"]]
    assert [row["id"] for row in await listed(after_id=first["id"])] == [second["id"]]
    assert await listed(message_type="check_in") == []
