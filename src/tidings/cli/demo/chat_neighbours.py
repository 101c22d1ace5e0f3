"""Two customers' chatbots side by side, and somebody who writes to both and says STOP to the first."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from rich.console import Console

from tidings.app import App
from tidings.cli.demo.shop import DemoShop
from tidings.features.chat.models import ChatChannel, ChatMessage, Conversation
from tidings.messages.statuses import Reason, Status
from tidings.providers.simulator import SimulatedMessage

BOTH = "+18105559000"
"""Who writes to both."""

WITHIN = 30.0
"""Seconds after which something counts as not having come."""


class Neighbours:
    """Plays it, and says what was not as it should be. The first shop's chatbot has keywords turned on."""

    def __init__(self, app: App, first: DemoShop, second: DemoShop, console: Console) -> None:
        self._app = app
        self._first = first
        self._second = second
        self._console = console
        self._inbox: dict[int, asyncio.Queue[str]] = {shop.chatbot_id: asyncio.Queue() for shop in (first, second)}
        self._written = 0
        self._wrong: list[str] = []

    async def play(self) -> list[str]:
        """Asks both, says STOP to the first, and looks at who may still write."""
        stop = self._app.simulator.on_message(self._arrived)
        try:
            await self._say(self._first, "When are you open?", "9 am to 6 pm")
            await self._say(self._second, "When are you open?", "noon")
            await self._say(self._first, "STOP", f"{self._first.name}: you are unsubscribed")
            await self._say(self._second, "Do you have oolong tea?", "oolong")
            await self._a_day_later()
            await self._say(self._first, "Can I get a refund for returns?", "30 days")
        except TimeoutError:
            self._wrong.append(f"{BOTH} waited for a message that did not come")
        finally:
            stop()
        return self._wrong

    def _arrived(self, message: SimulatedMessage) -> None:
        if message.to == BOTH and (inbox := self._inbox.get(message.metadata["chatbot_id"])):
            inbox.put_nowait(message.text)

    async def _say(self, shop: DemoShop, text: str, expects: str) -> None:
        self._written += 1
        await self._app.chat.enqueue_incoming_message(
            {
                "chatbot_id": shop.chatbot_id,
                "channel": ChatChannel.WHATSAPP_CLOUD,
                "external_user_id": BOTH,
                "content": text,
                "external_id": f"neighbours-{self._written}",
            }
        )
        answer = await asyncio.wait_for(self._inbox[shop.chatbot_id].get(), WITHIN)
        self._tell(shop, text, answer)
        if expects not in answer:
            self._wrong.append(f"{shop.name} answered {answer!r} to {text!r}")

    async def _a_day_later(self) -> None:
        """Both shops write by themselves, which is no answer any more after 24 hours."""
        stopped, sent = [await self._write_first(shop) for shop in (self._first, self._second)]
        if (stopped.status, stopped.status_reason) == (Status.SKIPPED, Reason.OPTED_OUT):
            self._console.print(f"[dim]{self._first.name} writes a day later:[/] not sent, since STOP was said to it")
        else:
            self._wrong.append(f"what {self._first.name} wrote unasked is {stopped.status} in spite of STOP")
        if sent.status == Status.SENT:
            arrived = await asyncio.wait_for(self._inbox[self._second.chatbot_id].get(), WITHIN)
            self._console.print(f"[dim]{self._second.name} writes a day later:[/] [green]{arrived}[/]")
        else:
            self._wrong.append(f"what {self._second.name} wrote is {sent.status}: STOP was said to somebody else")

    async def _write_first(self, shop: DemoShop) -> ChatMessage:
        conversations = self._app.chat.conversations
        [mine] = [one for one in await conversations.list(shop.chatbot_id) if one.external_user_id == BOTH]
        async with self._app.work.begin() as unit:
            row = await unit.session.get(Conversation, mine.id, with_for_update=True)
            assert row is not None
            row.last_user_message_at = self._app.clock.now() - timedelta(hours=25)
        message = await conversations.send_message(
            shop.chatbot_id, mine.id, {"content": "We have new teas.", "author": shop.name}
        )
        async with asyncio.timeout(WITHIN):
            while True:
                found = await conversations.list_messages(shop.chatbot_id, mine.id)
                [seen] = [one for one in found if one.id == message.id]
                if seen.status in (Status.SENT, Status.SKIPPED, Status.FAILED):
                    return seen
                await asyncio.sleep(0.05)

    def _tell(self, shop: DemoShop, text: str, answer: str) -> None:
        self._console.print(f"[dim]{BOTH} to {shop.name}:[/] {text}\n  [green]{answer}[/]")
