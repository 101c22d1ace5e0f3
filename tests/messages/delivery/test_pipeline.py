"""Delivery in bad weather: slow providers, a database that goes away, workers that lose their messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from messages.due_messages import EVENT_MESSAGE, OpenApp, change
from support.app import deliver, ledger
from tidings.app import App
from tidings.engine.jobs import GiveUpJob, PostponeJob
from tidings.errors import SendError
from tidings.features.events.jobs import SEND_EVENT_MESSAGE
from tidings.features.events.models import EventMessage
from tidings.messages.delivery import claim
from tidings.messages.delivery.pipeline import AWAY_PAUSE, MAX_CRASHES
from tidings.messages.statuses import Reason, Status
from tidings.providers.base import Outgoing, Receipt

HASTY = {"http_timeout": 1.0}
"""A provider has a second for a message, and a claim lasts two."""


class Provider:
    """A provider whose answers a test gives: a receipt, or the error that `answer` raises."""

    name = "provider"
    drops_repetitions = False

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


async def fails(outgoing: Outgoing) -> None:
    """A provider that loses what it is given."""
    raise SendError("lost", retryable=True)


OpenWith = Callable[..., Awaitable[App]]


@pytest.fixture
def open_with(open_app: OpenApp, database_url: str) -> OpenWith:
    """Opens applications on one database, each with a provider of its own."""

    async def open_one(provider: Provider, **more: Any) -> App:
        return await open_app(database_url=database_url, providers={"sms": provider}, **more)

    return open_one


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


async def send(app: App, message: EventMessage, *, attempt: int = 1, last: bool = False) -> Any:
    """What a worker does when the message's job runs."""
    return await deliver(app, EVENT_MESSAGE, message.id, attempt=attempt, last=last)


async def set_row(app: App, message: EventMessage, **values: Any) -> None:
    async with app.database.writer.begin() as connection:
        await connection.execute(update(EventMessage).where(EventMessage.id == message.id).values(**values))


async def outcomes(app: App, message: EventMessage) -> list[str]:
    return [line.outcome for line in await ledger(app, EVENT_MESSAGE, message.id)]


async def ended(app: App, message: EventMessage) -> EventMessage:
    while True:
        row = await app.events.get_message(message.id)
        if row.status not in (Status.SCHEDULED, Status.SENDING):
            return row
        await asyncio.sleep(0.01)


async def was_asked(provider: Provider) -> None:
    while not provider.asked:
        await asyncio.sleep(0.01)


async def test_a_message_is_not_given_up_however_often_its_provider_asks_for_patience(open_with: OpenWith) -> None:
    async def busy_at_first(outgoing: Outgoing) -> None:
        if len(provider.asked) <= waits:
            raise SendError("too many", retryable=True, retry_after=0.001)

    provider = Provider(busy_at_first)
    app = await open_with(provider)
    waits = app.policies["event-messages"].attempts + MAX_CRASHES + 3
    message = await some_message(app)
    for _ in range(waits):
        with pytest.raises(PostponeJob):
            await send(app, message, last=True)
        await asyncio.sleep(0.005)
    assert await send(app, message, last=True) == "sent"
    row = await app.events.get_message(message.id)
    assert (row.status, row.attempts) == (Status.SENT, 1)
    assert len(set(provider.asked)) == 1


@pytest.mark.both_databases
async def test_a_message_whose_senders_keep_dying_is_given_up_in_the_end(open_with: OpenWith) -> None:
    provider = Provider(takes)
    app = await open_with(provider)
    message = await some_message(app)
    takings = app.policies["event-messages"].attempts + MAX_CRASHES
    await set_row(app, message, status=Status.SENDING, attempts=takings, held_until=app.clock.now())
    with pytest.raises(GiveUpJob, match=f"{takings} attempts"):
        await send(app, message)
    assert (await app.events.get_message(message.id)).status == Status.FAILED
    assert not provider.asked


@pytest.mark.both_databases
async def test_a_message_that_its_slow_sender_lost_to_another_one_is_not_sent_a_third_time(
    open_with: OpenWith,
) -> None:
    """The first sender fails only after the second one has succeeded."""
    resume = asyncio.Event()

    async def fails_late(outgoing: Outgoing) -> None:
        await resume.wait()
        raise SendError("lost", retryable=True)

    slow, quick = Provider(fails_late), Provider(takes)
    one, other = await open_with(slow), await open_with(quick)
    message = await some_message(one)
    first = asyncio.ensure_future(send(one, message))
    await was_asked(slow)
    await set_row(one, message, held_until=one.clock.now())  # the first one's claim is over
    assert await send(other, message) == "sent"
    resume.set()
    with pytest.raises(SendError):
        await first
    assert (await one.events.get_message(message.id)).status == Status.SENT
    assert await outcomes(one, message) == ["in_doubt", "sent", "retry"]
    story = await one.why.explain(f"event-message-{message.id}")
    assert "The message may have left in it; the next attempt has the same idempotency key." in story.sentences[0]
    assert slow.asked == quick.asked


@pytest.mark.both_databases
async def test_a_message_that_left_counts_as_sent_although_another_sender_took_it_over(open_with: OpenWith) -> None:
    resume = asyncio.Event()

    async def takes_late(outgoing: Outgoing) -> None:
        await resume.wait()

    slow = Provider(takes_late)
    one, other = await open_with(slow), await open_with(Provider(fails))
    message = await some_message(one)
    first = asyncio.ensure_future(send(one, message))
    await was_asked(slow)
    await set_row(one, message, held_until=one.clock.now())
    with pytest.raises(SendError):
        await send(other, message)
    resume.set()
    assert await first == "sent"
    row = await one.events.get_message(message.id)
    assert (row.status, row.held_until) == (Status.SENT, None)


@pytest.mark.both_databases
async def test_only_one_of_many_workers_sends_a_message(open_with: OpenWith) -> None:
    provider = Provider(takes)
    one, other = await open_with(provider), await open_with(provider)
    message = await some_message(one)
    answers = await asyncio.gather(*(send(app, message) for app in (one, other, one, other)), return_exceptions=True)
    assert answers.count("sent") == 1
    assert all(answer in ("sent", "skipped: sent") or isinstance(answer, PostponeJob) for answer in answers)
    assert len(provider.asked) == 1


@pytest.mark.both_databases
async def test_two_processes_share_a_burst_without_sending_anything_twice(open_with: OpenWith) -> None:
    provider = Provider(takes)
    one = await open_with(provider)
    other = await open_with(provider, redis_prefix=one.settings.redis_prefix)
    messages = [await some_message(one, in_seconds=1) for _ in range(40)]
    await one.start_workers()
    await other.start_workers()
    assert {(await ended(one, message)).status for message in messages} == {Status.SENT}
    assert len(provider.asked) == len(set(provider.asked)) == 40


@pytest.mark.both_databases
async def test_a_database_that_is_away_when_a_message_is_due_costs_it_no_attempt(
    open_with: OpenWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_with(Provider(takes))
    message = await some_message(app)
    away = Away(app.database.road, calls=1)
    monkeypatch.setattr(app.database, "road", away)
    monkeypatch.setattr(app.database, "road_at_once", away)
    with pytest.raises(PostponeJob) as postponed:
        await send(app, message, attempt=3, last=True)
    assert 0 < (postponed.value.until - app.clock.now()).total_seconds() <= AWAY_PAUSE
    assert await send(app, message, attempt=3, last=True) == "sent"


async def end_connections(app: App) -> None:
    """What a restart of PostgreSQL does to connections, the application's own ones included."""
    async with app.database.writer.connect() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        )


async def test_connections_that_died_while_nothing_was_due_cost_the_next_message_nothing(
    open_app: OpenApp, new_postgres_database: Callable[[], str]
) -> None:
    app = await open_app(database_url=new_postgres_database(), providers={"sms": Provider(takes)})
    for _ in range(3):
        message = await some_message(app)
        await end_connections(app)
        assert await send(app, message) == "sent"
        assert await outcomes(app, message) == ["sent"]


async def test_a_connection_that_dies_between_claim_and_decision_leaves_the_message_ours(
    open_app: OpenApp, new_postgres_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(database_url=new_postgres_database(), providers={"sms": Provider(takes)})
    message = await some_message(app)
    admit, deaths = claim.admit, [True]

    async def dying(connection: Any, *rest: Any) -> Any:
        if deaths:
            deaths.pop()
            await end_connections(app)
        return await admit(connection, *rest)

    monkeypatch.setattr(claim, "admit", dying)
    assert await send(app, message) == "sent"
    assert await outcomes(app, message) == ["sent"]


@pytest.mark.both_databases
async def test_a_message_handed_over_while_the_database_went_away_is_remembered_and_not_sent_again(
    open_with: OpenWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def takes_and_then(outgoing: Outgoing) -> None:
        away.calls = 6  # for more than twice as long as a claim's first half

    app = await open_with(Provider(takes_and_then), **HASTY)
    message = await some_message(app)
    away = Away(app.database.road, calls=0)
    monkeypatch.setattr(app.database, "road", away)
    monkeypatch.setattr(app.database, "road_at_once", away)
    assert await send(app, message) == "sent"
    assert away.calls == 0
    assert (await app.events.get_message(message.id)).status == Status.SENT
    assert await outcomes(app, message) == ["sent"]


@pytest.mark.both_databases
async def test_a_message_that_was_claimed_too_long_ago_is_not_offered_but_claimed_anew(open_with: OpenWith) -> None:
    provider = Provider(takes)
    app = await open_with(provider, **HASTY)
    message = await some_message(app)
    load, naps = app.kinds[EVENT_MESSAGE].load, [1.2]

    async def load_slowly(*args: Any) -> Any:
        await asyncio.sleep(naps.pop() if naps else 0)
        return await load(*args)

    change(app, EVENT_MESSAGE, load=load_slowly)
    with pytest.raises(PostponeJob):
        await send(app, message, last=True)
    assert not provider.asked
    assert await send(app, message, last=True) == "sent"


async def test_a_job_without_a_row_ends_quietly(open_with: OpenWith) -> None:
    app = await open_with(Provider(takes))
    await app.start_workers()
    await app.queues.arm([SEND_EVENT_MESSAGE.job(SEND_EVENT_MESSAGE.model(id=4711))])
    while (await app.events.get_queue_stats())["completed"] == 0:
        await asyncio.sleep(0.01)
    assert (await app.events.get_queue_stats())["total"] == 0


async def test_a_lost_job_keeps_the_wait_that_its_provider_asked_for(open_with: OpenWith) -> None:
    async def busy(outgoing: Outgoing) -> None:
        raise SendError("later", retryable=True, retry_after=300)

    app = await open_with(Provider(busy))
    message = await some_message(app)
    with pytest.raises(PostponeJob):
        await send(app, message)
    job_id = app.kinds[EVENT_MESSAGE].job_id(message.id)
    await app.queues.disarm("event-messages", [job_id])
    assert await app.recovery.check() == 1
    assert await app.recovery.check() == 0
    [job] = await app.queues.find("event-messages", [job_id])
    assert job is not None
    assert 295 < job.seconds <= 300


@pytest.mark.both_databases
async def test_a_message_that_its_crashed_sender_left_behind_is_sent_when_its_claim_is_over(
    open_with: OpenWith,
) -> None:
    crashed = asyncio.Event()

    async def dies(outgoing: Outgoing) -> None:
        crashed.set()
        await asyncio.Event().wait()

    provider, heir = Provider(dies), Provider(takes)
    app = await open_with(provider, **HASTY)
    message = await some_message(app)
    sending = asyncio.ensure_future(send(app, message))
    await crashed.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    held = (await app.events.get_message(message.id)).held_until
    assert held is not None
    other = await open_with(heir, redis_prefix=app.settings.redis_prefix)
    await other.start_workers()
    row = await ended(app, message)
    assert row.status == Status.SENT
    assert row.actual_send_time is not None
    assert row.actual_send_time >= held
    assert heir.asked == provider.asked


async def test_a_message_cancelled_during_its_wait_for_another_attempt_stays_unsent(open_with: OpenWith) -> None:
    provider = Provider(fails)
    app = await open_with(provider)
    message = await some_message(app)
    with pytest.raises(SendError):
        await send(app, message)
    await app.events.cancel_event_message(message.id)
    assert await send(app, message, attempt=2) == "skipped: cancelled"
    row = await app.events.get_message(message.id)
    assert (row.status, row.status_reason) == (Status.CANCELLED, Reason.BY_REQUEST)
    assert len(provider.asked) == 1
