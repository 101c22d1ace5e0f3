"""Every shape in which other programs add jobs to the shops' queues: names, ids, and who a message is for."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import bullmq
import pytest

from shops.rules.payloads import SHOP, payload
from shops.storefront import OpenStorefront, Storefront
from support.node_peer import Node
from support.workshop import eventually
from tidings.clock import SystemClock
from tidings.errors import SendError
from tidings.features.shops.models import ShopWebhookEvent
from tidings.messages.dead_letters import DeadLetter
from tidings.messages.statuses import Status
from tidings.providers.base import Outgoing, Receipt

CUSTOMER = "gid://shopify/Customer/7001234567890"


async def add(store: Storefront, queue: str, name: str, data: dict[str, Any], **options: Any) -> str:
    """Adds a job as another program does, past everything of ours."""
    job = await bullmq.Queue(queue, {"connection": store.redis, "prefix": store.prefix}).add(name, data, options)
    return str(job.id)


async def carried_out(store: Storefront, *queues: str) -> None:
    for queue in queues:
        await store.idle(queue)
    await store.settled()


ORDER = payload("orders_create")

EVENTS: list[tuple[str, str, dict[str, Any]]] = [
    ("events", "orders/create", {"topic": "orders/create", "shopId": SHOP, "raw": ORDER}),
    ("events", "events:orders/create", {"topic": "orders/create", "shopId": SHOP, "raw": ORDER}),
    ("events", "events:orders/create", {"shopId": SHOP, "raw": ORDER}),
    ("events", "orders/create", {"shop_id": f"https://{SHOP.upper()}/", "raw": ORDER, "objectId": ORDER["id"]}),
    ("events", "events:orders:create", {"topic": None, "shopId": SHOP.partition(".")[0], "raw": ORDER}),
    ("events", "ORDERS_CREATE", {"topic": "", "shopId": SHOP, "raw": json.dumps(ORDER)}),
    ("events", "orders-create", {"shopId": SHOP, "raw": ORDER, "requestId": 17, "objectId": None}),
    (
        "automations",
        "evaluate",
        {
            "trigger": "orders/create",
            "shopId": SHOP,
            "context": None,
            "originalEvent": {"topic": "orders/create", "shopId": SHOP, "raw": ORDER},
        },
    ),
    ("events", "job", {"topic": "ORDERS/CREATE", "shopId": 1, "raw": ORDER, "xRequestId": "req_1"}),
    ("automations", "evaluate", {"trigger": "orders/create", "shopId": SHOP, "context": ORDER}),
    ("automations", "automations:evaluate", {"trigger": "orders/create", "shopId": SHOP, "originalEvent": ORDER}),
    ("automations", "job", {"trigger": "orders/create", "shopId": SHOP, "original_event": ORDER, "context": {}}),
]


@pytest.mark.parametrize(("queue", "name", "data"), EVENTS)
async def test_an_event_is_understood_under_every_name_of_its_job(
    store: Storefront, queue: str, name: str, data: dict[str, Any]
) -> None:
    await store.automation()
    await add(store, queue, name, data)
    await carried_out(store, "events", "automations", "delivery")
    assert [text for _, text in store.texts] == ["Hi Mara!"]
    if "xRequestId" in data:
        assert (await store.message()).request_id == "req_1"


HI = {"shopId": SHOP, "template": "Hi {{ name }}", "purpose": "transactional"}

MESSAGES: list[tuple[str, dict[str, Any]]] = [
    ("send", {**HI, "recipient": "(810) 555-0123", "context": {"name": "Mara"}}),
    ("delivery:send", {**HI, "recipient": "+18105550123", "context": {"name": "Mara"}}),
    ("job", {**HI, "recipient": "+18105550123", "context": {"name": "Mara"}, "channel": "SMS"}),
    ("send", {**HI, "recipient": 18105550123, "context": json.dumps({"name": "Mara"}), "contactId": None}),
    ("send", {**HI, "recipient": "+18105550123", "template": "Hi Mara", "context": None}),
    ("send", {**HI, "contactId": CUSTOMER, "context": {"name": "Mara"}}),
    ("delivery:send", {**HI, "contactId": 7001234567890, "context": {"name": "Mara"}}),
    ("send", {**HI, "contact_id": 1, "context": {"name": "Mara"}, "campaignId": "campaign-123"}),
    (
        "send",
        {**HI, "purpose": "TRANSACTIONAL", "context": {"name": "Mara", "customer": {"phone": "8105550123"}}},
    ),
    ("send", {"shopId": SHOP, "template": "Hi Mara", "automationId": "hello", "context": ORDER}),
]


@pytest.mark.parametrize(("name", "data"), MESSAGES)
async def test_a_message_is_understood_however_the_job_names_it_and_whom_it_is_for(
    store: Storefront, name: str, data: dict[str, Any]
) -> None:
    await store.automation(active=False)
    customer = payload("customers_create") | {"id": 7001234567890, "phone": "+18105550123"}
    await add(store, "events", "customers/create", {"topic": "customers/create", "shopId": SHOP, "raw": customer})
    await carried_out(store, "events")
    await add(store, "delivery", name, data)
    await carried_out(store, "delivery")
    assert [text for _, text in store.texts] == ["Hi Mara"]
    row = await store.message()
    assert (row.recipient, row.purpose) == ("+18105550123", "transactional")
    if data.get("contactId") or data.get("contact_id"):
        assert row.customer_id == (await store.customer()).id


async def test_a_message_for_a_contact_alone_is_promotional_and_needs_consent(store: Storefront) -> None:
    customer = payload("customers_create") | {"id": 9, "phone": "+18105550123", "sms_marketing_consent": None}
    await add(store, "events", "customers/create", {"topic": "customers/create", "shopId": SHOP, "raw": customer})
    await carried_out(store, "events")
    await add(store, "delivery", "send", {"shopId": SHOP, "contactId": 9, "template": "Sale!", "campaignId": "c-1"})
    await carried_out(store, "delivery")
    row = await store.message()
    assert (row.purpose, row.status, row.status_reason) == ("promotional", Status.SKIPPED, "no_consent")
    assert store.texts == []


UNUSABLE: list[tuple[str, str, dict[str, Any], str]] = [
    ("events", "job", {"shopId": SHOP, "raw": {}}, "topic: Field required"),
    ("events", "events:orders/creat", {"shopId": SHOP, "raw": {}}, "did you mean orders/create?"),
    ("events", "orders/create", {"shopId": "nobody.myshopify.com", "raw": {}}, "nobody.myshopify.com"),
    ("delivery", "send", {"shopId": SHOP, "template": "x"}, "contactId"),
    ("delivery", "send", {"shopId": SHOP, "template": "x", "contactId": 404}, "404"),
    ("delivery", "send", {"shopId": SHOP, "template": "x", "recipient": "n/a"}, "recipient"),
    ("delivery", "send", {"shopId": SHOP, "template": "x", "context": {"order": 7}}, "recipient: is missing"),
    ("campaigns", "campaigns:batch", {"shopId": SHOP}, "campaignId: Field required"),
    ("campaigns", "batch", {"campaignId": "spring"}, "shopId: is missing"),
    ("campaigns", "batch", {"campaignId": "spring", "shopId": SHOP}, "there is no campaign spring"),
    ("campaigns", "batch", {"campaignId": 404, "shopId": SHOP}, "there is no campaign 404"),
    ("events", "orders/create", {"shopId": "gid://shopify/Shop/1", "raw": {}}, "name it by its domain"),
    ("events", "orders/create", {"shopId": SHOP, "raw": "[1]"}, "raw: Input should be a valid dictionary"),
    ("housekeeping", "sweep", {}, "cleanup_old_messages"),
    ("housekeeping", "housekeeping:repeat", {"task": "sweep"}, "cleanup_old_messages"),
]


def in_order(data: dict[str, Any]) -> str:
    """PostgreSQL gives JSON back in an order of its own."""
    return json.dumps(data, sort_keys=True)


async def test_a_job_that_cannot_be_understood_fails_with_a_sentence_on_what_is_missing(store: Storefront) -> None:
    for queue, name, data, _ in UNUSABLE:
        await add(store, queue, name, data)

    async def letters() -> list[DeadLetter]:
        found = await store.all(DeadLetter)
        return found if len(found) == len(UNUSABLE) else []

    errors = {(one.queue, one.name, in_order(one.data)): one.error for one in await eventually(letters)}
    for queue, name, data, sentence in UNUSABLE:
        assert sentence in errors[queue, name, in_order(data)]


async def test_the_tasks_of_the_specification_are_done_under_every_name(store: Storefront) -> None:
    for name in ("repeat", "cleanup", "housekeeping:repeat", "job"):
        await add(store, "housekeeping", name, {"task": "cleanup_old_messages", "shopId": SHOP, "requestId": "r"})
    for task in ("CLEANUP_OLD_MESSAGES", "cleanupOldMessages", "cleanup-old-messages"):
        await add(store, "housekeeping", "cleanup", {"task": task, "shopId": None})
    await add(store, "housekeeping", "housekeeping:rollup_reports", {"shopId": f"https://{SHOP}"})
    await store.idle("housekeeping")
    stats = await store.queues.stats("housekeeping")
    assert stats.completed >= 8  # schedules add some, too
    assert stats.failed == 0


class Interrupted:
    """A provider that loses its first answers: nobody knows them for refused, so the message is tried again."""

    name = "interrupted"
    drops_repetitions = True

    def __init__(self, times: int) -> None:
        self.times = times
        self.keys: list[str] = []

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.keys.append(outgoing.idempotency_key)
        if len(self.keys) <= self.times:
            raise SendError("the line went dead", retryable=True)
        return Receipt(self.name)

    async def close(self) -> None:
        """Nothing to release."""


@pytest.mark.parametrize("options", [{}, {"attempts": 5}, {"jobId": "welcome-1"}])
async def test_a_job_without_a_request_is_one_message_however_often_it_is_tried(
    open_storefront: OpenStorefront, options: dict[str, Any]
) -> None:
    provider = Interrupted(3)
    store = await open_storefront(clock=SystemClock(), provider=provider, queue_settings={"DELIVERY_BACKOFF": "0.01"})
    await store.shop()
    await store.work_all()
    await add(store, "delivery", "send", {**HI, "recipient": "+18105550123", "context": {"name": "Mara"}}, **options)

    async def is_sent() -> bool:
        return any(row.status == Status.SENT for row in await store.messages())

    await eventually(is_sent)
    assert len(await store.messages()) == 1
    assert len(provider.keys) == 4
    assert len(set(provider.keys)) == 1


async def test_an_event_without_a_request_that_is_tried_again_is_one_event(
    store: Storefront, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tidings.features.shops import worker

    process, tries = worker.process_event, []

    async def fail_once(*arguments: Any) -> str:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("the database went away after the row was written")
        return await process(*arguments)

    monkeypatch.setattr(worker, "process_event", fail_once)
    await store.automation()
    await add(store, "events", "orders/create", {"topic": "orders/create", "shopId": SHOP, "raw": ORDER}, backoff=1)

    async def is_sent() -> bool:
        return bool(store.texts)

    await eventually(is_sent)
    await carried_out(store, "events", "automations", "delivery")
    assert len(await store.all(ShopWebhookEvent)) == 1
    assert [text for _, text in store.texts] == ["Hi Mara!"]


async def test_nodes_bullmq_adds_jobs_as_the_specifications_examples_do(store: Storefront) -> None:
    await store.automation()
    queues = {
        name: SimpleNamespace(url=store.app.redis_url, prefix=store.prefix, policy=SimpleNamespace(name=name))
        for name in ("events", "delivery")
    }
    told = {"topic": "orders/create", "shopId": SHOP, "objectId": "gid://shopify/Order/1", "raw": ORDER}
    async with Node.started() as node:
        await node.call(queues["events"], "queue.add", "events:orders/create", told)  # type: ignore[arg-type]
        await carried_out(store, "events", "automations", "delivery")
        sample = {
            **HI,
            "recipient": "+18105550124",
            "context": {"name": "Ben"},
            "xRequestId": "req_1234567890_abc123",
        }
        await node.call(queues["delivery"], "queue.add", "delivery:send", sample)  # type: ignore[arg-type]
        await carried_out(store, "delivery")
    assert [text for _, text in store.texts] == ["Hi Mara!", "Hi Ben"]
    assert "req_1234567890_abc123" in {row.request_id for row in await store.messages()}
