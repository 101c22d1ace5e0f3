"""`tidings up` and `tidings api`: whoever serves HTTP."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from tidings.app import App
from tidings.cli.opening import open_app
from tidings.cli.running import prepare, run, settle, stop_signal
from tidings.registry import Settings
from tidings.web.access import require_loopback_or_key

Host = Annotated[str, typer.Option(help="Address to listen on. Beyond loopback TIDINGS_API_KEY has to be set.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


def up(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Runs the API and all workers in one process."""
    run(_serve(prepare(), host, port, with_workers=True))


def api(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Runs the API alone."""
    run(_serve(prepare(), host, port, with_workers=False))


async def _serve(settings: Settings, host: str, port: int, *, with_workers: bool) -> None:
    require_loopback_or_key(host, settings.api_key.get_secret_value() if settings.api_key else None)
    stop = stop_signal(settings.stop_grace)
    async with open_app(settings) as app:
        if with_workers:
            await app.start_workers()
        settle()
        server = Server(
            uvicorn.Config(
                app.http(),
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="off",
                # A page that connects while we stop would be waited for without end.
                timeout_graceful_shutdown=min(5, math.ceil(settings.stop_grace / 4)),
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
        await asyncio.gather(serving, app.stop_workers())
        stopping.cancel()
        if not server.started:
            raise typer.Exit(1)


class Server(uvicorn.Server):
    """uvicorn, with the signals left to the command, whose workers end their jobs meanwhile."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _announce(app: App, host: str, port: int, *, with_workers: bool) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold]Tidings[/] listens on http://{host}:{port} (API description: /openapi.json)")
    if with_workers:
        console.print(f"workers: {', '.join(app.queue_names())}")
    for name, carrier in app.providers.channels().items():
        console.print(f"channel {name}: {carrier}", style="yellow" if carrier == "simulated" else None)
