"""Messages with procrastinate: jobs in PostgreSQL itself, without Redis."""

from __future__ import annotations

import asyncio
import os
from itertools import groupby
from operator import itemgetter

import httpx
from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"]))
pool = AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=10, open=False)
http = httpx.AsyncClient(limits=httpx.Limits(max_connections=50, max_keepalive_connections=50))

SLICE = 1000


@app.task(name="send", retry=3)
async def send(message_id: int) -> None:
    await pool.open()
    async with pool.connection() as connection:
        found = await connection.execute(
            "SELECT phone, body FROM messages WHERE id = %s AND status = 'scheduled'", (message_id,)
        )
        row = await found.fetchone()
    if row is None:
        return
    payload = {"message_id": message_id, "phone": row[0], "message": row[1]}
    (await http.post(os.environ["SINK_URL"], json=payload)).raise_for_status()
    async with pool.connection() as connection:
        await connection.execute("UPDATE messages SET status = 'sent', sent_at = now() WHERE id = %s", (message_id,))


async def schedule() -> None:
    from dues import timed, wanted

    messages = wanted()
    async with app.open_async():
        with timed():
            for due, group in groupby(messages, key=itemgetter(1)):
                ids = [{"message_id": message_id} for message_id, _ in group]
                for start in range(0, len(ids), SLICE):
                    await send.configure(schedule_at=due).batch_defer_async(*ids[start : start + SLICE])


if __name__ == "__main__":
    asyncio.run(schedule())
