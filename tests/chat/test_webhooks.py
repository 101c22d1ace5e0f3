"""Customers' webhooks: every event reaches every endpoint that wants it, signed, and none is lost or stuck."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from standardwebhooks import WebhookVerificationError

from chat.post import Post, data_of
from chat.receiver import Posted, Receiver, always
from tidings.clock import ManualClock
from tidings.customer_webhooks.events import DISABLED, EndpointStatus
from tidings.customer_webhooks.routes import customer_webhooks_router
from tidings.engine.jobs import GiveUpJob, PostponeJob
from tidings.errors import Conflict, InvalidInput, NotFound, SendError
from tidings.messages.statuses import Status
from tidings.web.application import create_application

NewPost = Callable[..., Awaitable[Post]]
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
async def new_post(database_url: str, settings_for: Callable[..., Any]) -> AsyncIterator[NewPost]:
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> Post:
            settings = settings_for()
            post = Post(database_url, settings.redis_url, settings.redis_prefix, **options)
            return await stack.enter_async_context(post)

        yield make


@pytest.fixture
async def local(migrated_sqlite: Path, tmp_path: Path, settings_for: Callable[..., Any]) -> AsyncIterator[NewPost]:
    """Opens posts on SQLite, for what does not depend on which database it is."""
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> Post:
            settings = settings_for()
            url = f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'local.db')}"
            return await stack.enter_async_context(Post(url, settings.redis_url, settings.redis_prefix, **options))

        yield make


@pytest.fixture
async def post(new_post: NewPost) -> Post:
    return await new_post()


@pytest.fixture
async def still(new_post: NewPost) -> Post:
    """A post whose clock stands still; its jobs are run by the test."""
    return await new_post(clock=ManualClock(NOW))


def moved(post: Post, **by: float) -> None:
    assert isinstance(post.clock, ManualClock)
    post.clock.move(timedelta(**by))


async def test_an_event_arrives_signed_with_the_headers_of_the_specification(post: Post) -> None:
    async with Receiver() as receiver:
        _, secret = await post.new_endpoint(receiver)
        post.start()
        [event_id] = await post.emit("message.sent", message_id=7, content="Grüße 👋")
        [posted] = await receiver.has(1)
        row = await post.ended(event_id)
    assert posted.name == ("message.sent", row.webhook_id, 1)
    assert posted.headers["webhook-id"] == row.webhook_id
    assert data_of(posted.verified(secret)) == {"message_id": 7, "content": "Grüße 👋"}
    assert posted.body["type"] == "message.sent"
    assert (row.status, row.delivered_at is not None) == (Status.SENT, True)
    with pytest.raises(WebhookVerificationError):
        Posted(posted.headers, posted.raw.replace(b"7", b"8")).verified(secret)


async def test_an_event_of_a_transaction_that_fails_is_told_to_nobody(post: Post) -> None:
    async with Receiver() as receiver:
        await post.new_endpoint(receiver)
        post.start()
        with pytest.raises(ZeroDivisionError):
            await post.emit_and_fail()
        await post.emit("message.read")
        [posted] = await receiver.has(1)
    assert posted.name[0] == "message.read"
    assert len(await post.events()) == 1


@pytest.mark.parametrize(
    ("filters", "heard"),
    [
        (["*"], {"message.sent", "message.read", "conversation.created", "order.shipped"}),
        (["message.*"], {"message.sent", "message.read"}),
        (["message.read", "conversation.*"], {"message.read", "conversation.created"}),
        (["order.shipped"], {"order.shipped"}),
    ],
)
async def test_an_endpoint_hears_what_its_filters_name(local: NewPost, filters: list[str], heard: set[str]) -> None:
    still = await local(clock=ManualClock(NOW))
    await still.new_endpoint("http://127.0.0.1:9/", *filters)
    for event in ("message.sent", "message.read", "conversation.created", "order.shipped"):
        await still.emit(event)
    assert {row.event for row in await still.events()} == heard


async def test_an_event_goes_to_each_endpoint_of_its_customer_and_to_no_other_customer(still: Post) -> None:
    other = await still.new_customer("Another Shop")
    await still.verbs.create_webhook_endpoint(other, {"url": "http://127.0.0.1:9/"})
    first, _ = await still.new_endpoint("http://127.0.0.1:9/a")
    second, _ = await still.new_endpoint("http://127.0.0.1:9/b")
    await still.emit()
    rows = await still.events()
    assert [row.endpoint_id for row in rows] == [first, second]
    assert len({row.webhook_id for row in rows}) == 2


@pytest.mark.parametrize("status", ["500 Oops", "404 Not Found", "401 Who", "302 Found", "429 Slow Down"])
async def test_an_event_that_is_never_taken_has_three_attempts_and_is_then_failed(
    local: NewPost, status: str
) -> None:
    post = await local()
    async with Receiver(always(status)) as receiver:
        endpoint_id, secret = await post.new_endpoint(receiver)
        post.start()
        [event_id] = await post.emit(number=1)
        row = await post.ended(event_id)
        posts = await receiver.has(3)
    assert [posted.name for posted in posts] == [("message.sent", row.webhook_id, n) for n in (1, 2, 3)]
    assert len({posted.raw for posted in posts}) == 1
    for posted in posts:
        posted.verified(secret)
    assert (row.status, row.tries) == (Status.FAILED, 3)
    assert f"answered {status.split()[0]}" in (row.error_message or "")
    assert "s3cret-in-url" not in (row.error_message or "")
    assert (await post.endpoint(endpoint_id)).consecutive_failures == 1


async def test_an_event_that_is_taken_at_the_second_attempt_is_delivered_once(local: NewPost) -> None:
    post = await local()

    def answer(posted: Posted) -> tuple[str, dict[str, str]]:
        return ("500 Oops" if posted.name[2] == 1 else "200 OK"), {}

    async with Receiver(answer) as receiver:
        await post.new_endpoint(receiver)
        post.start()
        [event_id] = await post.emit()
        row = await post.ended(event_id)
        assert len(receiver.got) == 2
    assert (row.status, row.tries) == (Status.SENT, 2)


async def test_a_wait_that_the_server_asks_for_is_honoured_and_costs_an_attempt(still: Post) -> None:
    async with Receiver(always("503 Busy", retry_after="120")) as receiver:
        await still.new_endpoint(receiver)
        [event_id] = await still.emit()
        for _ in range(2):
            with pytest.raises(PostponeJob) as postponed:
                await still.deliver(event_id)
            assert postponed.value.until == still.clock.now() + timedelta(seconds=120)
            with pytest.raises(PostponeJob):  # nobody may be quicker
                await still.deliver(event_id)
            moved(still, seconds=120)
        with pytest.raises(GiveUpJob):
            await still.deliver(event_id)
        assert [posted.name[2] for posted in receiver.got] == [1, 2, 3]
    assert (await still.event(event_id)).status == Status.FAILED


async def test_a_slow_endpoint_keeps_no_other_one_waiting(local: NewPost) -> None:
    post = await local()
    async with (
        Receiver(lambda posted: None) as silent,
        Receiver(always("429 Slow", retry_after="9")) as busy,
        Receiver() as quick,
    ):
        for receiver in (silent, busy, quick):
            await post.new_endpoint(receiver)
        post.start()
        for number in range(5):
            await post.emit(number=number)
        posts = await quick.has(5)
    assert {data_of(posted.body)["number"] for posted in posts} == set(range(5))


async def test_a_server_that_is_gone_gets_no_more_events_and_the_others_are_told(still: Post) -> None:
    async with Receiver(always("410 Gone")) as gone, Receiver() as other:
        gone_id, _ = await still.new_endpoint(gone)
        other_id, secret = await still.new_endpoint(other, "webhook.*")
        [event_id] = await still.emit()
        with pytest.raises(GiveUpJob):
            await still.deliver(event_id)
        [told] = await still.events("webhook.disabled")
        await still.deliver(told.id)
        assert data_of(other.got[0].verified(secret))["endpoint_id"] == gone_id
        [later] = await still.emit()
        assert len(gone.got) == 1
    row, missed = await still.endpoint(gone_id), await still.event(later)
    assert (row.status, "410" in (row.disabled_reason or "")) == (EndpointStatus.DISABLED, True)
    assert (missed.status, missed.error_message) == (Status.FAILED, DISABLED)
    assert await still.seconds_until(later) is None
    assert told.endpoint_id == other_id


async def test_an_event_that_waits_while_its_endpoint_is_disabled_fails_without_being_sent(still: Post) -> None:
    async with Receiver() as receiver:
        endpoint_id, _ = await still.new_endpoint(receiver)
        [event_id] = await still.emit()
        await still.verbs.disable_webhook_endpoint(still.customer, endpoint_id)
        with pytest.raises(GiveUpJob, match="disabled"):
            await still.deliver(event_id)
        assert receiver.got == []
    assert (await still.endpoint(endpoint_id)).consecutive_failures == 0


async def test_what_a_disabled_endpoint_missed_is_replayed_when_it_is_enabled_again(still: Post) -> None:
    async with Receiver() as receiver:
        endpoint_id, secret = await still.new_endpoint(receiver)
        [before] = await still.emit(number=0)
        await still.deliver(before)
        moved(still, minutes=1)
        since = still.clock.now()
        await still.verbs.disable_webhook_endpoint(still.customer, endpoint_id)
        missed = [(await still.emit(number=number))[0] for number in (1, 2)]
        with pytest.raises(Conflict, match="enable it first"):
            await still.verbs.replay_webhook_events(still.customer, endpoint_id, {"since": since})
        await still.verbs.enable_webhook_endpoint(still.customer, endpoint_id)
        moved(still, minutes=1)
        replayed = await still.verbs.replay_webhook_events(still.customer, endpoint_id, {"since": since})
        assert (replayed.events, replayed.next_since) == (2, None)
        for event_id in missed:
            assert await still.deliver(event_id) == "sent"
        assert [data_of(posted.verified(secret))["number"] for posted in receiver.got] == [0, 1, 2]


async def test_a_replay_of_everything_delivers_again_under_the_same_id(local: NewPost) -> None:
    post = await local()
    async with Receiver() as receiver:
        endpoint_id, _ = await post.new_endpoint(receiver)
        post.start()
        since = post.clock.now() - timedelta(seconds=5)
        [event_id] = await post.emit()
        await post.ended(event_id)
        wanted = {"since": since, "only_failed": False}
        assert (await post.verbs.replay_webhook_events(post.customer, endpoint_id, wanted)).events == 1
        first, second = await receiver.has(2)
        row = await post.ended(event_id)
    assert first.name == second.name == ("message.sent", row.webhook_id, 1)


async def test_one_event_is_replayed_but_not_while_it_is_under_way(still: Post) -> None:
    async with Receiver() as receiver:
        await still.new_endpoint(receiver)
        [event_id] = await still.emit()
        with pytest.raises(Conflict, match="under way"):
            await still.verbs.replay_webhook_event(still.customer, event_id)
        await still.deliver(event_id)
        row = await still.verbs.replay_webhook_event(still.customer, event_id)
        assert (row.status, row.tries, row.delivered_at) == (Status.SCHEDULED, 0, None)
        assert await still.seconds_until(event_id) == pytest.approx(0, abs=5)
        await still.deliver(event_id)
        assert len(receiver.got) == 2


async def test_an_endpoint_that_fails_for_hours_is_warned_about_and_then_disabled(still: Post) -> None:
    async with Receiver(always("500 Oops")) as broken, Receiver() as other:
        endpoint_id, _ = await still.new_endpoint(broken, "message.*")
        await still.new_endpoint(other, "webhook.*")
        statuses = []
        for _ in range(10):
            [event_id] = await still.emit()
            with pytest.raises(GiveUpJob):
                await still.deliver(event_id, attempt=3)
            statuses.append((await still.endpoint(endpoint_id)).status)
            moved(still, hours=10)
    assert statuses == ["active"] * 4 + ["warned"] * 5 + ["disabled"]
    [warned], [disabled] = await still.events("webhook.warned"), await still.events("webhook.disabled")
    assert data_of(warned.payload) == {
        "endpoint_id": endpoint_id,
        "consecutive_failures": 5,
        "failing_since": NOW.isoformat(),
    }
    assert data_of(disabled.payload)["reason"] == "10 events in a row failed"


async def test_an_event_that_is_delivered_ends_a_row_of_failures(local: NewPost) -> None:
    still = await local(clock=ManualClock(NOW))
    async with Receiver() as receiver:
        endpoint_id, _ = await still.new_endpoint(receiver)
        failing = {"consecutive_failures": 9, "failing_since": NOW - timedelta(days=9), "warned_at": NOW}
        await still.set_endpoint(endpoint_id, status="warned", **failing)
        [event_id] = await still.emit()
        await still.deliver(event_id)
    row = await still.endpoint(endpoint_id)
    assert (row.status, row.consecutive_failures, row.failing_since, row.warned_at) == ("active", 0, None, None)


async def test_old_and_new_secret_both_verify_until_the_overlap_ends(local: NewPost) -> None:
    still = await local(clock=ManualClock(NOW))
    async with Receiver() as receiver:
        endpoint_id, old = await still.new_endpoint(receiver)
        _, new = await still.verbs.rotate_webhook_secret(still.customer, endpoint_id, {"overlap_hours": 2})
        assert new != old
        [event_id] = await still.emit()
        await still.deliver(event_id)
        receiver.got[0].verified(old)
        receiver.got[0].verified(new)
        moved(still, hours=2, seconds=1)
        [event_id] = await still.emit()
        await still.deliver(event_id)
        receiver.got[1].verified(new)
        with pytest.raises(WebhookVerificationError):
            receiver.got[1].verified(old)


async def test_a_leaked_secret_is_of_no_use_after_a_rotation_without_overlap(local: NewPost) -> None:
    still = await local(clock=ManualClock(NOW))
    async with Receiver() as receiver:
        endpoint_id, leaked = await still.new_endpoint(receiver)
        await still.verbs.rotate_webhook_secret(still.customer, endpoint_id, {"overlap_hours": 0})
        [event_id] = await still.emit()
        await still.deliver(event_id)
        with pytest.raises(WebhookVerificationError):
            receiver.got[0].verified(leaked)


async def test_secrets_are_stored_sealed_and_open_for_their_endpoint_only(
    still: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Receiver() as receiver:
        first, secret = await still.new_endpoint(receiver)
        second, _ = await still.new_endpoint(receiver)
        stored = (await still.endpoint(first)).secrets
        assert secret not in stored
        await still.set_endpoint(second, secrets=stored)
        _, event_id = await still.emit()
        with pytest.raises(SendError, match="belongs to another place"):
            await still.deliver(event_id)
    written = "".join(capsys.readouterr())
    assert secret not in written
    assert "s3cret-in-url" not in written


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/hook",
        "https://127.0.0.1/hook",
        "https://10.1.2.3/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/hook",
        "ftp://shop.example/",
        "not a url",
    ],
)
async def test_an_address_that_webhooks_may_not_go_to_is_refused_when_it_is_entered(local: NewPost, url: str) -> None:
    post = await local(public_only=True, clock=ManualClock(NOW))
    with pytest.raises(InvalidInput) as refused:
        await post.new_endpoint(url)
    assert refused.value.field == "url"
    endpoint_id, _ = await post.new_endpoint("https://shop.example/hook")
    with pytest.raises(InvalidInput):
        await post.verbs.change_webhook_endpoint(post.customer, endpoint_id, {"url": url})
    assert (await post.endpoint(endpoint_id)).url == "https://shop.example/hook"


async def test_jobs_that_redis_lost_are_rebuilt_from_the_events(still: Post) -> None:
    await still.new_endpoint("http://127.0.0.1:9/")
    [event_id] = await still.emit()
    await still.queues.disarm(still.policy.name, [f"webhook-event-{event_id}"])
    assert await still.seconds_until(event_id) is None
    assert await still.rebuild() == 1
    assert await still.seconds_until(event_id) is not None


async def test_a_test_event_goes_to_one_endpoint_whatever_it_wants_to_hear(post: Post) -> None:
    async with Receiver() as receiver, Receiver() as other:
        endpoint_id, secret = await post.new_endpoint(receiver, "message.failed")
        await post.new_endpoint(other)
        post.start()
        row = await post.verbs.send_test_webhook(post.customer, endpoint_id)
        [posted] = await receiver.has(1)
        assert (await post.ended(row.id)).status == Status.SENT
        assert other.got == []
    assert posted.name == ("webhook.test", row.webhook_id, 1)
    assert data_of(posted.verified(secret))["endpoint_id"] == endpoint_id


async def test_nobody_reaches_the_webhooks_of_another_customer(still: Post) -> None:
    endpoint_id, _ = await still.new_endpoint("http://127.0.0.1:9/")
    [event_id] = await still.emit()
    stranger, verbs = await still.new_customer("Stranger"), still.verbs
    for attempt in (
        verbs.get_webhook_endpoint(stranger, endpoint_id),
        verbs.change_webhook_endpoint(stranger, endpoint_id, {"url": "http://127.0.0.1:8/"}),
        verbs.rotate_webhook_secret(stranger, endpoint_id),
        verbs.enable_webhook_endpoint(stranger, endpoint_id),
        verbs.disable_webhook_endpoint(stranger, endpoint_id),
        verbs.delete_webhook_endpoint(stranger, endpoint_id),
        verbs.send_test_webhook(stranger, endpoint_id),
        verbs.replay_webhook_events(stranger, endpoint_id, {"since": NOW}),
        verbs.get_webhook_event(stranger, event_id),
        verbs.replay_webhook_event(stranger, event_id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await verbs.list_webhook_events(stranger) == []
    assert (await still.endpoint(endpoint_id)).url == "http://127.0.0.1:9/"


async def test_deleting_an_endpoint_takes_its_events_and_their_jobs_with_it(still: Post) -> None:
    endpoint_id, _ = await still.new_endpoint("http://127.0.0.1:9/")
    [event_id] = await still.emit()
    await still.verbs.delete_webhook_endpoint(still.customer, endpoint_id)
    assert await still.events() == []
    assert await still.seconds_until(event_id) is None
    assert await still.deliver(event_id) == "skipped: no such message"


async def test_a_customer_has_room_for_twenty_endpoints(local: NewPost) -> None:
    still = await local(clock=ManualClock(NOW))
    for _ in range(20):
        await still.new_endpoint("http://127.0.0.1:9/")
    with pytest.raises(Conflict, match="delete one first"):
        await still.new_endpoint("http://127.0.0.1:9/")


def api(post: Post) -> httpx.AsyncClient:
    app: FastAPI = create_application(
        routers=[customer_webhooks_router(post.verbs)],
        lifespan=None,
        api_key=None,
        max_body_bytes=100_000,
        version="test",
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost")


async def test_over_http_the_secret_is_shown_once_and_events_are_listed_with_their_status(post: Post) -> None:
    home = f"/customers/{post.customer}"
    async with Receiver() as receiver, api(post) as http:
        made = await http.post(f"{home}/webhook-endpoints", json={"url": receiver.url, "events": ["order.*"]})
        assert made.status_code == 201
        endpoint, secret = made.json()["endpoint"], made.json()["secret"]
        listed = (await http.get(f"{home}/webhook-endpoints")).json()
        assert listed == [endpoint]
        assert "whsec_" not in json.dumps(listed)
        post.start()
        order = {"event": "order.shipped", "payload": {"order": 5}}
        [event_id] = (await http.post(f"{home}/webhook-events", json=order)).json()["event_ids"]
        [posted] = await receiver.has(1)
        assert data_of(posted.verified(secret)) == {"order": 5}
        await post.ended(event_id)
        [event] = (await http.get(f"{home}/webhook-events", params={"status": "DELIVERED"})).json()
        assert (event["id"], event["attempts"], event["webhook_id"]) == (event_id, 1, posted.name[1])
        assert (await http.get(f"{home}/webhook-events", params={"status": "FAILED"})).json() == []
        replayed = await http.post(f"{home}/webhook-events/{event_id}/replay")
        assert (replayed.status_code, replayed.json()["status"]) == (202, "PENDING")
        rotated = await http.post(f"{home}/webhook-endpoints/{endpoint['id']}/secret", json={"overlap_hours": 1})
        assert rotated.json()["secret"] != secret


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "http://127.0.0.1:9/", "events": ["message.sended"]}, "events.0"),
        ({"url": "http://127.0.0.1:9/", "events": ["MESSAGE.*"]}, "events.0"),
        ({"url": "http://127.0.0.1:9/", "events": []}, "events"),
        ({"url": "http://user:pass@127.0.0.1/"}, "url"),
        ({"url": "http://127.0.0.1:6379/"}, "url"),
        ({}, "url"),
    ],
)
async def test_over_http_a_mistake_is_named(local: NewPost, wrong: dict[str, Any], field: str) -> None:
    still = await local(clock=ManualClock(NOW))
    async with api(still) as http:
        answer = await http.post(f"/customers/{still.customer}/webhook-endpoints", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
