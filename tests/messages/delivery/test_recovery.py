"""Whatever happens to Redis or to a process, every message has its job in time, and nobody does the work twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from messages.due_messages import DAY, EVENT_MESSAGE, HOUR, MINUTE, NOON, OpenApp, follow_up_to, person_of
from support.app import restore_jobs
from tidings.app import App
from tidings.clock import ManualClock
from tidings.messages.delivery import recovery
from tidings.messages.delivery.open_rows import START, read_page

pytestmark = [pytest.mark.both_databases, pytest.mark.usefixtures("left_sound")]

QUEUE = "event-messages"


async def schedule(app: App, times: list[datetime]) -> list[str]:
    """Messages to one person at these times; the ids of their jobs."""
    event = await app.events.create_event({"name": "DemoCon", "date": "2027-12-01", "timezone": "UTC"})
    person = await person_of(app)
    rows = await app.events.schedule_bulk_event_messages(
        [
            {
                "event_id": event.id,
                "contractor_id": person,
                "message_type": "peer_match_notification",
                "scheduled_time": time.isoformat(),
                "message_content": "Meet Ben at the bar",
                "session_key": f"meeting-{place}",
            }
            for place, time in enumerate(times)
        ]
    )
    return [f"event-message-{row.id}" for row in rows]


async def armed(app: App) -> list[str]:
    """The ids of the jobs in Redis, in the order in which they are due."""
    async with Redis.from_url(app.redis_url, decode_responses=True) as redis:
        found: list[str] = await redis.zrange(f"{app.settings.redis_prefix}:{QUEUE}:delayed", 0, -1)
        return found


async def forget(app: App) -> None:
    """Redis loses everything of this installation."""
    async with Redis.from_url(app.redis_url, decode_responses=True) as redis:
        keys = [key async for key in redis.scan_iter(f"{app.settings.redis_prefix}:*")]
        if keys:
            await redis.delete(*keys)


def times(*ahead: timedelta) -> list[datetime]:
    return [NOON + one for one in ahead]


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PAGE", 3)


async def test_a_message_beyond_the_horizon_is_loaded_once_when_it_comes_within(
    open_app: OpenApp, database_url: str, clock: ManualClock
) -> None:
    app = await open_app(database_url=database_url, clock=clock, loading_horizon="6")
    near, far = await schedule(app, times(HOUR, 9 * HOUR))
    await app.recovery.rebuild()
    assert await armed(app) == [near]
    clock.move(2 * HOUR)
    assert await app.recovery.check() == 1, "the overdue one"
    assert far not in await armed(app)
    clock.move(HOUR + MINUTE)
    assert await app.recovery.check() == 1
    assert far in await armed(app)
    assert await app.recovery.check() == 0


async def test_a_message_put_off_beyond_the_horizon_leaves_redis_and_comes_back(
    open_app: OpenApp, database_url: str, clock: ManualClock
) -> None:
    app = await open_app(database_url=database_url, clock=clock, loading_horizon="6")
    [job_id] = await schedule(app, times(HOUR))
    await app.recovery.rebuild()
    row_id = int(job_id.rpartition("-")[2])
    await app.events.reschedule_event_message(row_id, NOON + 3 * DAY)
    assert await armed(app) == []
    clock.move(3 * DAY - HOUR)
    assert await app.recovery.check() == 1
    assert await armed(app) == [job_id]


async def test_a_rebuild_puts_soon_messages_of_every_kind_before_all_others(
    open_app: OpenApp, database_url: str, clock: ManualClock, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(database_url=database_url, clock=clock)
    await schedule(app, times(*(HOUR * (5 + number) for number in range(10)), MINUTE))
    follow_up = await follow_up_to(app, await person_of(app), scheduled_time=NOON + 2 * MINUTE)
    await forget(app)
    order: list[str] = []
    arm_missing = app.queues.arm_missing

    async def note(jobs: Any, **options: Any) -> int:
        order.extend(job.id for job in sorted(jobs, key=lambda job: job.due))
        return await arm_missing(jobs, **options)

    monkeypatch.setattr(app.queues, "arm_missing", note)
    assert await app.recovery.rebuild() == 12
    assert order[1] == f"follow-up-{follow_up.id}"
    assert len(order) == len(set(order)) == 12


@pytest.fixture
def loading_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second look at rows that count as loaded."""
    for most in ("MOST_SOON", "MOST_OVERDUE", "MOST_LATER"):
        monkeypatch.setattr(recovery, most, 0)


@pytest.mark.parametrize("what", ["killed", "flushed"])
async def test_a_rebuild_that_is_cut_off_anywhere_is_ended_by_another_process(
    open_app: OpenApp, database_url: str, clock: ManualClock, small_pages: None, loading_alone: None,
    monkeypatch: pytest.MonkeyPatch, what: str,
) -> None:  # fmt: skip
    class Killed(BaseException):
        pass

    first = await open_app(database_url=database_url, clock=clock)
    second = await open_app(database_url=database_url, clock=clock, redis_prefix=first.settings.redis_prefix)
    ids = await schedule(first, times(*(MINUTE * number for number in range(1, 12))))
    find_missing = type(first.queues).find_missing
    for moment in range(6):
        await forget(first)
        calls = 0

        async def find(self: Any, *args: Any, at: int = moment, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at + 1:
                if what == "killed":
                    raise Killed
                await forget(first)
            return await find_missing(self, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(type(first.queues), "find_missing", find)
            with suppress(Killed):
                await first.recovery._look()
        await second.recovery._look()
        assert sorted(await armed(first)) == sorted(ids), moment
        assert not await first.queues.was_emptied()


async def test_two_processes_at_once_rebuild_every_job_once(
    open_app: OpenApp, database_url: str, clock: ManualClock, small_pages: None
) -> None:
    first = await open_app(database_url=database_url, clock=clock)
    second = await open_app(database_url=database_url, clock=clock, redis_prefix=first.settings.redis_prefix)
    ids = await schedule(first, times(*(MINUTE * number for number in range(1, 20))))
    await forget(first)
    await asyncio.gather(*(app.recovery._look() for app in (first, second, first, second)))
    assert sorted(await armed(first)) == sorted(ids)


async def test_a_check_is_made_once_an_interval_for_all_processes(
    open_app: OpenApp, database_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await open_app(database_url=database_url, clock=clock, sweep_interval=60)
    second = await open_app(
        database_url=database_url, clock=clock, sweep_interval=60, redis_prefix=first.settings.redis_prefix
    )
    await first.recovery._look()
    checks: list[App] = []

    def counted(app: App) -> Callable[[Any], Awaitable[int]]:
        async def check(turn: Any) -> int:
            checks.append(app)
            return 0

        return check

    for app in (first, second):
        monkeypatch.setattr(app.recovery, "_check", counted(app))
    async with Redis.from_url(first.redis_url) as redis:
        await redis.delete(f"{first.settings.redis_prefix}:tidings:recovery:checked")
    await first.recovery._look()

    async def look_before_that() -> tuple[bool, bool]:
        return False, True

    monkeypatch.setattr(second.queues.progress, "look", look_before_that)
    await second.recovery._look()
    assert checks == [first]


async def test_a_start_looks_at_no_row_when_redis_kept_its_jobs(
    open_app: OpenApp, database_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(database_url=database_url, clock=clock)
    await schedule(app, times(HOUR))
    await app.recovery.rebuild()

    async def nobody(*_: Any) -> Any:
        raise AssertionError("a row was looked at")

    monkeypatch.setattr(recovery, "read_page", nobody)
    await app.recovery._look()


async def test_lost_jobs_are_found_however_many_rows_there_are(
    open_app: OpenApp, database_url: str, clock: ManualClock, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in ("MOST_SOON", "MOST_OVERDUE", "MOST_LATER"):
        monkeypatch.setattr(recovery, most, 4)
    app = await open_app(database_url=database_url, clock=clock)
    ids = await schedule(app, times(*(timedelta(seconds=10 * number) for number in range(-9, 90, 3))))
    await app.recovery.rebuild()
    await app.queues.disarm(QUEUE, ids)
    found = 0
    while found < len(ids):
        more = await app.recovery.check()
        assert more, found
        found += more
    assert found == len(ids)
    assert await app.recovery.check() == 0
    assert all(await app.queues.find(QUEUE, ids))


async def test_rows_of_one_moment_come_page_after_page_each_once(
    open_app: OpenApp, database_url: str, clock: ManualClock
) -> None:
    app = await open_app(database_url=database_url, clock=clock)
    await schedule(app, times(*[HOUR] * 7, *[2 * HOUR] * 2))
    kind, place, seen, is_last = app.kinds[EVENT_MESSAGE], START, [], False
    while not is_last:
        page = await read_page(app.database, kind, place, NOON + HOUR, 3)
        seen += [*page.dues]
        place, is_last = page.end, page.is_last
    assert len(seen) == len(set(seen)) == 7


async def test_with_many_delayed_jobs_the_automatic_horizon_comes_into_force(
    open_app: OpenApp, database_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.engine.horizon._CROWD", 4)
    monkeypatch.setattr("tidings.engine.horizon._CALM", 2)
    app = await open_app(database_url=database_url, clock=clock)
    ids = await schedule(app, times(*(MINUTE * number for number in range(1, 6)), DAY))
    assert await armed(app) == ids, "nothing was crowded when they were written"
    [far] = await schedule(app, times(2 * DAY))
    assert far not in await armed(app)
    await app.recovery.rebuild()
    assert far not in await armed(app)
    clock.move(2 * DAY - HOUR)
    await app.recovery.check()
    assert far in await armed(app)


async def test_a_message_kept_out_of_redis_behind_the_place_that_loading_had_reached_is_loaded_in_time(
    open_app: OpenApp, database_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, loading_alone: None
) -> None:
    app = await open_app(database_url=database_url, clock=clock)
    await schedule(app, times(*(DAY + MINUTE * number for number in range(5))))
    await app.recovery.rebuild()
    monkeypatch.setattr("tidings.engine.horizon._CROWD", 4)
    [kept_out] = await schedule(app, times(20 * HOUR))
    assert kept_out not in await armed(app)
    await app.recovery.check()
    clock.move(15 * HOUR)
    await app.recovery.check()
    assert kept_out in await armed(app)


async def test_a_job_that_redis_kept_in_no_list_is_put_back_in_time(
    open_app: OpenApp, database_url: str, clock: ManualClock
) -> None:
    app = await open_app(database_url=database_url, clock=clock)
    lost, kept = await schedule(app, times(MINUTE, 2 * MINUTE))
    async with Redis.from_url(app.redis_url) as redis:
        await redis.zrem(f"{app.settings.redis_prefix}:{QUEUE}:delayed", lost)
    assert await restore_jobs(app) == 1
    assert await armed(app) == [lost, kept]
