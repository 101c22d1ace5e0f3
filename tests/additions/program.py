"""Sends a ping over HTTP through the application, and prints what became of it."""

from __future__ import annotations

import asyncio

import httpx

from tidings import Tidings, log
from tidings.app import App
from tidings.registry import load


async def main() -> None:
    from tidings.features.pings.kind import Ping

    async with App(load(), migrate=True) as app:
        async with app.database.writer.begin() as connection:  # in the place of its migration
            await connection.run_sync(Ping.__table__.create)
        await app.start_workers(["pings"])
        transport = httpx.ASGITransport(app.http())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            name = (await client.post("/pings/+18105550123")).raise_for_status().json()
        while (await app.why.explain(name)).status != "sent":
            await asyncio.sleep(0.01)
    async with Tidings() as t:
        print(await t.pings.ping("+18105550124"), "follows", name)


log.configure(level="CRITICAL")
asyncio.run(main())
