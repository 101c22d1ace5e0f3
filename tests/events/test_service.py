"""The verbs of event messages: what each does to the row and to its job, and what it refuses in which words."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from support.app import deliver, due_in, restore_jobs
from support.servers import own_valkey
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import Conflict, InvalidInput, NotFound, QueueUnavailable
from tidings.features.events.jobs import EVENT_MESSAGE, EVENT_MESSAGES
from tidings.features.events.kind import EventMessages
from tidings.features.events.models import EventMessage, EventStatus
from tidings.messages.statuses import Reason, Status

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2025, 10, 17, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
VALKEY = {"maxmemory-policy": "noeviction"}


@dataclass
class Office:
    """An event in New York on a clock that stands still, and one person whom messages are for."""

    app: App
    clock: ManualClock
    event_id: int
    contractor_id: int

    def message(self, **more: Any) -> dict[str, Any]:
        return {
            "event_id": self.event_id,
            "contractor_id": self.contractor_id,
            "message_type": "speaker_alert",
            "scheduled_time": LATER.isoformat(),
            "message_content": "Your session starts in 15 minutes!",
            **more,
        }

    async def schedule(self, **more: Any) -> EventMessage:
        return await self.app.events.schedule_event_message(self.message(**more))

    async def set(self, message_id: int, **values: Any) -> None:
        """Changes a row as a worker or another program would."""
        async with self.app.work.begin() as unit:
            await unit.session.execute(update(EventMessage).where(EventMessage.id == message_id).values(**values))

    async def get(self, message_id: int) -> EventMessage:
        return await self.app.events.get_message(message_id)

    async def deliver(self, message_id: int) -> object:
        """What a worker does when the message's job runs."""
        return await deliver(self.app, EVENT_MESSAGE, message_id)

    async def due_in(self, message_id: int) -> float | None:
        """Seconds until the message's job runs, None when there is none."""
        return await due_in(self.app, EVENT_MESSAGE, message_id)

    async def count(self) -> tuple[int, int]:
        """How many messages and how many jobs there are."""
        async with self.app.work.read() as session:
            rows = await session.scalar(select(func.count()).select_from(EventMessage))
        return rows or 0, (await self.app.events.get_queue_stats())["total"]


def seconds(wanted: float) -> Any:
    """About so many: a job's time runs on while the test's clock stands still."""
    return pytest.approx(wanted, abs=20)


async def open_office(app: App, clock: ManualClock) -> Office:
    event = await app.events.create_event({"name": "Expo", "date": "2025-10-18", "timezone": "America/New_York"})
    person, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": "+18105550123"})
    return Office(app, clock, event.id, person.id)


@pytest.fixture
async def office(open_app: OpenApp, database_url: str) -> Office:
    clock = ManualClock(NOW)
    return await open_office(await open_app(clock=clock, database_url=database_url), clock)


# Scheduling


async def test_scheduling_writes_the_row_and_its_job(office: Office) -> None:
    row = await office.schedule(phone="(810) 555-0199", ghl_contact_id="abc123")
    stored = await office.get(row.id)
    assert (stored.status, stored.status_reason) == (Status.SCHEDULED, Reason.BY_REQUEST)
    assert (stored.scheduled_time, stored.message_category) == (LATER, "event_day")
    assert (stored.phone, stored.ghl_contact_id, stored.channel) == ("+18105550199", "abc123", "sms")
    assert await office.due_in(row.id) == seconds(7200)
    assert await office.count() == (1, 1)


async def test_the_specifications_example_puts_a_stored_message_back_into_the_queue(office: Office) -> None:
    row = await office.schedule(session_key="talk-7")
    await office.app.queues.disarm(EVENT_MESSAGES.name, [EventMessages.job_id(row.id)])
    again = await office.app.events.schedule_event_message(
        {
            "id": row.id,
            "event_id": office.event_id,
            "contractor_id": office.contractor_id,
            "message_type": "speaker_alert",
            "message_category": "event_day",
            "scheduled_time": "2025-10-17T19:07:00",
            "message_content": "Your session starts in 15 minutes!",
            "personalization_data": {"speaker_name": "John Doe", "session_title": "AI in Business"},
            "phone": "+18105550123",
            "ghl_contact_id": "abc123",
            "ghl_location_id": "loc456",
        }
    )
    assert again.id == row.id
    assert again.scheduled_time == datetime(2025, 10, 17, 23, 7, tzinfo=UTC)  # the event's local time
    assert again.session_key == "talk-7"  # it is still the same session's message
    assert again.personalization_data["speaker_name"] == "John Doe"
    assert await office.due_in(row.id) == seconds(timedelta(hours=11, minutes=7).total_seconds())
    assert await office.count() == (1, 1)


@pytest.mark.both_databases
async def test_scheduling_the_same_message_twice_is_harmless_and_replaces_a_lost_job(office: Office) -> None:
    first = await office.schedule()
    await office.app.queues.disarm(EVENT_MESSAGES.name, [EventMessages.job_id(first.id)])
    second = await office.schedule()
    third = await office.schedule(id=first.id)
    assert first.id == second.id == third.id
    assert await office.due_in(first.id) == seconds(7200)
    assert await office.count() == (1, 1)


async def test_a_second_message_of_the_type_is_refused_and_the_first_one_named(office: Office) -> None:
    row = await office.schedule()
    with pytest.raises(Conflict, match=rf"has a speaker_alert .* already: message {row.id}, scheduled; reschedule"):
        await office.schedule(message_content="Something else")
    assert (await office.get(row.id)).message_content == "Your session starts in 15 minutes!"
    assert (await office.schedule(session_key="another")).id != row.id
    assert (await office.schedule(personalization_data={"session_title": "A third"})).session_key == "A third"


async def test_the_id_of_somebody_elses_message_or_of_none_is_refused(office: Office) -> None:
    other, _ = await office.app.events.create_contractor({"name": "Ben Cruz", "phone": "+18105550124"})
    row = await office.schedule()
    for difference in ({"contractor_id": other.id}, {"message_type": "pcr_request"}, {"session_key": "x"}):
        with pytest.raises(Conflict, match=f"message {row.id} is another one: the speaker_alert of contractor"):
            await office.schedule(id=row.id, **difference)
    with pytest.raises(NotFound, match="there is no event message 999"):
        await office.schedule(id=999)
    assert await office.count() == (1, 1)


UNUSABLE: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"event_id": 999}, NotFound, "there is no event 999"),
    ({"contractor_id": 999}, NotFound, "there is no contractor 999"),
    ({"phone": "12"}, InvalidInput, "phone: "),
    ({"scheduled_time": "tomorrow"}, InvalidInput, "scheduled_time: "),
    ({"message_type": "greeting"}, InvalidInput, "message_type: "),
    ({"event_id": 10**30}, InvalidInput, "event_id: "),
    ({"personalization_data": {"when": NOW}}, InvalidInput, "personalization_data: cannot be stored as JSON"),
    ({"personalization_data": {"score": float("nan")}}, InvalidInput, "personalization_data: cannot be stored"),
    ({"personalization_data": {"a": ["\0"]}}, InvalidInput, "personalization_data: holds a NUL character"),
    ({"personalization_data": {"half": "\ud83d"}}, InvalidInput, "personalization_data: cannot be stored"),
    ({"message_content": "half \0"}, InvalidInput, "message_content: holds a NUL character"),
    ({"ghl_contact_id": "x" * 65}, InvalidInput, "ghl_contact_id: "),
]


@pytest.mark.both_databases
async def test_what_cannot_be_stored_is_refused_by_name_and_leaves_nothing(office: Office) -> None:
    for values, error, sentence in UNUSABLE:
        with pytest.raises(error, match=f"^{sentence}"):
            await office.schedule(**values)
    assert await office.count() == (0, 0)


@pytest.mark.both_databases
async def test_text_that_only_looks_like_a_nul_is_kept(office: Office) -> None:
    data = {"path": "C:\\u0000", "emoji": "\N{PARTY POPPER}"}
    row = await office.schedule(personalization_data=data)
    assert (await office.get(row.id)).personalization_data == data


# Many at once


@pytest.mark.both_databases
async def test_a_thousand_messages_are_scheduled_in_one_go_and_again_without_change(office: Office) -> None:
    messages = [office.message(session_key=str(number), message_content=f"No. {number}") for number in range(1000)]
    rows = await office.app.events.schedule_bulk_event_messages(messages)
    assert [row.message_content for row in rows] == [f"No. {number}" for number in range(1000)]
    assert len({row.id for row in rows}) == 1000
    assert await office.count() == (1000, 1000)
    again = await office.app.events.schedule_bulk_event_messages(messages)
    assert [row.id for row in again] == [row.id for row in rows]
    assert await office.count() == (1000, 1000)
    assert await office.app.events.clear_event_messages(office.event_id) == 1000
    assert await office.count() == (1000, 0)


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"scheduled_time": "soon"}, InvalidInput, r"2\.scheduled_time: "),
    ({"event_id": 999}, InvalidInput, r"2\.event_id: there is no event 999"),
    ({"contractor_id": 999}, InvalidInput, r"2\.contractor_id: there is no contractor 999"),
    ({"id": 999}, InvalidInput, r"2\.id: there is no event message 999"),
    ({"phone": "12"}, InvalidInput, r"2\.phone: "),
    ({"session_key": "0", "message_content": "Another"}, Conflict, "2: contractor .* another one of these"),
]


async def test_of_many_messages_one_bad_one_is_named_by_its_number_and_none_is_stored(office: Office) -> None:
    for values, error, sentence in BAD:
        messages = [office.message(session_key=str(number)) for number in range(4)]
        messages[2] |= values
        with pytest.raises(error, match=f"^{sentence}"):
            await office.app.events.schedule_bulk_event_messages(messages)
    assert await office.count() == (0, 0)


async def test_one_bad_message_is_numbered_in_a_bulk_of_one_too(office: Office) -> None:
    with pytest.raises(InvalidInput, match=r"^0\.scheduled_time"):
        await office.app.events.schedule_bulk_event_messages([office.message(scheduled_time="soon")])
    assert not await office.app.events.schedule_bulk_event_messages([])


@pytest.mark.both_databases
async def test_the_same_message_twice_in_a_bulk_is_one_message(office: Office) -> None:
    first, second = await office.app.events.schedule_bulk_event_messages([office.message(), office.message()])
    assert first.id == second.id
    assert await office.count() == (1, 1)


@pytest.mark.both_databases
async def test_the_same_messages_scheduled_by_two_callers_at_once_are_scheduled_once(office: Office) -> None:
    messages = [office.message(session_key=str(number)) for number in range(50)]
    bulk = office.app.events.schedule_bulk_event_messages
    answers = await asyncio.gather(bulk(messages), bulk(messages[::-1]), office.schedule(session_key="7"))
    first, second, single = answers
    assert [row.id for row in first] == [row.id for row in second[::-1]]
    assert single.id == first[7].id
    assert await office.count() == (50, 50)


async def test_too_many_messages_at_once_are_refused_with_the_limit(office: Office) -> None:
    with pytest.raises(InvalidInput, match="at most 1000000 messages at once, these are 1000001"):
        await office.app.events.schedule_bulk_event_messages([office.message()] * 1_000_001)


# Cancelling, rescheduling, clearing, recovering


async def test_cancelling_takes_the_job_and_writes_a_line_and_doing_it_again_is_harmless(office: Office) -> None:
    row = await office.schedule()
    for _ in range(2):
        cancelled = await office.app.events.cancel_event_message(row.id)
        assert (cancelled.status, cancelled.status_reason) == (Status.CANCELLED, Reason.BY_REQUEST)
        assert await office.count() == (1, 0)
    [line] = await office.app.events.get_deliveries(office.event_id)
    assert (line["message_id"], line["outcome"], line["reason"]) == (row.id, "cancelled", "by_request")


async def test_rescheduling_moves_row_and_job_and_may_bring_another_text(office: Office) -> None:
    row = await office.schedule()
    moved = await office.app.events.reschedule_event_message(row.id, "2025-10-17T20:00:00")
    assert moved.scheduled_time == datetime(2025, 10, 18, 0, tzinfo=UTC)  # the event's local time
    assert moved.message_content == "Your session starts in 15 minutes!"
    assert await office.due_in(row.id) == seconds(12 * 3600)
    whole_row = {"id": row.id, "status": "scheduled", "message_content": "New", "personalization_data": {"a": 1}}
    moved = await office.app.events.reschedule_event_message(row.id, NOW + timedelta(hours=1), whole_row)
    stored = await office.get(row.id)
    assert (stored.message_content, stored.personalization_data) == ("New", {"a": 1})
    assert await office.due_in(row.id) == seconds(3600)
    assert await office.count() == (1, 1)


async def test_rescheduling_revives_what_was_cancelled_skipped_or_failed_with_fresh_attempts(office: Office) -> None:
    for status in (Status.CANCELLED, Status.SKIPPED, Status.FAILED):
        row = await office.schedule(session_key=status)
        await office.app.queues.disarm(EVENT_MESSAGES.name, [EventMessages.job_id(row.id)])
        await office.set(row.id, status=status, error_message="no route", attempts=3, held_until=LATER)
        await office.app.events.reschedule_event_message(row.id, LATER)
        stored = await office.get(row.id)
        assert (stored.status, stored.status_reason) == (Status.SCHEDULED, Reason.BY_REQUEST)
        assert (stored.error_message, stored.attempts, stored.held_until) == (None, 0, None)
        assert await office.due_in(row.id) == seconds(7200)


async def test_scheduling_again_revives_what_was_cancelled_or_skipped(office: Office) -> None:
    row = await office.schedule()
    for status in (Status.CANCELLED, Status.SKIPPED):
        await office.set(row.id, status=status)
        again = await office.schedule(message_content=f"Another text than when {status}")
        assert (again.id, again.status) == (row.id, Status.SCHEDULED)
        assert again.message_content == f"Another text than when {status}"
        assert await office.count() == (1, 1)


async def test_a_failed_message_comes_back_when_it_is_scheduled_by_its_id_only(office: Office) -> None:
    row = await office.schedule()
    await office.set(row.id, status=Status.FAILED)
    with pytest.raises(Conflict, match=f"message {row.id}, failed; reschedule"):
        await office.schedule()
    assert (await office.schedule(id=row.id)).status == Status.SCHEDULED


async def test_what_was_sent_or_is_being_sent_is_left_alone_and_says_so(office: Office) -> None:
    row = await office.schedule()
    for status, state in ((Status.SENT, "is sent already"), (Status.SENDING, "is being sent right now")):
        await office.set(row.id, status=status)
        for verb, attempt in (
            ("cancelled", office.app.events.cancel_event_message(row.id)),
            ("rescheduled", office.app.events.reschedule_event_message(row.id, LATER)),
            ("scheduled again", office.schedule(id=row.id)),
        ):
            with pytest.raises(Conflict, match=f"^message {row.id} {state} and cannot be {verb}$"):
                await attempt
        assert await office.app.events.clear_event_messages(office.event_id) == 0
        assert (await office.get(row.id)).status == status


async def test_what_has_ended_otherwise_cannot_be_cancelled_any_more(office: Office) -> None:
    row = await office.schedule()
    for status in (Status.FAILED, Status.SKIPPED):
        await office.set(row.id, status=status)
        with pytest.raises(Conflict, match=f"is {status} already and cannot be cancelled"):
            await office.app.events.cancel_event_message(row.id)


async def test_clearing_one_person_leaves_the_others(office: Office) -> None:
    other, _ = await office.app.events.create_contractor({"name": "Ben Cruz", "phone": "+18105550124"})
    mine, theirs = await office.schedule(), await office.schedule(contractor_id=other.id)
    assert await office.app.events.clear_contractor_messages(office.event_id, office.contractor_id) == 1
    assert (await office.get(mine.id)).status_reason == Reason.CONTRACTOR_CLEARED
    assert (await office.get(theirs.id)).status == Status.SCHEDULED
    assert await office.app.events.clear_event_messages(office.event_id) == 1
    assert (await office.get(theirs.id)).status_reason == Reason.EVENT_CLEARED
    assert await office.app.events.clear_event_messages(office.event_id) == 0
    assert await office.count() == (2, 0)


@pytest.mark.both_databases
async def test_recovery_sends_what_failed_in_the_last_24_hours_at_once(office: Office) -> None:
    recent, old, sent = [await office.schedule(session_key=key) for key in ("recent", "old", "sent")]
    await office.app.queues.disarm(EVENT_MESSAGES.name, [EventMessages.job_id(row.id) for row in (recent, old, sent)])
    await office.set(
        recent.id, status=Status.FAILED, attempts=3, error_message="x", scheduled_time=NOW - timedelta(hours=23)
    )
    await office.set(old.id, status=Status.FAILED, scheduled_time=NOW - timedelta(hours=25))
    await office.set(sent.id, status=Status.SENT, scheduled_time=NOW - timedelta(hours=1))
    assert [row.id for row in await office.app.events.recover_failed_messages()] == [recent.id]
    stored = await office.get(recent.id)
    assert (stored.status, stored.attempts, stored.error_message) == (Status.SCHEDULED, 0, None)
    assert await office.due_in(recent.id) == seconds(0)
    assert (await office.get(old.id)).status == Status.FAILED
    assert await office.count() == (3, 1)


async def test_recovery_of_one_event_leaves_the_others(office: Office) -> None:
    other = await office.app.events.create_event({"name": "Other", "date": "2025-10-18"})
    here, there = await office.schedule(), await office.schedule(event_id=other.id)
    for row in (here, there):
        await office.set(row.id, status=Status.FAILED)
    assert [row.id for row in await office.app.events.recover_failed_messages(other.id)] == [there.id]
    assert (await office.get(here.id)).status == Status.FAILED


async def test_a_recovered_reminder_does_not_say_tomorrow_on_the_day_itself(office: Office) -> None:
    evening = datetime(2025, 10, 18, 0, tzinfo=UTC)  # 8 pm in New York
    reminder = await office.schedule(message_type="check_in_reminder_night_before", scheduled_time=evening)
    rating = await office.schedule(message_type="pcr_request", scheduled_time=evening)
    for row in (reminder, rating):
        await office.set(row.id, status=Status.FAILED, error_message="no route")
    office.clock.move(timedelta(days=1))
    await office.app.events.recover_failed_messages(office.event_id)
    for row in (reminder, rating):
        await office.deliver(row.id)
    stored = await office.get(reminder.id)
    assert (stored.status, stored.status_reason) == (Status.SKIPPED, Reason.EXPIRED)
    assert (await office.get(rating.id)).status == Status.SENT
    assert len(office.app.simulator.messages) == 1


async def test_what_does_not_exist_is_named(office: Office) -> None:
    events, event_id, contractor_id = office.app.events, office.event_id, office.contractor_id
    for about_a_message in (
        events.get_message(999),
        events.cancel_event_message(999),
        events.reschedule_event_message(999, LATER),
    ):
        with pytest.raises(NotFound, match="there is no event message 999"):
            await about_a_message
    for about_an_event in (
        events.program.get_event(999),
        events.program.get_agenda(999),
        events.plan(999),
        events.program.cancel_event(999),
        events.schedule_all_event_messages(999),
        events.clear_event_messages(999),
        events.recover_failed_messages(999),
        events.get_deliveries(999),
        events.clear_contractor_messages(999, contractor_id),
        events.schedule_messages_for_contractor(999, contractor_id),
        events.registrations.cancel(999, contractor_id),
        events.register(999, {"contractor_id": contractor_id}),
        events.program.replace_agenda(999, {"sessions": []}),
    ):
        with pytest.raises(NotFound, match="there is no event 999"):
            await about_an_event
    for about_a_person in (
        events.registrations.get_contractor(999),
        events.clear_contractor_messages(event_id, 999),
        events.schedule_messages_for_contractor(event_id, 999),
        events.registrations.cancel(event_id, 999),
        events.register(event_id, {"contractor_id": 999}),
    ):
        with pytest.raises(NotFound, match="contractor 999"):
            await about_a_person


# Looking


async def test_queue_stats_have_the_shape_of_the_specification(office: Office) -> None:
    await office.schedule()
    await office.schedule(session_key="due", scheduled_time=(NOW - timedelta(minutes=1)).isoformat())
    stats = await office.app.events.get_queue_stats()
    assert stats == {"waiting": 1, "active": 0, "completed": 0, "failed": 0, "delayed": 1, "total": 2}


async def test_upcoming_messages_are_those_of_the_next_24_hours_with_the_names_of_person_and_event(
    office: Office,
) -> None:
    hours = {"overdue": -1, "soon": 1, "last": 24, "too late": 24.01, "cancelled": 2, "sent": 3}
    rows = {
        key: await office.schedule(session_key=key, scheduled_time=NOW + timedelta(hours=ahead))
        for key, ahead in hours.items()
    }
    await office.app.events.cancel_event_message(rows["cancelled"].id)
    await office.set(rows["sent"].id, status=Status.SENT)
    upcoming = await office.app.events.get_upcoming_messages()
    assert [row["session_key"] for row in upcoming] == ["overdue", "soon", "last"]
    assert {(row["contractor_name"], row["event_name"]) for row in upcoming} == {("Ada Abara", "Expo")}
    assert len(await office.app.events.get_upcoming_messages(limit=2)) == 2


async def test_an_event_is_found_by_its_id_and_by_its_slug_even_if_that_is_a_number(office: Office) -> None:
    named = await office.app.events.create_event({"name": "Year", "date": "2026-01-01", "slug": "2026"})
    find = office.app.events.program.find_event_by
    assert (await find("2026")).id == (await find(str(named.id))).id == named.id
    assert (await find(str(office.event_id))).id == office.event_id
    for unknown in ("999", "9" * 40, "nothing", "²"):
        with pytest.raises(NotFound, match=f"there is no event {unknown}"):
            await find(unknown)


# Rows and jobs together


@pytest.fixture
def own_socket() -> Iterator[Path]:
    """An address that no other server takes meanwhile; its path has to be short."""
    with tempfile.TemporaryDirectory(prefix="tidings-") as folder:
        yield Path(folder) / "valkey.sock"


@pytest.mark.both_databases
async def test_an_error_in_a_unit_of_work_leaves_neither_row_nor_job(office: Office) -> None:
    kept = await office.schedule()
    new = EventMessage(
        event_id=office.event_id,
        contractor_id=office.contractor_id,
        message_type="pcr_request",
        message_category="pcr",
        scheduled_time=LATER,
        created_at=NOW,
        updated_at=NOW,
    )

    async def change_and_fail() -> None:
        async with office.app.work.begin() as unit:
            unit.session.add(new)
            await unit.session.flush()
            unit.arm(EventMessages.job(new))
            unit.disarm(EVENT_MESSAGES.name, EventMessages.job_id(kept.id))
            raise RuntimeError("something else went wrong")

    with pytest.raises(RuntimeError, match="something else"):
        await change_and_fail()
    assert await office.due_in(new.id) is None
    assert await office.due_in(kept.id) == seconds(7200)
    assert await office.count() == (1, 1)


async def test_no_message_is_scheduled_for_a_cancelled_event(office: Office) -> None:
    row = await office.schedule()
    await office.app.events.program.cancel_event(office.event_id)
    assert (await office.app.events.program.get_event(office.event_id)).status == EventStatus.CANCELLED
    for attempt in (
        office.schedule(session_key="another"),
        office.schedule(id=row.id),
        office.app.events.reschedule_event_message(row.id, LATER),
    ):
        with pytest.raises(Conflict, match="is cancelled, and none of its messages go out"):
            await attempt
    assert await office.count() == (1, 0)


@pytest.mark.both_databases
async def test_without_redis_messages_are_stored_and_cancelled_all_the_same_and_the_jobs_follow(
    open_app: OpenApp, database_url: str, own_socket: Path
) -> None:
    clock = ManualClock(NOW)
    with own_valkey(config=VALKEY, unix_socket_path=own_socket):
        app = await open_app(clock=clock, database_url=database_url, redis_url=f"unix://{own_socket}")
        office = await open_office(app, clock)
        cancelled = await office.schedule(session_key="cancelled")
    row, _, stats = await asyncio.gather(
        office.schedule(),
        app.events.cancel_event_message(cancelled.id),
        app.events.get_queue_stats(),
        return_exceptions=True,
    )
    assert isinstance(stats, QueueUnavailable)
    assert isinstance(row, EventMessage)
    assert (await office.get(row.id)).status == Status.SCHEDULED
    assert (await office.get(cancelled.id)).status == Status.CANCELLED
    with own_valkey(config=VALKEY, unix_socket_path=own_socket):
        assert await restore_jobs(app) == 1
        assert await office.due_in(row.id) == seconds(7200)
        assert await office.due_in(cancelled.id) is None
