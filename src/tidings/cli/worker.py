"""`tidings worker`: whoever only works on queues."""

from __future__ import annotations

from typing import Annotated

import typer

from tidings.cli.opening import open_app
from tidings.cli.running import prepare, run, settle, stop_signal
from tidings.registry import Settings


def worker(
    queue: Annotated[list[str] | None, typer.Argument(help="Queues to work on; none means all.")] = None,
) -> None:
    """Runs workers alone."""
    run(_work(prepare(), queue or None))


async def _work(settings: Settings, queues: list[str] | None) -> None:
    stop = stop_signal()
    async with open_app(settings) as app:
        await app.start_workers(queues)
        settle()
        await stop.wait()
