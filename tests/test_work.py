"""A unit of work: rows and jobs together, and begun anew when it met another one about the same rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tidings.app import App
from tidings.features.events.jobs import SEND_EVENT_MESSAGE
from tidings.messages.contacts.contractors import Contractor
from tidings.work import Unit

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2026, 11, 24, 17, tzinfo=UTC)
ADA = {"name": "Ada", "phone": "+12125550123", "vip": False, "created_at": NOW, "updated_at": NOW}


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(database_url=database_url)


def job(number: int) -> tuple[str, str]:
    """The queue and id of a job."""
    return SEND_EVENT_MESSAGE.queue.name, f"event-message-{number}"


async def people(app: App) -> int:
    async with app.work.read() as session:
        return await session.scalar(select(func.count()).select_from(Contractor)) or 0


async def is_armed(app: App, number: int) -> bool:
    queue, job_id = job(number)
    return await app.queues.find(queue, [job_id]) != [None]


async def collide(unit: Unit) -> None:
    """Writes the same new row twice."""
    await unit.session.execute(insert(Contractor), [ADA])
    await unit.session.execute(insert(Contractor), [ADA])


async def test_a_change_that_met_another_one_is_begun_anew_and_nothing_of_the_first_try_stays(app: App) -> None:
    tries: list[int] = []

    async def change(unit: Unit) -> str:
        tries.append(len(tries) + 1)
        unit.arm(SEND_EVENT_MESSAGE.job(SEND_EVENT_MESSAGE.model(id=len(tries))))
        if len(tries) < 3:
            await collide(unit)
        await unit.session.execute(insert(Contractor), [ADA])
        return f"try {len(tries)}"

    assert await app.work.retry(change) == "try 3"
    assert tries == [1, 2, 3]
    assert await people(app) == 1
    assert [await is_armed(app, number) for number in (1, 2, 3)] == [False, False, True]


async def test_a_change_that_meets_others_again_and_again_is_given_up_after_three_tries(app: App) -> None:
    tries: list[int] = []

    async def change(unit: Unit) -> None:
        tries.append(1)
        unit.arm(SEND_EVENT_MESSAGE.job(SEND_EVENT_MESSAGE.model(id=7)))
        await collide(unit)

    with pytest.raises(IntegrityError):
        await app.work.retry(change)
    assert len(tries) == 3
    assert await people(app) == 0
    assert not await is_armed(app, 7)


async def test_any_other_mistake_is_not_tried_again(app: App) -> None:
    tries: list[int] = []

    async def change(unit: Unit) -> None:
        tries.append(1)
        await unit.session.execute(insert(Contractor), [ADA])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await app.work.retry(change)
    assert len(tries) == 1
    assert await people(app) == 0


async def test_of_many_who_write_the_same_new_row_at_once_one_does_and_the_others_find_it(app: App) -> None:
    async def find_or_add(unit: Unit) -> int:
        found = await unit.session.scalar(select(Contractor.id).where(Contractor.phone == ADA["phone"]))
        if found is not None:
            return found
        row = Contractor(**ADA)
        unit.session.add(row)
        await unit.session.flush()
        return row.id

    found = await asyncio.gather(*(app.work.retry(find_or_add) for _ in range(10)))
    assert len(set(found)) == 1
    assert await people(app) == 1


async def test_jobs_are_released_only_after_the_commit(app: App) -> None:
    with suppress(ZeroDivisionError):
        async with app.work.begin() as unit:
            unit.arm(SEND_EVENT_MESSAGE.job(SEND_EVENT_MESSAGE.model(id=1)))
            raise ZeroDivisionError
    assert not await is_armed(app, 1)
    async with app.work.begin() as unit:
        unit.arm(SEND_EVENT_MESSAGE.job(SEND_EVENT_MESSAGE.model(id=1)))
        assert not await is_armed(app, 1)
    assert await is_armed(app, 1)
    async with app.work.begin() as unit:
        unit.disarm(*job(1))
        assert await is_armed(app, 1)
    assert not await is_armed(app, 1)
