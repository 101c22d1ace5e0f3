"""What a handler relies on that is given many jobs at a time: each ends by its own answer, the first one, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import bullmq
import pytest

from engine.faults.station import until
from support.workshop import Order, Workshop, eventually
from tidings.engine.host import BATCH, WorkerHost
from tidings.engine.jobs import BatchHandler, DeadJob, GiveUpJob, Handler, HeldJob, JobType, PostponeJob, Run
from tidings.errors import TidingsError

OpenWorkshop = Callable[..., Awaitable[Workshop]]
Held = Sequence[HeldJob[Order]]


@dataclass
class Floor:
    """A queue whose handler gets batches, what it was given, and the dead letters."""

    shop: Workshop
    batches: list[list[HeldJob[Order]]] = field(default_factory=list)
    dead: list[DeadJob] = field(default_factory=list)

    def work(self, handle: Callable[[Held], Awaitable[None]], *others: Handler[Any]) -> WorkerHost:
        async def note_and_handle(jobs: Held) -> None:
            self.batches.append(list(jobs))
            await handle(jobs)

        return self.shop.start_host(
            [BatchHandler(self.shop.orders, note_and_handle), *others], on_dead_letter=self.bury
        )

    async def bury(self, dead: DeadJob) -> None:
        await self.shop.redis.ping()  # others have their turn meanwhile, as while a row is written
        self.dead.append(dead)

    async def ends(self, **states: int) -> None:
        """Waits until so many jobs are in each of these states."""

        async def so_many() -> bool:
            return bool(await self.shop.bullmq.getJobCounts("active", *states) == {"active": 0, **states})

        await eventually(so_many)

    async def job(self, number: int) -> Any:
        return await bullmq.Job.fromId(self.shop.bullmq, f"order-{number}")

    def numbers(self) -> list[list[int]]:
        return [[job.data.number for job in batch] for batch in self.batches]


@pytest.fixture
async def open_floor(open_workshop: OpenWorkshop) -> Callable[..., Awaitable[Floor]]:
    async def open_one(**policy: Any) -> Floor:
        return Floor(await open_workshop(**{"backoff": 60.0, **policy}))

    return open_one


OpenFloor = Callable[..., Awaitable[Floor]]


async def test_each_job_of_a_batch_ends_by_its_own_answer(open_floor: OpenFloor) -> None:
    floor = await open_floor(attempts=2, concurrency=10)
    until = floor.shop.clock.after(3600)
    answers: dict[int, object] = {
        1: "sent",
        2: PostponeJob(until),
        3: GiveUpJob("no such number"),
        4: TidingsError("the provider is busy"),
        5: ValueError("an oversight"),
        6: None,
    }

    async def handle(jobs: Held) -> None:
        for job in jobs:
            job.end(answers[job.data.number])

    await floor.shop.arm(*answers)
    floor.work(handle)
    await floor.ends(completed=2, failed=1, delayed=3)
    assert floor.numbers() == [[*answers]]
    ended = {number: await floor.job(number) for number in answers}
    assert [ended[number].attemptsMade for number in answers] == [1, 0, 1, 1, 1, 1]
    assert [ended[number].returnvalue for number in (1, 6)] == ["sent", None]
    assert [ended[number].failedReason for number in (3, 4, 5)] == [str(answers[number]) for number in (3, 4, 5)]
    due = await floor.shop.redis.zscore(floor.shop.key("delayed"), "order-2")
    assert due is not None
    assert 0 <= due / 0x1000 / 1000 - until.timestamp() < 0.002
    (dead,) = floor.dead
    assert (dead.job_id, dead.error, dead.attempts, dead.data["number"]) == ("order-3", "no such number", 1, 3)


async def test_a_failure_is_tried_again_by_the_policy_and_is_one_dead_letter_at_its_last_attempt(
    open_floor: OpenFloor,
) -> None:
    async def fail(jobs: Held) -> None:
        for job in jobs:
            job.end(TidingsError(f"attempt {job.run.attempt} of {job.run.attempts} failed"))

    floor = await open_floor(attempts=3, backoff=0.0)
    await floor.shop.arm(1, 2)
    floor.work(fail)
    await floor.ends(failed=2, completed=0)
    assert sorted((dead.job_id, dead.attempts, dead.error) for dead in floor.dead) == [
        (f"order-{number}", 3, "attempt 3 of 3 failed") for number in (1, 2)
    ]
    runs = [(job.run.job_id, job.run.attempt, job.run.last) for batch in floor.batches for job in batch]
    assert sorted(runs) == [(f"order-{number}", n, n == 3) for number in (1, 2) for n in (1, 2, 3)]


async def test_a_job_postponed_to_a_moment_that_has_passed_is_given_again_at_once(open_floor: OpenFloor) -> None:
    async def postpone_once(jobs: Held) -> None:
        for job in jobs:
            job.end("sent" if len(floor.batches) > 1 else PostponeJob(floor.shop.clock.now() - timedelta(hours=1)))

    floor = await open_floor(attempts=1)
    await floor.shop.arm(1)
    floor.work(postpone_once)
    await floor.ends(completed=1)
    assert floor.numbers() == [[1], [1]]
    assert floor.dead == []


FIRST: dict[str, tuple[list[object], str, int]] = {
    "a result, then a failure": (["sent", GiveUpJob("no")], "completed", 0),
    "a failure, then a result": ([GiveUpJob("no"), "sent"], "failed", 1),
    "a failure, twice": ([GiveUpJob("no"), GiveUpJob("not that either")], "failed", 1),
    "an error for good, then another": ([TidingsError("no"), GiveUpJob("not that either")], "failed", 1),
    "a result, twice": (["sent", "sent again"], "completed", 0),
}


@pytest.mark.parametrize(("answers", "state", "letters"), FIRST.values(), ids=FIRST.keys())
@pytest.mark.parametrize("raises", [False, True])
async def test_of_several_answers_the_first_one_counts(
    open_floor: OpenFloor, answers: list[object], state: str, letters: int, raises: bool
) -> None:
    async def handle(jobs: Held) -> None:
        for answer in answers[: 1 if raises else 2]:
            jobs[0].end(answer)
        if raises and isinstance(answers[1], Exception):
            raise answers[1]
        jobs[0].end(answers[1])

    floor = await open_floor(attempts=1)
    await floor.shop.arm(1)
    floor.work(handle)
    await floor.ends(**{state: 1})
    job = await floor.job(1)
    assert (job.returnvalue if state == "completed" else job.failedReason) == str(answers[0])
    assert [dead.error for dead in floor.dead] == [str(answers[0])] * letters


async def test_what_a_handler_raises_is_the_answer_for_all_that_have_none(open_floor: OpenFloor) -> None:
    async def handle(jobs: Held) -> None:
        jobs[0].end("sent")
        jobs[1].end(GiveUpJob("no such number"))
        raise TidingsError("the database is away")

    floor = await open_floor(attempts=1, concurrency=10)
    await floor.shop.arm(1, 2, 3, 4)
    floor.work(handle)
    await floor.ends(completed=1, failed=3)
    errors = {dead.job_id: dead.error for dead in floor.dead}
    assert errors == {"order-2": "no such number", **dict.fromkeys(["order-3", "order-4"], "the database is away")}
    assert len(floor.dead) == 3


async def test_jobs_may_end_after_their_handler_has_returned_and_are_waited_for_by_a_close(
    open_floor: OpenFloor,
) -> None:
    async def keep(jobs: Held) -> None:
        pass

    floor = await open_floor(concurrency=10)
    await floor.shop.arm(*range(5))
    host = floor.work(keep)
    await until(lambda: bool(floor.batches))
    closing = asyncio.create_task(host.close())
    for job in floor.batches[0]:
        assert not closing.done()
        job.end(job.data.number)
    await asyncio.wait_for(closing, 5)
    assert [(await floor.job(number)).returnvalue for number in range(5)] == list(range(5))


async def test_jobs_that_nobody_can_do_fail_for_good_and_the_others_of_their_batch_are_done(
    open_floor: OpenFloor,
) -> None:
    async def handle(jobs: Held) -> None:
        for job in jobs:
            job.end("sent")

    floor = await open_floor(attempts=5, concurrency=10)
    odd: list[tuple[str, Any, str]] = [
        ("recipe", {"number": 1}, "no handler for jobs named 'recipe' in this queue"),
        ("order", {"number": "many"}, "the job's data is unusable: number: Input should be a valid integer"),
        ("order", [1, 2], "the job's data is unusable: Input should be a valid dictionary"),
        ("order", None, "the job's data is unusable: Input should be a valid dictionary"),
    ]
    await floor.shop.arm(1)
    for number, (name, data, _) in enumerate(odd):
        await floor.shop.bullmq.add(name, data, {"jobId": f"odd-{number}", "attempts": 5})
    await floor.shop.arm(2)
    floor.work(handle)
    await floor.ends(completed=2, failed=4)
    assert floor.numbers() == [[1, 2]]
    letters = sorted(floor.dead, key=lambda dead: dead.job_id)
    assert [dead.job_id for dead in letters] == [f"odd-{number}" for number in range(4)]
    for dead, (name, data, sentence) in zip(letters, odd, strict=True):
        assert dead.error.startswith(sentence)
        assert (dead.name, dead.data, dead.attempts) == (name, data, 1)


async def test_a_job_that_stalled_too_often_is_a_dead_letter_and_no_handler_gets_it(open_floor: OpenFloor) -> None:
    async def handle(jobs: Held) -> None:
        for job in jobs:
            job.end("sent")

    floor = await open_floor(concurrency=10)
    await floor.shop.arm(1, 2)
    await floor.shop.redis.hset(floor.shop.key("order-1"), "defa", "job stalled more than allowable limit")
    floor.work(handle)
    await floor.ends(completed=1, failed=1)
    assert floor.numbers() == [[2]]
    await until(lambda: bool(floor.dead))
    assert [dead.job_id for dead in floor.dead] == ["order-1"]


async def test_a_dead_letter_that_cannot_be_kept_changes_nothing_for_its_job(open_floor: OpenFloor) -> None:
    async def give_up(jobs: Held) -> None:
        for job in jobs:
            job.end(GiveUpJob("no"))

    async def refuse(dead: DeadJob) -> None:
        raise OSError("the disk is full")

    floor = await open_floor()
    floor.bury = refuse  # type: ignore[method-assign]
    await floor.shop.arm(1)
    floor.work(give_up)
    await floor.ends(failed=1)


async def test_one_queue_may_have_jobs_that_are_handled_alone_and_jobs_that_are_handled_together(
    open_floor: OpenFloor,
) -> None:
    alone: list[tuple[int, int]] = []

    async def together(jobs: Held) -> None:
        for job in jobs:
            job.end("together")

    async def by_itself(order: Order, run: Run) -> str:
        alone.append((order.number, run.attempt))
        match order.number:
            case 11:
                raise PostponeJob(floor.shop.clock.after(3600))
            case 12:
                raise GiveUpJob("no such number")
            case 13 if run.attempt == 1:
                raise TidingsError("not yet")
            case 14 if run.attempt == 1:
                someone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                someone.cancel()
                await someone
        return "alone"

    floor = await open_floor(attempts=2, backoff=0.0, concurrency=10)
    letters = JobType(floor.shop.policy, "letter", Order, lambda letter: f"order-{letter.number}")
    jobs = [(letters if n > 9 else floor.shop.orders).job(Order(number=n)) for n in (1, 10, 11, 2, 12, 13, 14)]
    await floor.shop.queues.arm(jobs)
    floor.work(together, Handler(letters, by_itself))
    await floor.ends(completed=5, failed=1, delayed=1)
    assert floor.numbers() == [[1, 2]]
    assert sorted(alone) == [(10, 1), (11, 1), (12, 1), (13, 1), (13, 2), (14, 1), (14, 2)]
    assert {n: (await floor.job(n)).returnvalue for n in (1, 2, 10, 13, 14)} == {
        **dict.fromkeys((1, 2), "together"), **dict.fromkeys((10, 13, 14), "alone")
    }  # fmt: skip
    assert [dead.job_id for dead in floor.dead] == ["order-12"]


async def test_what_a_handler_of_batches_waits_for_may_be_cancelled_and_its_jobs_are_tried_again(
    open_floor: OpenFloor,
) -> None:
    async def handle(jobs: Held) -> None:
        if len(floor.batches) == 1:
            raise asyncio.CancelledError
        for job in jobs:
            job.end("sent")

    floor = await open_floor(attempts=2, backoff=0.0, concurrency=10)
    await floor.shop.arm(1, 2)
    floor.work(handle)
    await floor.ends(completed=2)


async def test_a_handler_of_batches_gets_more_than_the_queues_concurrency_and_a_hundred_at_most(
    open_floor: OpenFloor,
) -> None:
    async def keep(jobs: Held) -> None:
        pass

    floor = await open_floor(concurrency=200)
    await floor.shop.arm(*range(450))
    floor.work(keep)
    await until(lambda: sum(map(len, floor.batches)) == 400)  # 200 at work and as many ahead
    assert max(map(len, floor.batches)) <= BATCH
    assert [n for batch in floor.numbers() for n in batch] == list(range(400))
    for batch in list(floor.batches):
        for job in batch:
            job.end(None)
    await until(lambda: sum(map(len, floor.batches)) == 450)
    for batch in floor.batches:
        for job in batch:
            job.end(None)
    await floor.ends(completed=450)
