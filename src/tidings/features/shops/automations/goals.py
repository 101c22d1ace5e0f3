"""Whether what a message was to bring about has happened, as orders tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.features.shops.models import ShopMessage, ShopOrder
from tidings.features.shops.rules.contexts import EventContext

GOALS: Mapping[str, str] = {
    "orders/create": "placed_at",
    "orders/paid": "paid_at",
    "orders/cancelled": "cancelled_at",
    "fulfillments/create": "fulfilled_at",
}
"""The topics that may be a goal, and the column of an order that says since when they are reached."""


def aims_at(context: EventContext, shop_id: int, customer_id: int | None, at: datetime) -> ColumnElement[bool]:
    """The condition on messages that an event makes pointless: those about its checkout, and about its customer.

    Of the customer's messages only those count that were caused before the event.
    """
    token = context.purchase.checkout_token if context.purchase else None
    reached: list[ColumnElement[bool]] = []
    if token:
        reached.append(ShopMessage.goal_key == token)
    if customer_id is not None:
        reached.append(and_(ShopMessage.customer_id == customer_id, ShopMessage.triggered_at <= at))
    theirs = and_(ShopMessage.shop_id == shop_id, ShopMessage.goal_topic == context.topic)
    return and_(theirs, or_(false(), *reached))


async def is_reached(
    session: AsyncSession | AsyncConnection,
    *,
    shop_id: int,
    topic: str,
    token: str | None,
    customer_id: int | None,
    since: datetime,
) -> bool:
    """Whether an order of the same checkout, or of the same customer since the message was caused, is that far."""
    column = ShopOrder.__table__.c[GOALS[topic]]
    order = ShopOrder.__table__.c
    ways: list[ColumnElement[bool]] = []
    if token:
        ways.append(and_(order.checkout_token == token, column.is_not(None)))
    if customer_id is not None:
        ways.append(and_(order.customer_id == customer_id, column >= since))
    if not ways:
        return False
    query = select(order.id).where(order.shop_id == shop_id, or_(*ways)).limit(1)
    return (await session.execute(query)).first() is not None


async def reached_among(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    """The ids of those messages whose goal has been reached since they were planned."""
    return {
        row["id"]
        for row in rows
        if row["goal_topic"] in GOALS
        and await is_reached(
            connection,
            shop_id=row["shop_id"],
            topic=row["goal_topic"],
            token=row["goal_key"],
            customer_id=row["customer_id"],
            since=row["triggered_at"],
        )
    }
