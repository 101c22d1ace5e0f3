"""Many messages at once come to the same as one after another, however many they are and from wherever they come."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from support.app import due_in
from support.examples import examples
from tidings.app import App
from tidings.clock import ManualClock
from tidings.db import bulk_insert
from tidings.errors import UserError
from tidings.features.events import requested, wanted
from tidings.features.events.jobs import EVENT_MESSAGE
from tidings.features.events.models import EventMessage
from tidings.messages.statuses import Status

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2030, 4, 1, 12, tzinfo=UTC)
PEOPLE = 3
COMPARED = (
    *("contractor_id", "message_type", "message_category", "session_key", "scheduled_time", "status"),
    *("status_reason", "message_content", "personalization_data", "phone", "channel", "ghl_contact_id", "updated_at"),
)


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    app = await open_app(clock=ManualClock(NOW), database_url=database_url)
    for number in range(PEOPLE):
        await app.events.create_contractor({"name": f"P {number}", "phone": f"+1810555{number:04}"})
    return app


async def an_event(app: App) -> int:
    event = await app.events.create_event({"name": "Expo", "date": "2030-05-01", "timezone": "America/New_York"})
    return int(event.id)


def some_message(chance: random.Random) -> dict[str, Any]:
    """One of few, so that some are the same and some contradict each other."""
    message: dict[str, Any] = {
        "contractor_id": chance.randint(1, PEOPLE),
        "message_type": chance.choice(["speaker_alert", "pcr_request"]),
        "scheduled_time": chance.choice(["2030-05-01T10:00:00", "2030-05-01T14:00:00.123456Z"]),
        "phone": chance.choice([None, "(810) 555-0199"]),
        "session_key": chance.choice(["", "a"]),
    }
    if chance.random() < 0.3:
        message["personalization_data"] = {"session_title": chance.choice(["b", "c"]), "seats": [1, None, "ü"]}
    if chance.random() < 0.02:
        message |= chance.choice([{"contractor_id": 99}, {"phone": "12"}, {"scheduled_time": "soon"}])
    return message


async def rows_of(app: App, event_id: int) -> list[tuple[Any, ...]]:
    rows = await app.events.list_messages(event_id=event_id)
    found = []
    for row in rows:
        due = await due_in(app, EVENT_MESSAGE, row["id"])
        found.append((*(row[name] for name in COMPARED), None if due is None else round(due, -2)))
    return sorted(found, key=repr)


@pytest.mark.both_databases
async def test_many_at_once_come_to_the_same_as_one_after_another(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requested, "PORTION", 3)
    monkeypatch.setattr(wanted, "AT_ONCE", 2)
    refused = 0
    for seed in range(examples(60)):
        chance = random.Random(seed)
        together, single = await an_event(app), await an_event(app)
        for message in [some_message(chance) for _ in range(chance.randint(0, 3))]:
            ended = chance.choice([Status.SCHEDULED, Status.CANCELLED, Status.SKIPPED, Status.SENT, Status.FAILED])
            for event_id in (together, single):
                try:
                    row = await app.events.schedule_event_message({**message, "event_id": event_id})
                except UserError:
                    continue
                async with app.work.begin() as unit:
                    row_is = EventMessage.id == row.id
                    await unit.session.execute(update(EventMessage).where(row_is).values(status=ended))
        before = await rows_of(app, together)
        messages = [some_message(chance) for _ in range(chance.randint(1, 8))]
        said: UserError | None = None
        for message in messages:
            try:
                await app.events.schedule_event_message({**message, "event_id": single})
            except UserError as error:
                said = error
                break
        many = [{**message, "event_id": together} for message in messages]
        if said is not None:
            with pytest.raises(UserError):
                await app.events.schedule_bulk_event_messages(many)
            assert await rows_of(app, together) == before, seed
            refused += 1
        else:
            rows = await app.events.schedule_bulk_event_messages(many)
            assert await rows_of(app, together) == await rows_of(app, single), seed
            assert [row.contractor_id for row in rows] == [message["contractor_id"] for message in messages]
    assert refused, "some of the cases are to be refused"


@pytest.mark.both_databases
async def test_a_returned_row_is_the_stored_one(app: App) -> None:
    event_id = await an_event(app)
    message = {"event_id": event_id, "contractor_id": 1, "message_type": "pcr_request", "scheduled_time": NOW}
    data = {"session_title": "Öl", "deep": {"a": [1, 2.5, None, True]}}
    [row] = await app.events.schedule_bulk_event_messages([{**message, "personalization_data": data}])
    stored = await app.events.get_message(row.id)
    names = [column.name for column in EventMessage.__table__.columns]
    assert {name: getattr(row, name) for name in names} == {name: getattr(stored, name) for name in names}


async def test_messages_may_come_from_anything_that_yields_them_and_the_bad_one_is_named(app: App) -> None:
    event_id = await an_event(app)
    message = {"event_id": event_id, "contractor_id": 1, "message_type": "pcr_request", "scheduled_time": NOW}
    many = [{**message, "session_key": str(number)} for number in range(2500)]
    rows = await app.events.schedule_bulk_event_messages(iter(many))
    assert (len(rows), rows[-1].session_key, [row.session_key for row in rows[7:9]]) == (2500, "2499", ["7", "8"])
    assert (await app.events.get_queue_stats())["total"] == 2500
    many[2100] = {**message, "scheduled_time": "soon"}
    with pytest.raises(UserError, match=r"^2100\.scheduled_time: "):
        await app.events.schedule_bulk_event_messages(iter(many))


async def test_without_an_end_they_are_refused_instead_of_filling_the_memory(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wanted, "MOST", 5000)
    message = {"event_id": 1, "contractor_id": 1, "message_type": "pcr_request", "scheduled_time": NOW}
    with pytest.raises(UserError, match="at most 5000 messages at once, these are more"):
        await app.events.schedule_bulk_event_messages(message for _ in iter(int, 1))


@pytest.mark.both_databases
async def test_ids_that_were_reserved_are_nobody_elses(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_insert, "PORTION", 2)
    event_id = await an_event(app)
    message = {"event_id": event_id, "contractor_id": 1, "message_type": "pcr_request"}
    for hour in range(3):
        times = NOW + timedelta(hours=hour)
        many = [{**message, "scheduled_time": times, "session_key": f"{hour}-{number}"} for number in range(5)]
        await app.events.schedule_bulk_event_messages(many)
        await app.events.schedule_event_message({**message, "scheduled_time": times, "session_key": str(hour)})
    async with app.work.read() as session:
        assert await session.scalar(select(func.count(EventMessage.id.distinct()))) == 18
