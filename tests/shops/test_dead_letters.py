"""Jobs that fail for good outlive everything that Redis forgets, and can be tried again."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from shops.rules.payloads import SHOP
from shops.storefront import Storefront
from tidings.clock import ManualClock
from tidings.engine.host import OnDeadLetter, WorkerHost
from tidings.engine.jobs import DeadJob, GiveUpJob, Handler, JobType, Run
from tidings.engine.policy import QueuePolicy
from tidings.engine.queues import Queues
from tidings.engine.redis import connect
from tidings.errors import SendError
from tidings.features.shops.models import ShopWebhookEvent
from tidings.messages.dead_letters import DeadLetter
from tidings.messages.statuses import Status
from tidings.providers.base import Outgoing

NOW = datetime(2026, 11, 20, 20, tzinfo=UTC)
POLICY = QueuePolicy("orders", attempts=2, backoff=0.01)


class Order(BaseModel):
    number: int


ORDERS = JobType(POLICY, "order", Order, lambda order: f"order-{order.number}")


async def eventually(fact: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(10):
        while not (answer := await fact()):
            await asyncio.sleep(0.01)
        return answer


class Bench:
    """One queue whose handler fails as it is told to."""

    def __init__(self, url: str, prefix: str, on_dead_letter: OnDeadLetter) -> None:
        self._url, self._prefix = url, prefix
        self.redis = connect(url)
        self.queues = Queues([POLICY], self.redis, prefix=prefix, clock=ManualClock(NOW))
        self.fails: Exception | None = None
        self.done: list[int] = []
        self.host = WorkerHost(
            self.queues,
            lambda: connect(url),
            prefix=prefix,
            lock_duration=5.0,
            on_dead_letter=on_dead_letter,
            clock=ManualClock(NOW),
        )

    async def handle(self, order: Order, run: Run) -> None:
        if self.fails:
            raise self.fails
        self.done.append(order.number)

    async def __aenter__(self) -> Bench:
        self.host.start(POLICY, [Handler(ORDERS, self.handle)])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.host.close(0.1)
        await self.redis.aclose()


@pytest.fixture
def open_bench(valkey: Any, tmp_path: Any) -> Callable[[OnDeadLetter], Bench]:
    return lambda told: Bench(f"redis://127.0.0.1:{valkey.port}/0", f"bench-{tmp_path.name}", told)


async def test_a_job_is_told_of_once_after_its_last_attempt_or_when_it_gives_up(
    open_bench: Callable[[OnDeadLetter], Bench],
) -> None:
    told: list[DeadJob] = []

    async def note(dead: DeadJob) -> None:
        told.append(dead)

    async with open_bench(note) as bench:
        bench.fails = RuntimeError("the printer burns")
        job = ORDERS.job(Order(number=1), priority=3)
        await bench.queues.arm([replace(job, data={**job.data, "requestId": "req_1"})])
        await eventually(lambda: _is(told, 1))
        assert told[0].data["number"] == 1
        assert replace(told[0], data=None) == DeadJob(
            "orders", "order", "order-1", None, "the printer burns", 2, NOW, "req_1", 3
        )
        bench.fails = GiveUpJob("no such paper")
        await bench.queues.arm([ORDERS.job(Order(number=2))])
        await eventually(lambda: _is(told, 2))
        assert (told[1].job_id, told[1].attempts, told[1].error) == ("order-2", 1, "no such paper")
        bench.fails = None
        await bench.queues.arm([ORDERS.job(Order(number=3))])
        await eventually(lambda: _is(bench.done, 1))
        assert len(told) == 2


async def test_a_callback_that_fails_changes_nothing_for_the_job(
    open_bench: Callable[[OnDeadLetter], Bench],
) -> None:
    async def refuse(dead: DeadJob) -> None:
        raise RuntimeError("no database")

    async with open_bench(refuse) as bench:
        bench.fails = GiveUpJob("no")
        await bench.queues.arm([ORDERS.job(Order(number=1))])

        async def failed() -> bool:
            return (await bench.queues.stats("orders")).failed == 1

        assert await eventually(failed)
        bench.fails = None
        await bench.queues.arm([ORDERS.job(Order(number=2))])
        assert await eventually(lambda: _is(bench.done, 1))


async def _is(found: list[Any], count: int) -> bool:
    return len(found) >= count


async def test_a_dead_letter_outlives_redis_and_its_retry_does_the_work(store: Storefront) -> None:
    fail = functools.partial(_refuse, "the database ate it")
    keeping, store.shops._keep_facts = store.shops._keep_facts, fail  # type: ignore[method-assign]
    await store.tell("orders_create", headers={"X-Request-Id": "req_dead"})
    job = store.queues.policies["events"]
    assert (job.attempts, job.backoff, job.keep_completed, job.keep_failed) == (5, 2.0, 100, 50)
    keys = f"{store.prefix}:events:shop-event-1"
    await eventually(lambda: store.redis.hget(keys, "atm"))
    await store.redis.hset(keys, "atm", 4)  # four attempts took place
    await store.redis.zadd(f"{store.prefix}:events:delayed", {"shop-event-1": 0})
    [letter] = await eventually(store.dead_letters.list_letters)
    assert (letter.queue, letter.name, letter.job_id) == ("events", "orders/create", "shop-event-1")
    assert (letter.error, letter.attempts, letter.request_id) == ("the database ate it", 5, "req_dead")
    await store.redis.delete(*[key async for key in store.redis.scan_iter(f"{store.prefix}:*")])
    assert await store.shops.catch_up() == 0, "given up is given up"
    assert (await store.api("GET", "/dead-letters")).json()[0]["data"]["shopId"] == SHOP
    store.shops._keep_facts = keeping  # type: ignore[method-assign]

    async def processed() -> bool:
        [event] = await store.all(ShopWebhookEvent)
        return event.evaluated_at is not None and event.error is None

    answer = await store.api("POST", f"/dead-letters/{letter.id}/retry")
    assert answer.json()["status"] == "retried"
    await eventually(processed)
    assert (await store.customer()).first_name == "Mara"
    assert (await store.api("GET", "/dead-letters")).json() == []
    assert (await store.api("POST", f"/dead-letters/{letter.id}/retry")).status_code == 409
    assert (await store.api("POST", f"/dead-letters/{letter.id}/discard")).status_code == 409
    assert (await store.api("GET", "/dead-letters/999")).status_code == 404


async def _refuse(reason: str, *_: Any) -> str:
    raise RuntimeError(reason)


async def test_the_retry_of_a_message_that_failed_sends_it(store: Storefront) -> None:
    def refuse(outgoing: Outgoing) -> None:
        raise SendError("the number is barred", retryable=False)

    store.provider.refuse = refuse
    await store.automation()
    await store.told("orders_create")
    assert (await store.message()).status == Status.FAILED
    [letter] = await eventually(store.dead_letters.list_letters)
    assert (letter.queue, letter.error) == ("delivery", "the number is barred")
    assert letter.priority == 1
    store.provider.refuse = lambda outgoing: None
    await store.dead_letters.retry(letter.id)
    await store.settled()
    assert (await store.message()).status == Status.SENT
    assert len(store.texts) == 1


async def test_a_job_that_dies_again_has_one_open_letter_and_discarding_ends_it(open_storefront: Any) -> None:
    store: Storefront = await open_storefront()
    dead = DeadJob("events", "orders/create", "j\0", {"note": "a\0b", "deep": ["\ud800"]}, "first", 5, NOW, "req")
    first = await store.dead_letters.store(dead)
    assert await store.dead_letters.store(replace(dead, error="second")) == first
    [row] = await store.all(DeadLetter)
    assert (row.error, row.data) == ("second", {"note": "ab", "deep": ["?"]})
    assert await store.dead_letters.count_open() == {"events": 1}
    await store.dead_letters.discard(first)
    assert await store.dead_letters.list_letters() == []
    assert await store.dead_letters.store(dead) != first
    assert len(await store.dead_letters.list_letters(status=None, queue="events")) == 2
    strange = await store.dead_letters.store(replace(dead, queue="abandoned", data=[1]))
    assert (await store.api("POST", f"/dead-letters/{strange}/retry")).status_code == 409
    assert (await store.dead_letters.get(strange)).status == "open"
