"""Jobs that other programs add in the specification's form."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shops.rules.payloads import SHOP, payload
from shops.storefront import OpenStorefront, Storefront
from support.app import handler_of, run_of
from tidings.engine.jobs import BatchHandler, HeldJob
from tidings.errors import InvalidInput, NotFound
from tidings.features.shops import worker
from tidings.features.shops.jobs import SEND, SendData
from tidings.features.shops.models import ShopWebhookEvent


async def test_the_jobs_of_the_specification_work_as_a_node_producer_adds_them(store: Storefront) -> None:
    await store.automation()
    order = payload("orders_create")
    told = {
        "topic": "orders/create",
        "shopId": SHOP,
        "objectId": "gid://shopify/Order/5523456789012",
        "raw": order,
        "requestId": "req_123",
    }
    for _ in range(2):
        await store.shops.enqueue_job("events", "orders/create", told)
    await carried_out(store, "events", "automations", "delivery")
    assert len(await store.all(ShopWebhookEvent)) == 1, "the second is the same event once more"
    assert (await store.message()).request_id == "req_123"
    await store.shops.enqueue_job(
        "automations",
        "evaluate",
        {"trigger": "orders/create", "shopId": SHOP, "context": order | {"id": 9}, "requestId": "req_7"},
    )
    await carried_out(store, "automations", "delivery")
    send = {
        "shopId": SHOP,
        "recipient": "(810) 555-0123",
        "template": "Hi {{ name }}",
        "context": {"name": "Mara"},
        "purpose": "transactional",
        "requestId": "req_9",
    }
    for _ in range(2):  # the second is the same message once more
        await store.shops.enqueue_job("delivery", "send", send)
        await carried_out(store, "delivery")
    assert [text for _, text in store.texts] == ["Hi Mara!", "Hi Mara!", "Hi Mara"]
    assert {row.request_id for row in await store.messages()} == {"req_123", "req_7", "req_9"}
    stats = await store.queues.stats("delivery")
    assert (stats.completed, stats.failed) == (4, 0)


async def carried_out(store: Storefront, *queues: str) -> None:
    """Waits until nothing is left to do in any of the queues, one after the other."""
    for queue in queues:
        await store.idle(queue)
    await store.settled()


UNUSABLE: list[tuple[str, str, dict[str, Any], str]] = [
    ("events", "orders/paid", {"shopId": SHOP, "raw": {}}, "topic"),
    ("events", "orders/paid", {"topic": "orders/paid", "shopId": SHOP}, ""),
    ("campaigns", "batch", {"shopId": SHOP}, "campaignId"),
    ("housekeeping", "cleanup", {"task": "sweep"}, "task"),
    ("delivery", "send", {"shopId": SHOP, "template": "x"}, ""),
]


async def test_a_job_whose_data_cannot_be_used_is_refused_before_it_is_in_a_queue(
    open_storefront: OpenStorefront,
) -> None:
    store = await open_storefront()
    for queue, name, data, field in UNUSABLE:
        with pytest.raises(InvalidInput) as refused:
            await store.shops.enqueue_job(queue, name, data)
        assert refused.value.field == field
        assert (await store.queues.stats(queue)).total == 0
        with pytest.raises(NotFound):
            await store.shops.enqueue_job(queue, "nonsense", data)
    with pytest.raises(NotFound):
        await store.shops.enqueue_job("event-messages", "send", {})


async def test_a_message_that_is_only_told_of_lets_no_other_of_its_batch_wait(
    store: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, ended = asyncio.Event(), dict[str, object]()
    other_ended = asyncio.Event()

    async def store_slowly(*_: Any) -> int:
        await stores.wait()
        raise NotFound("shop", SHOP)

    def end_other(answer: object) -> None:
        ended["other"] = answer
        other_ended.set()

    monkeypatch.setattr(worker, "store_told_message", store_slowly)
    handler, run = handler_of(store.app, SEND), run_of(store.app, SEND)
    assert isinstance(handler, BatchHandler)
    told = SendData.model_validate({"shopId": SHOP, "recipient": "+18105550123", "template": "Hi"})
    jobs = [
        HeldJob(told, run, lambda answer: ended.update(told=answer)),
        HeldJob(SendData(id=404), run, end_other),
    ]
    handling = asyncio.create_task(handler.handle(jobs))
    async with asyncio.timeout(10):
        await other_ended.wait()
    assert ended == {"other": "skipped: no such message"}
    stores.set()
    await handling
    assert "told" in ended
