"""What a worker promises about jobs that fail: how often they are tried again, when, and what stays of them."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any

import bullmq
import pytest
from bullmq.custom_errors import DelayedError, UnrecoverableError, WaitingChildrenError

from engine.worker.rig import Rig
from support.workshop import PUNCTUAL


async def fail(job: Any, token: str) -> None:
    raise ValueError(f"attempt {job.attemptsMade + 1} failed")


@pytest.mark.timing
@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        (100, [0.1, 0.1, 0.1]),
        ({"type": "fixed", "delay": 60}, [0.06, 0.06, 0.06]),
        ({"type": "exponential", "delay": 50}, [0.05, 0.1, 0.2]),
        (None, [0, 0, 0]),
    ],
)
async def test_a_failing_job_is_tried_again_after_its_backoff(rig: Rig, backoff: Any, waits: list[float]) -> None:
    rig.worker(fail)
    await rig.add("a", attempts=4, backoff=backoff)
    failed = await rig.happened("failed", 4)
    for (earlier, later), wait in zip(pairwise(rig.starts), waits, strict=True):
        assert 0 <= rig.late(later.at, earlier.at + wait - 0.001) < PUNCTUAL
    assert [str(told.arguments[1]) for told in failed] == [f"attempt {number} failed" for number in (1, 2, 3, 4)]
    job = await rig.job("a")
    assert await job.isFailed()
    assert (job.attemptsMade, job.attemptsStarted, job.failedReason) == (4, 4, "attempt 4 failed")


async def test_a_job_that_succeeds_at_last_is_completed_and_keeps_what_went_wrong_before(rig: Rig) -> None:
    async def fail_twice(job: Any, token: str) -> str:
        if job.attemptsMade < 2:
            await fail(job, token)
        return "at last"

    rig.worker(fail_twice)
    await rig.add("a", attempts=5)
    await rig.happened("completed")
    job = await rig.job("a")
    assert (job.returnvalue, job.attemptsMade) == ("at last", 3)
    assert [trace.rstrip().endswith(f"attempt {n} failed") for n, trace in enumerate(job.stacktrace, 1)] == [True] * 2


@pytest.mark.parametrize("kind", ["fixed", "exponential"])
@pytest.mark.parametrize("jitter", [0.25, 1])
async def test_jitter_shortens_a_backoff_at_random_within_its_bounds(rig: Rig, kind: str, jitter: float) -> None:
    day = 86_400_000
    ids = [f"job-{number}" for number in range(30)]
    await rig.add(*ids, attempts=2, backoff={"type": kind, "delay": day, "jitter": jitter})
    rig.worker(fail, concurrency=10)
    await rig.happened("failed", 30)
    delays = {int(await rig.redis.hget(rig.key(job_id), "delay")) for job_id in ids}
    assert len(delays) > 20
    assert day * (1 - jitter) <= min(delays)
    assert max(delays) <= day


@pytest.mark.timing
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_strategy_of_ones_own_sets_the_wait(rig: Rig, is_async: bool) -> None:
    asked: list[tuple[int, str, str, str]] = []

    def strategy(attempts_made: int, kind: str, error: Exception, job: Any) -> int:
        asked.append((attempts_made, kind, str(error), job.id))
        return attempts_made * 60

    async def slow_strategy(*arguments: Any) -> int:
        return strategy(*arguments)

    rig.worker(fail, settings={"backoffStrategy": slow_strategy if is_async else strategy})
    await rig.add("a", attempts=3, backoff={"type": "mine"})
    await rig.happened("failed", 3)
    first, second, third = rig.starts
    assert asked == [(1, "mine", "attempt 1 failed", "a"), (2, "mine", "attempt 2 failed", "a")]
    assert 0 <= rig.late(second.at, first.at + 0.06 - 0.001) < PUNCTUAL
    assert 0 <= rig.late(third.at, second.at + 0.12 - 0.001) < PUNCTUAL


async def test_a_strategy_may_give_a_job_up(rig: Rig) -> None:
    rig.worker(fail, settings={"backoffStrategy": lambda *_: -1})
    await rig.add("a", attempts=5, backoff={"type": "mine"})
    await rig.happened("failed")
    job = await rig.job("a")
    assert await job.isFailed()
    assert (job.attemptsMade, job.failedReason) == (1, "attempt 1 failed")


@pytest.mark.parametrize("settings", [{}, {"settings": {"backoffStrategy": lambda *_: 1 // 0}}])
async def test_a_backoff_that_cannot_be_reckoned_fails_the_job_and_stops_nobody(
    rig: Rig, settings: dict[str, Any]
) -> None:
    rig.errors_expected = True
    rig.worker(fail, **settings)
    await rig.add("a", attempts=3, backoff={"type": "unheard-of"})
    await rig.happened("failed")
    assert await (await rig.job("a")).isFailed()
    await rig.add("b")
    await rig.started(2)
    assert rig.ids() == [*"ab"]


async def test_an_unrecoverable_error_ends_the_attempts(rig: Rig) -> None:
    class NoSuchNumber(UnrecoverableError):  # type: ignore[misc]
        pass

    async def give_up(job: Any, token: str) -> None:
        raise NoSuchNumber("the number does not exist")

    rig.worker(give_up)
    await rig.add("a", attempts=5)
    await rig.happened("failed")
    job = await rig.job("a")
    assert await job.isFailed()
    assert (job.attemptsMade, job.failedReason) == (1, "the number does not exist")


@pytest.mark.timing
async def test_a_job_that_moves_itself_to_later_runs_then_and_loses_no_attempt(rig: Rig) -> None:
    async def postpone_once(job: Any, token: str) -> str:
        if len(rig.starts) == 1:
            await job.moveToDelayed(round(time.time() * 1000) + 150, token)
            raise DelayedError
        return "done"

    rig.worker(postpone_once)
    await rig.add("a", attempts=1)
    await rig.happened("completed")
    first, second = rig.starts
    assert 0 <= rig.late(second.at, first.at + 0.15 - 0.001) < PUNCTUAL
    assert (second.attempts_made, second.attempts_started) == (0, 2)
    assert rig.events("failed") == []


async def test_a_job_may_wait_for_children_that_it_adds_while_it_runs(rig: Rig) -> None:
    async def process(job: Any, token: str) -> Any:
        if job.id == "child":
            return 7
        if job.attemptsStarted == 1:
            parent = {"id": job.id, "queue": job.queueQualifiedName}
            await rig.add("child", parent=parent)
            if await job.moveToWaitingChildren(token, {}):
                raise WaitingChildrenError
        return list((await job.getChildrenValues()).values())

    rig.worker(process)
    await rig.add("parent", attempts=1)
    await rig.happened("completed", 2)
    assert rig.ids() == ["parent", "child", "parent"]
    assert (await rig.job("parent")).returnvalue == [7]
    assert rig.events("failed") == []


async def test_a_job_started_more_often_than_allowed_fails_without_another_start(rig: Rig) -> None:
    async def postpone(job: Any, token: str) -> None:
        await job.moveToDelayed(round(time.time() * 1000) + 10, token)
        raise DelayedError

    rig.worker(postpone, maxStartedAttempts=2)
    await rig.add("a", attempts=9)
    failed = (await rig.happened("failed"))[0]
    assert str(failed.arguments[1]) == "job started more than allowable limit"
    assert len(rig.starts) == 2
    job = await rig.job("a")
    assert await job.isFailed()
    assert (job.attemptsStarted, job.attemptsMade) == (3, 1)


@pytest.mark.parametrize(("limit", "kept"), [(None, [1, 2, 3]), (2, [2, 3]), (0, [])])
async def test_as_many_traces_are_kept_as_the_job_says(rig: Rig, limit: int | None, kept: list[int]) -> None:
    rig.worker(fail)
    await rig.add("a", attempts=3, **({} if limit is None else {"stackTraceLimit": limit}))
    await rig.happened("failed", 3)
    traces = (await rig.job("a")).stacktrace
    assert [trace.rstrip().splitlines()[-1] for trace in traces] == [f"ValueError: attempt {n} failed" for n in kept]


async def test_a_retried_job_goes_behind_the_waiting_or_before_them_if_it_is_lifo(rig: Rig) -> None:
    async def fail_at_first(job: Any, token: str) -> None:
        if job.attemptsMade == 0 and job.id.startswith("again"):
            await fail(job, token)

    await rig.add("again", attempts=2)
    await rig.add("other")
    await rig.add("again-lifo", attempts=2, lifo=True)
    rig.worker(fail_at_first)
    await rig.happened("completed", 3)
    assert rig.ids() == ["again-lifo", "again-lifo", "again", "other", "again"]


async def test_a_retried_job_keeps_its_priority(rig: Rig) -> None:
    async def fail_at_first(job: Any, token: str) -> None:
        if job.attemptsMade == 0 and job.id == "again":
            await fail(job, token)

    await rig.add("again", priority=2, attempts=2)
    await rig.add("same", priority=2)
    await rig.add("low", priority=3)
    rig.worker(fail_at_first)
    await rig.happened("completed", 3)
    assert rig.ids() == ["again", "same", "again", "low"]


async def test_a_job_due_meanwhile_goes_before_one_that_is_retried_at_once(rig: Rig) -> None:
    async def fail_at_first(job: Any, token: str) -> None:
        if len(rig.starts) == 1:
            due = time.time() + 0.02
            await rig.add("due", timestamp=round(time.time() * 1000), delay=10)
            while time.time() < due:
                await asyncio.sleep(0.002)
            await fail(job, token)

    rig.worker(fail_at_first)
    await rig.add("again", attempts=2)
    await rig.happened("completed", 2)
    assert rig.ids() == ["again", "due", "again"]


async def test_a_job_that_was_cancelled_from_within_has_failed(rig: Rig) -> None:
    async def be_cancelled(job: Any, token: str) -> None:
        errand = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(errand.cancel)
        await errand

    rig.worker(be_cancelled)
    await rig.add(*"ab")
    await rig.happened("failed", 2)
    assert await (await rig.job("a")).isFailed()


async def test_a_job_is_told_when_somebody_cancels_it(rig: Rig) -> None:
    async def listen(job: Any, token: str, signal: Any) -> None:
        await signal.wait()
        raise UnrecoverableError(signal.reason)

    worker = rig.worker(listen)
    await rig.add("a", attempts=3)
    await rig.started(1)
    assert worker.cancelJob("a", "the talk was cancelled")
    assert not worker.cancelJob("unheard-of")
    await rig.happened("failed")
    assert (await rig.job("a")).failedReason == "the talk was cancelled"


async def test_an_error_without_words_and_one_of_many_lines_are_recorded(rig: Rig) -> None:
    async def fail_oddly(job: Any, token: str) -> None:
        raise KeyError if job.id == "silent" else ValueError("one\ntwo ✂ " + "x" * 10_000)

    rig.worker(fail_oddly)
    await rig.add("silent", "wordy")
    await rig.happened("failed", 2)
    silent, wordy = await rig.job("silent"), await rig.job("wordy")
    assert await silent.isFailed()
    assert wordy.failedReason == "one\ntwo ✂ " + "x" * 10_000


async def test_a_failed_job_may_be_retried_by_hand_with_its_attempts_reset(rig: Rig) -> None:
    rig.worker(fail)
    await rig.add("a", attempts=2)
    await rig.happened("failed", 2)
    await (await rig.job("a")).retry("failed", {"resetAttemptsMade": True, "resetAttemptsStarted": True})
    await rig.happened("failed", 4)
    assert [start.attempts_made for start in rig.starts] == [0, 1, 0, 1]


async def test_a_job_removed_while_it_runs_is_reported_and_does_not_come_back(rig: Rig) -> None:
    rig.errors_expected = True

    async def vanish(job: Any, token: str) -> None:
        await rig.redis.delete(rig.key(job.id))
        if job.id == "fails":
            await fail(job, token)

    rig.worker(vanish)
    await rig.add("fails", "ends", attempts=3)
    await rig.started(2)
    await rig.happened("error", 2)
    assert await rig.redis.exists(rig.key("fails"), rig.key("ends")) == 0
    assert await rig.waiting() == []


async def test_retried_children_complete_their_parent_once(rig: Rig) -> None:
    async def fail_at_first(job: Any, token: str) -> str:
        if job.id != "parent" and job.attemptsMade == 0:
            await fail(job, token)
        return str(job.id)

    family = bullmq.FlowProducer({"connection": rig.redis, "prefix": rig.prefix})
    children = [
        {"name": "child", "queueName": rig.name, "data": {}, "opts": {"jobId": job_id, "attempts": 2, "backoff": 20}}
        for job_id in ("one", "two")
    ]
    opts = {"jobId": "parent"}
    await family.add({"name": "parent", "queueName": rig.name, "data": {}, "opts": opts, "children": children})
    rig.worker(fail_at_first, concurrency=2)
    await rig.happened("completed", 3)
    assert sorted(rig.ids()) == ["one", "one", "parent", "two", "two"]
    assert sorted((await (await rig.job("parent")).getChildrenValues()).values()) == ["one", "two"]
