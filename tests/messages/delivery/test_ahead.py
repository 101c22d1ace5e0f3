"""Messages are claimed ahead of their turn; the queue's concurrency says how many are at the provider."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from messages.due_messages import OpenApp
from tidings.app import App
from tidings.features.events.models import EventMessage
from tidings.messages.delivery import pipeline
from tidings.messages.statuses import Status
from tidings.providers.base import Outgoing, Receipt


class Counter:
    """A provider that notes how many messages it was given at once, and can be held up."""

    name = "counter"

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.taken: list[str] = []
        self.open = asyncio.Event()

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0.001)
        await self.open.wait()
        self.inside -= 1
        self.taken.append(outgoing.idempotency_key)
        return Receipt(self.name)

    async def close(self) -> None:
        """Nothing to release."""


async def schedule(app: App, count: int) -> None:
    soon = datetime.now(UTC) - timedelta(seconds=1)
    event = await app.events.create_event({"name": "DemoCon", "date": soon.date().isoformat(), "timezone": "UTC"})
    person, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": "+18105550123"})
    message = {
        "event_id": event.id,
        "contractor_id": person.id,
        "message_type": "speaker_alert",
        "scheduled_time": soon.isoformat(),
        "message_content": "Your session starts soon",
    }
    await app.events.schedule_bulk_event_messages(
        [{**message, "session_key": f"s{number}"} for number in range(count)]
    )


async def count(app: App, status: Status) -> int:
    async with app.work.read() as session:
        query = select(func.count()).select_from(EventMessage).where(EventMessage.status == status)
        return int(await session.scalar(query) or 0)


async def until(app: App, status: Status, number: int) -> None:
    while await count(app, status) < number:
        await asyncio.sleep(0.01)


@pytest.mark.both_databases
async def test_a_burst_is_claimed_ahead_but_no_more_than_the_concurrency_is_at_the_provider(
    open_app: OpenApp, database_url: str
) -> None:
    provider = Counter()
    settings: dict[str, Any] = {"EVENT_MESSAGES_CONCURRENCY": "3", "EVENT_MESSAGES_RATE_LIMIT": "off"}
    app = await open_app(database_url=database_url, providers={"sms": provider}, queue_settings=settings)
    await schedule(app, 120)
    await app.start_workers(["event-messages"])
    await until(app, Status.SENDING, 6)  # nobody has been sent yet, and more than three are claimed
    while provider.most < 3:
        await asyncio.sleep(0.001)
    assert provider.most == 3
    provider.open.set()
    await until(app, Status.SENT, 120)
    assert provider.most == 3
    assert len(set(provider.taken)) == len(provider.taken) == 120


@pytest.mark.both_databases
async def test_a_stop_counts_for_messages_that_were_claimed_before_and_wait_for_their_turn(
    open_app: OpenApp, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "FRESH", 0.05)
    provider = Counter()
    settings: dict[str, Any] = {"EVENT_MESSAGES_CONCURRENCY": "1", "EVENT_MESSAGES_RATE_LIMIT": "off"}
    app = await open_app(database_url=database_url, providers={"sms": provider}, queue_settings=settings)
    await schedule(app, 5)
    await app.start_workers(["event-messages"])
    await until(app, Status.SENDING, 2)
    while not provider.inside:  # until one is at the provider
        await asyncio.sleep(0.001)
    await app.contacts.opt_out("+18105550123")
    claimed = time.monotonic()
    while time.monotonic() - claimed < 2 * pipeline.FRESH:  # until what the gate said of the second is old
        await asyncio.sleep(0.01)
    provider.open.set()
    await until(app, Status.SKIPPED, 4)
    assert len(provider.taken) == 1
