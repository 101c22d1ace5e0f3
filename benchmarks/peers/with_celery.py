"""Messages with Celery: tasks with an ETA, worked on by threads."""

from __future__ import annotations

import os

import httpx
from celery import Celery
from psycopg_pool import ConnectionPool

app = Celery("messages", broker=os.environ["REDIS_URL"].replace("unix://", "redis+socket://"))
app.conf.update(task_ignore_result=True, broker_transport_options={"visibility_timeout": 86_400})

SINK_URL = os.environ["SINK_URL"]
pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=20, open=False)
http = httpx.Client(limits=httpx.Limits(max_connections=50, max_keepalive_connections=50))


@app.task(name="send", autoretry_for=(httpx.HTTPError,), retry_backoff=True, max_retries=3)
def send(message_id: int) -> None:
    pool.open()
    with pool.connection() as connection:
        row = connection.execute(
            "SELECT phone, body FROM messages WHERE id = %s AND status = 'scheduled'", (message_id,)
        ).fetchone()
    if row is None:
        return
    http.post(SINK_URL, json={"message_id": message_id, "phone": row[0], "message": row[1]}).raise_for_status()
    with pool.connection() as connection:
        connection.execute("UPDATE messages SET status = 'sent', sent_at = now() WHERE id = %s", (message_id,))


if __name__ == "__main__":
    from dues import timed, wanted

    messages = wanted()
    with timed():
        for message_id, due in messages:
            send.apply_async((message_id,), eta=due)
