"""The schedule of an event: who gets which message when, and what a change of the programme does to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from support.app import due_in, run_job
from support.examples import examples
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import Conflict, InvalidInput
from tidings.features.events.jobs import EVENT_MESSAGE, EVENT_MESSAGES, ORCHESTRATE, Orchestrate
from tidings.features.events.kind import EventMessages
from tidings.features.events.models import Event, EventMessage, EventStatus
from tidings.features.events.plan_changes import ScheduleResult
from tidings.messages.statuses import Reason, Status

OpenApp = Callable[..., Awaitable[App]]
Row = Mapping[str, Any]

ZONE = ZoneInfo("Europe/Berlin")
REGISTERED = datetime(2025, 10, 1, 12, tzinfo=UTC)


def berlin(hour: int, minute: int = 0, day: int = 17) -> datetime:
    return datetime(2025, 10, day, hour, minute, tzinfo=ZONE).astimezone(UTC)


def slot(key: str, start: str, end: str, kind: str = "session", **more: Any) -> dict[str, Any]:
    """A slot on the event's day, with times on the clocks where it takes place."""
    times = {"start_time": f"2025-10-17T{start}:00", "end_time": f"2025-10-17T{end}:00"}
    return {"key": key, "kind": kind, "title": f"Title {key}", **times, **more}


A = slot("a", "09:00", "10:00", speaker="Jo Roe", sponsor="Acme")
TEA = slot("tea", "10:00", "10:30", "break")
B = slot("b", "10:30", "11:30")
MEET = slot("meet", "16:00", "17:00", "networking")
AGENDA = [A, TEA, B, MEET]


@dataclass
class Conference:
    """An event with its people on a clock that stands still, and no worker that would send anything."""

    app: App
    clock: ManualClock
    id: int

    async def person(self, number: int, *, complete: bool = True, register: bool = True, **registration: Any) -> int:
        profile = {"email": f"p{number}@example.com", "company_name": f"Company {number}"} if complete else {}
        contractor, _ = await self.app.events.create_contractor(
            {"name": f"Person {number}", "phone": f"+1810555{number:04}", **profile}
        )
        if register:
            await self.app.events.register(self.id, {"contractor_id": contractor.id, **registration})
        return contractor.id

    async def replace(self, *sessions: dict[str, Any]) -> ScheduleResult:
        return await self.app.events.program.replace_agenda(self.id, {"sessions": list(sessions)})

    async def schedule_all(self) -> ScheduleResult:
        return await self.app.events.schedule_all_event_messages(self.id)

    async def orchestrate(self) -> dict[str, int]:
        """What the worker does once a minute."""
        result = await run_job(self.app, ORCHESTRATE, Orchestrate())
        assert isinstance(result, dict)
        return result

    async def rows(self, contractor_id: int | None = None, **wanted: Any) -> list[Row]:
        """The stored messages whose columns have the wanted values, in order of time."""
        found = await self.app.events.list_messages(event_id=self.id, contractor_id=contractor_id, limit=1000)
        found = [row for row in found if all(row[name] == value for name, value in wanted.items())]
        return sorted(found, key=lambda row: (row["scheduled_time"], row["id"]))

    async def row(self, contractor_id: int, message_type: str, session_key: str = "") -> Row:
        [row] = await self.rows(contractor_id, message_type=message_type, session_key=session_key)
        return row

    async def event(self) -> Event:
        return await self.app.events.program.get_event(self.id)

    async def set_event(self, **values: Any) -> None:
        """Changes the event's row as another program would."""
        async with self.app.work.begin() as unit:
            await unit.session.execute(update(Event).where(Event.id == self.id).values(**values))

    async def set_row(self, message_id: int, **values: Any) -> None:
        async with self.app.work.begin() as unit:
            await unit.session.execute(update(EventMessage).where(EventMessage.id == message_id).values(**values))

    async def due(self, row: Row) -> timedelta | None:
        """How far away the job of a message is, None when it has none."""
        seconds = await due_in(self.app, EVENT_MESSAGE, row["id"])
        return None if seconds is None else timedelta(seconds=seconds)

    async def check_jobs(self) -> None:
        """Every waiting message has exactly one job, due at its time; nothing else has one."""
        rows = await self.rows()
        jobs = await self.app.queues.find(EVENT_MESSAGES.name, [EventMessages.job_id(row["id"]) for row in rows])
        for row, job in zip(rows, jobs, strict=True):
            assert (job is not None) == (row["status"] == Status.SCHEDULED), row
            if job is not None:
                seconds = max(self.clock.seconds_until(row["scheduled_time"]), 0.0)
                assert job.seconds == pytest.approx(seconds, abs=20), row
        waiting = [row for row in rows if row["status"] == Status.SCHEDULED]
        assert (await self.app.queues.stats(EVENT_MESSAGES.name)).total == len(waiting)


def times(rows: Sequence[Row]) -> dict[tuple[str, str], datetime]:
    return {(row["message_type"], row["session_key"]): row["scheduled_time"] for row in rows}


def statuses(rows: Sequence[Row]) -> set[tuple[str, str | None]]:
    return {(row["status"], row["status_reason"]) for row in rows}


@pytest.fixture
async def conference(open_app: OpenApp, database_url: str) -> Conference:
    """A day in Berlin with two talks, a break between them and a reception, sixteen days ahead."""
    clock = ManualClock(REGISTERED)
    app = await open_app(clock=clock, database_url=database_url)
    event = await app.events.create_event(
        {"name": "Builders Day", "date": "2025-10-17", "timezone": "Europe/Berlin", "sessions": AGENDA}
    )
    return Conference(app, clock, event.id)


# Who gets what, and when


async def test_everybody_gets_all_ten_types_at_the_times_of_the_specification(conference: Conference) -> None:
    first, second = await conference.person(1), await conference.person(2)
    await conference.schedule_all()
    for person in (first, second):
        rows = await conference.rows(person)
        assert times(rows) == {
            ("registration_confirmation", ""): REGISTERED,
            ("personalized_agenda", ""): REGISTERED,
            ("check_in_reminder_night_before", ""): berlin(20, day=16),
            ("check_in_reminder_1_hour", ""): berlin(8),
            ("check_in_reminder_event_start", ""): berlin(9),
            ("speaker_alert", "a"): berlin(8, 45),
            ("speaker_alert", "b"): berlin(10, 15),
            ("sponsor_recommendation", "tea"): berlin(10),
            ("peer_match_notification", "meet"): berlin(16),
            ("pcr_request", "a"): berlin(10, 7),
            ("pcr_request", "b"): berlin(11, 37),
            ("post_event_wrap_up", ""): berlin(19),
        }
        assert len({row["message_type"] for row in rows}) == 10
        assert statuses(rows) == {(Status.SCHEDULED, Reason.PLANNED)}
    await conference.check_jobs()


async def test_registering_alone_schedules_that_persons_messages_at_once(conference: Conference) -> None:
    person = await conference.person(1)
    assert len(await conference.rows(person)) == 11  # all but the peer, whom there is nobody to be yet
    await conference.check_jobs()


async def test_a_late_registrant_gets_what_is_ahead_and_the_rest_is_skipped_with_a_line_that_says_why(
    conference: Conference,
) -> None:
    conference.clock.move(berlin(10, 10) - REGISTERED)
    person = await conference.person(1)
    ahead = await conference.rows(person, status=Status.SCHEDULED)
    assert set(times(ahead)) == {
        ("registration_confirmation", ""),
        ("personalized_agenda", ""),
        ("speaker_alert", "b"),
        ("pcr_request", "b"),
        ("post_event_wrap_up", ""),
    }
    skipped = await conference.rows(person, status=Status.SKIPPED)
    assert set(times(skipped)) == {
        ("check_in_reminder_night_before", ""),
        ("check_in_reminder_1_hour", ""),
        ("check_in_reminder_event_start", ""),
        ("speaker_alert", "a"),
        ("sponsor_recommendation", "tea"),
        ("pcr_request", "a"),
    }
    assert statuses(skipped) == {(Status.SKIPPED, Reason.PAST)}
    lines = await conference.app.events.get_deliveries(conference.id)
    assert {line["message_id"] for line in lines} == {row["id"] for row in skipped}
    assert {(line["outcome"], line["reason"]) for line in lines} == {("skipped", "past")}
    await conference.check_jobs()


async def test_chosen_sessions_limit_alerts_and_ratings_but_not_the_break(conference: Conference) -> None:
    person = await conference.person(1, sessions=["b"])
    keys = {(row["message_type"], row["session_key"]) for row in await conference.rows(person) if row["session_key"]}
    assert keys == {("speaker_alert", "b"), ("pcr_request", "b"), ("sponsor_recommendation", "tea")}
    agenda = await conference.row(person, "personalized_agenda")
    assert [line["title"] for line in agenda["personalization_data"]["agenda"]] == ["Title b"]


async def test_the_alerts_of_two_sessions_are_two_messages(conference: Conference) -> None:
    person = await conference.person(1)
    first = await conference.row(person, "speaker_alert", "a")
    second = await conference.row(person, "speaker_alert", "b")
    assert first["id"] != second["id"]
    assert first["personalization_data"]["speaker_name"] == "Jo Roe"
    assert second["personalization_data"]["session_title"] == "Title b"


EVENINGS = {
    "2026-03-09": datetime(2026, 3, 9, 0, tzinfo=UTC),  # the clocks went forward in the night to the 8th
    "2026-03-08": datetime(2026, 3, 8, 1, tzinfo=UTC),  # and do so between reminder and event
    "2025-11-03": datetime(2025, 11, 3, 1, tzinfo=UTC),  # the clocks went back in the night to the 2nd
    "2025-11-02": datetime(2025, 11, 2, 0, tzinfo=UTC),
}


async def test_the_evening_reminder_is_at_8_pm_local_time_around_a_clock_change(open_app: OpenApp) -> None:
    clock = ManualClock(REGISTERED)
    app = await open_app(clock=clock)
    for date, evening in EVENINGS.items():
        event = await app.events.create_event({"name": "NYC", "date": date, "timezone": "America/New_York"})
        conference = Conference(app, clock, event.id)
        reminder = await conference.row(await conference.person(1), "check_in_reminder_night_before")
        assert reminder["scheduled_time"] == evening
        due = await conference.due(reminder)
        assert due == pytest.approx(evening - REGISTERED, abs=timedelta(seconds=20))


async def test_times_without_an_offset_are_the_events_local_time_and_others_are_instants(open_app: OpenApp) -> None:
    app = await open_app(clock=ManualClock(REGISTERED))
    sessions = [
        {"title": "Naive", "start_time": "2026-07-01T09:00:00", "end_time": "2026-07-01T10:00:00"},
        {"title": "Aware", "start_time": "2026-07-01T09:00:00Z", "end_time": "2026-07-01T12:00:00+02:00"},
    ]
    event = await app.events.create_event(
        {"name": "Tokyo", "date": "2026-07-01", "timezone": "Asia/Tokyo", "sessions": sessions}
    )
    agenda = {slot.title: (slot.start_time, slot.end_time) for slot in await app.events.program.get_agenda(event.id)}
    day = datetime(2026, 7, 1, tzinfo=UTC)
    assert agenda == {
        "Naive": (day, day + timedelta(hours=1)),
        "Aware": (day + timedelta(hours=9), day + timedelta(hours=10)),
    }
    assert (event.start_time, event.end_time) == (day, day + timedelta(hours=10))


# Making the schedule again


@pytest.mark.both_databases
async def test_making_the_schedule_again_changes_nothing(conference: Conference) -> None:
    for number in range(3):
        await conference.person(number)
    await conference.schedule_all()
    before = await conference.rows()
    assert await conference.schedule_all() == ScheduleResult(unchanged=len(before))
    assert await conference.replace(*AGENDA) == ScheduleResult(unchanged=len(before))
    assert await conference.rows() == before
    await conference.check_jobs()


@pytest.mark.both_databases
async def test_the_schedule_made_twice_at_once_has_no_message_twice(conference: Conference) -> None:
    for number in range(4):
        await conference.person(number)
    async with conference.app.work.begin() as unit:  # as if nothing had been planned yet
        for row in await unit.session.scalars(EventMessage.__table__.select().with_only_columns(EventMessage.id)):
            unit.disarm(EVENT_MESSAGES.name, EventMessages.job_id(row))
        await unit.session.execute(EventMessage.__table__.delete())
    results = await asyncio.gather(*(conference.schedule_all() for _ in range(4)))
    rows = await conference.rows()
    assert len(rows) == 4 * 12
    assert sorted(result.scheduled for result in results) == [0, 0, 0, len(rows)]
    assert sum(result.unchanged for result in results) == 3 * len(rows)
    await conference.check_jobs()


@pytest.mark.both_databases
async def test_registrations_at_the_same_moment_are_all_kept_and_planned(conference: Conference) -> None:
    people = [await conference.person(number, register=False) for number in range(6)]
    register = conference.app.events.register
    await asyncio.gather(
        *(register(conference.id, {"contractor_id": person}) for person in people), conference.schedule_all()
    )
    await conference.schedule_all()
    assert len(await conference.rows()) == 6 * 12
    await conference.check_jobs()


@pytest.mark.both_databases
async def test_registering_the_same_person_twice_at_the_same_moment_is_refused_once(conference: Conference) -> None:
    person = await conference.person(1, register=False)
    answers = await asyncio.gather(
        *(conference.app.events.register(conference.id, {"contractor_id": person}) for _ in range(2)),
        return_exceptions=True,
    )
    [refused] = [answer for answer in answers if isinstance(answer, BaseException)]
    assert isinstance(refused, Conflict)
    assert len(await conference.rows(person)) == 11
    await conference.check_jobs()


# A changed agenda


async def test_a_changed_agenda_moves_adds_and_cancels_exactly_what_changed(conference: Conference) -> None:
    people = [await conference.person(number) for number in range(2)]
    await conference.schedule_all()
    before = times(await conference.rows(people[0]))
    later = slot("b", "11:00", "12:00")
    result = await conference.replace(A, later, slot("c", "13:00", "14:00"), MEET)
    assert result == ScheduleResult(
        scheduled=2 * 2,  # alert and rating of c
        moved=2 * 2,  # alert and rating of b
        updated=2 * 1,  # the personal agenda lists other sessions and times
        cancelled=2 * 1,  # the break
        unchanged=2 * 8,
    )
    for person in people:
        open_rows = await conference.rows(person, status=Status.SCHEDULED)
        after = times(open_rows)
        changed = {key: moment for key, moment in after.items() if before.get(key) != moment}
        assert changed == {
            ("speaker_alert", "b"): berlin(10, 45),
            ("pcr_request", "b"): berlin(12, 7),
            ("speaker_alert", "c"): berlin(12, 45),
            ("pcr_request", "c"): berlin(14, 7),
        }
        assert set(before) - set(after) == {("sponsor_recommendation", "tea")}
        pause = await conference.row(person, "sponsor_recommendation", "tea")
        assert (pause["status"], pause["status_reason"]) == (Status.CANCELLED, Reason.NO_LONGER_PLANNED)
        agenda = await conference.row(person, "personalized_agenda")
        lines = agenda["personalization_data"]["agenda"]
        assert [(line["time"], line["title"]) for line in lines] == [
            ("09:00", "Title a"),
            ("11:00", "Title b"),
            ("13:00", "Title c"),
        ]
    await conference.check_jobs()


async def test_a_talk_that_gets_another_room_moves_nothing_and_tells_the_new_room(conference: Conference) -> None:
    person = await conference.person(1)
    result = await conference.replace(A, TEA, {**B, "room": "Blue"}, MEET)
    assert result == ScheduleResult(updated=3, unchanged=8)  # alert, rating and personal agenda
    alert = await conference.row(person, "speaker_alert", "b")
    assert alert["personalization_data"]["session_room"] == "Blue"
    await conference.check_jobs()


async def test_a_talk_without_a_key_moves_within_its_day_even_over_midnight_utc(open_app: OpenApp) -> None:
    app = await open_app(clock=ManualClock(REGISTERED))
    talk = {"title": "Late talk", "start_time": "2025-10-17T20:30:00", "end_time": "2025-10-17T21:30:00"}
    event = await app.events.create_event(
        {"name": "NYC", "date": "2025-10-17", "timezone": "America/New_York", "sessions": [talk]}
    )
    conference = Conference(app, ManualClock(REGISTERED), event.id)
    person = await conference.person(1)
    result = await conference.replace({**talk, "start_time": "2025-10-17T19:00:00"})
    assert (result.scheduled, result.cancelled) == (0, 0)
    [alert] = await conference.rows(person, message_type="speaker_alert")
    assert alert["scheduled_time"] == datetime(2025, 10, 17, 22, 45, tzinfo=UTC)


async def test_two_coffee_breaks_a_day_need_no_keys(conference: Conference) -> None:
    person = await conference.person(1)
    pause = {"kind": "break", "title": "Coffee", "sponsor": "Roasters"}
    morning, afternoon = slot("", "10:00", "10:30") | pause, slot("", "14:00", "14:30") | pause
    del morning["key"], afternoon["key"]
    await conference.replace(A, morning, afternoon, MEET)
    rows = await conference.rows(person, message_type="sponsor_recommendation", status=Status.SCHEDULED)
    assert [row["scheduled_time"] for row in rows] == [berlin(10), berlin(14)]
    afternoon |= {"start_time": "2025-10-17T14:30:00", "end_time": "2025-10-17T15:00:00"}
    result = await conference.replace(A, morning, afternoon, MEET)
    assert (result.scheduled, result.cancelled) == (1, 1)
    rows = await conference.rows(person, message_type="sponsor_recommendation", status=Status.SCHEDULED)
    assert [row["scheduled_time"] for row in rows] == [berlin(10), berlin(14, 30)]


async def test_a_removed_session_that_comes_back_revives_its_messages(conference: Conference) -> None:
    person = await conference.person(1)
    alert = await conference.row(person, "speaker_alert", "b")
    result = await conference.replace(A, TEA, MEET)
    assert (result.cancelled, result.updated) == (2, 1)
    assert await conference.due(alert) is None
    back = await conference.replace(A, TEA, slot("b", "11:00", "12:00"), MEET)
    assert (back.scheduled, back.moved, back.cancelled, back.skipped) == (2, 0, 0, 0)
    revived = await conference.row(person, "speaker_alert", "b")
    assert revived["id"] == alert["id"]
    assert (revived["status"], revived["status_reason"]) == (Status.SCHEDULED, Reason.PLANNED)
    assert revived["scheduled_time"] == berlin(10, 45)
    await conference.check_jobs()


async def test_a_session_moved_into_the_past_is_skipped_with_its_new_time_and_revived_when_it_moves_on(
    conference: Conference,
) -> None:
    person = await conference.person(1)
    conference.clock.move(berlin(9, 30) - REGISTERED)
    result = await conference.replace(A, TEA, slot("b", "09:15", "09:20"), MEET)
    assert result == ScheduleResult(skipped=2, updated=1, unchanged=8)  # its alert and its rating
    alert = await conference.row(person, "speaker_alert", "b")
    assert (alert["status"], alert["status_reason"]) == (Status.SKIPPED, Reason.PAST)
    assert alert["scheduled_time"] == berlin(9)
    assert alert["personalization_data"]["session_time"] == "09:15"
    assert await conference.replace(A, TEA, B, MEET) == ScheduleResult(scheduled=2, updated=1, unchanged=8)
    revived = await conference.row(person, "speaker_alert", "b")
    assert (revived["status"], revived["scheduled_time"]) == (Status.SCHEDULED, berlin(10, 15))


async def test_the_events_times_follow_the_agenda_even_after_it_was_empty(conference: Conference) -> None:
    person = await conference.person(1)
    await conference.replace(slot("x", "11:00", "12:00"))
    await conference.replace()
    event = await conference.event()
    assert (event.start_time, event.end_time) == (berlin(9), berlin(17))  # the usual hours
    await conference.replace(slot("x", "12:00", "13:00"))
    event = await conference.event()
    assert (event.start_time, event.end_time) == (berlin(12), berlin(13))
    assert (await conference.row(person, "check_in_reminder_1_hour"))["scheduled_time"] == berlin(11)
    assert (await conference.row(person, "post_event_wrap_up"))["scheduled_time"] == berlin(15)
    await conference.check_jobs()


async def test_times_that_somebody_gave_the_event_stay_when_its_agenda_changes(open_app: OpenApp) -> None:
    app = await open_app(clock=ManualClock(REGISTERED))
    doors = {"start_time": "2025-10-17T08:00:00", "end_time": "2025-10-17T18:00:00"}
    event = await app.events.create_event(
        {"name": "Expo", "date": "2025-10-17", "timezone": "Europe/Berlin", "sessions": AGENDA, **doors}
    )
    await app.events.program.replace_agenda(event.id, {"sessions": [A]})
    event = await app.events.program.get_event(event.id)
    assert (event.start_time, event.end_time) == (berlin(8), berlin(18))


async def test_an_agenda_that_would_end_the_event_before_its_doors_open_is_refused(open_app: OpenApp) -> None:
    app = await open_app(clock=ManualClock(REGISTERED))
    doors = {"start_time": "2025-10-17T08:30:00"}
    event = await app.events.create_event(
        {"name": "Expo", "date": "2025-10-17", "timezone": "Europe/Berlin", "sessions": AGENDA, **doors}
    )
    with pytest.raises(InvalidInput, match="sessions: the event would start at"):
        await app.events.program.replace_agenda(event.id, {"sessions": [slot("early", "07:00", "08:00")]})
    assert len(await app.events.program.get_agenda(event.id)) == len(AGENDA)


async def test_an_unusable_agenda_changes_nothing(conference: Conference) -> None:
    await conference.person(1)
    before = await conference.rows()
    with pytest.raises(InvalidInput, match=r"sessions\.1\.end_time"):
        await conference.replace(A, slot("b", "11:00", "10:00"))
    assert [slot.key for slot in await conference.app.events.program.get_agenda(conference.id)] == [
        "a",
        "tea",
        "b",
        "meet",
    ]
    assert await conference.rows() == before
    await conference.check_jobs()


# What people did by hand, and what is history


async def test_what_a_person_moved_or_cancelled_by_hand_the_plan_leaves_alone(conference: Conference) -> None:
    person = await conference.person(1)
    moved = await conference.row(person, "speaker_alert", "b")
    cancelled = await conference.row(person, "pcr_request", "b")
    await conference.app.events.reschedule_event_message(moved["id"], berlin(10, 29))
    await conference.app.events.cancel_event_message(cancelled["id"])
    for change in (
        conference.schedule_all(),
        conference.replace(A, TEA, slot("b", "12:00", "13:00"), MEET),
        conference.replace(A, TEA, MEET),
        conference.replace(*AGENDA),
    ):
        await change
        kept = await conference.row(person, "speaker_alert", "b")
        assert (kept["status"], kept["scheduled_time"]) == (Status.SCHEDULED, berlin(10, 29))
        gone = await conference.row(person, "pcr_request", "b")
        assert (gone["status"], gone["status_reason"]) == (Status.CANCELLED, Reason.BY_REQUEST)
        await conference.check_jobs()


@pytest.mark.both_databases
async def test_a_message_that_a_person_moves_while_the_plan_is_made_stays_where_they_put_it(
    conference: Conference,
) -> None:
    person = await conference.person(1)
    alert = await conference.row(person, "speaker_alert", "b")
    for minute in range(10):
        await asyncio.gather(
            conference.replace(A, TEA, slot("b", "12:00", f"13:{minute:02}"), MEET),
            conference.app.events.reschedule_event_message(alert["id"], berlin(10, minute)),
        )
        assert (await conference.row(person, "speaker_alert", "b"))["scheduled_time"] == berlin(10, minute)
        await conference.set_row(alert["id"], status_reason=Reason.PLANNED)


async def test_sent_and_failed_messages_are_history(conference: Conference) -> None:
    person = await conference.person(1)
    sent = await conference.row(person, "speaker_alert", "b")
    failed = await conference.row(person, "pcr_request", "b")
    await conference.set_row(sent["id"], status=Status.SENT, actual_send_time=berlin(10, 15))
    await conference.set_row(failed["id"], status=Status.FAILED, error_message="no route")
    for change in (
        conference.replace(A, TEA, slot("b", "12:00", "13:00"), MEET),
        conference.replace(A, TEA, MEET),
        conference.replace(*AGENDA),
        conference.schedule_all(),
    ):
        result = await change
        assert result.moved == 0
        for before, status in ((sent, Status.SENT), (failed, Status.FAILED)):
            row = await conference.row(person, before["message_type"], "b")
            assert (row["id"], row["status"]) == (before["id"], status)
            assert row["scheduled_time"] == before["scheduled_time"]


@pytest.mark.both_databases
async def test_a_message_that_is_being_sent_is_left_to_its_worker(conference: Conference) -> None:
    person = await conference.person(1)
    alert = await conference.row(person, "speaker_alert", "b")
    await conference.set_row(alert["id"], status=Status.SENDING)
    await conference.replace(A, TEA, MEET)
    assert (await conference.row(person, "speaker_alert", "b"))["status"] == Status.SENDING
    assert await conference.app.events.clear_event_messages(conference.id) == 9
    assert (await conference.row(person, "speaker_alert", "b"))["status"] == Status.SENDING


# Clearing and cancelling


async def test_cleared_messages_stay_cleared_until_somebody_asks_for_the_schedule(conference: Conference) -> None:
    first, second = await conference.person(1), await conference.person(2)
    await conference.schedule_all()
    assert await conference.app.events.clear_contractor_messages(conference.id, first) == 12
    await conference.replace(A, TEA, slot("b", "12:00", "13:00"), MEET)
    await conference.orchestrate()
    assert statuses(await conference.rows(first)) == {(Status.CANCELLED, Reason.CONTRACTOR_CLEARED)}
    assert statuses(await conference.rows(second)) == {(Status.SCHEDULED, Reason.PLANNED)}
    await conference.check_jobs()

    assert await conference.app.events.clear_event_messages(conference.id) == 12
    await conference.replace(*AGENDA)
    assert await conference.rows(status=Status.SCHEDULED) == []
    await conference.check_jobs()

    result = await conference.app.events.schedule_messages_for_contractor(conference.id, first)
    assert result == ScheduleResult(scheduled=12)
    assert await conference.schedule_all() == ScheduleResult(scheduled=12, unchanged=12)
    await conference.check_jobs()


async def test_a_cancelled_event_has_no_waiting_message_and_never_gets_one_again(conference: Conference) -> None:
    person = await conference.person(1)
    by_hand = await conference.row(person, "speaker_alert", "a")
    await conference.app.events.reschedule_event_message(by_hand["id"], berlin(8, 50))
    assert await conference.app.events.program.cancel_event(conference.id) == 11
    assert statuses(await conference.rows()) == {(Status.CANCELLED, Reason.EVENT_CANCELLED)}
    lines = await conference.app.events.get_deliveries(conference.id)
    assert [line["outcome"] for line in lines] == ["cancelled"] * 11
    assert await conference.app.events.program.cancel_event(conference.id) == 0
    assert await conference.schedule_all() == ScheduleResult()
    assert await conference.orchestrate() == {"live": 0, "completed": 0, "planned": 0, "cleared": 0}
    await conference.check_jobs()
    with pytest.raises(Conflict, match="is cancelled"):
        await conference.replace(A)
    with pytest.raises(Conflict, match="is cancelled"):
        await conference.person(2)
    with pytest.raises(Conflict, match="is cancelled"):
        await conference.app.events.reschedule_event_message(by_hand["id"], berlin(8, 50))
    with pytest.raises(Conflict, match="is cancelled"):
        await conference.app.events.schedule_event_message(
            {
                "event_id": conference.id,
                "contractor_id": person,
                "message_type": "speaker_alert",
                "scheduled_time": berlin(8),
            }
        )


async def test_a_cancelled_registration_takes_one_persons_messages_and_registering_again_brings_them_back(
    conference: Conference,
) -> None:
    first, second = await conference.person(1), await conference.person(2)
    await conference.schedule_all()
    assert await conference.app.events.registrations.cancel(conference.id, first) == 12
    assert statuses(await conference.rows(first)) == {(Status.CANCELLED, Reason.REGISTRATION_CANCELLED)}
    assert statuses(await conference.rows(second)) == {(Status.SCHEDULED, Reason.PLANNED)}
    await conference.check_jobs()
    await conference.orchestrate()  # nobody is left to meet
    peer = await conference.row(second, "peer_match_notification", "meet")
    assert (peer["status"], peer["status_reason"]) == (Status.CANCELLED, Reason.NO_LONGER_PLANNED)

    conference.clock.move(timedelta(hours=5))
    await conference.app.events.register(conference.id, {"contractor_id": first})
    await conference.orchestrate()
    assert statuses(await conference.rows()) == {(Status.SCHEDULED, Reason.PLANNED)}
    again = await conference.row(first, "registration_confirmation")
    assert again["scheduled_time"] == REGISTERED + timedelta(hours=5)
    assert len(await conference.rows()) == 24


# People


async def test_a_profile_completed_later_brings_the_personal_agenda(conference: Conference) -> None:
    person = await conference.person(1, complete=False)
    assert await conference.rows(person, message_type="personalized_agenda") == []
    conference.clock.move(timedelta(days=2))
    assert await conference.person(1, register=False) == person
    agenda = await conference.row(person, "personalized_agenda")
    assert (agenda["status"], agenda["scheduled_time"]) == (Status.SCHEDULED, REGISTERED + timedelta(days=2))
    assert await conference.due(agenda) == pytest.approx(timedelta(0), abs=timedelta(seconds=20))
    await conference.person(1, register=False)
    assert len(await conference.rows(person)) == 11


@pytest.mark.both_databases
async def test_profiles_completed_while_the_agenda_changes_all_bring_their_agenda(conference: Conference) -> None:
    people = [await conference.person(number, complete=False) for number in range(5)]
    for number, person in enumerate(people):
        await asyncio.gather(
            conference.replace(*AGENDA, slot(f"new {number}", "13:00", "14:00")),
            conference.person(number, register=False),
            conference.orchestrate(),
        )
        assert (await conference.row(person, "personalized_agenda"))["status"] == Status.SCHEDULED
    await conference.schedule_all()
    await conference.check_jobs()


async def test_peers_are_each_others_peers_and_an_odd_one_out_has_none(conference: Conference) -> None:
    people = [await conference.person(number) for number in range(1, 6)]
    await conference.orchestrate()
    names = {f"Person {number}": person for number, person in enumerate(people, 1)}
    rows = await conference.rows(message_type="peer_match_notification", status=Status.SCHEDULED)
    peers = {row["contractor_id"]: names[row["personalization_data"]["peer_name"]] for row in rows}
    assert len(peers) == 4
    assert all(peers[peer] == person for person, peer in peers.items())
    await conference.check_jobs()


async def test_a_newcomer_and_the_person_to_meet_learn_of_each_other_within_a_minute(conference: Conference) -> None:
    first = await conference.person(1)
    assert await conference.rows(first, message_type="peer_match_notification") == []
    await conference.orchestrate()
    second = await conference.person(2)
    assert (await conference.orchestrate())["planned"] == 1
    for person, peer in ((first, "Person 2"), (second, "Person 1")):
        row = await conference.row(person, "peer_match_notification", "meet")
        assert row["personalization_data"]["peer_name"] == peer


async def test_a_person_who_gets_another_company_is_announced_with_it(conference: Conference) -> None:
    first, _second = await conference.person(1), await conference.person(2)
    await conference.orchestrate()
    await conference.app.events.create_contractor(
        {"name": "Person 2", "phone": "+18105550002", "company_name": "Newer Homes"}
    )
    await conference.orchestrate()
    row = await conference.row(first, "peer_match_notification", "meet")
    assert row["personalization_data"]["peer_company"] == "Newer Homes"


# What happens by itself, once a minute


async def test_an_event_goes_live_and_is_completed_as_its_time_comes(conference: Conference) -> None:
    await conference.person(1)
    seen = []
    for moment in (berlin(8, 59), berlin(9), berlin(16, 59), berlin(17), berlin(23)):
        conference.clock.move(moment - conference.clock.now())
        await conference.orchestrate()
        seen.append((await conference.event()).status)
    assert seen == ["upcoming", "live", "live", "completed", "completed"]
    wrap_up = await conference.rows(message_type="post_event_wrap_up")
    assert statuses(wrap_up) == {(Status.SCHEDULED, Reason.PLANNED)}  # completion takes nothing away
    with pytest.raises(Conflict, match="is completed"):
        await conference.person(2)
    with pytest.raises(Conflict, match="is completed"):
        await conference.app.events.program.cancel_event(conference.id)


async def test_nobody_registers_for_an_event_that_is_over_even_before_it_was_noticed(conference: Conference) -> None:
    conference.clock.move(berlin(17, 1) - REGISTERED)
    with pytest.raises(Conflict, match="is over"):
        await conference.person(1)
    assert await conference.rows() == []


async def test_an_agenda_changed_in_the_database_is_planned_within_a_minute(conference: Conference) -> None:
    person = await conference.person(1)
    await conference.orchestrate()
    event = await conference.event()
    assert event.planned_version == event.agenda_version
    assert (await conference.orchestrate())["planned"] == 0
    await conference.set_event(end_time=berlin(18), agenda_version=event.agenda_version + 1)
    assert (await conference.orchestrate())["planned"] == 1
    assert (await conference.row(person, "post_event_wrap_up"))["scheduled_time"] == berlin(20)
    await conference.check_jobs()


async def test_an_event_cancelled_in_the_database_is_cleared_within_a_minute(conference: Conference) -> None:
    await conference.person(1)
    await conference.set_event(status=EventStatus.CANCELLED)
    assert (await conference.orchestrate())["cleared"] == 1
    assert statuses(await conference.rows()) == {(Status.CANCELLED, Reason.EVENT_CANCELLED)}
    await conference.check_jobs()
    assert (await conference.orchestrate())["cleared"] == 0


async def test_an_event_that_cannot_be_planned_does_not_stop_the_others(conference: Conference) -> None:
    other = await conference.app.events.create_event({"name": "Other", "date": "2025-10-20", "timezone": "UTC"})
    person = await conference.person(1)
    await conference.set_event(timezone="Middle/Earth")
    await conference.app.events.register(other.id, {"contractor_id": person})
    assert (await conference.orchestrate())["planned"] == 1
    event = await conference.app.events.program.get_event(other.id)
    assert event.planned_version == event.agenda_version


# Whatever happens, the rows are what the rules ask for

_HOURS = st.integers(min_value=9, max_value=18)
_SLOTS = st.dictionaries(
    keys=st.sampled_from("abcdef"),
    values=st.tuples(_HOURS, st.sampled_from([15, 30, 60]), st.sampled_from(["session", "break", "networking"])),
    max_size=5,
)


def _agenda(slots: dict[str, tuple[int, int, str]]) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "title": key,
            "kind": kind,
            "start_time": berlin(hour),
            "end_time": berlin(hour) + timedelta(minutes=minutes),
        }
        for key, (hour, minutes, kind) in slots.items()
    ]


@pytest.fixture
async def busy_app(open_app: OpenApp) -> App:
    return await open_app(clock=ManualClock(REGISTERED))


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(agendas=st.lists(_SLOTS, min_size=1, max_size=5), hours=st.integers(min_value=0, max_value=12))
async def test_after_any_agenda_edits_the_waiting_messages_are_exactly_the_plan(
    busy_app: App, agendas: list[dict[str, tuple[int, int, str]]], hours: int
) -> None:
    now = berlin(8) + timedelta(hours=hours)
    clock = busy_app.clock
    assert isinstance(clock, ManualClock)
    clock.move(REGISTERED - clock.now())
    event = await busy_app.events.create_event(
        {"name": "Changing", "date": "2025-10-17", "timezone": "Europe/Berlin", "end_time": "2025-10-18T00:00:00"}
    )
    conference = Conference(busy_app, clock, event.id)
    for number in range(3):
        await conference.person(number, complete=number > 0)
    clock.move(now - clock.now())
    for agenda in agendas:
        await conference.replace(*_agenda(agenda))
        planned = {
            (message.contractor_id, message.message_type.value, message.session_key): message
            for message in await busy_app.events.plan(event.id)
        }
        rows = {
            (row["contractor_id"], row["message_type"], row["session_key"]): row for row in await conference.rows()
        }
        waiting = {key: row for key, row in rows.items() if row["status"] == Status.SCHEDULED}
        for key, row in waiting.items():
            assert row["scheduled_time"] == planned[key].scheduled_time
            assert row["personalization_data"] == planned[key].personalization_data
        ahead = {key for key, message in planned.items() if message.scheduled_time >= now}
        assert ahead <= waiting.keys() <= planned.keys()
        assert planned.keys() <= rows.keys()
        jobs = await busy_app.queues.find(
            EVENT_MESSAGES.name, [EventMessages.job_id(row["id"]) for row in rows.values()]
        )
        assert [job is not None for job in jobs] == [row["status"] == Status.SCHEDULED for row in rows.values()]
    assert await conference.schedule_all() == ScheduleResult(unchanged=len(planned))
