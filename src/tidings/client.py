"""Tidings from other Python programs: `async with Tidings() as t: await t.events.schedule_event_message({…})`."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from tidings.app import App
from tidings.features.chat.service import Chat
from tidings.features.events.service import Events
from tidings.features.followups.service import FollowUps
from tidings.features.proactive.service import Proactive
from tidings.features.shops.service import Shops
from tidings.messages.contacts.people import People
from tidings.messages.inbound.replies import Inbound
from tidings.messages.why import Answer
from tidings.settings import load


class Tidings:
    """An open Tidings: rows and queues as the settings say, without workers.

    Settings may be given by name, e.g. `Tidings(data_dir="…", redis_url="…")`; the others come from the
    environment. The database is brought to the present schema. Raises ConfigurationError when a server or
    setting is unusable.
    """

    def __init__(self, **settings: Any) -> None:
        self.app = App(load(**settings), migrate=True)

    async def __aenter__(self) -> Self:
        await self.app.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.app.__aexit__(kind, error, trace)

    @property
    def events(self) -> Events:
        """Event messages."""
        return self.app.events

    @property
    def followups(self) -> FollowUps:
        """CRM follow-ups."""
        return self.app.followups

    @property
    def proactive(self) -> Proactive:
        """Proactive messages."""
        return self.app.proactive

    @property
    def shops(self) -> Shops:
        """Shops: automations and campaigns."""
        return self.app.shops

    @property
    def chat(self) -> Chat:
        """Chats, and customers' webhooks."""
        return self.app.chat

    @property
    def contacts(self) -> People:
        """Opt-outs, consents, and what is known about a contact."""
        return self.app.contacts

    @property
    def inbound(self) -> Inbound:
        """Where replies and delivery reports go in."""
        return self.app.inbound

    async def why(self, message: str) -> Answer:
        """Why a message, like `event-message-123`, did or did not go out. Raises InvalidInput and NotFound."""
        return await self.app.why.explain(message)
