"""The road out in bad weather: slow providers, a database that goes away, workers that lose their messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from tidings.app import App
from tidings.engine.jobs import GiveUpJob, PostponeJob, Run
from tidings.errors import SendError
from tidings.features.events.jobs import SEND_EVENT_MESSAGE
from tidings.features.events.kind import alarm, event_outbox
from tidings.features.events.models import EventMessage
from tidings.features.events.schemas import SendEventMessage
from tidings.messages.delivery.pipeline import AWAY_PAUSE, MAX_CRASHES, Road, Ways
from tidings.messages.delivery.recovery import Sweep
from tidings.messages.gate.policy import Rules
from tidings.messages.statuses import Reason, Status
from tidings.providers.base import Outgoing, Receipt

OpenApp = Callable[..., Awaitable[App]]

DEADLINE = 1.0


class Provider:
    """A channel whose answers a test gives: a receipt, or the error that `answer` raises."""

    name = "provider"

    def __init__(self, answer: Callable[[Outgoing], Awaitable[None]]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.asked.append(outgoing.idempotency_key)
        await self.answer(outgoing)
        return Receipt(self.name, "taken")

    async def close(self) -> None:
        """Nothing to release."""


class Away:
    """A writer of a database that cannot be reached for the next `calls` transactions."""

    def __init__(self, writer: Any, calls: int) -> None:
        self.writer = writer
        self.calls = calls

    def begin(self) -> Any:
        if self.calls:
            self.calls -= 1
            raise ConnectionRefusedError("the database is away")
        return self.writer.begin()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.writer, name)


async def takes(outgoing: Outgoing) -> None:
    """A provider's good day."""


def road_of(app: App, provider: Provider) -> Road:
    """A road that a test walks by itself, without a worker."""
    outbox = event_outbox(app.policies["event-messages"])
    return Road(outbox, app.work, Ways({"sms": provider}), Rules(), deadline=DEADLINE)


def run(attempt: int = 1, *, last: bool = False) -> Run:
    return Run(job_id="event-message-1", attempt=attempt, last=last, request_id="req_test")


def sweep_of(app: App) -> Sweep:
    return Sweep(app.work, [outbox for feature in app.features for outbox in feature.outboxes], [], interval=60)


async def some_message(app: App, in_seconds: float = -0.1) -> EventMessage:
    event = await app.events.create_event(
        {"name": "DemoCon", "date": (datetime.now(UTC) + timedelta(days=1)).date().isoformat(), "timezone": "UTC"}
    )
    person, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": "+18105550123"})
    return await app.events.schedule_event_message(
        {
            "event_id": event.id,
            "contractor_id": person.id,
            "message_type": "speaker_alert",
            "scheduled_time": (datetime.now(UTC) + timedelta(seconds=in_seconds)).isoformat(),
            "message_content": "Your session starts soon",
        }
    )


async def set_row(app: App, message_id: int, **values: Any) -> None:
    async with app.database.writer.begin() as connection:
        await connection.execute(update(EventMessage).where(EventMessage.id == message_id).values(**values))


async def outcomes(app: App, message: EventMessage) -> list[str]:
    return [line["outcome"] for line in await app.events.get_deliveries(message.event_id)]


async def ended(app: App, message_id: int) -> EventMessage:
    while True:
        row = await app.events.get_message(message_id)
        if row.status not in (Status.SCHEDULED, Status.SENDING):
            return row
        await asyncio.sleep(0.01)


async def test_a_message_is_not_given_up_however_often_its_provider_asks_for_patience(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    message = await some_message(app)
    waits = app.policies["event-messages"].attempts + MAX_CRASHES + 3

    async def busy_at_first(outgoing: Outgoing) -> None:
        if len(provider.asked) <= waits:
            raise SendError("too many", retryable=True, retry_after=0.001)

    provider = Provider(busy_at_first)
    road = road_of(app, provider)
    for _ in range(waits):
        with pytest.raises(PostponeJob):
            await road.deliver(message.id, run(last=True))
        await asyncio.sleep(0.005)
    assert await road.deliver(message.id, run(last=True)) == "sent"
    row = await app.events.get_message(message.id)
    assert (row.status, row.attempts) == (Status.SENT, 1)
    assert len(set(provider.asked)) == 1


async def test_a_message_whose_senders_keep_dying_is_given_up_in_the_end(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    message = await some_message(app)
    takings = app.policies["event-messages"].attempts + MAX_CRASHES
    await set_row(app, message.id, status=Status.SENDING, attempts=takings, held_until=app.clock.now())
    provider = Provider(takes)
    with pytest.raises(GiveUpJob, match=f"{takings} attempts"):
        await road_of(app, provider).deliver(message.id, run())
    assert (await app.events.get_message(message.id)).status == Status.FAILED
    assert not provider.asked


async def test_a_message_that_its_slow_sender_lost_to_another_one_is_not_sent_a_third_time(
    open_app: OpenApp, database_url: str
) -> None:
    """The first sender fails only after the second one has succeeded."""
    app = await open_app(database_url=database_url)
    message = await some_message(app)
    resume = asyncio.Event()

    async def fails_late(outgoing: Outgoing) -> None:
        await resume.wait()
        raise SendError("lost", retryable=True)

    slow, quick = Provider(fails_late), Provider(takes)
    first = asyncio.ensure_future(road_of(app, slow).deliver(message.id, run()))
    while not slow.asked:
        await asyncio.sleep(0.01)
    await set_row(app, message.id, held_until=app.clock.now())  # the first one's claim is over
    assert await road_of(app, quick).deliver(message.id, run()) == "sent"
    resume.set()
    with pytest.raises(SendError):
        await first
    assert (await app.events.get_message(message.id)).status == Status.SENT
    assert await outcomes(app, message) == ["sent", "retry"]
    assert slow.asked == quick.asked


async def test_a_message_that_left_counts_as_sent_although_another_sender_took_it_over(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    message = await some_message(app)
    resume = asyncio.Event()

    async def takes_late(outgoing: Outgoing) -> None:
        await resume.wait()

    async def fails(outgoing: Outgoing) -> None:
        raise SendError("lost", retryable=True)

    slow = Provider(takes_late)
    first = asyncio.ensure_future(road_of(app, slow).deliver(message.id, run()))
    while not slow.asked:
        await asyncio.sleep(0.01)
    await set_row(app, message.id, held_until=app.clock.now())
    with pytest.raises(SendError):
        await road_of(app, Provider(fails)).deliver(message.id, run())
    resume.set()
    assert await first == "sent"
    row = await app.events.get_message(message.id)
    assert (row.status, row.held_until) == (Status.SENT, None)


async def test_only_one_of_many_workers_sends_a_message(open_app: OpenApp, database_url: str) -> None:
    one = await open_app(database_url=database_url)
    other = await open_app(database_url=database_url)
    message = await some_message(one)
    provider = Provider(takes)
    roads = [road_of(app, provider) for app in (one, other, one, other)]
    answers = await asyncio.gather(*(road.deliver(message.id, run()) for road in roads), return_exceptions=True)
    assert answers.count("sent") == 1
    assert all(answer in ("sent", "skipped: sent") or isinstance(answer, PostponeJob) for answer in answers)
    assert len(provider.asked) == 1


async def test_two_processes_share_a_burst_without_sending_anything_twice(
    open_app: OpenApp, database_url: str
) -> None:
    one = await open_app(database_url=database_url, redis_prefix="shared-" + str(id(object())))
    other = await open_app(database_url=database_url, redis_prefix=one.settings.redis_prefix)
    keys: list[str] = []
    for app in (one, other):
        provider = Provider(takes)
        provider.asked = keys
        app.channels["sms"] = provider
    messages = [await some_message(one, in_seconds=1) for _ in range(40)]
    await one.start_workers()
    await other.start_workers()
    assert {(await ended(one, message.id)).status for message in messages} == {Status.SENT}
    assert len(keys) == len(set(keys)) == 40


async def test_a_database_that_is_away_when_a_message_is_due_costs_it_no_attempt(
    open_app: OpenApp, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(database_url=database_url)
    message = await some_message(app)
    road = road_of(app, Provider(takes))
    monkeypatch.setattr(app.database, "writer", Away(app.database.writer, calls=1))
    with pytest.raises(PostponeJob) as postponed:
        await road.deliver(message.id, run(attempt=3, last=True))
    assert 0 < (postponed.value.until - app.clock.now()).total_seconds() <= AWAY_PAUSE
    assert await road.deliver(message.id, run(attempt=3, last=True)) == "sent"


async def test_a_message_handed_over_while_the_database_went_away_is_remembered_and_not_sent_again(
    open_app: OpenApp, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(database_url=database_url)
    message = await some_message(app)
    away = Away(app.database.writer, calls=0)
    monkeypatch.setattr(app.database, "writer", away)

    async def takes_and_then(outgoing: Outgoing) -> None:
        away.calls = 7  # for more than twice as long as a claim's first half

    provider = Provider(takes_and_then)
    assert await road_of(app, provider).deliver(message.id, run()) == "sent"
    assert away.calls == 0
    assert (await app.events.get_message(message.id)).status == Status.SENT
    assert await outcomes(app, message) == ["sent"]


async def test_a_message_that_was_claimed_too_long_ago_is_not_offered_but_claimed_anew(
    open_app: OpenApp, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(database_url=database_url)
    message = await some_message(app)
    provider = Provider(takes)
    road = road_of(app, provider)
    load, naps = road.outbox.load, [DEADLINE + 0.2]

    async def load_slowly(*args: Any) -> Any:
        await asyncio.sleep(naps.pop() if naps else 0)
        return await load(*args)

    object.__setattr__(road.outbox, "load", load_slowly)
    with pytest.raises(PostponeJob):
        await road.deliver(message.id, run(last=True))
    assert not provider.asked
    assert await road.deliver(message.id, run(last=True)) == "sent"


async def test_a_job_without_a_row_ends_quietly(open_app: OpenApp, database_url: str) -> None:
    app = await open_app(database_url=database_url)
    await app.start_workers()
    await app.queues.arm([SEND_EVENT_MESSAGE.job(SendEventMessage(id=4711))])
    while (await app.events.get_queue_stats())["completed"] == 0:
        await asyncio.sleep(0.01)
    assert (await app.events.get_queue_stats())["total"] == 0


async def test_the_sweep_lets_a_message_wait_as_long_as_its_provider_asked(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    message = await some_message(app)

    async def busy(outgoing: Outgoing) -> None:
        raise SendError("later", retryable=True, retry_after=300)

    with pytest.raises(PostponeJob):
        await road_of(app, Provider(busy)).deliver(message.id, run())
    await app.queues.disarm("event-messages", [alarm(message).id or ""])  # even a lost job keeps the wait
    assert await sweep_of(app).check() == 1
    assert await sweep_of(app).check() == 0
    [job] = await app.queues.find("event-messages", [alarm(message).id or ""])
    assert job is not None
    assert 295 < job.seconds <= 300


async def test_a_message_that_its_crashed_sender_left_behind_is_sent_when_its_claim_is_over(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    message = await some_message(app)
    crashed = asyncio.Event()

    async def dies(outgoing: Outgoing) -> None:
        crashed.set()
        await asyncio.Event().wait()

    provider = Provider(dies)
    sending = asyncio.ensure_future(road_of(app, provider).deliver(message.id, run()))
    await crashed.wait()
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending
    held = (await app.events.get_message(message.id)).held_until
    assert held is not None
    app.channels["sms"] = heir = Provider(takes)
    await app.start_workers()
    row = await ended(app, message.id)
    assert row.status == Status.SENT
    assert row.actual_send_time is not None
    assert row.actual_send_time >= held
    assert heir.asked == provider.asked


async def test_a_message_cancelled_during_its_wait_for_another_attempt_stays_unsent(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    message = await some_message(app)

    async def fails(outgoing: Outgoing) -> None:
        raise SendError("lost", retryable=True)

    provider = Provider(fails)
    road = road_of(app, provider)
    with pytest.raises(SendError):
        await road.deliver(message.id, run())
    await app.events.cancel_event_message(message.id)
    assert await road.deliver(message.id, run(attempt=2)) == "skipped: cancelled"
    row = await app.events.get_message(message.id)
    assert (row.status, row.status_reason) == (Status.CANCELLED, Reason.BY_REQUEST)
    assert len(provider.asked) == 1
