"""Recurring follow-ups: after every ending exactly one next occurrence, in the future, at the same local time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from followups.conftest import NOW, Office, OpenApp, seconds
from support.app import load_messages, restore_jobs
from tidings.clock import ManualClock
from tidings.features.followups.jobs import FOLLOW_UP
from tidings.features.followups.kind import USEFUL, FollowUpMessages
from tidings.features.followups.models import ENDINGS, FollowUp
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.kind import Ended, MessageKind
from tidings.messages.statuses import Reason, Status
from tidings.providers.base import Outgoing, Receipt

pytestmark = pytest.mark.usefixtures("left_sound")

NewOffice = Callable[..., Awaitable[Office]]

WEEKLY = {"is_recurring": True, "recurrence_interval_days": 7}
DAILY = {"is_recurring": True, "recurrence_interval_days": 1}


def kind_of(office: Office) -> MessageKind:
    return office.app.kinds[FOLLOW_UP]


def move_to(office: Office, moment: datetime) -> None:
    assert isinstance(office.clock, ManualClock)
    office.clock.move(moment - office.clock.now())


async def end(office: Office, row: FollowUp, status: Status, reason: Reason | None = None) -> None:
    """What follows from an ending, in a transaction of its own."""
    kind = kind_of(office)
    async with office.app.database.writer.begin() as connection:
        [message] = await load_messages(connection, kind, [row.id])
        await kind.on_ended(connection, [Ended(message, status, reason)])


async def test_after_an_occurrence_comes_the_next_one_with_everything_that_it_inherits(office: Office) -> None:
    item = await office.add_item()
    first = await office.schedule(
        **WEEKLY,
        scheduled_time="2025-10-27T09:00:00",
        not_after="2025-10-27T18:00:00",
        action_item_id=item,
        message_tone="warm",
        ai_should_personalize=True,
        ai_context_hints={"a": 1},
        if_blocked="drop",
        channel="email",
    )
    await office.followups.set_vip(office.contractor_id, True)
    move_to(office, first.scheduled_time)
    assert await office.deliver(first) == "sent"
    following = await office.next_of(first)
    assert following is not None
    assert following.scheduled_time == datetime(2025, 11, 3, 14, tzinfo=UTC)  # 9:00 there, an hour later by UTC
    assert following.not_after == datetime(2025, 11, 3, 23, tzinfo=UTC)
    inherited = (
        *("contractor_id", "action_item_id", "event_id", "followup_type", "message_template", "message_tone"),
        *("ai_should_personalize", "ai_context_hints", "skip_if_completed", "is_recurring", "channel", "if_blocked"),
        *("recurrence_interval_days", "series_id", "first_local_time"),
    )
    for name in inherited:
        assert getattr(following, name) == getattr(first, name), name
    assert (following.status, following.status_reason) == (Status.SCHEDULED, Reason.RECURRING)
    assert (following.occurrence, following.priority, following.sent_by) == (2, 1, None)
    assert await office.due_in(following) == seconds(
        (following.scheduled_time - first.scheduled_time).total_seconds()
    )


async def test_a_time_that_dst_skips_does_not_shift_the_series(local_office: Office) -> None:
    first = await local_office.schedule(**WEEKLY, scheduled_time="2026-03-01T02:30:00")
    local: list[str] = []
    row: FollowUp | None = first
    for _ in range(3):
        assert row is not None
        move_to(local_office, row.scheduled_time)
        await local_office.deliver(row)
        row = await local_office.next_of(row)
        assert row is not None
        local.append(row.scheduled_time.isoformat())
    assert local == ["2026-03-08T07:30:00+00:00", "2026-03-15T06:30:00+00:00", "2026-03-22T06:30:00+00:00"]


async def test_a_contractor_who_moves_gets_the_next_one_at_the_same_time_there(local_office: Office) -> None:
    first = await local_office.schedule(**WEEKLY, scheduled_time="2025-10-20T09:00:00")
    async with local_office.app.work.begin() as unit:
        await unit.session.execute(update(Contractor).values(timezone="Europe/Berlin"))
    move_to(local_office, first.scheduled_time)
    await local_office.deliver(first)
    following = await local_office.next_of(first)
    assert following is not None
    assert following.scheduled_time == datetime(2025, 10, 27, 8, tzinfo=UTC)


async def test_occurrences_missed_while_nobody_worked_are_not_made_up_for(office: Office) -> None:
    first = await office.schedule(**DAILY)
    move_to(office, NOW + timedelta(days=21, hours=3))
    assert await office.deliver(first) == f"skipped: {Reason.EXPIRED.sentence}"
    following = await office.next_of(first)
    assert following is not None
    assert following.scheduled_time == datetime(2025, 11, 6, 15, tzinfo=UTC)  # 10:00 there, after the end of DST
    assert following.occurrence == 23
    assert len(await office.all()) == 2
    assert office.app.simulator.messages == []


async def test_an_occurrence_is_not_sent_after_the_next_ones_time(office: Office) -> None:
    daily = await office.schedule(**DAILY)
    weekly = await office.schedule(**WEEKLY)
    once = await office.schedule()
    own = await office.schedule(not_after=NOW + timedelta(days=30))
    async with office.app.database.writer.begin() as connection:
        messages = await load_messages(connection, kind_of(office), [row.id for row in (daily, weekly, once, own)])
    ends = {message.id: message.not_after for message in messages}
    assert ends[daily.id] == NOW + timedelta(days=1)
    assert ends[weekly.id] == ends[once.id] == NOW + USEFUL
    assert ends[own.id] == NOW + timedelta(days=30)


@pytest.mark.both_databases
async def test_the_next_one_is_scheduled_once_however_often_an_ending_is_recorded(office: Office) -> None:
    first = await office.schedule(**DAILY)
    assert await office.deliver(first) == "sent"
    await asyncio.gather(*(end(office, first, Status.SENT) for _ in range(5)))
    assert len(await office.all()) == 2
    second = await office.schedule(**DAILY)
    await asyncio.gather(*(end(office, second, Status.SENT) for _ in range(5)))
    await asyncio.gather(*(office.followups.mark_follow_up_sent(second.id) for _ in range(5)))
    assert len(await office.all()) == 4
    assert (await office.next_of(second)) is not None


async def test_what_ends_a_message_for_good_ends_the_series_and_everything_else_does_not(office: Office) -> None:
    async def goes_on(status: Status, reason: Reason | None) -> bool:
        row = await office.schedule(**DAILY)
        await end(office, row, status, reason)
        return await office.next_of(row) is not None

    assert await goes_on(Status.SENT, None)
    assert await goes_on(Status.FAILED, None)
    for reason in (Reason.EXPIRED, Reason.QUIET_HOURS, Reason.FREQUENCY_CAP, Reason.NEVER_ALLOWED):
        assert await goes_on(Status.SKIPPED, reason), reason
    assert {"action_item_completed", "opted_out", "no_consent", "consent_revoked"} == set(ENDINGS)
    for reason in ENDINGS:
        assert not await goes_on(Status.SKIPPED, reason), reason


async def test_a_series_goes_on_after_a_failure_and_ends_with_an_opt_out_or_a_revoked_consent(office: Office) -> None:
    failing = await office.schedule(**DAILY)
    await office.set(failing, message_template="{{ nickname }}")
    with pytest.raises(Exception, match="nickname"):
        await office.deliver(failing)
    assert (await office.get(failing)).status == Status.FAILED
    assert await office.next_of(failing) is not None
    revoked = await office.schedule(**DAILY)
    await office.app.consents.record(office.contractor_id, granted=False)
    assert await office.deliver(revoked) == f"skipped: {Reason.CONSENT_REVOKED.sentence}"
    assert await office.next_of(revoked) is None
    stopped = await office.schedule(**DAILY, channel="email")
    await office.app.contacts.opt_out("ada@example.com")
    assert await office.deliver(stopped) == f"skipped: {Reason.OPTED_OUT.sentence}"
    assert await office.next_of(stopped) is None


async def test_a_completed_action_item_skips_the_follow_up_and_ends_its_series(office: Office) -> None:
    item = await office.add_item()
    once = await office.schedule(action_item_id=item)
    series = await office.schedule(action_item_id=item, **DAILY)
    regardless = await office.schedule(action_item_id=item, skip_if_completed=False, **DAILY)
    await office.followups.action_items.complete(item)
    for row in (once, series):
        assert await office.deliver(row) == f"skipped: {Reason.ACTION_ITEM_COMPLETED.sentence}"
        stored = await office.get(row)
        assert (stored.status, stored.status_reason) == (Status.SKIPPED, Reason.ACTION_ITEM_COMPLETED)
        assert stored.next_occurrence_id is None
    assert await office.deliver(regardless) == "sent"
    assert await office.next_of(regardless) is not None
    reopened = await office.schedule(action_item_id=item)
    await office.followups.action_items.reopen(item)
    assert await office.deliver(reopened) == "sent"


async def test_cancelling_an_occurrence_ends_the_series_unless_only_this_one_is_meant(office: Office) -> None:
    later = NOW + timedelta(days=2)
    ended = await office.followups.cancel_follow_up((await office.schedule(**WEEKLY, scheduled_time=later)).id)
    assert (ended.next_occurrence_id, ended.is_recurring) == (None, False)
    await end(office, ended, Status.SENT)  # a worker that had lost it reports that it left after all
    assert await office.next_of(ended) is None

    row = await office.schedule(**WEEKLY, scheduled_time=later)
    one = await office.followups.cancel_follow_up(row.id, only_this=True)
    again = await office.followups.cancel_follow_up(row.id, only_this=True)
    following = await office.next_of(one)
    assert following is not None
    assert again.next_occurrence_id == following.id
    assert following.scheduled_time == later + timedelta(days=7)
    assert await office.due_in(following) == seconds(9 * 86400)
    assert (one.status, len(await office.all())) == (Status.CANCELLED, 3)


async def test_whoever_asks_why_is_told_whether_the_series_goes_on_and_with_what(office: Office) -> None:
    async def sequel(row: FollowUp) -> str:
        return (await office.app.why.explain(f"follow-up-{row.id}")).sentences[-1]

    once = await office.schedule()
    await office.deliver(once)
    assert "series" not in await sequel(once)
    row = await office.schedule(**DAILY)
    assert (await office.app.why.explain(f"follow-up-{row.id}")).sentences == ()
    await office.deliver(row)
    following = await office.next_of(row)
    assert following is not None
    assert await sequel(row) == f"Its series goes on with follow-up-{following.id}."
    await office.set(row, next_occurrence_id=None)
    assert (await sequel(row)).startswith("The next one of its series is not written yet")
    await office.set(row, next_occurrence_id=following.id)
    await office.followups.cancel_follow_up(following.id)
    assert await sequel(following) == "Its series ended with it."
    stopped = await office.schedule(**DAILY)
    await office.app.contacts.opt_out("+18105550123")
    await office.deliver(stopped)
    assert await sequel(stopped) == "Its series ended with it."


async def test_sending_an_occurrence_before_its_time_does_not_move_the_series(local_office: Office) -> None:
    row = await local_office.schedule(**WEEKLY, scheduled_time="2025-10-20T09:00:00")
    await local_office.followups.send_follow_up_message(row.id)
    assert await local_office.deliver(row) == "sent"
    following = await local_office.next_of(row)
    assert following is not None
    assert following.scheduled_time == datetime(2025, 10, 27, 13, tzinfo=UTC)


async def test_marking_an_occurrence_as_sent_schedules_the_next_one(office: Office) -> None:
    row = await office.schedule(**WEEKLY, scheduled_time=NOW + timedelta(hours=3))
    marked = await office.followups.mark_follow_up_sent(row.id)
    following = await office.next_of(marked)
    assert following is not None
    assert following.scheduled_time == NOW + timedelta(days=7, hours=3)
    assert await office.due_in(following) is not None


async def test_quiet_hours_put_an_occurrence_off_or_drop_it_as_it_says(new_local_office: Any) -> None:
    office: Office = await new_local_office(ManualClock(NOW), quiet_hours="21:00-08:00")
    night = "2025-10-15T23:00:00"
    deferred = await office.schedule(**DAILY, scheduled_time=night)
    dropped = await office.schedule(**DAILY, scheduled_time=night, if_blocked="drop")
    move_to(office, deferred.scheduled_time)
    with pytest.raises(Exception, match="postponed"):
        await office.deliver(deferred)
    stored = await office.get(deferred)
    assert (stored.status, stored.next_occurrence_id) == (Status.SCHEDULED, None)
    assert stored.held_until == datetime(2025, 10, 16, 12, tzinfo=UTC)
    assert await office.deliver(dropped) == f"skipped: {Reason.QUIET_HOURS.sentence}"
    following = await office.next_of(dropped)
    assert following is not None
    assert following.scheduled_time == dropped.scheduled_time + timedelta(days=1)


@pytest.mark.both_databases
async def test_an_occurrence_whose_worker_lost_its_lease_has_one_successor(new_office: NewOffice) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow:
        name = "slow"

        async def send(self, outgoing: Outgoing) -> Receipt:
            if not asked.is_set():
                asked.set()
                await answer.wait()
            return Receipt(self.name, "taken")

        async def close(self) -> None:
            """Nothing to release."""

    office = await new_office(ManualClock(NOW), providers={"sms": Slow()})
    row = await office.schedule(**DAILY)
    late = asyncio.create_task(office.deliver(row))
    await asked.wait()
    move_to(office, NOW + timedelta(minutes=10))
    assert await office.deliver(row) == "sent"
    following = await office.next_of(row)
    answer.set()
    assert await late == "sent"
    assert following is not None
    assert (await office.get(row)).next_occurrence_id == following.id
    assert len(await office.all()) == 2


@pytest.mark.both_databases
async def test_two_workers_that_share_a_burst_schedule_every_next_one_once(
    open_app: OpenApp, new_office: NewOffice, database_url: str
) -> None:
    office = await new_office()
    rows = [await office.schedule(**DAILY) for _ in range(12)]
    other = await open_app(
        database_url=database_url,
        redis_prefix=office.app.settings.redis_prefix,
        quiet_hours="off",
        frequency_caps="off",
        queue_settings={"CONTRACTOR_FOLLOWUPS_RATE_LIMIT": "off"},
    )
    # Every job twice, one of them as if Redis had given it out again.
    await asyncio.gather(office.app.start_workers(), other.start_workers())
    await asyncio.gather(*(office.deliver(row) for row in rows[:6]), return_exceptions=True)
    ended = [await office.ended(row) for row in rows]
    following = [row.next_occurrence_id for row in ended]
    assert {row.status for row in ended} == {Status.SENT}
    assert None not in following
    assert len(set(following)) == len(rows)
    everything = await office.all()
    assert len(everything) == 2 * len(rows)
    first = {row.id: row.scheduled_time for row in rows}
    for row in everything[len(rows) :]:
        assert row.series_id is not None
        assert row.scheduled_time - first[row.series_id] == timedelta(days=1)
        assert await office.due_in(row) == seconds(office.clock.seconds_until(row.scheduled_time))
    assert len(office.app.simulator.messages) + len(other.simulator.messages) == len(rows)


@pytest.mark.both_databases
async def test_a_next_one_whose_job_was_never_released_gets_it_from_recovery(office: Office) -> None:
    row = await office.schedule(**DAILY)
    await office.deliver(row)
    following = await office.next_of(row)
    assert following is not None
    await office.app.queues.disarm("contractor-followups", [FollowUpMessages.job_id(following.id)])
    assert await restore_jobs(office.app) == 1
    assert await office.due_in(following) == seconds(86_400)


@pytest.mark.both_databases
async def test_an_ending_whose_transaction_fails_leaves_neither_the_ending_nor_a_next_one(office: Office) -> None:
    row = await office.schedule(**DAILY)
    kind = kind_of(office)
    async with office.app.database.writer.connect() as connection:
        power_cut = await connection.begin()
        [message] = await load_messages(connection, kind, [row.id])
        assert len(await kind.on_ended(connection, [Ended(message, Status.SENT, None)])) == 1
        await power_cut.rollback()
    assert len(await office.all()) == 1
    assert await office.deliver(row) == "sent"
    assert len(await office.all()) == 2


async def test_the_default_timezone_is_that_of_contractors_without_one(new_local_office: Any) -> None:
    office: Office = await new_local_office(ManualClock(NOW), default_timezone="Europe/Berlin")
    person = await office.add_person(phone="+4915123456789")
    row = await office.schedule(contractor_id=person, scheduled_time="2025-10-20T09:00:00", **WEEKLY)
    assert row.scheduled_time == datetime(2025, 10, 20, 7, tzinfo=UTC)
    move_to(office, row.scheduled_time)
    await office.deliver(row)
    following = await office.next_of(row)
    assert following is not None
    assert following.scheduled_time == datetime(2025, 10, 27, 8, tzinfo=UTC)
