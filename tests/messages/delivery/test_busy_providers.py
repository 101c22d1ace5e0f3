"""A provider that asks for fewer messages gets fewer, loses none, and slows down nobody else."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from support.sink import Answer, Sink
from tidings.app import App
from tidings.features.events.models import EventMessage
from tidings.messages.delivery import pacing
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import Reason, Status

OpenApp = Callable[..., Awaitable[App]]

PAUSE = 0.3
"""Seconds without a message after a refusal that names no time."""

QUICK = {"EVENT_MESSAGES_CONCURRENCY": "10", "EVENT_MESSAGES_ATTEMPTS": "1"}  # one refusal that counts would be fatal


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "FIRST_PAUSE", PAUSE)
    monkeypatch.setattr(pacing, "SHORT_PAUSE", PAUSE)
    monkeypatch.setattr(pacing, "SLOWEST", 20.0)


def refuses_first(refusals: int, status: int, headers: dict[str, str]) -> Answer:
    """A provider that refuses that many requests, and then takes every one."""
    asked = itertools.count()
    return lambda payload: (status, headers) if next(asked) < refusals else (200, {})


async def messages_to(app: App, many: int, **more: Any) -> list[EventMessage]:
    """Messages to one person, all due now."""
    now = datetime.now(UTC)
    event = await app.events.create_event(
        {"name": "DemoCon", "date": (now + timedelta(days=1)).date().isoformat(), "timezone": "UTC"}
    )
    person, _ = await app.events.create_contractor(
        {"name": "Ada Abara", "phone": "+18105550123", "email": "ada@example.com"}
    )
    return await app.events.schedule_bulk_event_messages(
        [
            {
                "event_id": event.id,
                "contractor_id": person.id,
                "message_type": "speaker_alert",
                "scheduled_time": now.isoformat(),
                "session_key": f"{more.get('channel')}-{number}",
                "message_content": "Your session starts soon",
                **more,
            }
            for number in range(many)
        ]
    )


async def all_sent(app: App, messages: list[EventMessage]) -> list[EventMessage]:
    """Waits until none of the messages is under way; all of them have left."""
    while True:
        rows = [await app.events.get_message(message.id) for message in messages]
        if not {row.status for row in rows} & {Status.SCHEDULED, Status.SENDING}:
            assert {row.status for row in rows} == {Status.SENT}
            return rows
        await asyncio.sleep(0.02)


async def lines_of(app: App) -> list[LedgerEntry]:
    async with app.work.read() as session:
        return list(await session.scalars(select(LedgerEntry).order_by(LedgerEntry.id)))


@pytest.mark.parametrize(
    ("status", "headers", "pause"),
    [(429, {}, PAUSE), (429, {"retry-after": "1"}, 1.0)],
    ids=["429", "429 with Retry-After"],
)
async def test_messages_that_a_provider_is_too_busy_for_wait_cost_no_attempt_and_all_leave_once(
    open_app: OpenApp, database_url: str, status: int, headers: dict[str, str], pause: float
) -> None:
    arrivals: list[float] = []
    provider = refuses_first(2, status, headers)

    def answer(payload: dict[str, Any]) -> tuple[int, dict[str, str]]:
        arrivals.append(time.monotonic())
        return provider(payload)

    async with Sink(answer) as sink:
        app = await open_app(database_url=database_url, n8n_outbound_webhook_url=sink.url, queue_settings=QUICK)
        messages = await messages_to(app, 12)
        await app.start_workers()
        rows = await all_sent(app, messages)
        await app.stop_workers()
    assert {(row.attempts, row.error_message, row.held_until) for row in rows} == {(1, None, None)}
    assert len(sink.taken) == 12
    burst = [at for at in arrivals if at - arrivals[0] < pause - 0.1]
    later = [at for at in arrivals if at not in burst]
    assert len(burst) <= 10  # those that were on their way already
    assert min(later) - arrivals[0] >= pause - 0.01
    lines = await lines_of(app)
    outcomes = [line.outcome for line in lines]
    assert (outcomes.count("retry"), outcomes.count("sent"), outcomes.count("failed")) == (2, 12, 0)
    put_off = {line.reason for line in lines if line.outcome == "deferred"}
    assert put_off <= {Reason.PROVIDER_BUSY}
    assert all(str(status) in (line.error or "") for line in lines if line.outcome == "retry")


@pytest.mark.timing
async def test_after_a_refusal_messages_go_one_by_one_at_the_slower_rate(open_app: OpenApp) -> None:
    arrivals: list[float] = []
    provider = refuses_first(1, 429, {})

    def answer(payload: dict[str, Any]) -> tuple[int, dict[str, str]]:
        arrivals.append(time.monotonic())
        return provider(payload)

    async with Sink(answer) as sink:
        app = await open_app(
            n8n_outbound_webhook_url=sink.url, queue_settings={**QUICK, "EVENT_MESSAGES_CONCURRENCY": "1"}
        )
        messages = await messages_to(app, 8)
        await app.start_workers()
        await all_sent(app, messages)
        await app.stop_workers()
    refused, *taken = arrivals
    assert len(taken) == 8
    # Places are at first a quarter of a second apart, and grow closer. One that is late does not move the others.
    assert all(at - refused >= PAUSE + min(number, 2) * 0.2 for number, at in enumerate(taken))


@pytest.mark.timing
async def test_one_refusal_in_a_quiet_system_makes_eleven_messages_late_by_a_moment(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    async with Sink(refuses_first(1, 429, {})) as sink:
        app = await open_app(n8n_outbound_webhook_url=sink.url, queue_settings=QUICK)
        messages = await messages_to(app, 11)
        await app.start_workers(["event-messages"])
        await all_sent(app, messages)
        await app.stop_workers()
    late = [line.lateness_ms or 0 for line in await lines_of(app) if line.outcome == "sent"]
    assert len(late) == 11
    assert max(late) < 3000


async def test_another_provider_is_not_slowed(open_app: OpenApp, database_url: str) -> None:
    async with Sink(lambda payload: (429, {"retry-after": "3600"})) as sink:
        app = await open_app(database_url=database_url, n8n_outbound_webhook_url=sink.url, queue_settings=QUICK)
        waiting = await messages_to(app, 4)
        await app.start_workers()
        while len(await lines_of(app)) < len(waiting):
            await asyncio.sleep(0.01)
        mails = await messages_to(app, 10, channel="email")
        await all_sent(app, mails)
        await app.stop_workers()
    assert len(app.simulator.messages) == 10
    assert {line.outcome for line in await lines_of(app) if line.channel == "email"} == {"sent"}
    for message in waiting:
        row = await app.events.get_message(message.id)
        assert (row.status, row.attempts) == (Status.SCHEDULED, 0)
        assert row.held_until is not None
        assert row.held_until - datetime.now(UTC) > timedelta(minutes=55)
