"""What a worker leaves of its work: events in their order, results, counts in its metrics, and finished jobs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from engine.worker.rig import Rig
from support.workshop import eventually
from tidings.engine import Worker


async def fail(job: Any, token: str) -> None:
    raise ValueError("no")


async def test_a_jobs_events_come_in_order_with_the_job_and_what_became_of_it(rig: Rig) -> None:
    async def fail_at_first(job: Any, token: str) -> dict[str, int]:
        if job.attemptsMade == 0:
            raise ValueError("not yet")
        return {"sent": 2}

    rig.worker(fail_at_first)
    await rig.add("a", attempts=2)
    await rig.happened("completed")
    about_the_job = rig.events("active", "failed", "completed")
    assert [told.event for told in about_the_job] == ["active", "failed", "active", "completed"]
    first, failed, second, completed = (told.arguments for told in about_the_job)
    assert {told.job_id for told in about_the_job} == {"a"}
    assert first[1] == second[1] == "waiting"
    assert isinstance(failed[1], ValueError)
    assert (str(failed[1]), failed[0].failedReason, failed[0].attemptsMade) == ("not yet", "not yet", 1)
    assert completed[1] == completed[0].returnvalue == {"sent": 2}
    assert completed[0].attemptsMade == 2
    assert completed[0].finishedOn >= completed[0].processedOn > 0


async def test_a_job_knows_its_start_and_holds_its_lock_under_the_token_it_is_given(rig: Rig) -> None:
    locks: dict[str, Any] = {}

    async def look(job: Any, token: str) -> None:
        locks[job.id] = await rig.redis.get(rig.key(f"{job.id}:lock"))

    began = time.time() * 1000
    rig.worker(look, concurrency=2, name="press-1")
    await rig.add(*"abcd")
    await rig.happened("completed", 4)
    assert locks["a"] != locks["b"], "they ran side by side"
    for start in rig.starts:
        assert start.token == start.job.token == locks[start.job.id]
        assert began - 1000 <= start.job.processedOn <= time.time() * 1000
        assert (start.attempts_made, start.attempts_started) == (0, 1)
        assert await rig.redis.hget(rig.key(start.job.id), "pb") == "press-1"
        assert not await rig.redis.exists(rig.key(f"{start.job.id}:lock"))


async def test_running_empty_is_told_once_each_time(rig: Rig) -> None:
    await rig.idle_worker(concurrency=4)
    await rig.happened("drained")
    for number in range(1, 4):
        await rig.add(*(f"job-{number}-{n}" for n in range(6)))
        await rig.happened("drained", number + 1)
    await rig.happened("completed", 18)  # a queue is empty as soon as its last job has started
    assert len(rig.events("drained")) == 4


async def test_pausing_resuming_and_closing_are_told(rig: Rig) -> None:
    worker = await rig.idle_worker()
    await worker.pause()
    worker.resume()
    await worker.close()
    told = [told.event for told in rig.events("paused", "resumed", "closing", "closed")]
    assert told == ["paused", "resumed", "closing", "closed"]


async def test_extended_locks_are_told(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    rig.worker(wait, concurrency=2, lockDuration=200)
    await rig.add(*"ab")
    await rig.started(2)
    renewed = (await rig.happened("locksRenewed"))[0].arguments[0]
    assert renewed["count"] == len(renewed["jobIds"])
    assert set(renewed["jobIds"]) <= {"a", "b"}
    hold.set()
    await rig.happened("completed", 2)


async def test_a_listener_that_raises_costs_no_job(rig: Rig) -> None:
    rig.errors_expected = True

    def raise_it(*_: object) -> None:
        raise RuntimeError("a listener's own trouble")

    worker = rig.worker(fail, concurrency=2)
    for event in ("active", "completed", "failed", "drained"):
        worker.on(event, raise_it)
    await rig.add(*"abc")
    await rig.happened("failed", 3)
    await rig.idle()
    assert sorted(rig.ids()) == [*"abc"]
    assert (await rig.counts("failed"))["failed"] == 3
    await rig.add("d")
    await rig.happened("failed", 4)


async def test_what_the_server_refuses_is_told_and_work_goes_on_when_it_is_mended(rig: Rig) -> None:
    rig.errors_expected = True
    await rig.idle_worker()
    await rig.redis.set(rig.key("wait"), "not a list")
    await rig.redis.zadd(rig.key("marker"), {"0": 0})
    error = (await rig.happened("error"))[0].arguments
    assert len(error) == 1
    assert "WRONGTYPE" in str(error[0])
    await rig.redis.delete(rig.key("wait"))
    await rig.add("a")
    await rig.happened("completed", within=5)
    assert len(rig.events("error")) < 20, "the same complaint, over and over"


async def test_everyone_who_listens_to_the_queue_hears_of_its_jobs(rig: Rig) -> None:
    rig.worker()
    await rig.add("a")
    await rig.happened("completed")
    entries: Any = await rig.redis.xrange(rig.key("events"))
    heard = [(entry["event"], entry.get("jobId")) for _, entry in entries if entry["event"] != "added"]
    assert heard[:3] == [("waiting", "a"), ("active", "a"), ("completed", "a")]


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize("make", [object, circle, lambda: float("nan"), lambda: {1, 2}, lambda: b"bytes"])
async def test_a_result_that_is_not_json_fails_the_job_for_good(rig: Rig, make: Callable[[], Any]) -> None:
    async def answer(job: Any, token: str) -> Any:
        return make()

    rig.worker(answer)
    await rig.add("a", attempts=3)
    await rig.happened("failed")
    job = await rig.job("a")
    assert await job.isFailed()
    assert job.attemptsMade == len(rig.starts) == 1, "it has been done, and must not be done again"
    assert "JSON" in job.failedReason
    assert rig.events("completed") == []


@pytest.mark.parametrize("result", [None, 0, "", "é\u2028", {"a": [1, None, True]}, 1.5])
async def test_a_result_is_kept_as_it_is(rig: Rig, result: Any) -> None:
    async def answer(job: Any, token: str) -> Any:
        return result

    rig.worker(answer)
    await rig.add("a")
    completed = (await rig.happened("completed"))[0]
    assert completed.arguments[1] == completed.arguments[0].returnvalue == result
    stored = await rig.redis.hget(rig.key("a"), "returnvalue")
    assert json.loads(stored or "") == result


@pytest.mark.parametrize("field", ["data", "opts"])
async def test_a_job_that_cannot_be_read_fails_and_holds_up_nobody(rig: Rig, field: str) -> None:
    await rig.add("broken", "sound")
    await rig.redis.hset(rig.key("broken"), field, "{]")
    rig.worker()
    await rig.happened("completed")
    assert rig.ids() == ["sound"]
    assert [told.job_id for told in rig.events("failed")] == ["broken"]
    assert (await rig.counts("failed"))["failed"] == 1


async def test_jobs_may_be_fetched_and_concluded_by_hand(rig: Rig) -> None:
    await rig.add(*"ab")
    worker = Worker(rig.name, None, {"connection": rig.url, "prefix": rig.prefix})
    try:
        first, second = await worker.getNextJob("one"), await worker.getNextJob("two")
        await first.moveToCompleted("by hand", "one")
        await second.moveToFailed(ValueError("by hand"), "two")
        assert (await rig.job("a")).returnvalue == "by hand"
        assert (await rig.job("b")).failedReason == "by hand"
    finally:
        await worker.close()


async def test_metrics_count_what_was_completed_and_what_failed(rig: Rig) -> None:
    async def fail_some(job: Any, token: str) -> None:
        if job.id in ("b", "d"):
            await fail(job, token)

    rig.worker(fail_some, metrics={"maxDataPoints": 10})
    await rig.add(*"abcde")
    await rig.idle()
    assert await rig.redis.hget(rig.key("metrics:completed"), "count") == "3"
    assert await rig.redis.hget(rig.key("metrics:failed"), "count") == "2"


async def test_metrics_keep_as_many_minutes_as_they_may(rig: Rig) -> None:
    rig.worker(metrics={"maxDataPoints": 3})
    for number in range(6):
        await rig.add(f"job-{number}")
        await rig.happened("completed", number + 1)
        began: Any = await rig.redis.hget(rig.key("metrics:completed"), "prevTS")
        assert abs(int(began) - time.time() * 1000) < 120_000
        await rig.redis.hset(rig.key("metrics:completed"), "prevTS", int(began) - 60_000)
    minutes: list[str] = await rig.redis.lrange(rig.key("metrics:completed:data"), 0, -1)
    assert len(minutes) == 3
    assert all(int(count) >= 0 for count in minutes)


async def test_without_the_option_no_metrics_are_kept(rig: Rig) -> None:
    rig.worker()
    await rig.add("a")
    await rig.happened("completed")
    assert await rig.redis.keys(rig.key("metrics*")) == []


@pytest.mark.parametrize(
    ("of_the_worker", "of_the_job", "kept"),
    [
        (None, None, 5),
        (True, None, 0),
        (None, True, 0),
        (True, False, 5),
        (2, None, 2),
        ({"count": 0}, None, 0),
        ({"count": 3}, {"count": 1}, 1),
        ({"age": 3600}, None, 5),
        ({"age": 0}, None, 0),
        ({"age": 3600, "count": 2}, None, 2),
    ],
)
@pytest.mark.parametrize("outcome", ["completed", "failed"])
async def test_as_many_finished_jobs_are_kept_as_the_job_or_else_the_worker_says(
    rig: Rig, outcome: str, of_the_worker: Any, of_the_job: Any, kept: int
) -> None:
    option = {"completed": "removeOnComplete", "failed": "removeOnFail"}[outcome]
    rig.worker(None if outcome == "completed" else fail, **({} if of_the_worker is None else {option: of_the_worker}))
    await rig.add(*"abcde", **({} if of_the_job is None else {option: of_the_job}))
    await rig.happened(outcome, 5)
    assert (await rig.counts(outcome))[outcome] == kept
    present = [job_id for job_id in "abcde" if await rig.redis.exists(rig.key(job_id))]
    assert present == [*"abcde"][5 - kept :]


async def test_a_job_that_fails_for_now_is_kept_even_if_failed_jobs_are_not(rig: Rig) -> None:
    rig.worker(fail, removeOnFail=True)
    await rig.add("a", attempts=2, backoff=60_000)
    await rig.happened("failed")

    async def is_delayed() -> bool:
        return bool(await (await rig.job("a")).isDelayed())

    await eventually(is_delayed)
