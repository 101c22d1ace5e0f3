"""Customers' endpoints: what they hear, when they get no more, which secrets sign, and where they may be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from customer_webhooks.receiver import Receiver, always
from customer_webhooks.support import NOW, Hooks, OpenHooks, data_of
from tidings.clock import ManualClock
from tidings.customer_webhooks.events import DISABLED, EndpointStatus
from tidings.engine.jobs import GiveUpJob
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.messages.statuses import Status


@pytest.mark.parametrize(
    ("filters", "heard"),
    [
        (["*"], {"message.sent", "message.read", "conversation.created", "order.shipped"}),
        (["message.*"], {"message.sent", "message.read"}),
        (["message.read", "conversation.*"], {"message.read", "conversation.created"}),
        (["order.shipped"], {"order.shipped"}),
    ],
)
async def test_an_endpoint_hears_what_its_filters_name(
    local_still: Hooks, filters: list[str], heard: set[str]
) -> None:
    await local_still.new_endpoint("http://127.0.0.1:9/", *filters)
    for event in ("message.sent", "message.read", "conversation.created", "order.shipped"):
        await local_still.emit(event)
    assert {row.event for row in await local_still.events()} == heard


async def test_a_server_that_is_gone_gets_no_more_events_and_the_others_are_told(still: Hooks) -> None:
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


async def test_what_was_lost_of_an_events_end_is_made_good_by_the_next_event(
    still: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: Any) -> Any:
        raise RuntimeError("deadlock detected")

    async with Receiver(always("410 Gone")) as gone, Receiver() as well:
        gone_id, _ = await still.new_endpoint(gone, "message.failed")
        well_id, _ = await still.new_endpoint(well, "message.sent")
        await still.set_endpoint(well_id, status="warned", consecutive_failures=8, failing_since=NOW, warned_at=NOW)
        with monkeypatch.context() as patch:
            patch.setattr(still.app.kinds["webhook-event"], "on_ended", lose)
            [refused] = await still.emit("message.failed")
            with pytest.raises(GiveUpJob):
                await still.deliver(refused)
            [taken] = await still.emit("message.sent")
            await still.deliver(taken)
        assert [(await still.endpoint(one)).status for one in (gone_id, well_id)] == ["active", "warned"]
        [refused] = await still.emit("message.failed")
        with pytest.raises(GiveUpJob):
            await still.deliver(refused)
        [taken] = await still.emit("message.sent")
        await still.deliver(taken)
    assert [(await still.endpoint(one)).status for one in (gone_id, well_id)] == ["disabled", "active"]


async def test_an_event_that_waits_while_its_endpoint_is_disabled_fails_without_being_sent(still: Hooks) -> None:
    async with Receiver() as receiver:
        endpoint_id, _ = await still.new_endpoint(receiver)
        [event_id] = await still.emit()
        await still.verbs.disable_endpoint(still.customer, endpoint_id)
        with pytest.raises(GiveUpJob, match="disabled"):
            await still.deliver(event_id)
        assert receiver.got == []
    assert (await still.endpoint(endpoint_id)).consecutive_failures == 0


async def test_what_a_disabled_endpoint_missed_is_replayed_when_it_is_enabled_again(still: Hooks) -> None:
    async with Receiver() as receiver:
        endpoint_id, secret = await still.new_endpoint(receiver)
        [before] = await still.emit(number=0)
        await still.deliver(before)
        still.move(minutes=1)
        since = still.clock.now()
        await still.verbs.disable_endpoint(still.customer, endpoint_id)
        missed = [(await still.emit(number=number))[0] for number in (1, 2)]
        with pytest.raises(Conflict, match="enable it first"):
            await still.verbs.replay_events(still.customer, endpoint_id, {"since": since})
        await still.verbs.enable_endpoint(still.customer, endpoint_id)
        still.move(minutes=1)
        replayed = await still.verbs.replay_events(still.customer, endpoint_id, {"since": since})
        assert (replayed.events, replayed.next_since) == (2, None)
        for event_id in missed:
            assert await still.deliver(event_id) == "sent"
        assert [data_of(posted.verified(secret))["number"] for posted in receiver.got] == [0, 1, 2]


async def test_an_endpoint_that_fails_for_hours_is_warned_about_and_then_disabled(still: Hooks) -> None:
    async with Receiver(always("500 Oops")) as broken, Receiver() as other:
        endpoint_id, _ = await still.new_endpoint(broken, "message.*")
        await still.new_endpoint(other, "webhook.*")
        statuses = []
        for _ in range(10):
            [event_id] = await still.emit()
            with pytest.raises(GiveUpJob):
                await still.deliver(event_id, last=True)
            statuses.append((await still.endpoint(endpoint_id)).status)
            still.move(hours=10)
    assert statuses == ["active"] * 4 + ["warned"] * 5 + ["disabled"]
    [warned], [disabled] = await still.events("webhook.warned"), await still.events("webhook.disabled")
    assert data_of(warned.payload) == {
        "endpoint_id": endpoint_id,
        "consecutive_failures": 5,
        "failing_since": NOW.isoformat(),
    }
    assert data_of(disabled.payload)["reason"] == "10 events in a row failed"


async def test_an_event_that_is_delivered_ends_a_row_of_failures(local_still: Hooks) -> None:
    async with Receiver() as receiver:
        endpoint_id, _ = await local_still.new_endpoint(receiver)
        failing = {"consecutive_failures": 9, "failing_since": NOW - timedelta(days=9), "warned_at": NOW}
        await local_still.set_endpoint(endpoint_id, status="warned", **failing)
        [event_id] = await local_still.emit()
        await local_still.deliver(event_id)
    row = await local_still.endpoint(endpoint_id)
    assert (row.status, row.consecutive_failures, row.failing_since, row.warned_at) == ("active", 0, None, None)


async def test_old_and_new_secret_both_verify_until_the_overlap_ends(local_still: Hooks) -> None:
    async with Receiver() as receiver:
        endpoint_id, old = await local_still.new_endpoint(receiver)
        _, new = await local_still.verbs.rotate_secret(local_still.customer, endpoint_id, {"overlap_hours": 2})
        assert new != old
        [event_id] = await local_still.emit()
        await local_still.deliver(event_id)
        receiver.got[0].verified(old)
        receiver.got[0].verified(new)
        local_still.move(hours=2, seconds=1)
        [event_id] = await local_still.emit()
        await local_still.deliver(event_id)
        receiver.got[1].verified(new)
        with pytest.raises(WebhookVerificationError):
            receiver.got[1].verified(old)


async def test_a_leaked_secret_is_of_no_use_after_a_rotation_without_overlap(local_still: Hooks) -> None:
    async with Receiver() as receiver:
        endpoint_id, leaked = await local_still.new_endpoint(receiver)
        await local_still.verbs.rotate_secret(local_still.customer, endpoint_id, {"overlap_hours": 0})
        [event_id] = await local_still.emit()
        await local_still.deliver(event_id)
        with pytest.raises(WebhookVerificationError):
            receiver.got[0].verified(leaked)


async def test_secrets_are_stored_sealed_and_open_for_their_endpoint_only(
    still: Hooks, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Receiver() as receiver:
        first, secret = await still.new_endpoint(receiver)
        second, _ = await still.new_endpoint(receiver)
        stored = (await still.endpoint(first)).secrets
        assert secret not in stored
        await still.set_endpoint(second, secrets=stored)
        _, event_id = await still.emit()
        with pytest.raises(GiveUpJob, match="belongs to another place"):
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
async def test_an_address_that_webhooks_may_not_go_to_is_refused_when_it_is_entered(
    open_hooks: OpenHooks, url: str
) -> None:
    hooks = await open_hooks(private=False, clock=ManualClock(NOW))
    with pytest.raises(InvalidInput) as refused:
        await hooks.new_endpoint(url)
    assert refused.value.field == "url"
    endpoint_id, _ = await hooks.new_endpoint("https://shop.example/hook")
    with pytest.raises(InvalidInput):
        await hooks.verbs.change_endpoint(hooks.customer, endpoint_id, {"url": url})
    assert (await hooks.endpoint(endpoint_id)).url == "https://shop.example/hook"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_unless_it_is_allowed_nothing_arrives_at_a_server_of_this_machine(
    open_hooks: OpenHooks, host: str
) -> None:
    hooks = await open_hooks(private=False)
    async with Receiver() as receiver:
        endpoint_id, _ = await hooks.new_endpoint("https://shop.example/hook")
        # As one is that was entered while private addresses were allowed.
        await hooks.set_endpoint(endpoint_id, url=receiver.url.replace("127.0.0.1", host))
        await hooks.start()
        [event_id] = await hooks.emit(content="for nobody inside")
        row = await hooks.ended(event_id)
        assert receiver.connections == 0
    assert row.status == Status.FAILED
    assert row.error_message


async def test_where_it_is_allowed_a_server_of_this_machine_is_told(open_hooks: OpenHooks) -> None:
    hooks = await open_hooks()
    async with Receiver() as receiver:
        await hooks.new_endpoint(receiver)
        await hooks.start()
        [event_id] = await hooks.emit()
        assert (await hooks.ended(event_id)).status == Status.SENT
        assert len(receiver.got) == 1


async def test_nobody_reaches_the_webhooks_of_another_customer(still: Hooks) -> None:
    endpoint_id, _ = await still.new_endpoint("http://127.0.0.1:9/")
    [event_id] = await still.emit()
    stranger, verbs = (await still.app.chat.accounts.create_customer({"name": "Stranger"})).id, still.verbs
    for attempt in (
        verbs.get_endpoint(stranger, endpoint_id),
        verbs.change_endpoint(stranger, endpoint_id, {"url": "http://127.0.0.1:8/"}),
        verbs.rotate_secret(stranger, endpoint_id),
        verbs.enable_endpoint(stranger, endpoint_id),
        verbs.disable_endpoint(stranger, endpoint_id),
        verbs.delete_endpoint(stranger, endpoint_id),
        verbs.send_test(stranger, endpoint_id),
        verbs.replay_events(stranger, endpoint_id, {"since": NOW}),
        verbs.get_event(stranger, event_id),
        verbs.replay_event(stranger, event_id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await verbs.list_events(stranger) == []
    assert (await still.endpoint(endpoint_id)).url == "http://127.0.0.1:9/"


async def test_deleting_an_endpoint_takes_its_events_and_their_jobs_with_it(still: Hooks) -> None:
    endpoint_id, _ = await still.new_endpoint("http://127.0.0.1:9/")
    [event_id] = await still.emit()
    await still.verbs.delete_endpoint(still.customer, endpoint_id)
    assert await still.events() == []
    assert await still.seconds_until(event_id) is None
    assert await still.deliver(event_id) == "skipped: no such message"


async def test_a_customer_has_room_for_twenty_endpoints(local_still: Hooks) -> None:
    for _ in range(20):
        await local_still.new_endpoint("http://127.0.0.1:9/")
    with pytest.raises(Conflict, match="delete one first"):
        await local_still.new_endpoint("http://127.0.0.1:9/")
