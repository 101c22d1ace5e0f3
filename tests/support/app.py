"""What tests do with an application: run a job as a worker would, deliver a message, read its ledger, serve it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx
import uvicorn
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.app import App
from tidings.engine.jobs import AnyHandler, BatchHandler, JobType, Run, handle_alone
from tidings.messages.delivery.recovery import Recovery
from tidings.messages.kind import Message, MessageKind
from tidings.messages.ledger import LedgerEntry, history


def run_of(app: App, job_type: JobType[Any], *, attempt: int = 1, last: bool = False, job_id: str = "test") -> Run:
    """An execution of a job by the policy of its queue; `last` makes the attempt the last one."""
    queue = app.policies[job_type.queue.name]
    return Run(job_id, attempt, attempt if last else max(queue.attempts, attempt + 1), "test", queue)


def handler_of(app: App, job_type: JobType[Any]) -> AnyHandler:
    """What the application's workers do with jobs of this type."""
    [handler] = [one for one in app.handlers if one.job_type is job_type]
    return handler


async def run_job(app: App, job_type: JobType[Any], data: Any, *, attempt: int = 1, last: bool = False) -> Any:
    """What a worker does with one job. Raises what the handler raises."""
    job_id = job_type.job_id(data) if job_type.job_id else "test"
    run = run_of(app, job_type, attempt=attempt, last=last, job_id=job_id)
    handler = handler_of(app, job_type)
    if isinstance(handler, BatchHandler):
        return await handle_alone(handler.handle, data, run)
    return await handler.handle(data, run)


async def deliver(app: App, kind: str, message_id: int, *, attempt: int = 1, last: bool = False) -> Any:
    """What a worker does when a message's own job runs; what it does with rows is the shipped pipeline's."""
    of_kind = app.kinds[kind]
    async with app.work.read() as session:
        row = await session.get(of_kind.model, message_id)
    job_type = of_kind.job_type_of(row)
    data = job_type.model.model_validate({"id": message_id})
    return await run_job(app, job_type, data, attempt=attempt, last=last)


async def load_messages(connection: AsyncConnection, kind: MessageKind, ids: Sequence[int]) -> Sequence[Message]:
    """The messages of rows, as a claim loads them."""
    rows = await connection.execute(kind.loaded.where(kind.model.id.in_(ids)))
    return await kind.load(connection, [dict(row) for row in rows.mappings()])


async def ledger(app: App, kind: str, message_id: int) -> list[LedgerEntry]:
    """What the ledger says about a message, oldest first."""
    async with app.work.read() as session:
        return list(await history(session, kind, message_id))


async def due_in(app: App, kind: str, message_id: int) -> float | None:
    """Seconds until a message's job runs, None when there is none."""
    of_kind = app.kinds[kind]
    [job] = await app.queues.find(of_kind.job_type.queue.name, [of_kind.job_id(message_id)])
    return job.seconds if job else None


async def restore_jobs(app: App) -> int:
    """Puts back every job that is missing, as workers do when they start; how many there were."""
    return await Recovery(app.work, app.kinds, [], interval=60).rebuild()


@asynccontextmanager
async def client_of(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the application's HTTP without a socket."""
    transport = httpx.ASGITransport(app.http())
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@asynccontextmanager
async def serving(app: App, *, port: int = 0, **options: Any) -> AsyncIterator[str]:
    """The application's HTTP on a real socket; its address. `options` are uvicorn's."""
    values = {"log_config": None, "access_log": False, "lifespan": "off", **options}
    server = uvicorn.Server(uvicorn.Config(app.http(), port=port, **values))
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # ctrl-C is pytest's
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
