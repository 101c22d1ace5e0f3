"""Orders as webhooks tell of them, and what they add to their customers' figures."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.shops.models import Shop, ShopCustomer, ShopOrder
from tidings.features.shops.rules.contexts import EventContext
from tidings.features.shops.rules.purchases import Purchase


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
    context: EventContext,
    known: ShopOrder | None,
    customer: ShopCustomer | None,
    at: datetime,
    now: datetime,
) -> ShopOrder | None:
    """Stores what an event of the moment `at` tells about its order; None when it names none.

    Raises IntegrityError at the flush when another event adds the same order at this moment; then try again.
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
    if context.topic.startswith("orders/"):
        _read(row, order, context.topic, at)
        if known is None and customer is not None and not order.test:
            _count(customer, context, order)
        if customer is not None and row.placed_at is not None and not order.test:
            customer.first_order_at = min(customer.first_order_at or row.placed_at, row.placed_at)
            customer.last_order_at = max(customer.last_order_at or row.placed_at, row.placed_at)
    elif context.topic.startswith("fulfillments/"):
        row.name = row.name or order.name
        row.fulfilled_at = row.fulfilled_at or at
    row.updated_at = now
    await session.flush()
    return row


def _read(row: ShopOrder, order: Purchase, topic: str, at: datetime) -> None:
    row.name = order.name or row.name
    row.checkout_token = order.checkout_token or row.checkout_token
    row.placed_at = row.placed_at or order.created_at or at
    if row.paid_at is None and (topic == "orders/paid" or order.financial_status == "paid"):
        row.paid_at = at
    row.cancelled_at = row.cancelled_at or order.cancelled_at or (at if topic == "orders/cancelled" else None)
    if order.total_price is not None:
        row.total, row.currency = str(order.total_price), order.currency
    titles = [line.title for line in order.line_items if line.title]
    row.titles = titles or row.titles
    row.is_test = order.test


def _count(customer: ShopCustomer, context: EventContext, order: Purchase) -> None:
    """Payloads since API version 2025-01 do not tell a customer's totals, so they are kept up here."""
    told = context.customer
    if told is None or told.orders_count is None:
        customer.orders_count = (customer.orders_count or 0) + 1
    if (told is None or told.total_spent is None) and order.total_price is not None:
        customer.total_spent = str(Decimal(customer.total_spent or "0") + order.total_price)
