"""The doctor finds each thing that does not hold any more, names the message, and finds nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import delete, insert, update

from messages.due_messages import (
    DAY,
    EVENT_MESSAGE,
    FOLLOW_UP,
    HOUR,
    MINUTE,
    NOON,
    PHONE,
    OpenApp,
    Provider,
    follow_up_to,
    message_to,
    outcome_of,
    person_of,
)
from tidings.app import App
from tidings.clock import ManualClock
from tidings.engine.jobs import DeadJob
from tidings.errors import SendError
from tidings.features.events.models import EventMessage
from tidings.features.followups.models import FollowUp
from tidings.messages.gate.standing import Admission
from tidings.messages.statuses import Status
from tidings.messages.tenants import INSTALLATION

pytestmark = pytest.mark.both_databases

WEEKLY = {"is_recurring": True, "recurrence_interval_days": 7}


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(
        database_url=database_url, clock=ManualClock(NOON), frequency_caps="9/1d", quiet_hours="off"
    )


async def alter(app: App, statement: Any) -> None:
    """Changes rows behind the application's back."""
    async with app.work.begin() as unit:
        await unit.session.execute(statement)


async def found(app: App, *, strays: bool = False) -> list[tuple[str, str | None]]:
    """What the doctor finds; a message that a test brings out by hand leaves its job behind, a stray."""
    findings = [(one.check, one.message) for one in await app.doctor.check_invariants(pause=0)]
    return findings if strays else [one for one in findings if one[0] != "strays"]


async def test_a_series_that_stopped_is_found_and_one_that_ended_for_a_reason_is_not(app: App) -> None:
    person = await person_of(app)
    goes_on, stopped, opted_out = [await follow_up_to(app, person, **WEEKLY) for _ in range(3)]
    assert [await outcome_of(app, FOLLOW_UP, row.id) for row in (goes_on, stopped)] == ["sent", "sent"]
    await app.contacts.opt_out(PHONE)
    await outcome_of(app, FOLLOW_UP, opted_out.id)
    assert await found(app) == []
    await alter(app, update(FollowUp).where(FollowUp.id == stopped.id).values(next_occurrence_id=None))
    assert await found(app) == [("endings", f"follow-up-{stopped.id}")]


async def test_a_message_whose_sender_is_gone_and_that_nobody_takes_over_is_found(app: App) -> None:
    row = await message_to(app, await person_of(app))
    lease = NOON + timedelta(seconds=20)
    await alter(app, update(EventMessage).values(status=Status.SENDING, held_until=lease, attempts=1))
    app.clock.move(timedelta(seconds=49))
    assert await found(app) == []
    app.clock.move(timedelta(seconds=2))
    assert await found(app) == [("leases", f"event-message-{row.id}")]


async def test_a_message_without_a_job_or_with_one_that_comes_too_late_is_found(app: App) -> None:
    kind, person = app.kinds[EVENT_MESSAGE], await person_of(app)
    sound, lost, late, done = [
        await message_to(app, person, scheduled_time=(NOON + number * HOUR).isoformat()) for number in range(4)
    ]
    await app.queues.disarm("event-messages", [kind.job_id(row.id) for row in (lost, done)])
    assert await outcome_of(app, EVENT_MESSAGE, sound.id) == "sent"
    await app.events.cancel_event_message(done.id)
    earlier = update(EventMessage).where(EventMessage.id == late.id).values(scheduled_time=NOON + MINUTE)
    await alter(app, earlier)
    await app.queues.disarm("event-messages", [kind.job_id(sound.id)])
    assert sorted(await found(app)) == [("jobs", kind.job_id(lost.id)), ("jobs", kind.job_id(late.id))]
    await app.recovery.rebuild()
    assert await found(app) == []


async def test_messages_beyond_the_horizon_need_no_job(open_app: OpenApp, database_url: str) -> None:
    app = await open_app(database_url=database_url, clock=ManualClock(NOON), loading_horizon="6")
    person = await person_of(app)
    await message_to(app, person, scheduled_time=(NOON + 9 * HOUR).isoformat())
    assert await found(app) == []
    app.clock.move(4 * HOUR)
    assert await found(app) == [("jobs", "event-message-1")]
    await app.recovery.check()
    assert await found(app) == []


async def test_a_job_whose_message_has_ended_or_never_was_is_found_in_whatever_list_it_stands(app: App) -> None:
    kind, person = app.kinds[FOLLOW_UP], await person_of(app)
    rows = [await follow_up_to(app, person, scheduled_time=NOON + DAY) for _ in range(3)]
    _, failed, gone = (row.id for row in rows)
    await alter(app, update(FollowUp).where(FollowUp.id == failed).values(status=Status.FAILED))
    await alter(app, delete(FollowUp).where(FollowUp.id == gone))
    strays = [("strays", kind.job_id(failed)), ("strays", kind.job_id(gone))]
    assert await found(app, strays=True) == strays
    async with Redis.from_url(app.redis_url) as redis:
        base = f"{app.settings.redis_prefix}:contractor-followups"
        for name in ("wait", "paused", "active"):
            await redis.delete(f"{base}:delayed", *(f"{base}:{other}" for other in ("wait", "paused", "active")))
            await redis.rpush(f"{base}:{name}", *(kind.job_id(row) for row in (failed, gone)))
            assert [one for one in await found(app, strays=True) if one[0] == "strays"] == strays, name
        await redis.delete(*(f"{base}:{name}" for name in ("wait", "paused", "active")))
        await redis.zadd(f"{base}:prioritized", {kind.job_id(failed): 1})
        assert strays[0] in await found(app, strays=True)


async def test_a_place_in_the_caps_that_no_message_has_is_found(app: App) -> None:
    person = await person_of(app)
    row = await follow_up_to(app, person)
    await outcome_of(app, FOLLOW_UP, row.id)
    assert await found(app) == []
    place = {"contact_id": person, "tenant": INSTALLATION, "at": NOON}
    await alter(app, insert(Admission).values([{"kind": FOLLOW_UP, "message_id": 99, **place}]))
    await alter(app, update(FollowUp).values(status=Status.FAILED))
    assert await found(app) == [("places", f"follow-up-{row.id}"), ("places", "follow-up-99")]


async def test_what_is_right_when_it_is_looked_at_again_is_not_reported(app: App) -> None:
    kind = app.kinds[EVENT_MESSAGE]
    row = await message_to(app, await person_of(app), scheduled_time=(NOON + HOUR).isoformat())
    await app.queues.disarm("event-messages", [kind.job_id(row.id)])
    looks = 0

    async def look(*arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks == 2:
            await app.queues.arm([kind.job(row)])
        return await invariants(*arguments)

    invariants = app.doctor._invariants
    app.doctor._invariants = look  # type: ignore[method-assign]
    assert await found(app) == []
    assert looks == 2


async def test_on_a_running_installation_nothing_seems_wrong_that_is_not(
    open_app: Callable[..., Awaitable[App]], database_url: str
) -> None:
    app = await open_app(
        database_url=database_url,
        quiet_hours="off",
        frequency_caps="off",
        queue_settings={"CONTRACTOR_FOLLOWUPS_RATE_LIMIT": "off"},
    )
    person = await person_of(app)
    await app.start_workers()
    rows = []

    async def write() -> None:
        for number in range(120):
            rows.append(await follow_up_to(app, person, **(WEEKLY if number % 2 else {})))

    writing = asyncio.create_task(write())
    while not writing.done():
        assert await found(app, strays=True) == []
    await writing
    while {(await app.followups.get_follow_up(row.id)).status for row in rows} != {Status.SENT}:
        assert await found(app, strays=True) == []
    assert [one.check for one in await app.doctor.look()] == []


async def test_the_quick_look_names_idle_queues_overdue_messages_and_open_dead_letters(app: App) -> None:
    person = await person_of(app)
    rows = [await message_to(app, person) for _ in range(2)]
    put_off = await message_to(app, person)
    await alter(
        app, update(EventMessage).where(EventMessage.id == put_off.id).values(held_until=NOON + timedelta(hours=9))
    )
    dead = DeadJob("notices", "send-notice", "1", {}, "no", 5, NOON, "r")
    await app.dead_letters.store(dead)
    app.clock.move(timedelta(seconds=59))
    assert [(one.check, one.message) for one in await app.doctor.look()] == [
        ("workers", None),
        ("dead letters", None),
    ]
    app.clock.move(2 * MINUTE)
    [idle, late, letters] = await app.doctor.look()
    assert idle.sentence == "No worker is connected; start one with tidings up or tidings worker."
    assert (late.check, late.message) == ("overdue", f"event-message-{rows[0].id}")
    assert "2 of the kind event-message" in late.sentence
    assert letters.sentence.startswith("In notices 1 job has failed for good.")


async def test_a_clock_that_is_wrong_is_said_by_how_much_and_which_way(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.clocks, "offsets", lambda: {"app": 0.0, "redis": -5.04, "database": 0.6})
    monkeypatch.delitem(app.__dict__, "doctor", raising=False)
    [said] = [one.sentence for one in await app.doctor.look() if one.check == "clocks"]
    assert said.startswith("The clock of Redis is 5.0 s behind.")


async def test_messages_that_may_have_left_are_said_and_how_to_settle_them(
    open_app: OpenApp, database_url: str
) -> None:
    silent = Provider(SendError("no answer came", retryable=True, unknown=True))
    app = await open_app(database_url=database_url, clock=ManualClock(NOON), providers={"sms": silent})
    message = await message_to(app, await person_of(app))
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "unknown"
    [said] = [one for one in await app.doctor.look() if one.check == "unknown"]
    assert (said.message, "tidings messages unknown" in said.sentence) == (f"event-message-{message.id}", True)
