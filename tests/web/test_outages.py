"""What callers and probes hear while the database or Redis does not answer: soon, and when to try again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import text

from messages.due_messages import OpenApp, person_of
from support.app import client_of
from support.postgres_proxy import PostgresProxy
from support.servers import frozen, own_valkey
from tidings.app import App
from tidings.db.database import open_database

PERSON = {"name": "Grace", "phone": "+12125550124"}


@pytest.fixture
async def proxy(new_postgres_database: Callable[[], str]) -> AsyncIterator[PostgresProxy]:
    async with PostgresProxy(new_postgres_database()) as proxy:
        yield proxy


async def timed(asking: Any) -> tuple[Any, float]:
    began = time.monotonic()
    answer = await asking
    return answer, time.monotonic() - began


@pytest.mark.timing
async def test_a_database_that_is_silent_is_503_and_says_when_to_come_back(
    open_app: OpenApp, proxy: PostgresProxy
) -> None:
    app = await open_app(database_url=proxy.url, database_timeout=1.0)
    async with client_of(app) as http:
        assert (await http.post("/contractors", json=PERSON)).status_code == 201
        proxy.fall_silent()
        for asking in (http.post("/contractors", json=PERSON), http.get("/contractors/1/follow-ups")):
            response, took = await timed(asking)
            assert (response.status_code, response.json()["type"]) == (503, "/problems/database-unavailable")
            assert response.headers["retry-after"] == "5"
            assert took < 7.5  # to find a dead connection, and that none can be made
        proxy.speak()
        assert (await http.get("/contractors/1/follow-ups")).status_code == 200


async def test_a_database_that_starts_up_or_is_full_of_clients_is_503(
    open_app: OpenApp, proxy: PostgresProxy
) -> None:
    app = await open_app(database_url=proxy.url, database_timeout=1.0)
    await person_of(app)
    async with client_of(app) as http:
        for state in ("57P03", "53300"):
            proxy.at_connect = state
            proxy.cut()
            assert (await http.get("/contractors/1/follow-ups")).status_code == 503
        proxy.at_connect = None
        proxy.at_command = "40P01"
        response = await http.get("/contractors/1/follow-ups")
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert (await http.get("/contractors/1/follow-ups")).status_code == 200


@pytest.mark.timing
async def test_a_row_that_somebody_keeps_locked_is_503_before_the_caller_gives_up(
    open_app: OpenApp, new_postgres_database: Callable[[], str]
) -> None:
    address = new_postgres_database()
    app, another = await open_app(database_url=address, database_timeout=0.2), open_database(address)
    person = await person_of(app)
    async with another.road.begin() as holder, client_of(app) as http:
        await holder.execute(text("UPDATE contractors SET name = name"))
        response, took = await timed(http.put(f"/contractors/{person}/vip", json={"vip": True}))
    await another.close()
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert took < 5


async def health_of(app: App) -> tuple[int, list[str]]:
    async with client_of(app) as http:
        response, took = await timed(http.get("/ready"))
        assert took < 4.0
        assert (await http.get("/health")).status_code == 200
        return response.status_code, response.json()["problems"]


@pytest.mark.timing
async def test_readiness_is_red_within_three_seconds_while_the_database_is_silent_and_green_again_afterwards(
    open_app: OpenApp, proxy: PostgresProxy
) -> None:
    app = await open_app(database_url=proxy.url, database_timeout=1.0)
    await app.start_workers()
    while (await health_of(app))[0] != 200:  # workers are being connected
        pass
    proxy.fall_silent()
    assert await health_of(app) == (503, ["the database does not answer"])
    assert await health_of(app) == (503, ["the database does not answer"])
    async with client_of(app) as http:
        assert (await http.get("/queue/health")).json()["database"] is False
        assert (await http.get("/queue/metrics")).json()["database"] is False
    proxy.speak()
    while (found := await health_of(app))[0] != 200:
        assert found[1] == ["the database does not answer"]


@pytest.mark.timing
async def test_readiness_needs_no_connection_of_the_pools(open_app: OpenApp, new_postgres_database: Any) -> None:
    app = await open_app(database_url=new_postgres_database())
    await app.start_workers()
    while (await health_of(app))[0] != 200:
        pass
    taken = [await engine.connect() for engine in (app.database.writer,) for _ in range(16)]
    assert await health_of(app) == (200, [])
    for connection in taken:
        await connection.close()


@pytest.mark.timing
async def test_readiness_is_red_within_three_seconds_while_redis_is_frozen(
    open_app: OpenApp, database_url: str
) -> None:
    with own_valkey(config={"maxmemory-policy": "noeviction"}) as server:
        app = await open_app(database_url=database_url, redis_url=f"redis://127.0.0.1:{server.port}/0")
        with frozen(server):
            assert await health_of(app) == (503, ["Redis does not answer"])
