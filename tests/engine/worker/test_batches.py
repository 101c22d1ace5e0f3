"""What a worker promises whose processor is given batches."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import bullmq
import pytest
from bullmq.custom_errors import DelayedError, UnrecoverableError

from engine.worker.rig import Rig
from support.workshop import PUNCTUAL, eventually
from tidings.engine import Batch, RateLimitError

pytestmark = pytest.mark.parametrize("rig", [10], indirect=True, ids=["ten at most"])
Odd = Callable[[Rig], Awaitable[Any]]


def many(count: int) -> list[str]:
    return [f"job-{number:03}" for number in range(count)]


async def states(rig: Rig, *ids: str) -> list[str]:
    return [await (await rig.job(one)).getState() for one in ids]


# -- What a processor gets, and how its jobs end


async def test_a_processor_gets_so_many_jobs_at_most_in_their_order(rig: Rig) -> None:
    await rig.add("urgent-b", "urgent-a", priority=2)
    await rig.add(*many(23))
    rig.batch_worker()
    await rig.happened("completed", 25)
    assert rig.ids() == [*many(23), "urgent-b", "urgent-a"]
    assert [len(batch) for batch in rig.batches] == [10, 10, 5]
    assert len({start.token for start in rig.starts}) == 25


async def test_a_job_that_comes_alone_is_a_batch_of_one(rig: Rig) -> None:
    await rig.idle_worker()
    await rig.add("a")
    await rig.happened("completed")
    rig.batch_worker()
    await rig.add("b")
    await rig.happened("completed", 2)
    assert await states(rig, *"ab") == ["completed"] * 2


async def test_jobs_left_when_the_processor_returns_are_completed_with_what_it_returned(rig: Rig) -> None:
    async def process(batch: Batch) -> dict[str, int]:
        assert [job.id for job in batch] == [*"abc"]
        (first, *_) = batch
        batch.complete(first, "early")
        assert [job.id for job in batch] == [*"bc"]
        assert first not in batch
        assert len(batch) == 2
        return {"sent": 2}

    await rig.add(*"abc")
    rig.batch_worker(process)
    told = {told.job_id: told.arguments[1] for told in await rig.happened("completed", 3)}
    assert told == {"a": "early", "b": {"sent": 2}, "c": {"sent": 2}}
    for job_id, result in told.items():
        job = await rig.job(job_id)
        assert (job.returnvalue, job.attemptsMade, job.attemptsStarted) == (result, 1, 1)
        assert job.finishedOn >= job.processedOn > 0


@pytest.mark.parametrize("error", [ValueError("no"), UnrecoverableError("no"), asyncio.CancelledError("no")])
async def test_jobs_left_when_the_processor_raises_fail_with_what_it_raised(rig: Rig, error: BaseException) -> None:
    async def process(batch: Batch) -> None:
        if len(rig.batches) == 1:
            batch.complete(next(iter(batch)))
            raise error

    final = isinstance(error, UnrecoverableError)
    await rig.add(*"abc", attempts=2)
    rig.batch_worker(process)
    failed = await rig.happened("failed", 2)
    assert [(told.job_id, str(told.arguments[1])) for told in failed] == [("b", "no"), ("c", "no")]
    await rig.happened("completed", 1 if final else 3)
    assert await states(rig, *"abc") == ["completed", *(["failed" if final else "completed"] * 2)]
    assert rig.batches[1:] in ([], [["b", "c"]], [["b"], ["c"]])


async def test_each_job_of_a_batch_ends_in_its_own_way(rig: Rig) -> None:
    async def process(batch: Batch) -> str:
        jobs = {job.id: job for job in batch}
        if len(rig.batches) == 1:
            await jobs["postponed"].moveToDelayed(round(time.time() * 1000) + 60_000, jobs["postponed"].token)
            batch.fail(jobs["postponed"], DelayedError())
            batch.fail(jobs["retried"], ValueError("not yet"))
            batch.fail(jobs["hopeless"], UnrecoverableError("never"))
            batch.complete(jobs["early"], 1)
        return "done"

    await rig.add("retried", "hopeless", "postponed", "early", "plain", attempts=2)
    rig.batch_worker(process)
    await rig.happened("completed", 3)
    ends = await states(rig, "retried", "hopeless", "postponed", "early", "plain")
    assert ends == ["completed", "failed", "delayed", "completed", "completed"]
    assert [(await rig.job(one)).attemptsMade for one in ("retried", "hopeless", "postponed")] == [2, 1, 0]
    assert Counter(rig.ids()) == Counter(["retried", "retried", "hopeless", "postponed", "early", "plain"])


ENDS: dict[str, Callable[[Batch, Any], None]] = {
    "completed": lambda batch, job: batch.complete(job),
    "failed": lambda batch, job: batch.fail(job, ValueError("no")),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
async def test_a_job_that_has_ended_makes_room_at_once_and_cannot_end_again(
    rig: Rig, end: Callable[[Batch, Any], None]
) -> None:
    hold = asyncio.Event()

    async def process(batch: Batch) -> None:
        first = next(iter(batch))
        if first.id == "a":
            end(batch, first)
            for again in ENDS.values():
                with pytest.raises(KeyError):
                    again(batch, first)
        await hold.wait()

    await rig.add(*"abcd")
    rig.batch_worker(process, concurrency=3)
    await rig.started(4)
    assert rig.batches == [[*"abc"], ["d"]]
    hold.set()
    await rig.idle()
    counts = await rig.counts("completed", "failed")
    assert counts == ({"completed": 4, "failed": 0} if end is ENDS["completed"] else {"completed": 3, "failed": 1})


async def test_a_batch_cannot_be_ended_after_its_processor_has_returned(rig: Rig) -> None:
    kept: list[tuple[Batch, Any]] = []

    async def process(batch: Batch) -> None:
        kept.extend((batch, job) for job in batch)

    await rig.add(*"ab")
    rig.batch_worker(process)
    await rig.happened("completed", 2)
    for batch, job in kept:
        with pytest.raises(KeyError):
            batch.fail(job, ValueError("too late"))
    assert await states(rig, *"ab") == ["completed"] * 2


circle: list[Any] = []
circle.append(circle)


@pytest.mark.parametrize(
    "result", [object(), float("nan"), {1, 2}, b"text", circle], ids=lambda one: type(one).__name__
)
async def test_a_result_that_is_not_json_fails_its_job_alone_and_for_good(rig: Rig, result: object) -> None:
    async def process(batch: Batch) -> str:
        batch.complete(next(job for job in batch if job.id == "odd"), result)
        return "done"

    await rig.add("a", "odd", "b", attempts=3)
    rig.batch_worker(process)
    await rig.happened("completed", 2)
    (failed,) = await rig.happened("failed")
    assert str(failed.arguments[1]).startswith("the processor's result is not JSON")
    assert await states(rig, "a", "odd", "b") == ["completed", "failed", "completed"]
    assert len(rig.starts) == 3


@pytest.mark.parametrize(("batch", "concurrency"), [(2, 5), (10, 5), (3, 1), (10, 16)])
async def test_concurrency_counts_jobs_over_all_batches(rig: Rig, batch: int, concurrency: int) -> None:
    running, most, full = 0, 0, asyncio.Event()

    async def process(given: Batch) -> None:
        nonlocal running, most
        running += len(given)
        most = max(most, running)
        if running == concurrency:
            full.set()
        await full.wait()
        for job in list(given):
            await rig.redis.ping()
            running -= 1
            given.complete(job)

    await rig.add(*many(60))
    rig.batch_worker(process, batch=batch, concurrency=concurrency)
    await rig.happened("completed", 60)
    assert most == concurrency
    assert max(map(len, rig.batches)) <= batch
    assert sorted(rig.ids()) == many(60)


async def test_a_batch_that_meets_a_rate_limit_goes_back_in_its_order_and_costs_no_attempt(rig: Rig) -> None:
    async def process(batch: Batch) -> None:
        if len(rig.batches) == 1:
            await worker.rateLimit(20)
            raise RateLimitError

    await rig.add(*"abcde", attempts=1)
    worker = rig.batch_worker(process, limiter={"max": 100, "duration": 1000}, concurrency=4, batch=4)
    await rig.happened("completed", 5)
    assert rig.ids() == [*"abcd", *"abcde"]
    assert rig.events("failed") == []


# -- Jobs out of the ordinary, beside plain ones


KEPT: dict[str, tuple[Any, Callable[[list[str]], list[str]]]] = {
    "all": (False, lambda ids: ids),
    "none": (True, lambda ids: []),
    "zero": (0, lambda ids: []),
    "the latest four": (4, lambda ids: ids[-4:]),
    "at most four": ({"count": 4}, lambda ids: ids[-4:]),
    "for an hour": ({"age": 3600}, lambda ids: ids),
    "for an hour, four of them": ({"age": 3600, "count": 4}, lambda ids: ids[-4:]),
}


@pytest.mark.parametrize(("kept", "left"), KEPT.values(), ids=KEPT.keys())
async def test_completed_jobs_stay_as_they_say(rig: Rig, kept: Any, left: Callable[[list[str]], list[str]]) -> None:
    await rig.add(*many(10), removeOnComplete=kept)
    rig.batch_worker()
    await rig.happened("completed", 10)
    assert rig.batches == [many(10)]
    assert await rig.redis.zrange(rig.key("completed"), 0, -1) == left(many(10))
    assert [one for one in many(10) if await rig.redis.exists(rig.key(one))] == left(many(10))


@pytest.mark.parametrize("limit", [1, 4, 1000])
async def test_old_jobs_go_at_least_as_fast_as_new_ones_come(rig: Rig, limit: int) -> None:
    old = [f"old-{number}" for number in range(10)]
    await rig.redis.zadd(rig.key("completed"), dict.fromkeys(old, 1))
    await rig.add(*many(10), removeOnComplete={"age": 60, "limit": limit})
    rig.batch_worker()
    await rig.happened("completed", 10)
    assert rig.batches == [many(10)]
    assert await rig.redis.zrange(rig.key("completed"), 0, -1) == many(10)


async def test_each_job_of_a_batch_stays_as_it_says_itself(rig: Rig) -> None:
    for number, kept in enumerate([True, False, {"count": 100}, {"age": 60}, True, 100]):
        await rig.add(f"job-{number}", removeOnComplete=kept)
    rig.batch_worker()
    await rig.happened("completed", 6)
    assert len(rig.batches) <= 2
    assert sorted(await rig.redis.zrange(rig.key("completed"), 0, -1)) == ["job-1", "job-2", "job-3", "job-5"]


async def test_what_a_worker_keeps_holds_for_jobs_that_say_nothing(rig: Rig) -> None:
    await rig.add(*many(9))
    rig.batch_worker(removeOnComplete={"count": 2})
    await rig.happened("completed", 9)
    assert await rig.redis.zrange(rig.key("completed"), 0, -1) == many(9)[-2:]


in_any_place = pytest.mark.parametrize("ids", [("odd", "a", "b"), ("a", "odd", "b"), ("a", "b", "odd")], ids="-".join)


async def work_off(rig: Rig, *ids: str, meanwhile: Odd | None = None, **options: Any) -> None:
    """One batch of these jobs, and what happens while they are worked on."""

    async def process(batch: Batch) -> str:
        if meanwhile:
            await meanwhile(rig)
        return "done"

    rig.batch_worker(process, **options)
    await rig.started(len(ids))
    assert rig.batches[0] == list(ids)


@in_any_place
async def test_a_child_in_a_batch_lets_its_parent_go_on_with_its_result(rig: Rig, ids: tuple[str, ...]) -> None:
    parents = bullmq.Queue("parents", {"connection": rig.redis, "prefix": rig.prefix})
    belongs = {"parent": {"id": "whole", "queue": f"{rig.prefix}:parents"}}
    await rig.queue.pause()
    await bullmq.FlowProducer({"connection": rig.redis, "prefix": rig.prefix}).add(
        {"name": "whole", "queueName": "parents", "opts": {"jobId": "whole"},
         "children": [{"name": "elsewhere", "queueName": "others"}]}
    )  # fmt: skip
    await rig.redis.delete(f"{rig.prefix}:parents:whole:dependencies")
    for one in ids:
        await rig.add(one, **(belongs if one == "odd" else {}))
    await rig.queue.resume()
    await work_off(rig, *ids)
    await rig.happened("completed", 3)
    parent = await bullmq.Job.fromId(parents, "whole")
    assert await parent.getState() == "waiting"
    assert await parent.getChildrenValues() == {f"{rig.key('odd')}": "done"}


@in_any_place
async def test_a_job_whose_children_are_not_done_fails_and_the_others_complete(
    rig: Rig, ids: tuple[str, ...]
) -> None:
    async def add_a_child(rig: Rig) -> None:
        children = bullmq.Queue("parts", {"connection": rig.redis, "prefix": rig.prefix})
        await children.add("part", {}, {"parent": {"id": "odd", "queue": f"{rig.prefix}:{rig.name}"}})

    await rig.add(*ids, attempts=3)
    await work_off(rig, *ids, meanwhile=add_a_child)
    (failed,) = await rig.happened("failed")
    assert str(failed.arguments[1]) == "Cannot complete job odd: it has children that are not done"
    await rig.happened("completed", 2)
    assert await states(rig, "a", "b", "odd") == ["completed", "completed", "failed"]


@in_any_place
async def test_a_deduplicated_job_in_a_batch_can_be_added_again_afterwards(rig: Rig, ids: tuple[str, ...]) -> None:
    only = {"deduplication": {"id": "customer-7"}}
    for one in ids:
        await rig.add(one, **(only if one == "odd" else {}))
    await rig.add("refused", **only)
    await work_off(rig, *ids)
    await rig.happened("completed", 3)
    await rig.add("again", **only)
    await rig.happened("completed", 4)
    assert rig.batches == [list(ids), ["again"]]


async def test_a_job_of_a_scheduler_in_a_batch_is_followed_by_its_next(rig: Rig) -> None:
    await rig.queue.upsertJobScheduler("tick", {"every": 3_600_000}, "order", {})
    await rig.add(*"ab")
    rig.batch_worker()
    await rig.happened("completed", 3)
    assert sorted(rig.ids())[:2] == [*"ab"]
    assert (await rig.counts("delayed"))["delayed"] == 1
    (scheduler,) = await rig.queue.getJobSchedulers()
    assert scheduler["key"] == "tick"


@in_any_place
async def test_a_job_with_a_deferred_failure_fails_before_the_processor_sees_it(
    rig: Rig, ids: tuple[str, ...]
) -> None:
    await rig.add(*ids, attempts=3)
    await rig.redis.hset(rig.key("odd"), "defa", "its child failed")
    rig.batch_worker()
    await rig.happened("completed", 2)
    (failed,) = await rig.happened("failed")
    assert (failed.job_id, str(failed.arguments[1])) == ("odd", "its child failed")
    assert rig.batches == [["a", "b"]]
    assert await states(rig, "a", "b", "odd") == ["completed", "completed", "failed"]


async def test_a_batch_of_nothing_but_deferred_failures_is_not_given_to_the_processor(rig: Rig) -> None:
    await rig.add(*"ab")
    for one in "ab":
        await rig.redis.hset(rig.key(one), "defa", "its child failed")
    rig.batch_worker()
    await rig.happened("failed", 2)
    assert rig.batches == []


async def remove(rig: Rig) -> None:
    await rig.redis.delete(rig.key("odd"), rig.key("odd:lock"))
    await rig.redis.lrem(rig.key("active"), 0, "odd")


async def lose_the_lock(rig: Rig) -> None:
    await rig.redis.delete(rig.key("odd:lock"))


async def take_the_lock(rig: Rig) -> None:
    await rig.redis.set(rig.key("odd:lock"), "another's")


async def take_the_lock_and_tell(rig: Rig) -> None:
    await take_the_lock(rig)
    await rig.happened("lockRenewalFailed")


async def move_away(rig: Rig) -> None:
    await rig.redis.lrem(rig.key("active"), 0, "odd")


@in_any_place
@pytest.mark.parametrize("happens", [remove, lose_the_lock, take_the_lock, take_the_lock_and_tell, move_away])
async def test_a_job_that_is_not_ours_any_more_is_reported_and_the_others_complete(
    rig: Rig, ids: tuple[str, ...], happens: Odd
) -> None:
    rig.errors_expected = True
    told = happens is take_the_lock_and_tell
    await rig.add(*ids, "next")
    await work_off(rig, *ids, meanwhile=happens, batch=3, concurrency=3, lockDuration=200 if told else 30_000)
    await rig.started(4)
    await rig.happened("completed", 3)
    assert {told.job_id for told in rig.events("completed")} == {"a", "b", "next"}
    assert rig.events("failed") == []
    assert "odd" in str(rig.events("error")[-1].arguments[0])
    assert await rig.redis.hget(rig.key("odd"), "returnvalue") is None


@in_any_place
async def test_a_job_at_which_the_server_fails_spoils_no_other_of_its_batch(rig: Rig, ids: tuple[str, ...]) -> None:
    async def write_nonsense(rig: Rig) -> None:
        await rig.redis.hset(rig.key("odd"), "atm", "many")  # where a number is counted up

    rig.errors_expected = True
    await rig.add(*ids)
    await work_off(rig, *ids, meanwhile=write_nonsense)
    await eventually(lambda: _both_completed(rig))
    assert await states(rig, "a", "b") == ["completed"] * 2
    assert rig.events("failed") == []


async def _both_completed(rig: Rig) -> bool:
    return {"a", "b"} <= {told.job_id for told in rig.events("completed")}


@pytest.mark.parametrize("minutes", [0, 1, 3])
async def test_metrics_count_every_job_in_its_minute(rig: Rig, minutes: int) -> None:
    before = round(time.time() * 1000) - 60_000 * (minutes or -1)  # without one to go by, none may end meanwhile
    await rig.redis.hset(rig.key("metrics:completed"), mapping={"count": 7, "prevTS": before, "prevCount": 4})
    await rig.add(*many(10))
    rig.batch_worker(metrics={"maxDataPoints": 10})
    await rig.happened("completed", 10)
    counts = await rig.redis.hmget(rig.key("metrics:completed"), "count", "prevCount")
    # What came before is of the minutes before, what came now of this one.
    assert counts == ["17", "7" if minutes else "4"]
    assert await rig.redis.lrange(rig.key("metrics:completed:data"), 0, -1) == ["0", "0", "3"][3 - minutes :]


# -- Limits


@pytest.mark.timing
@pytest.mark.parametrize("whose", ["the worker's", "the queue's"])
async def test_no_window_of_a_rate_limit_has_more_jobs_than_it_may(rig: Rig, whose: str) -> None:
    await rig.add(*many(8))
    options: dict[str, Any] = {}
    if whose == "the queue's":
        await rig.queue.setGlobalRateLimit(3, 150)
    else:
        options["limiter"] = {"max": 3, "duration": 150}
    rig.batch_worker(**options)
    starts = [start.at for start in await rig.started(8)]
    assert [len(batch) for batch in rig.batches] == [3, 3, 2]
    for first in (0, 3):
        assert starts[first + 3] >= starts[first] + 0.15 - 0.01
        assert rig.late(starts[first + 3], starts[first] + 0.15) < PUNCTUAL
    assert rig.ids() == many(8)


async def test_jobs_that_are_not_worked_on_do_not_count_for_a_rate_limit(rig: Rig) -> None:
    await rig.add(*"abcd")
    for one in "ac":
        await rig.redis.hset(rig.key(one), "defa", "its child failed")
    rig.batch_worker(limiter={"max": 2, "duration": 60_000})
    await rig.happened("failed", 2)
    await rig.happened("completed", 2)
    assert rig.batches == [["b", "d"]]


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_queues_own_concurrency_holds_for_batches_of_all_workers(rig: Rig, workers: int) -> None:
    running, most = 0, 0

    async def process(given: Batch) -> None:
        nonlocal running, most
        running += len(given)
        most = max(most, running)
        await rig.redis.ping()
        running -= len(given)

    await rig.queue.setGlobalConcurrency(3)
    await rig.add(*many(30))
    for _ in range(workers):
        rig.batch_worker(process)
    await rig.happened("completed", 30)
    assert most == 3
    assert sorted(rig.ids()) == many(30)


async def test_a_paused_queue_starts_no_batch_and_a_resumed_one_does_at_once(rig: Rig) -> None:
    await rig.queue.pause()
    await rig.add(*many(15))
    rig.batch_worker()
    await eventually(rig.idle_workers)
    assert rig.starts == []
    await rig.queue.resume()
    await rig.happened("completed", 15)
    assert rig.ids() == many(15)


# -- Other workers, and the end


async def test_workers_with_batches_and_stock_ones_share_a_queue_and_run_each_job_once(rig: Rig) -> None:
    stock: list[str] = []

    async def note(job: Any, token: str) -> None:
        stock.append(job.id)

    rig.batch_worker(concurrency=12)
    rig.batch_worker(concurrency=7, batch=3)
    other = bullmq.Worker(rig.name, note, {"connection": rig.url, "prefix": rig.prefix, "concurrency": 5})
    for part in range(0, 400, 40):
        await rig.add(*many(400)[part : part + 40], priority=part // 40 % 3)
    await rig.idle()
    await other.close()
    assert sorted([*rig.ids(), *stock]) == many(400)
    assert stock
    assert await rig.counts("completed", "failed", "active") == {"completed": 400, "failed": 0, "active": 0}


async def test_a_forced_close_leaves_what_is_left_of_a_batch_to_another_worker(rig: Rig) -> None:
    async def hang_at_first(batch: Batch) -> None:
        if len(rig.batches) == 1:
            batch.complete(next(iter(batch)))
            await asyncio.Event().wait()

    locks = {"lockDuration": 200, "stalledInterval": 50}
    worker = rig.batch_worker(hang_at_first, **locks)
    await rig.add(*"abc")
    await rig.happened("completed")
    await worker.close(force=True)
    assert await states(rig, *"abc") == ["completed", "active", "active"]
    assert rig.events("failed") == []
    rig.batch_worker(hang_at_first, **locks)
    await rig.happened("completed", 3)
    assert Counter(rig.ids()) == Counter([*"abc", *"bc"])


async def test_the_locks_of_a_batch_are_kept_for_as_long_as_it_takes(rig: Rig) -> None:
    async def outlast_the_locks(batch: Batch) -> None:
        await rig.happened("locksRenewed", 26)  # one each 20 ms

    locks = {"lockDuration": 400, "lockRenewTime": 40, "stalledInterval": 50}
    await rig.add(*"abc")
    rig.batch_worker(outlast_the_locks, **locks)
    await rig.started(3)
    rig.batch_worker(**locks)
    await rig.happened("completed", 3)
    assert rig.batches == [[*"abc"]]
    assert rig.events("stalled", "lockRenewalFailed") == []


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
async def test_a_forced_close_just_after_jobs_ended_loses_none(
    rig: Rig, end: Callable[[Batch, Any], None], turns: int
) -> None:
    closing: list[asyncio.Future[None]] = []

    async def close_soon() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await worker.close(force=True)

    async def end_all(batch: Batch) -> None:
        if not closing:
            closing.append(asyncio.ensure_future(close_soon()))
        for job in list(batch):
            end(batch, job)

    locks = {"lockDuration": 100, "stalledInterval": 30}
    await rig.add(*"abc")
    worker = rig.batch_worker(end_all, **locks)
    await rig.happened("closed")
    rig.batch_worker(end_all, **locks)
    await rig.idle()
    assert set(await states(rig, *"abc")) == {"completed" if end is ENDS["completed"] else "failed"}


async def test_closing_waits_for_the_batch_and_puts_back_in_order_what_was_fetched_meanwhile(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(batch: Batch) -> None:
        await hold.wait()

    for turns in range(0, 40, 2):
        await rig.add(*many(25))
        await rig.add("urgent", priority=1)
        before = await rig.waiting()
        hold.clear()
        worker = rig.batch_worker(wait, concurrency=20)
        for _ in range(turns):
            await asyncio.sleep(0)
        closing = asyncio.ensure_future(worker.close())
        await asyncio.sleep(0)
        hold.set()
        await asyncio.wait_for(closing, 5)
        started = rig.ids()
        assert [*started, *await rig.waiting()] == before
        assert await rig.counts("active", "completed") == {"active": 0, "completed": len(started)}
        await rig.queue.obliterate(True)
        rig.starts.clear()
