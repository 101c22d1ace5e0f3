"""The verbs of follow-ups that exist: what each does to row, job and ledger, and what it refuses in which words."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from followups.conftest import NOW, Office, seconds
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.followups.jobs import CONTRACTOR_FOLLOWUPS
from tidings.features.followups.kind import FollowUpMessages
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.statuses import Reason, Status

LATER = NOW + timedelta(hours=2)

# Marking as sent


async def test_marking_as_sent_keeps_who_sent_it_and_takes_the_job(office: Office) -> None:
    row = await office.schedule(scheduled_time=LATER)
    marked = await office.followups.mark_follow_up_sent(row.id)
    assert (marked.status, marked.sent_at, marked.sent_by) == (Status.SENT, NOW, "ai_concierge")
    assert await office.due_in(row) is None
    [line] = await office.lines(row)
    assert (line.outcome, line.inputs) == ("sent", {"sent_by": "ai_concierge"})
    again = await office.followups.mark_follow_up_sent(row.id, "somebody_else")
    assert again.sent_by == "ai_concierge"
    assert len(await office.lines(row)) == 1
    assert await office.deliver(row) == "skipped: sent"
    assert office.app.simulator.messages == []


async def test_what_is_cancelled_or_being_sent_is_not_marked_as_sent(local_office: Office) -> None:
    row = await local_office.schedule(scheduled_time=LATER)
    for status, sentence in ((Status.SENDING, "is being sent right now"), (Status.CANCELLED, "is cancelled already")):
        await local_office.set(row, status=status)
        with pytest.raises(Conflict, match=f"follow-up {row.id} {sentence} and cannot be marked as sent"):
            await local_office.followups.mark_follow_up_sent(row.id)
    with pytest.raises(InvalidInput, match=r"^sent_by"):
        await local_office.followups.mark_follow_up_sent(row.id, " ")
    with pytest.raises(NotFound, match="there is no follow-up 999"):
        await local_office.followups.mark_follow_up_sent(999)


async def test_a_failed_follow_up_that_somebody_sent_by_hand_is_sent(office: Office) -> None:
    row = await office.schedule()
    await office.set(row, status=Status.FAILED, error_message="no route")
    marked = await office.followups.mark_follow_up_sent(row.id, "ben")
    assert (marked.status, marked.sent_by, marked.error_message) == (Status.SENT, "ben", None)


# Cancelling


async def test_cancelling_takes_the_job_and_writes_a_line_and_doing_it_again_is_harmless(office: Office) -> None:
    row = await office.schedule(scheduled_time=LATER)
    for _ in range(2):
        cancelled = await office.followups.cancel_follow_up(row.id)
        assert (cancelled.status, cancelled.status_reason) == (Status.CANCELLED, Reason.BY_REQUEST)
        assert await office.due_in(row) is None
    [line] = await office.lines(row)
    assert (line.outcome, line.reason, line.contact_id) == ("cancelled", "by_request", office.contractor_id)
    assert await office.deliver(row) == "skipped: cancelled"


async def test_what_has_ended_or_is_under_way_cannot_be_cancelled(local_office: Office) -> None:
    row = await local_office.schedule()
    for status in (Status.SENT, Status.FAILED, Status.SKIPPED, Status.SENDING):
        await local_office.set(row, status=status)
        with pytest.raises(Conflict, match=f"follow-up {row.id} is .* and cannot be cancelled"):
            await local_office.followups.cancel_follow_up(row.id)
        assert (await local_office.get(row)).status == status


# Sending now


async def test_sending_now_makes_the_row_due_and_moves_its_job(office: Office) -> None:
    row = await office.schedule(scheduled_time=LATER)
    moved = await office.followups.send_follow_up_message(row.id)
    assert (moved.scheduled_time, moved.status) == (NOW, Status.SCHEDULED)
    assert await office.due_in(row) == seconds(0)
    assert await office.deliver(row) == "sent"
    with pytest.raises(Conflict, match=f"follow-up {row.id} is sent already and cannot be sent"):
        await office.followups.send_follow_up_message(row.id)
    assert len(office.app.simulator.messages) == 1


async def test_sending_now_gives_what_failed_or_was_skipped_fresh_attempts(office: Office) -> None:
    for status in (Status.FAILED, Status.SKIPPED):
        row = await office.schedule(scheduled_time=NOW - timedelta(days=9), not_after=NOW - timedelta(days=8))
        await office.set(row, status=status, attempts=3, error_message="no route", held_until=LATER)
        await office.followups.send_follow_up_message(row.id)
        assert await office.deliver(row) == "sent"
        stored = await office.get(row)
        assert (stored.error_message, stored.attempts, stored.not_after) == (None, 1, None)


async def test_what_is_cancelled_or_under_way_is_not_sent_now(local_office: Office) -> None:
    row = await local_office.schedule(scheduled_time=LATER)
    for status in (Status.CANCELLED, Status.SENDING):
        await local_office.set(row, status=status)
        with pytest.raises(Conflict, match="cannot be sent"):
            await local_office.followups.send_follow_up_message(row.id)


# The draft


async def test_the_draft_is_what_would_be_written_and_sends_nothing(local_office: Office) -> None:
    row = await local_office.schedule(scheduled_time=LATER)
    draft = await local_office.followups.personalize_message(row.id)
    assert (draft.text, draft.author) == ("Hi Ada, how is it going?", "template")
    assert draft.fallback == "this follow-up does not ask to be personalised"
    asked = await local_office.schedule(scheduled_time=LATER, ai_should_personalize=True)
    draft = await local_office.followups.personalize_message(asked.id)
    assert draft.text == "Hi Ada, how is it going?"
    assert "no AI is configured" in (draft.fallback or "")
    assert (await local_office.get(asked)).status == Status.SCHEDULED
    with pytest.raises(NotFound, match="there is no follow-up 999"):
        await local_office.followups.personalize_message(999)


# Responses recorded by hand


async def test_a_response_is_stored_with_its_time_and_sentiment(office: Office) -> None:
    row = await office.sent()
    stored = await office.followups.record_follow_up_response(
        row.id,
        {"response_text": "Great, thank you!", "received_at": "2025-10-15T09:45:00", "action_taken": "called back"},
    )
    assert stored.response_text == "Great, thank you!"
    assert stored.response_received_at == datetime(2025, 10, 15, 13, 45, tzinfo=UTC)
    assert stored.action_taken == "called back"
    assert (stored.sentiment_score or 0) > 0.5


async def test_a_second_response_stands_below_the_first_and_nothing_is_lost(office: Office) -> None:
    row = await office.sent()
    record = office.followups.record_follow_up_response
    await record(row.id, {"response_text": "Terrible, I hate it!", "received_at": NOW - timedelta(minutes=5)})
    stored = await record(row.id, {"response_text": "Well, ok"})
    assert stored.response_text == "Terrible, I hate it!\nWell, ok"
    assert stored.response_received_at == NOW - timedelta(minutes=5)
    assert (stored.sentiment_score or 0) < -0.5, "the strongest opinion counts"


async def test_a_stop_told_to_a_person_opts_the_contractor_out(office: Office) -> None:
    row = await office.sent()
    waiting = await office.schedule()
    stored = await office.followups.record_follow_up_response(row.id, {"response_text": "STOP"})
    assert (stored.response_text, stored.action_taken, stored.sentiment_score) == ("STOP", "opted_out", None)
    async with office.app.work.read() as session:
        [opt_out] = await session.scalars(select(OptOut))
    assert (opt_out.words, opt_out.ended_at) == ("STOP", None)
    assert await office.deliver(waiting) == f"skipped: {Reason.OPTED_OUT.sentence}"
    later = await office.followups.record_follow_up_response(
        row.id, {"response_text": "Sorry", "action_taken": "call"}
    )
    assert later.action_taken == "opted_out"


async def test_only_what_was_sent_can_have_a_response(local_office: Office) -> None:
    row = await local_office.schedule(scheduled_time=LATER)
    with pytest.raises(Conflict, match=f"follow-up {row.id} is scheduled; only one that was sent"):
        await local_office.followups.record_follow_up_response(row.id, {"response_text": "Yes"})
    with pytest.raises(InvalidInput, match=r"^response_text"):
        await local_office.followups.record_follow_up_response(row.id, {"response_text": ""})
    with pytest.raises(NotFound):
        await local_office.followups.record_follow_up_response(999, {"response_text": "Yes"})


# VIPs


async def test_a_vip_goes_first_and_so_do_the_follow_ups_that_wait_already(office: Office) -> None:
    waiting = await office.schedule(scheduled_time=LATER)
    over = await office.sent()
    other = await office.schedule(contractor_id=await office.add_person(phone="+18105550124"), scheduled_time=LATER)
    assert (FollowUpMessages.job(waiting).priority, waiting.priority) == (10, 10)
    assert await office.followups.set_vip(office.contractor_id, True) == 1
    stored = await office.get(waiting)
    assert (stored.priority, FollowUpMessages.job(stored).priority) == (1, 1)
    assert await priority_of_job(office, waiting.id) == 1
    assert await office.due_in(waiting) == seconds(7200)
    assert ((await office.get(over)).priority, (await office.get(other)).priority) == (10, 10)
    assert (await office.schedule(scheduled_time=LATER)).priority == 1
    async with office.app.work.read() as session:
        vips = (await session.scalars(select(Contractor.id).where(Contractor.vip))).all()
    assert vips == [office.contractor_id]
    assert await office.followups.set_vip(office.contractor_id, True) == 0
    assert await office.followups.set_vip(office.contractor_id, False) == 2
    assert await priority_of_job(office, waiting.id) == 10
    with pytest.raises(NotFound, match="there is no contractor 999"):
        await office.followups.set_vip(999, True)


@pytest.mark.both_databases
async def test_follow_ups_that_are_scheduled_while_somebody_becomes_a_vip_go_first_too(office: Office) -> None:
    series = [await office.schedule(is_recurring=True, recurrence_interval_days=1) for _ in range(4)]
    await asyncio.gather(
        *(office.deliver(row) for row in series),
        *(office.schedule(scheduled_time=LATER) for _ in range(4)),
        office.followups.set_vip(office.contractor_id, True),
        *(office.schedule(scheduled_time=LATER) for _ in range(4)),
    )
    waiting = await office.followups.get_pending_follow_ups()
    assert [row.priority for row in waiting] == [1] * 12


async def priority_of_job(office: Office, row_id: int) -> int:
    async with Redis.from_url(office.app.redis_url) as redis:
        key = f"{office.app.settings.redis_prefix}:{CONTRACTOR_FOLLOWUPS.name}:follow-up-{row_id}"
        return int(await redis.hget(key, "priority"))


# Lists and figures


async def test_lists_show_what_waits_what_is_due_and_what_one_contractor_gets(office: Office) -> None:
    later = await office.schedule(scheduled_time=LATER)
    due = await office.schedule(scheduled_time=NOW - timedelta(minutes=1))
    held = await office.schedule(scheduled_time=NOW - timedelta(minutes=2))
    await office.set(held, held_until=LATER)
    sent = await office.sent()
    other = await office.schedule(contractor_id=await office.add_person(phone="+18105550124"))

    def ids(rows: Any) -> list[int]:
        return [row.id for row in rows]

    assert ids(await office.followups.get_pending_follow_ups()) == ids([held, due, other, later])
    assert ids(await office.followups.get_pending_follow_ups(limit=2)) == ids([held, due])
    assert ids(await office.followups.get_due_follow_ups()) == ids([due, other])
    theirs = office.followups.get_contractor_follow_ups
    assert ids(await theirs(office.contractor_id)) == ids([later, due, held, sent])
    assert ids(await theirs(office.contractor_id, status=Status.SENT)) == [sent.id]
    assert ids(await theirs(office.contractor_id, after_id=later.id, limit=1)) == [due.id]
    with pytest.raises(NotFound, match="there is no contractor 999"):
        await theirs(999)
    stats = await office.followups.get_scheduler_stats()
    assert stats.by_status == {**dict.fromkeys(Status, 0), "scheduled": 4, "sent": 1}
    assert (stats.due_now, stats.next_due, stats.sent_today) == (2, LATER, 1)
    assert (stats.ai_written_today, stats.from_template_today) == (0, 1)
    assert stats.queue["total"] == 5  # the one that is sent was sent behind the queue's back
