"""A database that is silent, starting up or full of clients: what is due waits for it, and nothing leaves twice."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from messages.due_messages import OpenApp, Provider, message_to, person_of
from support.postgres_proxy import PostgresProxy
from tidings.db.addresses import CONNECT
from tidings.db.failures import Failure, failure_of
from tidings.messages.delivery.pipeline import AWAY_PAUSE
from tidings.messages.statuses import Status
from tidings.providers.base import Outgoing, Receipt

LIMIT = 1.0
"""Seconds that a command may take here."""


@pytest.mark.timing
async def test_due_messages_leave_soon_after_a_database_that_was_silent_works_again(
    open_app: OpenApp, new_postgres_database: Callable[[], str]
) -> None:
    carrier = Provider()
    async with PostgresProxy(new_postgres_database()) as proxy:
        app = await open_app(database_url=proxy.url, database_timeout=LIMIT, providers={"sms": carrier})
        person = await person_of(app)
        await app.start_workers()
        before = proxy.connections
        with capture_logs() as logs:
            due = app.clock.after(4.0)
            messages = [await message_to(app, person, scheduled_time=due.isoformat()) for _ in range(30)]
            proxy.fall_silent()
            while not any("message not claimed yet" in line["event"] for line in logs):
                await asyncio.sleep(0.01)
        assert any("the database does not answer" in line["event"] for line in logs)
        assert not carrier.sent
        proxy.speak()
        works_since = time.monotonic()
        while len(carrier.sent) < 30:
            await asyncio.sleep(0.01)
        took = time.monotonic() - works_since
        print(f"30 messages left {took:.1f} s after the database worked again")
        assert took < CONNECT + AWAY_PAUSE + LIMIT + 2.0
        assert proxy.connections > before
        assert len(set(carrier.asked)) == len(carrier.asked) == 30
        for message in messages:
            while (await app.events.get_message(message.id)).status != Status.SENT:
                await asyncio.sleep(0.01)


async def test_idle_connections_that_a_silence_outlived_are_replaced_before_they_are_used(
    open_app: OpenApp, new_postgres_database: Callable[[], str]
) -> None:
    async with PostgresProxy(new_postgres_database()) as proxy:
        app = await open_app(database_url=proxy.url, database_timeout=LIMIT)
        engines = (app.database.writer, app.database.road, app.database.road_at_once)
        for engine in engines:
            held = [await engine.connect() for _ in range(4)]
            for connection in held:
                await connection.close()
        proxy.fall_silent()
        proxy.speak()
        began = time.monotonic()
        for engine in engines:
            for _ in range(4):
                async with engine.connect() as connection:
                    assert await connection.scalar(text("SELECT 1")) == 1
        assert time.monotonic() - began < 3 * LIMIT  # one of them waits; then it is known of all


async def test_what_waits_for_a_lock_too_long_ends_and_costs_no_connection(
    open_app: OpenApp, new_postgres_database: Callable[[], str]
) -> None:
    app = await open_app(database_url=new_postgres_database(), database_timeout=0.2)
    await person_of(app)
    change = text("UPDATE contractors SET name = name")
    async with app.database.writer.begin() as holder, app.database.road.connect() as waiter:
        await holder.execute(change)
        with pytest.raises(Exception, match="lock timeout") as raised:
            await waiter.execute(change)
        assert failure_of(raised.value) is Failure.BUSY
        await waiter.rollback()
        assert await waiter.scalar(text("SELECT 1")) == 1


@pytest.mark.timing
@pytest.mark.parametrize("state", ["57P03", "53300"])
async def test_a_database_that_starts_up_or_is_full_of_clients_makes_nothing_leave_twice(
    state: str, open_app: OpenApp, new_postgres_database: Callable[[], str]
) -> None:
    async with PostgresProxy(new_postgres_database()) as proxy:

        class Carrier(Provider):
            async def send(self, outgoing: Outgoing) -> Receipt:
                proxy.at_connect = state
                proxy.cut()
                return await super().send(outgoing)

        carrier = Carrier()
        app = await open_app(database_url=proxy.url, http_timeout=1.0, providers={"sms": carrier})
        message = await message_to(app, await person_of(app))
        await app.start_workers()
        # After a second and more a refusal would have been an error; after two another worker may take the row.
        began = time.monotonic()
        while proxy.turned_away < 10 or time.monotonic() - began < 2.5:
            await asyncio.sleep(0.01)
        proxy.at_connect = None
        while (await app.events.get_message(message.id)).status != Status.SENT:
            await asyncio.sleep(0.01)
        assert len(carrier.asked) == 1


async def test_a_connection_tells_both_ends_when_the_other_one_is_gone(
    open_app: OpenApp, new_postgres_database: Callable[[], str]
) -> None:
    settings = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
    names = ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"]
    async with PostgresProxy(new_postgres_database()) as proxy:
        app = await open_app(database_url=proxy.url, database_timeout=5.0)
        found = []
        for engine in (app.database.road, app.database.writer, app.database.unhurried):
            async with engine.connect() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                end = driver._transport.get_extra_info("socket")
                assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                answers = await connection.execute(settings, {"names": names})
                found.append({name: int(value) for name, value in answers})
    assert found == [
        dict(zip(names, values, strict=True)) for values in ((2500, 5000, 10000), (15000, 30000, 60000), (0, 0, 0))
    ]
