"""Tidings from other Python programs: `async with Tidings() as t: await t.events.schedule_event_message({…})`."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from tidings.app import App
from tidings.messages.contacts.consents.consents import Consents
from tidings.messages.contacts.opting import OptOutDesk
from tidings.messages.contacts.people import People
from tidings.messages.inbound.door import Inbound
from tidings.messages.inbound.listing import ReplyList
from tidings.messages.tenant_settings import TenantSettings
from tidings.messages.unknown import UnknownOutcomes
from tidings.messages.why import Story
from tidings.registry import Features, load


class Tidings(Features):
    """An open Tidings: rows and queues as the settings say, without workers.

    Every feature is an attribute, such as `events`.

    Settings may be given by name, e.g. `Tidings(data_dir="…", redis_url="…")`; the others come from the
    environment. An embedded database is brought to the present schema; one that DATABASE_URL names, which others may
    be using, with `migrate` alone. Raises ConfigurationError when a server or setting is unusable, or the schema is
    an older one.
    """

    def __init__(self, *, migrate: bool = False, **settings: Any) -> None:
        read = load(**settings)
        self.app = App(read, migrate=migrate or read.is_embedded)

    async def __aenter__(self) -> Self:
        await self.app.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.app.__aexit__(kind, error, trace)

    def service_of(self, name: str) -> Any:
        """The service of the feature with this name, the same as the attribute."""
        return self.app.service_of(name)

    @property
    def contacts(self) -> People:
        """People: finding, showing and editing them, merging and erasing."""
        return self.app.contacts

    @property
    def consents(self) -> Consents:
        """What people agreed to, by contact or address, for every tenant."""
        return self.app.consents

    @property
    def tenants(self) -> TenantSettings:
        """Brand, support, quiet hours and caps of each tenant."""
        return self.app.tenants

    @property
    def opt_outs(self) -> OptOutDesk:
        """Who wants no messages any more, and who may have said so."""
        return self.app.opt_outs

    @property
    def replies(self) -> ReplyList:
        """What people answered."""
        return self.app.replies

    @property
    def inbound(self) -> Inbound:
        """Where replies and delivery reports go in."""
        return self.app.inbound

    @property
    def unknown(self) -> UnknownOutcomes:
        """Messages that may have left, and how to settle them."""
        return self.app.unknown

    async def why(self, message: str) -> Story:
        """Why a message, like `event-message-123`, did or did not go out. Raises InvalidInput and NotFound."""
        return await self.app.why.explain(message)
