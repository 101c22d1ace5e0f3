"""Jobs that fail for good outlive everything that Redis forgets, and can be tried again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shops.rules.payloads import SHOP
from shops.storefront import NOW, OpenStorefront, Storefront
from support.app import run_job
from support.workshop import eventually
from tidings.engine.jobs import DeadJob, Job
from tidings.errors import SendError
from tidings.features.shops.events import process
from tidings.features.shops.jobs import CATCH_UP, CatchUpData
from tidings.features.shops.models import ShopWebhookEvent
from tidings.messages.dead_letters import DeadLetter
from tidings.messages.statuses import Status
from tidings.providers.base import Outgoing

QUICKLY = {"EVENTS_ATTEMPTS": "2", "EVENTS_BACKOFF": "0.01"}


@contextmanager
def events_failing(reason: str) -> Iterator[None]:
    """Whatever a shop tells meanwhile cannot be worked on."""

    async def refuse(*_: Any) -> None:
        raise RuntimeError(reason)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "save_customer", refuse)
        yield


async def test_a_job_is_told_of_once_after_its_last_attempt_or_when_it_gives_up(
    open_storefront: OpenStorefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_storefront(queue_settings=QUICKLY)
    await store.shop()
    told: list[DeadJob] = []

    async def note(dead: DeadJob) -> None:
        told.append(dead)

    async def is_told_of(count: int) -> bool:
        return len(told) >= count

    monkeypatch.setattr(store.app.dead_letters, "store", note)
    await store.app.start_workers(["events"])
    with events_failing("the printer burns"):
        await store.tell("orders_create", headers={"X-Request-Id": "req_1"})
        await eventually(lambda: is_told_of(1))
    assert told[0].data["shopId"] == SHOP
    assert replace(told[0], data=None) == DeadJob(
        "events", "orders/create", "shop-event-1", None, "the printer burns", 2, NOW, "req_1", 0
    )
    nobody = {"topic": "orders/create", "shopId": "nobody.example.com", "raw": {"id": 1}}
    await store.shops.enqueue_job("events", "orders/create", nobody)
    await eventually(lambda: is_told_of(2))
    assert (told[1].attempts, told[1].error) == (1, "there is no shop nobody.example.com")
    await store.tell("orders_create")
    await store.idle("events")
    assert len(told) == 2


async def test_a_letter_that_cannot_be_kept_changes_nothing_for_its_job(
    open_storefront: OpenStorefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(dead: DeadJob) -> None:
        raise RuntimeError("no database")

    store = await open_storefront(queue_settings=QUICKLY)
    await store.shop()
    monkeypatch.setattr(store.app.dead_letters, "store", refuse)
    await store.app.start_workers(["events", "automations"])

    async def has_failed() -> bool:
        return (await store.queues.stats("events")).failed == 1

    with events_failing("no"):
        await store.tell("orders_create")
        await eventually(has_failed)
    assert (await store.told("orders_create")).error is None


async def killed(store: Storefront) -> DeadLetter:
    """The letter of an order whose job has failed five times, the last one without waiting so long."""
    await store.tell("orders_create", headers={"X-Request-Id": "req_dead"})
    job = store.queues.policies["events"]
    assert (job.attempts, job.backoff, job.keep_completed, job.keep_failed) == (5, 2.0, 100, 50)
    keys = f"{store.prefix}:events:shop-event-1"
    await eventually(lambda: store.redis.hget(keys, "atm"))
    await store.redis.hset(keys, "atm", 4)  # four attempts took place
    await store.redis.zadd(f"{store.prefix}:events:delayed", {"shop-event-1": 0})
    [letter] = await eventually(store.app.dead_letters.list_letters)
    return letter


@pytest.mark.both_databases
async def test_a_dead_letter_outlives_redis_and_its_retry_does_the_work(store: Storefront) -> None:
    with events_failing("the database ate it"):
        letter = await killed(store)
    assert (letter.queue, letter.name, letter.job_id) == ("events", "orders/create", "shop-event-1")
    assert (letter.error, letter.attempts, letter.request_id) == ("the database ate it", 5, "req_dead")
    await store.redis.delete(*[key async for key in store.redis.scan_iter(f"{store.prefix}:*")])
    store.clock.move(timedelta(minutes=1))
    assert await run_job(store.app, CATCH_UP, CatchUpData()) == 0, "given up is given up"
    assert (await store.api("GET", "/dead-letters")).json()[0]["data"]["shopId"] == SHOP

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


async def test_the_retry_of_a_message_that_failed_sends_it(store: Storefront) -> None:
    def refuse(outgoing: Outgoing) -> None:
        raise SendError("the number is barred", retryable=False)

    store.provider.refuse = refuse
    await store.automation()
    await store.told("orders_create")
    assert (await store.message()).status == Status.FAILED
    [letter] = await eventually(store.app.dead_letters.list_letters)
    assert (letter.queue, letter.error) == ("delivery", "the number is barred")
    assert letter.priority == 1
    store.provider.refuse = lambda outgoing: None
    await store.app.dead_letters.retry(letter.id)
    await store.settled()
    assert (await store.message()).status == Status.SENT
    assert len(store.texts) == 1


async def test_a_job_that_dies_again_has_one_open_letter_and_discarding_ends_it(
    open_storefront: OpenStorefront,
) -> None:
    store = await open_storefront()
    dead = DeadJob("events", "orders/create", "j\0", {"note": "a\0b", "deep": ["\ud800"]}, "first", 5, NOW, "req")
    first = await store.app.dead_letters.store(dead)
    assert await store.app.dead_letters.store(replace(dead, error="second")) == first
    [row] = await store.all(DeadLetter)
    assert (row.error, row.data) == ("second", {"note": "ab", "deep": ["?"]})
    assert await store.app.dead_letters.count_open() == {"events": 1}
    await store.app.dead_letters.discard(first)
    assert await store.app.dead_letters.list_letters() == []
    assert await store.app.dead_letters.store(dead) != first
    assert len(await store.app.dead_letters.list_letters(status=None, queue="events")) == 2
    strange = await store.app.dead_letters.store(replace(dead, queue="abandoned", data=[1]))
    assert (await store.api("POST", f"/dead-letters/{strange}/retry")).status_code == 409
    assert (await store.app.dead_letters.get(strange)).status == "open"


async def test_letters_of_other_jobs_that_got_the_same_id_are_kept_apart(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    letters = store.app.dead_letters
    counted = DeadJob("campaigns", "batch", "7", {"campaign": 1, "offset": 0}, "first", 5, NOW, "req")
    first = await letters.store(counted)
    assert await letters.store(replace(counted, data={"campaign": 2, "offset": 0})) != first
    assert await letters.store(replace(counted, error="told twice")) == first
    assert await letters.store(replace(counted, name="release")) != first
    made = replace(counted, queue="housekeeping", name="repeat", job_id="repeat:cleanup:1764226000000")
    assert await letters.store(made) != await letters.store(replace(made, data={"task": "other"}))
    chosen = replace(counted, job_id="release-1-first")
    assert await letters.store(chosen) == await letters.store(replace(chosen, data={"campaign": 2}))


@pytest.mark.parametrize("job_id", ["1", "repeat:cleanup:1764226000000"])
async def test_the_retry_of_a_letter_leaves_another_job_alone_that_got_its_id(
    open_storefront: OpenStorefront, job_id: str
) -> None:
    store = await open_storefront()
    dead = DeadJob("campaigns", "batch", job_id, {"campaign": 1, "offset": 0}, "no", 5, NOW, "req")
    letter = await store.app.dead_letters.store(dead)
    waiting = Job("campaigns", "batch", job_id, {"campaign": 2, "offset": 100})
    await store.queues.arm([waiting])

    await store.app.dead_letters.retry(letter)
    keys = await store.redis.lrange(f"{store.prefix}:campaigns:wait", 0, -1)
    data = [json.loads(await store.redis.hget(f"{store.prefix}:campaigns:{key}", "data")) for key in keys]
    assert sorted(one["campaign"] for one in data) == [1, 2]
