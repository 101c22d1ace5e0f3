"""`tidings demo chat`: talk to a sample shop in the terminal and in the browser; in a pipe it talks to itself."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from tidings import log
from tidings.app import App
from tidings.cli.demo.chat_neighbours import Neighbours
from tidings.cli.demo.chat_script import ChatScript
from tidings.cli.demo.chat_servers import Receiver, serving
from tidings.cli.demo.rehearsal import OFFLINE
from tidings.cli.demo.shop import DemoShop, open_neighbour, open_shop, sample_questions
from tidings.cli.running import run, settle, stop_signal
from tidings.features.chat.models import ChatChannel, Role
from tidings.messages.ledger import DeliveryStatus
from tidings.providers.simulator import Simulator
from tidings.registry import load

VISITOR = "terminal-visitor-1"

SETTINGS: dict[str, Any] = {**OFFLINE, "api_key": None, "webhooks_allow_private": True}
"""Settings of the demo: nothing leaves the machine, and its webhooks stay on it."""


def chat_demo(*, seconds: float, port: int, scripted: bool) -> None:
    """Runs the demo. A scripted one ends the command with status 1 when its account does not add up.

    `port` is where the widget is served, 0 for any that is free.
    """
    log.configure(level="CRITICAL")
    scripted = scripted or not (sys.stdin.isatty() and sys.stdout.isatty())
    with tempfile.TemporaryDirectory(prefix="tidings-demo-") as folder:
        complete = run(_demo(Path(folder), seconds=seconds, port=port, scripted=scripted))
    if not complete:
        raise typer.Exit(1)


async def _demo(folder: Path, *, seconds: float, port: int, scripted: bool) -> bool:
    console = Console(highlight=False)
    receiver, simulator = Receiver(), Simulator(stands_in=True)
    whatsapp = {channel.value: simulator for channel in ChatChannel if channel.is_whatsapp}
    settings = load(**{**SETTINGS, "data_dir": folder})
    async with (
        App(settings, simulator=simulator, providers=whatsapp, migrate=True, queue_settings={}) as app,
        serving(receiver.app) as customer,
        serving(app.http(), port) as tidings,
    ):
        shop = await open_shop(app, f"{customer}/webhooks")
        receiver.secret = shop.secret
        await app.start_workers()
        settle()
        try:
            if scripted:
                console.print(
                    "[bold]Chats of a small shop[/], answered from its knowledge. Nothing leaves this machine."
                )
                neighbours = Neighbours(app, shop, await open_neighbour(app), console)
                return await ChatScript(app, shop, receiver, neighbours, console, seconds=seconds).play()
            await _talk(app, shop, console, f"{tidings}/widget/{shop.widget_key}")
            console.print(f"{receiver.taken.total()} webhooks told the shop's own server what happened.")
            return True
        finally:
            await app.stop_workers()


async def _talk(app: App, shop: DemoShop, console: Console, address: str) -> None:
    """A chat in the terminal, until an empty line or Ctrl-C."""
    console.print("[bold]You are chatting with the Corner Shop.[/] An empty line ends it.")
    console.print(f"The same shop in a browser: {address}")
    console.print(f"[dim]You could ask: {' · '.join(one.asks[-1] for one in sample_questions()[:4])}[/]")
    listening = asyncio.create_task(_listen(app, shop, console))
    stopping = asyncio.create_task(stop_signal().wait())
    try:
        while True:
            reading = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                console.print("[dim]Press Enter to leave.[/]")
            text = (await reading).strip()
            if not text or stopping.done():
                return
            await app.chat.enqueue_incoming_message(
                {
                    "chatbot_id": shop.chatbot_id,
                    "channel": ChatChannel.WIDGET,
                    "external_user_id": VISITOR,
                    "content": text,
                }
            )
    finally:
        for task in (listening, stopping):
            task.cancel()
        await asyncio.gather(listening, stopping, return_exceptions=True)


async def _listen(app: App, shop: DemoShop, console: Console) -> None:
    """Prints answers as they come, as a page of the widget does."""
    widget = app.chat.widget
    with widget.listen(shop.chatbot_id, VISITOR) as news:
        while True:
            text = await news.next()
            if text is None:
                continue
            found = await widget.read_message(shop.chatbot_id, VISITOR, int(text))
            for message in found.messages:
                if message.role != Role.USER:
                    console.print(f"[green]{message.text}[/]")
                    await widget.mark_shown(shop.chatbot_id, VISITOR, [message.id], DeliveryStatus.READ)
