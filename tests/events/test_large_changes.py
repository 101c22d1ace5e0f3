"""What concerns many people goes in portions: others' messages leave in between, and nothing is left half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from messages.due_messages import EVENT_MESSAGE, Provider, message_to, outcome_of
from support.app import run_job
from tidings.app import App
from tidings.errors import Conflict
from tidings.features.events import schedule
from tidings.features.events.jobs import ORCHESTRATE, Orchestrate
from tidings.features.events.people_import import import_people
from tidings.messages import changes
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.files.people_file import Person
from tidings.messages.statuses import Status
from tidings.work import Portions, Unit

pytestmark = pytest.mark.both_databases

START = datetime(2032, 5, 4, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEOPLE = [Person(f"Ben {number}", phone=f"+1810555{number:04}") for number in range(40)]

Change = Callable[[App, int], Coroutine[Any, Any, object]]


def agenda(start: datetime) -> list[dict[str, Any]]:
    """Four sessions, one after another."""
    starts = [start + number * HOUR for number in range(4)]
    return [
        {"key": f"s{number}", "title": f"Talk {number}", "start_time": one, "end_time": one + HOUR / 2}
        for number, one in enumerate(starts)
    ]


class Stop:
    """Has a change wait at its third portion, until it may go on."""

    def __init__(self) -> None:
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        self.armed = False
        self._begin, self._number = Portions.begin, 0

    def disarm(self) -> None:
        """Has later changes go on without a stop."""
        self.armed, self._number = False, 0

    @asynccontextmanager
    async def begin(self, portions: Portions) -> AsyncIterator[Unit]:
        self._number += self.armed
        if self._number == 3:
            self.reached.set()
            await self.go_on.wait()
        async with self._begin(portions) as unit:
            yield unit


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """With portions of a few messages."""
    monkeypatch.setattr(schedule, "AT_ONCE", 20)
    monkeypatch.setattr(changes, "PORTION", 20)
    stop = Stop()
    monkeypatch.setattr(Portions, "begin", lambda portions: stop.begin(portions))
    return stop


@pytest.fixture
async def app(open_app: Callable[..., Awaitable[App]], database_url: str) -> App:
    return await open_app(database_url=database_url, providers={"sms": Provider()})


async def full_event(app: App) -> int:
    """An event that everybody is registered for."""
    event = await app.events.create_event(
        {"name": "Conf", "date": START.date(), "timezone": "UTC", "sessions": agenda(START)}
    )
    await import_people(app.work, PEOPLE, event.id)
    return event.id


async def move(app: App, event_id: int) -> None:
    await app.events.program.replace_agenda(event_id, {"sessions": agenda(START + HOUR)})


async def clear(app: App, event_id: int) -> None:
    await app.events.clear_event_messages(event_id)


async def cancel(app: App, event_id: int) -> None:
    await app.events.program.cancel_event(event_id)


async def begun(stop: Stop, change: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
    """The change, in its third portion."""
    stop.armed = True
    task = asyncio.create_task(change)
    await asyncio.wait_for(stop.reached.wait(), 20)
    return task


async def broken_off(stop: Stop, change: Coroutine[Any, Any, object]) -> None:
    """Begins the change and ends it in its third portion."""
    task = await begun(stop, change)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    stop.disarm()


@pytest.mark.parametrize("change", [move, clear, cancel])
async def test_a_message_to_somebody_else_leaves_while_an_event_is_being_changed(
    app: App, stop: Stop, change: Change
) -> None:
    event_id = await full_event(app)
    person, _ = await app.events.create_contractor({"name": "Ada", "phone": "+12125550123"})
    message = await message_to(app, person.id)
    task = await begun(stop, change(app, event_id))
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    assert not task.done()
    stop.go_on.set()
    await task


async def times_of(app: App, event_id: int) -> set[tuple[Any, ...]]:
    """When which message of whom is due that waits."""
    rows = await app.events.list_messages(event_id=event_id, limit=1000)
    assert len(rows) < 1000
    fields = ("contractor_id", "message_type", "session_key", "scheduled_time")
    return {tuple(row[name] for name in fields) for row in rows if row["status"] == Status.SCHEDULED}


async def test_an_agenda_whose_move_was_broken_off_is_moved_by_the_next_orchestration(app: App, stop: Stop) -> None:
    event_id = await full_event(app)
    await broken_off(stop, move(app, event_id))
    planned = {
        (one.contractor_id, one.message_type, one.session_key, one.scheduled_time)
        for one in await app.events.plan(event_id)
    }
    assert {row for row in await times_of(app, event_id) if row[2]} != {row for row in planned if row[2]}
    await run_job(app, ORCHESTRATE, Orchestrate())
    assert await times_of(app, event_id) == planned


async def test_a_cancelled_event_whose_messages_were_not_all_called_off_is_cleared_by_the_next_orchestration(
    app: App, stop: Stop
) -> None:
    event_id = await full_event(app)
    await broken_off(stop, cancel(app, event_id))
    assert await times_of(app, event_id)
    await run_job(app, ORCHESTRATE, Orchestrate())
    assert not await times_of(app, event_id)


async def test_who_was_imported_gets_their_messages_though_the_import_was_broken_off(app: App, stop: Stop) -> None:
    event = await app.events.create_event(
        {"name": "Conf", "date": START.date(), "timezone": "UTC", "sessions": agenda(START)}
    )
    await broken_off(stop, import_people(app.work, PEOPLE, event.id))
    people = len(PEOPLE)
    assert len({row[0] for row in await times_of(app, event.id)}) < people
    await run_job(app, ORCHESTRATE, Orchestrate())
    assert len({row[0] for row in await times_of(app, event.id)}) == people


async def test_a_plan_that_changes_while_it_is_carried_out_ends_as_the_last_one(app: App, stop: Stop) -> None:
    event_id = await full_event(app)
    task = await begun(stop, move(app, event_id))
    stop.disarm()
    await app.events.program.replace_agenda(event_id, {"sessions": agenda(START + 2 * HOUR)})
    stop.go_on.set()
    await task
    planned = await app.events.plan(event_id)
    assert await times_of(app, event_id) == {
        (one.contractor_id, one.message_type, one.session_key, one.scheduled_time) for one in planned
    }


async def test_two_imports_of_the_same_people_in_other_orders_never_wait_for_each_other(app: App) -> None:
    lists = [PEOPLE, PEOPLE[::-1], PEOPLE[20:] + PEOPLE[:20]]
    for company in ("Acme", "Engines"):
        named = [[Person(one.name, phone=one.phone, company_name=company) for one in people] for people in lists]
        answers = await asyncio.gather(*(import_people(app.work, people) for people in named), return_exceptions=True)
        assert all(not isinstance(one, BaseException) or isinstance(one, Conflict) for one in answers), answers
    async with app.work.read() as session:
        companies = await session.execute(select(Contractor.company_name, func.count()).group_by("company_name"))
        assert [tuple(row) for row in companies] == [("Engines", len(PEOPLE))]
