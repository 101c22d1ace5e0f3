"""What a customer may know: everything that is kept about them, for the shop to hand out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.shops.customers.people import phone_of
from tidings.features.shops.customers.profiles import customers_alike
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage, ShopOrder, ShopWebhookEvent
from tidings.features.shops.privacy.models import ShopDataExport
from tidings.features.shops.rules.contexts import EventContext
from tidings.features.shops.rules.stored import to_json
from tidings.messages.gate.consents import consents_of
from tidings.messages.gate.opt_outs import history_of
from tidings.messages.tenants import EVERY, shop_tenant

_CUSTOMER = (
    *("customer_key", "first_name", "last_name", "email", "phone", "country", "locale", "tags", "orders_count"),
    *("total_spent", "first_order_at", "last_order_at", "sms_consent", "sms_consent_at"),
)
_ORDER = (
    "order_key",
    "name",
    "placed_at",
    "paid_at",
    "fulfilled_at",
    "cancelled_at",
    "total",
    "currency",
    "titles",
    "refunds",
)
_MESSAGE = ("recipient", "purpose", "scheduled_time", "status", "status_reason", "text", "sent_at")
_EVENT = ("topic", "object_id", "received_at", "raw")


async def export_person(
    session: AsyncSession, shop: Shop, event: ShopWebhookEvent, context: EventContext, now: datetime
) -> ShopDataExport:
    """Stores the export that a `customers/data_request` asks for."""
    told = context.customer
    rows = await customers_alike(
        session,
        shop.id,
        key=told.id if told else None,
        email=told.email if told else None,
        phone=phone_of(told, shop) if told else None,
    )
    event.customer_id = rows[0].id if rows else None
    export = ShopDataExport(
        shop_id=shop.id,
        request_key=event.event_id,
        customer_id=event.customer_id,
        content=to_json(await _content(session, shop, event, rows)),
        created_at=now,
    )
    session.add(export)
    await session.flush()
    return export


async def _content(
    session: AsyncSession, shop: Shop, request: ShopWebhookEvent, rows: Sequence[ShopCustomer]
) -> dict[str, Any]:
    ids = [row.id for row in rows]
    contacts = sorted({row.contractor_id for row in rows if row.contractor_id is not None})
    orders = await session.scalars(select(ShopOrder).where(ShopOrder.customer_id.in_(ids)).order_by(ShopOrder.id))
    messages = await session.scalars(
        select(ShopMessage).where(ShopMessage.customer_id.in_(ids)).order_by(ShopMessage.id)
    )
    events = await session.scalars(
        select(ShopWebhookEvent)
        .where(ShopWebhookEvent.customer_id.in_(ids), ShopWebhookEvent.id != request.id)
        .order_by(ShopWebhookEvent.id)
    )
    consents: list[Any] = []
    opt_outs: list[Any] = []
    for contact_id in contacts:
        phones = [row.phone for row in rows if row.contractor_id == contact_id]
        consents += [one for one in await consents_of(session, contact_id) if one.tenant == shop_tenant(shop.id)]
        mine = (shop_tenant(shop.id), EVERY)
        opt_outs += [one for one in await history_of(session, contact_id, phones) if one.tenant in mine]
    return {
        "shop": shop.domain,
        "customers": [_picked(row, _CUSTOMER) for row in rows],
        "orders": [_picked(row, _ORDER) for row in orders],
        "messages": [_picked(row, _MESSAGE) for row in messages],
        "consents": [
            _picked(row, ("channel", "purpose", "granted", "at", "source", "wording", "proof")) for row in consents
        ],
        "opt_outs": [
            _picked(row, ("address", "channel", "stops", "opted_out_at", "ended_at", "source", "words"))
            for row in opt_outs
        ],
        "events": [_picked(row, _EVENT) for row in events],
    }


def _picked(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
