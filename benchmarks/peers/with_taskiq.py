"""Messages with taskiq: schedules in Redis, a scheduler that watches them, and a worker on a stream."""

from __future__ import annotations

import asyncio
import os

import asyncpg
import httpx
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqScheduler, TaskiqState
from taskiq_redis import ListRedisScheduleSource, RedisStreamBroker

broker = RedisStreamBroker(url=os.environ["REDIS_URL"])
source = ListRedisScheduleSource(os.environ["REDIS_URL"])
scheduler = TaskiqScheduler(broker, [source])


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(state: TaskiqState) -> None:
    state.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"])
    state.http = httpx.AsyncClient(limits=httpx.Limits(max_connections=50, max_keepalive_connections=50))


@broker.task(task_name="send")
async def send(message_id: int, context: Context = TaskiqDepends()) -> None:  # noqa: B008
    state = context.state
    row = await state.pool.fetchrow(
        "SELECT phone, body FROM messages WHERE id = $1 AND status = 'scheduled'", message_id
    )
    if row is None:
        return
    payload = {"message_id": message_id, "phone": row["phone"], "message": row["body"]}
    answer = await state.http.post(os.environ["SINK_URL"], json=payload)
    answer.raise_for_status()
    await state.pool.execute("UPDATE messages SET status = 'sent', sent_at = now() WHERE id = $1", message_id)


async def schedule() -> None:
    from dues import timed, wanted

    messages = wanted()
    await broker.startup()
    await source.startup()
    with timed():
        for message_id, due in messages:
            await send.schedule_by_time(source, due, message_id)
    await source.shutdown()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(schedule())
