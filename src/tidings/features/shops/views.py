"""The verbs that only look at what a shop told and what followed from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import select

from tidings.errors import NotFound
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import ShopCustomer, ShopDataExport, ShopMessage, ShopWebhookEvent
from tidings.messages.statuses import Status
from tidings.work import Work

Row = TypeVar("Row", ShopMessage, ShopWebhookEvent, ShopDataExport)


class Listing:
    """Part of `Shops`. Lists are in order of id, after `after_id`; every verb raises NotFound for an unknown shop."""

    _work: Work

    async def list_events(
        self, domain: str, *, topic: str | None = None, after_id: int = 0, limit: int = 100
    ) -> Sequence[ShopWebhookEvent]:
        """Webhooks, each with what came of it."""
        conditions = [] if topic is None else [ShopWebhookEvent.topic == topic]
        return await self._page(ShopWebhookEvent, domain, after_id, limit, *conditions)

    async def list_customers(self, domain: str, *, after_id: int = 0, limit: int = 100) -> Sequence[ShopCustomer]:
        """Customers; those whose data was erased are left out."""
        return await self._page(ShopCustomer, domain, after_id, limit, ShopCustomer.redacted_at.is_(None))

    async def list_messages(
        self,
        domain: str,
        *,
        status: Status | None = None,
        automation_id: int | None = None,
        campaign_id: int | None = None,
        customer_id: int | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> Sequence[ShopMessage]:
        """Messages of automations and campaigns."""
        wanted = (
            (ShopMessage.status, status),
            (ShopMessage.automation_id, automation_id),
            (ShopMessage.campaign_id, campaign_id),
            (ShopMessage.customer_id, customer_id),
        )
        conditions = [column == value for column, value in wanted if value is not None]
        return await self._page(ShopMessage, domain, after_id, limit, *conditions)

    async def get_message(self, domain: str, message_id: int) -> ShopMessage:
        """One message. Raises NotFound."""
        return await self._one(ShopMessage, "message", domain, message_id)

    async def get_event(self, domain: str, row_id: int) -> ShopWebhookEvent:
        """One webhook. Raises NotFound."""
        return await self._one(ShopWebhookEvent, "event", domain, row_id)

    async def list_data_exports(
        self, domain: str, *, after_id: int = 0, limit: int = 100
    ) -> Sequence[ShopDataExport]:
        """What customers asked to know, from `customers/data_request`."""
        return await self._page(ShopDataExport, domain, after_id, limit)

    async def get_data_export(self, domain: str, export_id: int) -> ShopDataExport:
        """One export. Raises NotFound."""
        return await self._one(ShopDataExport, "data export", domain, export_id)

    async def _page(self, model: Any, domain: str, after_id: int, limit: int, *conditions: Any) -> Sequence[Any]:
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            query = select(model).where(model.shop_id == shop.id, model.id > after_id, *conditions)
            return (await session.scalars(query.order_by(model.id).limit(limit))).all()

    async def _one(self, model: type[Row], kind: str, domain: str, row_id: int) -> Row:
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            found = await session.get(model, row_id)
            if found is None or found.shop_id != shop.id:
                raise NotFound(kind, row_id)
            return found
