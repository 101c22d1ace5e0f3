"""Messages with arq: deferred jobs, worked on by one event loop."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import asyncpg
import httpx
from arq import create_pool
from arq.connections import RedisSettings

CONCURRENCY = int(os.environ["CONCURRENCY"])


async def send(context: dict[str, Any], message_id: int) -> None:
    row = await context["pool"].fetchrow(
        "SELECT phone, body FROM messages WHERE id = $1 AND status = 'scheduled'", message_id
    )
    if row is None:
        return
    payload = {"message_id": message_id, "phone": row["phone"], "message": row["body"]}
    answer = await context["http"].post(os.environ["SINK_URL"], json=payload)
    answer.raise_for_status()
    await context["pool"].execute("UPDATE messages SET status = 'sent', sent_at = now() WHERE id = $1", message_id)


async def start(context: dict[str, Any]) -> None:
    context["pool"] = await asyncpg.create_pool(os.environ["DATABASE_URL"])
    context["http"] = httpx.AsyncClient(limits=httpx.Limits(max_connections=50, max_keepalive_connections=50))


async def stop(context: dict[str, Any]) -> None:
    await context["http"].aclose()
    await context["pool"].close()


class WorkerSettings:
    functions = (send,)
    on_startup = start
    on_shutdown = stop
    max_jobs = CONCURRENCY
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])


async def schedule() -> None:
    from dues import timed, wanted

    messages = wanted()
    redis = await create_pool(WorkerSettings.redis_settings)
    with timed():
        for message_id, due in messages:
            await redis.enqueue_job("send", message_id, _job_id=f"message-{message_id}", _defer_until=due)
    await redis.aclose()


if __name__ == "__main__":
    asyncio.run(schedule())
