"""How every demo runs: a day on a fast clock, on the real engine, with a simulator instead of the world."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import typer
from rich.console import Console

from tidings import log
from tidings.app import App, load_everything
from tidings.cli.demo.view import LedgerView
from tidings.cli.running import run, settle, stop_signal
from tidings.clock import AcceleratedClock
from tidings.providers.simulator import Simulator
from tidings.registry import load

SETTLE_SECONDS = 30.0
"""How long the last messages may take after the day is over."""

OFFLINE: dict[str, Any] = {
    "database_url": None,
    "redis_url": None,
    "redis_host": None,
    "mitto_api_key": None,
    "n8n_outbound_webhook_url": None,
    "smtp_host": None,
    "openai_api_key": None,
}
"""Settings that keep a demo on this machine, whatever the environment says."""


class Day(Protocol):
    """A demo: what is there when it begins, what happens in it, and the account at its end."""

    title: str
    zone: str
    clock: AcceleratedClock
    ends: datetime
    queue_settings: Mapping[str, str]
    settings: Mapping[str, Any]

    def simulator(self) -> Simulator:
        """What takes the messages."""
        ...

    async def prepare(self, app: App) -> None:
        """Before the workers start."""
        ...

    async def tell(self, app: App, view: LedgerView) -> None:
        """What people do during the day."""
        ...

    async def summarise(self, app: App, console: Console) -> bool:
        """Prints what became of everything; False when something is not as it should be."""
        ...


def rehearse(make_day: Callable[[], Day], *, stay: bool) -> None:
    """Runs a demo. Ends the command with status 1 when its account does not add up."""
    log.configure(level="CRITICAL")
    load_everything()  # a day begins when it is made, and its fast clock does not wait for modules
    day = make_day()
    with tempfile.TemporaryDirectory(prefix="tidings-demo-") as folder:
        complete = run(_rehearse(Path(folder), day, stay=stay))
    if not complete:
        raise typer.Exit(1)


async def _rehearse(folder: Path, day: Day, *, stay: bool) -> bool:
    console = Console(highlight=False)
    stop = stop_signal()
    settings = load(**{**OFFLINE, **day.settings, "data_dir": folder})
    async with App(
        settings,
        clock=day.clock,
        simulator=day.simulator(),
        migrate=True,
        queue_settings=day.queue_settings,
    ) as app:
        await day.prepare(app)
        await app.start_workers()
        settle()
        view = LedgerView(app, day.zone, console)
        console.print(f"[bold]{day.title}[/], on a fast clock. Nothing leaves this machine.")
        story = asyncio.create_task(day.tell(app, view))
        watching = asyncio.create_task(view.watch(story, until=day.ends, settle=SETTLE_SECONDS))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, story):
            if not task.done():
                task.cancel()
        await asyncio.gather(watching, story, return_exceptions=True)
        stopping.cancel()
        for task in (story, watching):
            if task.done() and not task.cancelled() and (failure := task.exception()):
                raise failure
        await app.stop_workers()  # the clock runs on, but the day is over
        complete = await day.summarise(app, console)
        if stay and not stop.is_set():
            await app.start_workers()
            console.print("Staying until Ctrl-C.")
            await stop.wait()
        return complete


async def sleep_until(app: App, moment: datetime) -> None:
    """Waits until the demo's clock shows `moment`."""
    await asyncio.sleep(max(app.clock.seconds_until(moment), 0))
