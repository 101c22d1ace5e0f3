"""Customers' webhooks: every event reaches every endpoint that wants it, signed, and none is lost or stuck."""

from __future__ import annotations

from datetime import timedelta

import bullmq
import pytest
from standardwebhooks import WebhookVerificationError

from customer_webhooks.receiver import Posted, Receiver, always
from customer_webhooks.support import Hooks, data_of
from support.workshop import eventually
from tidings.customer_webhooks.jobs import WEBHOOK_DELIVERY
from tidings.engine.jobs import GiveUpJob, PostponeJob
from tidings.engine.redis import connect
from tidings.errors import Conflict
from tidings.messages.statuses import Status


async def test_an_event_arrives_signed_with_the_headers_of_the_specification(hooks: Hooks) -> None:
    async with Receiver() as receiver:
        _, secret = await hooks.new_endpoint(receiver)
        await hooks.start()
        [event_id] = await hooks.emit("message.sent", message_id=7, content="Grüße 👋")
        [posted] = await receiver.has(1)
        row = await hooks.ended(event_id)
    assert posted.name == ("message.sent", row.webhook_id, 1)
    assert posted.headers["webhook-id"] == row.webhook_id
    assert data_of(posted.verified(secret)) == {"message_id": 7, "content": "Grüße 👋"}
    assert posted.body["type"] == "message.sent"
    assert (row.status, row.delivered_at is not None) == (Status.SENT, True)
    with pytest.raises(WebhookVerificationError):
        Posted(posted.headers, posted.raw.replace(b"7", b"8")).verified(secret)


@pytest.mark.both_databases
async def test_an_event_of_a_transaction_that_fails_is_told_to_nobody(hooks: Hooks) -> None:
    async with Receiver() as receiver:
        await hooks.new_endpoint(receiver)
        await hooks.start()
        with pytest.raises(ZeroDivisionError):
            await hooks.emit_and_fail()
        await hooks.emit("message.read")
        [posted] = await receiver.has(1)
    assert posted.name[0] == "message.read"
    assert len(await hooks.events()) == 1


async def test_an_event_goes_to_each_endpoint_of_its_customer_and_to_no_other_customer(still: Hooks) -> None:
    other = await still.app.chat.accounts.create_customer({"name": "Another Shop"})
    await still.verbs.create_endpoint(other.id, {"url": "http://127.0.0.1:9/"})
    first, _ = await still.new_endpoint("http://127.0.0.1:9/a")
    second, _ = await still.new_endpoint("http://127.0.0.1:9/b")
    await still.emit()
    rows = await still.events()
    assert [row.endpoint_id for row in rows] == [first, second]
    assert len({row.webhook_id for row in rows}) == 2


@pytest.mark.parametrize("status", ["500 Oops", "404 Not Found", "401 Who", "302 Found", "429 Slow Down"])
async def test_an_event_that_is_never_taken_has_three_attempts_and_is_then_failed(local: Hooks, status: str) -> None:
    async with Receiver(always(status)) as receiver:
        endpoint_id, secret = await local.new_endpoint(receiver)
        await local.start()
        [event_id] = await local.emit(number=1)
        row = await local.ended(event_id)
        posts = await receiver.has(3)
    assert [posted.name for posted in posts] == [("message.sent", row.webhook_id, n) for n in (1, 2, 3)]
    assert len({posted.raw for posted in posts}) == 1
    for posted in posts:
        posted.verified(secret)
    assert (row.status, row.tries) == (Status.FAILED, 3)
    assert f"answered {status.split()[0]}" in (row.error_message or "")
    assert "s3cret-in-url" not in (row.error_message or "")
    assert (await local.endpoint(endpoint_id)).consecutive_failures == 1


async def test_an_event_that_is_taken_at_the_second_attempt_is_delivered_once(local: Hooks) -> None:

    def answer(posted: Posted) -> tuple[str, dict[str, str]]:
        return ("500 Oops" if posted.name[2] == 1 else "200 OK"), {}

    async with Receiver(answer) as receiver:
        await local.new_endpoint(receiver)
        await local.start()
        [event_id] = await local.emit()
        row = await local.ended(event_id)
        assert len(receiver.got) == 2
    assert (row.status, row.tries) == (Status.SENT, 2)


async def test_a_wait_that_the_server_asks_for_is_honoured_and_costs_an_attempt(still: Hooks) -> None:
    async with Receiver(always("503 Busy", retry_after="120")) as receiver:
        await still.new_endpoint(receiver)
        [event_id] = await still.emit()
        for _ in range(2):
            with pytest.raises(PostponeJob) as postponed:
                await still.deliver(event_id)
            assert postponed.value.until == still.clock.now() + timedelta(seconds=120)
            with pytest.raises(PostponeJob):  # nobody may be quicker
                await still.deliver(event_id)
            still.move(seconds=120)
        with pytest.raises(GiveUpJob):
            await still.deliver(event_id)
        assert [posted.name[2] for posted in receiver.got] == [1, 2, 3]
    assert (await still.event(event_id)).status == Status.FAILED


async def test_a_slow_endpoint_keeps_no_other_one_waiting(local: Hooks) -> None:
    async with (
        Receiver(lambda posted: None) as silent,
        Receiver(always("429 Slow", retry_after="9")) as busy,
        Receiver() as quick,
    ):
        for receiver in (silent, busy, quick):
            await local.new_endpoint(receiver)
        await local.start()
        for number in range(5):
            await local.emit(number=number)
        posts = await quick.has(5)
    assert {data_of(posted.body)["number"] for posted in posts} == set(range(5))


async def test_a_replay_of_everything_delivers_again_under_the_same_id(local: Hooks) -> None:
    async with Receiver() as receiver:
        endpoint_id, _ = await local.new_endpoint(receiver)
        await local.start()
        since = local.clock.now() - timedelta(seconds=5)
        [event_id] = await local.emit()
        await local.ended(event_id)
        wanted = {"since": since, "only_failed": False}
        assert (await local.verbs.replay_events(local.customer, endpoint_id, wanted)).events == 1
        first, second = await receiver.has(2)
        row = await local.ended(event_id)
    assert first.name == second.name == ("message.sent", row.webhook_id, 1)


async def test_one_event_is_replayed_but_not_while_it_is_under_way(still: Hooks) -> None:
    async with Receiver() as receiver:
        await still.new_endpoint(receiver)
        [event_id] = await still.emit()
        with pytest.raises(Conflict, match="under way"):
            await still.verbs.replay_event(still.customer, event_id)
        await still.deliver(event_id)
        row = await still.verbs.replay_event(still.customer, event_id)
        assert (row.status, row.tries, row.delivered_at) == (Status.SCHEDULED, 0, None)
        assert await still.seconds_until(event_id) == pytest.approx(0, abs=5)
        await still.deliver(event_id)
        assert len(receiver.got) == 2


@pytest.mark.both_databases
async def test_jobs_that_redis_lost_are_rebuilt_from_the_events(still: Hooks) -> None:
    await still.new_endpoint("http://127.0.0.1:9/")
    [event_id] = await still.emit()
    await still.app.queues.disarm(WEBHOOK_DELIVERY.name, [f"webhook-event-{event_id}"])
    assert await still.seconds_until(event_id) is None
    await still.app.start_workers(["whatsapp-qr-send"])

    async def is_back() -> bool:
        return await still.seconds_until(event_id) is not None

    assert await eventually(is_back)


async def test_a_test_event_goes_to_one_endpoint_whatever_it_wants_to_hear(hooks: Hooks) -> None:
    async with Receiver() as receiver, Receiver() as other:
        endpoint_id, secret = await hooks.new_endpoint(receiver, "message.failed")
        await hooks.new_endpoint(other)
        await hooks.start()
        row = await hooks.verbs.send_test(hooks.customer, endpoint_id)
        [posted] = await receiver.has(1)
        assert (await hooks.ended(row.id)).status == Status.SENT
        assert other.got == []
    assert posted.name == ("webhook.test", row.webhook_id, 1)
    assert data_of(posted.verified(secret))["endpoint_id"] == endpoint_id


@pytest.mark.both_databases
@pytest.mark.parametrize("by", ["webhookId", "url"])
async def test_an_event_that_another_program_adds_in_full_is_signed_and_delivered_once(hooks: Hooks, by: str) -> None:
    async with Receiver() as receiver:
        endpoint, secret = await hooks.new_endpoint(receiver)
        name = {"webhookId": endpoint} if by == "webhookId" else {"url": receiver.url}
        told = {**name, "event": "order.shipped", "payload": {"order": 7}, "requestId": "req_1"}
        async with connect(hooks.app.redis_url) as redis:
            queue = bullmq.Queue("webhook-delivery", {"connection": redis, "prefix": hooks.app.settings.redis_prefix})
            await queue.add("webhook-delivery", told)
            await queue.add("job", told)
            last = await queue.add("job", {**told, "payload": {"order": 8}})
            await hooks.start()
            await receiver.has(2)

            async def is_done() -> bool:
                return bool(await redis.hexists(queue.toKey(last.id), "finishedOn"))

            await eventually(is_done)
    assert sorted(data_of(posted.verified(secret))["order"] for posted in receiver.got) == [7, 8]
    assert {row.status for row in await hooks.events()} == {Status.SENT}


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"event": "order.shipped", "payload": {}}, "endpoint (webhookId or url)"),
        ({"event": "order.shipped", "url": "https://nobody.example/"}, "https://nobody.example/"),
        ({"event": "Order shipped", "webhookId": 1}, "is no name of an event"),
    ],
)
async def test_an_event_that_cannot_be_told_to_anybody_fails_with_a_sentence(
    local: Hooks, told: dict[str, object], sentence: str
) -> None:
    await local.new_endpoint("http://127.0.0.1:9/")
    await local.start()
    async with connect(local.app.redis_url) as redis:
        queue = bullmq.Queue("webhook-delivery", {"connection": redis, "prefix": local.app.settings.redis_prefix})
        await queue.add("webhook-delivery", told)
        letters = await eventually(local.app.dead_letters.list_letters)
    assert sentence in letters[0].error
