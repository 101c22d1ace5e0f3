"""`tidings up`, `worker`, `api` and `migrate`: the long-running processes and the schema."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from tidings.app import App
from tidings.cli.running import prepare, run, settle, stop_signal
from tidings.db.database import open_database
from tidings.db.migrate import upgrade
from tidings.settings import Settings
from tidings.web.security import require_loopback_or_key

Host = Annotated[str, typer.Option(help="Address to listen on. Beyond loopback TIDINGS_API_KEY has to be set.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


def up(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Runs the API and all workers in one process."""
    run(_serve(prepare(), host, port, with_workers=True))


def api(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Runs the API alone."""
    run(_serve(prepare(), host, port, with_workers=False))


def worker(
    queue: Annotated[list[str] | None, typer.Argument(help="Queues to work on; none means all.")] = None,
) -> None:
    """Runs workers alone."""
    run(_work(prepare(), queue or None))


def migrate() -> None:
    """Brings the database to this version's schema."""
    before, now = run(_migrate(prepare()))
    Console().print(f"database at revision {now}" + ("" if before == now else f" (was {before or 'empty'})"))


async def _migrate(settings: Settings) -> tuple[str | None, str]:
    database = open_database(settings.database)
    try:
        return await upgrade(database)
    finally:
        await database.close()


async def _work(settings: Settings, queues: list[str] | None) -> None:
    stop = stop_signal()
    async with App(settings, migrate=settings.database_url is None) as app:
        await app.start_workers(queues)
        settle()
        await stop.wait()


async def _serve(settings: Settings, host: str, port: int, *, with_workers: bool) -> None:
    require_loopback_or_key(host, settings.api_key.get_secret_value() if settings.api_key else None)
    stop = stop_signal()
    # An embedded database belongs to this installation alone; a shared one is migrated when its owner says so.
    async with App(settings, migrate=settings.database_url is None) as app:
        if with_workers:
            await app.start_workers()
        settle()
        server = _Server(
            uvicorn.Config(
                app.http(),
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=5,  # a page that connects while we stop would be waited for without end
                ws_max_size=64 * 1024,
            )
        )
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        while not server.started and not serving.done():
            await asyncio.wait({serving, stopping}, timeout=0.05)
        if server.started:
            _announce(app, host, port, with_workers=with_workers)
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        stopping.cancel()
        if not server.started:
            raise typer.Exit(1)


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to us: workers have to end their jobs after the last request."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _announce(app: App, host: str, port: int, *, with_workers: bool) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold]Tidings[/] listens on http://{host}:{port} (API description: /openapi.json)")
    if with_workers:
        console.print(f"workers: {', '.join(app.queue_names())}")
    for name, channel in app.channels.items():
        console.print(f"channel {name}: {channel.name}")
