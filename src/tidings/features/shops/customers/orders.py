"""Orders as webhooks tell of them, in whatever order, and what they add to their customers' figures."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.shops.customers.parcels import note_parcel
from tidings.features.shops.events.store import moment_of, version_of
from tidings.features.shops.models import Shop, ShopCustomer, ShopOrder, ShopWebhookEvent
from tidings.features.shops.rules import reading
from tidings.features.shops.rules.contexts import EventContext
from tidings.features.shops.rules.purchases import Purchase
from tidings.features.shops.rules.refunds import note_refunds, refunded

_NOTHING = Decimal()


async def order_of(session: AsyncSession, shop_id: int, context: EventContext) -> ShopOrder | None:
    """The stored order that an event is about, locked."""
    if context.order is None or context.order.id is None:
        return None
    return await session.scalar(
        select(ShopOrder)
        .where(ShopOrder.shop_id == shop_id, ShopOrder.order_key == context.order.id)
        .with_for_update(key_share=True)
    )


async def save_order(
    session: AsyncSession,
    shop: Shop,
    event: ShopWebhookEvent,
    context: EventContext,
    known: ShopOrder | None,
    customer: ShopCustomer | None,
    now: datetime,
) -> ShopOrder | None:
    """Stores what an event tells about its order; None when it names none.

    An older payload than the newest one only fills what is not known yet. Raises IntegrityError at the flush when
    another event adds the same order at this moment; then try again.
    """
    order = context.order
    if order is None or order.id is None:
        return None
    row = known
    if row is None:
        row = ShopOrder(shop_id=shop.id, order_key=order.id, titles=[], created_at=now, updated_at=now)
        session.add(row)
    if customer is not None and row.customer_id is None:
        row.customer_id = customer.id
    at, as_of = moment_of(event, context), version_of(event, context)
    if context.topic == "orders/delete":
        row.cancelled_at = row.cancelled_at or at
    elif context.topic.startswith("orders/"):
        _read(row, order, context.topic, at, as_of)
        if order.refunds:
            row.refunds = note_refunds(row.refunds, order.refunds, row.currency or shop.currency)
        if customer is not None and row.placed_at is not None and not row.is_test:
            customer.first_order_at = min(customer.first_order_at or row.placed_at, row.placed_at)
            customer.last_order_at = max(customer.last_order_at or row.placed_at, row.placed_at)
    elif context.refund is not None:
        row.refunds = note_refunds(row.refunds, [context.refund], row.currency or shop.currency)
    elif context.fulfillment is not None:
        row.name = row.name or order.name
        row.parcels = note_parcel(row.parcels, context.fulfillment, as_of, event.id)
        if context.fulfillment.is_sent:
            row.fulfilled_at = row.fulfilled_at or at
    if customer is None and row.customer_id is not None:
        customer = await session.get(ShopCustomer, row.customer_id, with_for_update={"key_share": True})
    if customer is not None:
        _count(row, customer, context)
    row.updated_at = now
    await session.flush()
    return row


def as_facts(row: ShopOrder) -> dict[str, Any]:
    """What is known of an order under the names that texts and conditions have for it."""
    return {
        "name": row.name,
        "total_price": reading.amount(row.total),
        "currency": row.currency,
        "source_name": row.source_name,
    }


def _read(row: ShopOrder, order: Purchase, topic: str, at: datetime, as_of: datetime) -> None:
    newer = row.as_of is None or as_of >= row.as_of
    told = {
        "name": order.name,
        "checkout_token": order.checkout_token,
        "titles": [line.title for line in order.line_items if line.title] or None,
        "source_name": order.source_name,
    }
    if order.total_price is not None:
        told |= {"total": str(order.total_price), "currency": order.currency}
    for name, value in told.items():
        if value is not None and (newer or not getattr(row, name)):
            setattr(row, name, value)
    row.placed_at = row.placed_at or order.placed_at or at
    if row.paid_at is None and (topic == "orders/paid" or order.financial_status == "paid"):
        row.paid_at = at
    row.cancelled_at = row.cancelled_at or order.cancelled_at or (at if topic == "orders/cancelled" else None)
    row.is_test = row.is_test or order.test
    row.as_of = as_of if row.as_of is None else max(row.as_of, as_of)


def _count(row: ShopOrder, customer: ShopCustomer, context: EventContext) -> None:
    """Payloads since API version 2025-01 do not tell a customer's totals, so they are kept up here.

    Where a payload tells them, they have this order in them.
    """
    if row.counted is None and row.as_of is None:
        return  # the order itself has not been told of yet
    told = context.customer if context.topic.startswith("orders/") else None
    worth, before = _worth(row), Decimal(row.counted or 0)
    if row.counted is None and not row.is_test and (told is None or told.orders_count is None):
        customer.orders_count = (customer.orders_count or 0) + 1
    if worth != before and (told is None or told.total_spent is None):
        customer.total_spent = str(max(Decimal(customer.total_spent or "0") + worth - before, _NOTHING))
    row.counted = str(worth)


def _worth(row: ShopOrder) -> Decimal:
    total = reading.amount(row.total)
    if total is None or row.is_test or row.cancelled_at is not None:
        return _NOTHING
    return max(total - refunded(row.refunds), _NOTHING)
