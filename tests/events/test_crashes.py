"""What people fear most: a process killed in the middle of a burst, and a Redis that forgot everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from support.programs import running, start_worker
from support.servers import own_valkey
from support.sink import Sink
from support.workshop import eventually
from tidings.app import App
from tidings.engine.slots import IN_DOUBT
from tidings.features.events.models import EventMessage
from tidings.features.events.people_import import import_people
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.files.people_file import Person
from tidings.messages.ledger import LedgerEntry, Outcome
from tidings.messages.statuses import OPEN, Status

pytestmark = pytest.mark.both_databases

OpenApp = Callable[..., Awaitable[App]]


async def schedule_burst(app: App, count: int, due: datetime) -> int:
    """Schedules `count` messages to as many people for one moment and returns the event's id."""
    event = await app.events.create_event({"name": "DemoCon", "date": due.date().isoformat(), "timezone": "UTC"})
    people = [Person(f"Ada {number}", phone=f"+1810555{number:04}") for number in range(count)]
    await import_people(app.work, people)
    async with app.work.read() as session:
        ids = await session.scalars(select(Contractor.id).order_by(Contractor.id))
    await app.events.schedule_bulk_event_messages(
        [
            {
                "event_id": event.id,
                "contractor_id": contractor_id,
                "message_type": "peer_match_notification",
                "scheduled_time": due.isoformat(),
                "message_content": "Meet Ben at the bar",
            }
            for contractor_id in ids
        ]
    )
    return event.id


async def all_ended(app: App, event_id: int) -> dict[str, int]:
    """Waits until no message of the event is under way and returns how many ended how."""
    while True:
        counts = await app.events.count_messages(event_id)
        if not any(status in OPEN for status, _, _ in counts):
            return {str(status): count for status, _, count in counts}
        await asyncio.sleep(0.05)


async def keys_in_doubt(app: App) -> set[str]:
    """The idempotency keys of messages whose ledger says that a taking ended without an outcome."""
    kind = app.kinds["event-message"]
    async with app.work.read() as session:
        lines = select(LedgerEntry.message_id).where(LedgerEntry.outcome == Outcome.IN_DOUBT)
        rows = await session.execute(
            select(EventMessage.id, EventMessage.created_at).where(EventMessage.id.in_(lines))
        )
        return {kind.idempotency_key(row.id, row.created_at) for row in rows}


@pytest.mark.usefixtures("left_sound")
async def test_every_message_of_a_burst_is_sent_once_although_its_worker_is_killed_in_the_middle(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    async with Sink() as sink:
        event_id = await schedule_burst(app, 300, datetime.now(UTC) + timedelta(seconds=1))
        worker = start_worker(app, sink, EVENT_MESSAGES_RATE_LIMIT="off")
        await sink.wait_for(60)
        worker.kill()
        await worker.ended()
        assert len(sink.taken) < 300

        successor = start_worker(app, sink, EVENT_MESSAGES_RATE_LIMIT="off")
        counts = await all_ended(app, event_id)
        successor.terminate()
        assert await successor.ended() == 0

        assert counts == {Status.SENT: 300}
        assert len(sink.taken) == 300
        repeated = sum(sink.requests.values()) - 300
        in_doubt = IN_DOUBT * app.policies["event-messages"].concurrency
        assert repeated <= in_doubt, "no more than was handed over and not written down may be offered again"
        again = {key for key, times in sink.requests.items() if times > 1}
        assert again <= await keys_in_doubt(app), "the ledger says which may have left twice"


@pytest.mark.long
@pytest.mark.timing
async def test_what_a_killed_worker_was_sending_is_sent_again_when_its_lease_is_over(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    arrivals: list[float] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A provider that hears of a message and does not answer."""
        await reader.readuntil(b"\r\n\r\n")
        arrivals.append(time.monotonic())
        await reader.read()
        writer.close()

    async def heard(times: int) -> bool:
        return len(arrivals) >= times

    settings = {
        "TIDINGS_LOCK_DURATION": str(app.settings.lock_duration),  # those that are shipped
        "TIDINGS_HTTP_TIMEOUT": str(app.settings.http_timeout),
    }
    async with await asyncio.start_server(hear, "127.0.0.1", 0) as provider, Sink() as sink:
        host, port = provider.sockets[0].getsockname()
        settings["N8N_OUTBOUND_WEBHOOK_URL"] = f"http://{host}:{port}/"
        await schedule_burst(app, 1, datetime.now(UTC) + timedelta(seconds=1))
        worker = start_worker(app, sink, **settings)
        await eventually(lambda: heard(1))
        worker.kill()
        await worker.ended()
        with running(start_worker(app, sink, **settings)):
            await eventually(lambda: heard(2), within=70)
        provider.close()
    lease = 2 * app.settings.http_timeout
    waited = arrivals[1] - arrivals[0]
    assert lease - 0.1 < waited < lease + 2


@pytest.mark.timing
async def test_every_message_still_leaves_after_redis_was_flushed(open_app: OpenApp, database_url: str) -> None:
    with own_valkey(config={"hz": 100}) as own_server:
        app = await open_app(database_url=database_url, redis_url=f"redis://127.0.0.1:{own_server.port}/0")
        event_id = await schedule_burst(app, 50, datetime.now(UTC) + timedelta(seconds=4))
        await app.start_workers()
        while await app.queues.was_emptied():  # recovery has not looked after the queues yet
            await asyncio.sleep(0.01)
        async with Redis.from_url(app.redis_url) as redis:
            await redis.flushall()
        stats = await app.events.get_queue_stats()
        assert stats["total"] == 0
        counts = await all_ended(app, event_id)
        assert counts == {Status.SENT: 50}
        assert len(app.simulator.messages) == 50
        lines = await app.events.get_deliveries(event_id)
        assert max(line["lateness_ms"] for line in lines) < 1000


async def test_a_row_whose_job_is_gone_is_armed_again_when_a_worker_starts(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    event_id = await schedule_burst(app, 3, datetime.now(UTC) + timedelta(seconds=1))
    ids = [f"event-message-{row['id']}" for row in await app.events.list_messages(event_id=event_id)]
    await app.queues.disarm("event-messages", ids)
    await app.start_workers()
    assert await all_ended(app, event_id) == {Status.SENT: 3}
